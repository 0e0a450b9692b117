"""A Hub that takes commits to datasets: a real HTTP server with as much of its interface as an upload needs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from .hub_server import answering


@dataclass
class DatasetHub:
    """The datasets on it, by name: their files and whether they are private."""

    token: str
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    commits: int = 0
    down: int = 0  # so many requests are answered with 500
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def dataset_hub(token: str) -> Iterator[DatasetHub]:
    """Serve datasets until the block ends."""
    made = DatasetHub(token)
    with answering(type("BoundHandler", (_Handler,), {"hub": made})) as made.port:
        yield made


class _Handler(BaseHTTPRequestHandler):
    hub: DatasetHub
    protocol_version = "HTTP/1.1"
    timeout = 5

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        name = "/".join(self.path.split("?")[0].strip("/").split("/")[2:4])
        if self._allowed() and self._known(name):
            self._send(200, {"id": name, "private": self.hub.private[name], "siblings": [], "tags": [], "downloads": 0, "likes": 0})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.split("?")[0].strip("/").split("/")
        if not self._allowed():
            return
        if parts == ["api", "repos", "create"]:
            return self._create(json.loads(body))
        name, action = "/".join(parts[2:4]), parts[4]
        if not self._known(name):
            return
        if action == "preupload":
            asked = [each["path"] for each in json.loads(body)["files"]]
            return self._send(200, {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in asked]})
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.hub.files[name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        self.hub.commits += 1
        self._send(200, {"success": True, "commitOid": "0" * 40, "commitUrl": f"{self.hub.url}/datasets/{name}/commit/{'0' * 40}"})

    def _allowed(self) -> bool:
        if self.hub.down:
            self.hub.down -= 1
            self._send(500, {"error": "down"})
            return False
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._send(401, {"error": "Invalid credentials"})
            return False
        return True

    def _known(self, name: str) -> bool:
        if name not in self.hub.files:
            self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        return name in self.hub.files

    def _create(self, asked: dict) -> None:
        name = f"{asked.get('organization') or 'somebody'}/{asked['name'].split('/')[-1]}"
        status = 409 if name in self.hub.files else 200
        if status == 200:
            self.hub.files[name] = {}
            self.hub.private[name] = asked.get("private") is True or asked.get("visibility") == "private"
        self._send(status, {"url": f"{self.hub.url}/datasets/{name}", "name": name, "id": name})

    def _send(self, status: int, content: dict, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)
