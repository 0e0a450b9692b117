"""A fake Hub for downloads: an HTTP server with the API that a download needs, and with faults on request.

Like the Hub it lists gated repositories to everybody, refuses their files with a status and `X-Error-Code`,
and serves large files from another host, which must not see the token.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from .patience import PATIENCE_S

SMALL_BYTES = 100_000
"""A smaller file is stored in git itself, and identified by its git object id."""
STRANGER = (401, "RepoNotFound", "Invalid username or password.")


@dataclass
class Faults:
    """The faults of one file. Byte counts are those of one response."""

    cut_after_bytes: list[int] = field(default_factory=list)  # the connection breaks, once for each entry
    always_cut_after_bytes: int | None = None
    status: list[int] = field(default_factory=list)  # answered, once for each entry
    ends_at_byte: int | None = None  # the stored file is shorter than its listing says
    flip_byte: int | None = None  # one bit differs from what the listing says
    endless: bool = False
    ranges: bool = True
    pause_s: float = 0.0  # between pieces of 64 KiB
    more: threading.Semaphore | None = None  # each piece waits until it is released


@dataclass
class Hub:
    """The state of a server with one repository."""

    name: str
    commit: str
    files: dict[str, bytes]
    branches: dict[str, str]
    gated: bool = False
    tokens: dict[str, bool] = field(
        default_factory=dict
    )  # whether the token's account has accepted the licence
    faults: dict[str, Faults] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)  # said instead of the true ones
    api_status: int | None = None
    api_body: bytes | None = None
    answers: threading.Event = field(default_factory=threading.Event)  # until it is set nobody gets an answer
    port: int = 0
    seen: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fault(self, name: str) -> Faults:
        return self.faults.setdefault(name, Faults())

    def gets(self, name: str) -> list[str]:
        """Return the Range header of each request for a file's content, "" for one without."""
        path = (
            f"/cdn/{sha256(self.files[name])}"
            if large(self.files[name])
            else f"/resolve/{self.commit}/{name}"
        )
        return [
            headers.get("Range", "")
            for method, at, headers in self.seen
            if method == "GET" and at.split("?")[0].endswith(path)
        ]


def large(content: bytes) -> bool:
    return len(content) >= SMALL_BYTES


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def hub(name: str, commit: str, files: Mapping[str, bytes]) -> Iterator[Hub]:
    """Serve one repository until the block ends."""
    made = Hub(name, commit, dict(files), {"main": commit})
    made.answers.set()
    with answering(type("BoundHandler", (_Handler,), {"hub": made})) as made.port:
        try:
            yield made
        finally:
            made.answers.set()


class _Server(ThreadingHTTPServer):
    """Hangs up on its clients when it ends, by which the threads of their idle connections end."""

    daemon_threads = False

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._connections: set[socket.socket] = set()

    def process_request(self, request: socket.socket, client_address: object) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve HTTP until the block ends and yield the port; no thread is left behind."""
    server = _Server(handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.hang_up()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.hub.answers.wait(PATIENCE_S)
        self.hub.seen.append(
            (self.command, self.path, {key.title(): value for key, value in self.headers.items()})
        )
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        try:
            if parts[0] == "cdn":
                return self._content(
                    next(name for name, content in self.hub.files.items() if sha256(content) == parts[1])
                )
            if parts[:2] == ["api", "models"]:
                return self._listing("/".join(parts[2:4]), parts[5])
            if parts[2:3] != ["resolve"]:
                return self._send(404, b"not a part of this Hub")
            return self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    @property
    def _token(self) -> str | None:
        return self.headers.get("Authorization", "").removeprefix("Bearer ") or None

    def _may_see(self, name: str, revision: str) -> bool:
        if self._token is not None and self._token not in self.hub.tokens:
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        if name != self.hub.name:
            return self._refuse(
                *(STRANGER if self._token is None else (404, "RepoNotFound", "Repository not found"))
            )
        if self.hub.branches.get(revision, revision) != self.hub.commit:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return True

    def _listing(self, name: str, revision: str) -> None:
        if self.hub.api_status:
            return self._send(self.hub.api_status, b"down")
        if self.hub.api_body is not None:
            return self._send(200, self.hub.api_body)
        if not self._may_see(name, revision):
            return None
        siblings = []
        for file, content in self.hub.files.items():
            size = self.hub.sizes.get(file, len(content))
            about = {"rfilename": file, "size": size, "blobId": git_id(content)}
            siblings.append(
                about
                | (
                    {"lfs": {"sha256": sha256(content), "size": size, "pointerSize": 134}}
                    if large(content)
                    else {}
                )
            )
        body = {
            "id": name,
            "modelId": name,
            "sha": self.hub.commit,
            "gated": "auto" if self.hub.gated else False,
            "siblings": siblings,
        }
        return self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        if not self._may_see(name, revision):
            return None
        if self.hub.gated and not self.hub.tokens.get(self._token or ""):
            text = f"Access to model {name} is restricted. Visit {self.hub.url}/{name} to ask for access."
            return self._refuse(403 if self._token else 401, "GatedRepo", text) and None
        content = self.hub.files.get(file)
        if content is None:
            return self._refuse(404, "EntryNotFound", "Entry not found") and None
        if not large(content):
            return self._content(file, {"X-Repo-Commit": self.hub.commit, "ETag": f'"{git_id(content)}"'})
        headers = {
            "Location": f"http://localhost:{self.hub.port}/cdn/{sha256(content)}?X-Signature=sesame",
            "X-Repo-Commit": self.hub.commit,
            "X-Linked-Size": str(len(content)),
            "X-Linked-ETag": f'"{sha256(content)}"',
        }
        return self._send(302, b"", headers)

    def _content(self, file: str, headers: Mapping[str, str] | None = None) -> None:
        fault, content = self.hub.fault(file), bytearray(self.hub.files[file])
        if self.path.startswith("/cdn") and self._token:
            return self._send(400, b"signed and authorised at once")
        if fault.status:
            return self._send(fault.status.pop(0), b"busy")
        if fault.flip_byte is not None:
            content[fault.flip_byte] ^= 1
        del content[fault.ends_at_byte if fault.ends_at_byte is not None else len(content) :]
        start = (
            int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if fault.ranges and "Range" in self.headers
            else 0
        )
        if start >= len(content):
            return self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        self.send_response(206 if start else 200)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if fault.endless:
            self.close_connection = True
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        return self._body(fault, content[start:])

    def _body(self, fault: Faults, content: bytearray) -> None:
        if self.command == "HEAD":
            return
        cut = fault.cut_after_bytes.pop(0) if fault.cut_after_bytes else fault.always_cut_after_bytes
        for at in range(0, len(content) if cut is None else min(cut, len(content)), 1 << 16):
            self.wfile.write(
                content[at : at + (1 << 16)] if cut is None else content[at : min(at + (1 << 16), cut)]
            )
            time.sleep(fault.pause_s)
            if fault.more:
                fault.more.acquire(timeout=PATIENCE_S)
        while fault.endless:
            self.wfile.write(bytes(1 << 16))
        if cut is not None:
            self.close_connection = True

    def _refuse(self, status: int, code: str, text: str) -> bool:
        self._send(
            status,
            json.dumps({"error": text}).encode(),
            {"X-Error-Message": text} | ({"X-Error-Code": code} if code else {}),
        )
        return False

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
