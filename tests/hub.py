"""A local server that plays the Hub: files with etags and ranges, a gate, and faults on request."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


@dataclass
class FakeHub:
    """`files` of `repo`; `refuse` answers everything with a status and an error code; `cut` ends a body early, once for each entry."""

    repo: str
    files: dict[str, bytes]
    url: str = ""
    refuse: tuple[int, str] | None = None
    cut: dict[str, int] = field(default_factory=dict)
    alter: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


@contextmanager
def running(hub: FakeHub) -> Iterator[FakeHub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args) -> None:
            """Stay quiet."""

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            repo, _, rest = self.path.lstrip("/").partition("/resolve/")
            name = rest.partition("/")[2]
            hub.asked.append((self.command, name, self.headers.get("Range")))
            if hub.refuse:
                self._status(hub.refuse[0], {"X-Error-Code": hub.refuse[1], "Content-Length": "0"})
            elif repo != hub.repo:
                self._status(404, {"X-Error-Code": "RepoNotFound", "Content-Length": "0"})
            elif name not in hub.files:
                self._status(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT, "Content-Length": "0"})
            else:
                self._file(name, body)

        def _file(self, name: str, body: bool) -> None:
            data = hub.files[name]
            headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._status(206 if start else 200, headers | {"Content-Length": str(len(data) - start)})
            if body:
                sent = bytes(len(data)) if name in hub.alter else data
                self.wfile.write(sent[start : start + hub.cut.pop(name)] if name in hub.cut else sent[start:])

        def _status(self, code: int, headers: dict[str, str]) -> None:
            self.send_response(code)
            self.send_header("Connection", "close")
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
