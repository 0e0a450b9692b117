"""A fake Hub that accepts commits to datasets and Spaces: a server with the API that an upload needs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import yaml

from .hub_server import answering, git_id

SHORT_CHARS = 60
"""The Hub's own limit of `short_description`."""


@dataclass
class CommitHub:
    """The state of the Hub: the files of each repository by its name, and whether it is private."""

    token: str
    owners: tuple[str, ...] = ("somebody",)  # who the token may write for
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    made: list[dict] = field(default_factory=list)  # the requests that made repositories
    commits: int = 0
    down: int = 0  # how many of the next requests are answered with status 500
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def commit_hub(token: str) -> Iterator[CommitHub]:
    """Serve repositories until the block ends."""
    made = CommitHub(token)
    with answering(type("BoundHandler", (_Handler,), {"hub": made})) as made.port:
        yield made


class _Handler(BaseHTTPRequestHandler):
    hub: CommitHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        name = "/".join(parts[2:4])
        if not (self._allowed() and self._known(name)):
            return
        files = self.hub.files[name]
        if parts[4:5] == ["tree"]:
            entries = [
                {"type": "file", "path": path, "size": len(data), "oid": git_id(data)}
                for path, data in files.items()
            ]
            return self._send(200, entries)
        commit = hashlib.sha1(repr(files).encode()).hexdigest()
        about = {
            "id": name,
            "private": self.hub.private[name],
            "sha": commit,
            "siblings": [{"rfilename": path} for path in files],
        }
        self._send(200, about | {"tags": [], "downloads": 0, "likes": 0})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.split("?")[0].strip("/").split("/")
        if not self._allowed():
            return
        if parts == ["api", "validate-yaml"]:
            return self._validate(json.loads(body)["content"])
        if parts == ["api", "repos", "create"]:
            return self._create(json.loads(body))
        name, action = "/".join(parts[2:4]), parts[4]
        if not (self._known(name) and self._mine(name)):
            return
        if action == "preupload":
            asked = [each["path"] for each in json.loads(body)["files"]]
            return self._send(
                200,
                {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in asked]},
            )
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.hub.files[name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "deletedFile":
                del self.hub.files[name][entry["value"]["path"]]
        self.hub.commits += 1
        self._send(
            200,
            {
                "success": True,
                "commitOid": "0" * 40,
                "commitUrl": f"{self.hub.url}/{parts[1]}/{name}/commit/{'0' * 40}",
            },
        )

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

    def _mine(self, name: str) -> bool:
        mine = name.split("/")[0] in self.hub.owners
        if not mine:
            self._send(403, {"error": f"You don't have the rights to write to {name}"})
        return mine

    def _validate(self, content: str) -> None:
        """Refuse metadata as the Hub does: without a block, or with too long a short description."""
        block = content.split("---\n")[1] if content.startswith("---\n") else ""
        short = (yaml.safe_load(block) or {}).get("short_description", "")
        errors = [] if block else [{"message": "empty or missing yaml metadata"}]
        if len(short) > SHORT_CHARS:
            errors.append(
                {
                    "message": (
                        f'"short_description" length must be less than or equal to {SHORT_CHARS} characters'
                        " long"
                    )
                }
            )
        self._send(400 if errors else 200, {"errors": errors, "warnings": []})

    def _create(self, asked: dict) -> None:
        name = f"{asked.get('organization') or 'somebody'}/{asked['name'].split('/')[-1]}"
        if not self._mine(name):
            return
        status = 409 if name in self.hub.files else 200
        if status == 200:
            self.hub.files[name] = {}
            self.hub.private[name] = asked.get("private") is True or asked.get("visibility") == "private"
            self.hub.made.append(asked)
        kind = {"dataset": "datasets/", "space": "spaces/"}.get(asked.get("type", ""), "")
        self._send(status, {"url": f"{self.hub.url}/{kind}{name}", "name": name, "id": name})

    def _send(self, status: int, content: dict | list, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for key, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)
