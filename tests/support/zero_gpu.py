"""Simulate ZeroGPU: the app runs with the real `spaces` package, and the test serves the platform's API.

`python -m tests.support.zero_gpu serve …` runs the app with a torch that `patch_torch` makes look like one
with CUDA: it names a version, its checks for CUDA pass, and in a worker "cuda" is the CPU. The rest is the
package's own: it emulates a GPU in this process, moves the weights to it and packs them into a file, and
forks workers that read that file.
"""

from __future__ import annotations

import base64
import json
import mmap
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from . import tiny
from .app_process import AppProcess, app_process
from .patience import PATIENCE_S, until
from .peers import Caller, call

# seconds left, seconds to wait, and the API's word for it
REFUSALS = {
    "over-quota": (12, 5025, "quota-exceeded"),
    "over-quota-days": (0, 90_001, "quota-exceeded"),
    "runs": (0, 0, "runs-exceeded"),
    "pending": (0, 60, "pending-overquota-exceeded"),
    "illegal-duration": (0, -1, "illegal-duration"),
}
STATUSES = {"busy": 503, "expired": 401, "broken": 500}


@dataclass
class Api:
    """The requests to the API, and its answer to the next request for a GPU: a GPU, or as `answer` says."""

    url: str = ""
    answer: str = "gpu"
    idle: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    leases: dict[str, str] = field(default_factory=dict)
    pids: list[int] = field(default_factory=list)
    reports: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def until_released(self) -> list[str]:
        """Wait until no lease runs; return how each ended."""
        until(lambda: "running" not in self.leases.values(), lambda: self.leases)
        return list(self.leases.values())

    def kill_worker(self) -> None:
        """Kill the last worker as the platform does."""
        os.kill(self.pids[-1], signal.SIGKILL)


@contextmanager
def zero_gpu_api() -> Iterator[Api]:
    """Serve the routes that the package calls: startup-report, schedule, allow, release."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query))
            with api.lock:
                status, body, headers = getattr(self, url.path.strip("/").replace("-", "_"))(query)
            data = body.encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(data)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def startup_report(self, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
            api.reports += 1
            return 200, "", {}

        def schedule(self, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
            api.asked.append(query)
            if api.answer in REFUSALS:
                left, wait_s, result = REFUSALS[api.answer]
                return (
                    429,
                    json.dumps({"left": left, "wait": wait_s}),
                    {"X-Approve-Result": result, "X-Authenticated": "regular"},
                )
            if api.answer in STATUSES:
                return STATUSES[api.answer], "", {}
            if api.answer == "queue-failed":
                return (
                    200,
                    "event: failed\n\n",
                    {"Content-Type": "text/event-stream", "X-Queuing-Reason": "node"},
                )
            token = f"allow-{len(api.leases)}"
            api.leases[token] = "running"
            given = json.dumps(
                {"idle": api.idle, "nvidiaIndex": 0, "nvidiaUUID": "GPU-test", "allowToken": token}
            )
            if api.answer == "queue":
                headers = {"Content-Type": "text/event-stream", "X-Queuing-Reason": "node"}
                return 200, f"event: succeeded\ndata: {given}\n\n", headers
            return 200, given, {}

        def allow(self, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
            assert api.leases[query["allowToken"]] == "running"
            api.pids.append(int(query["pid"]))
            return 200, "", {}

        def release(self, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
            if api.leases[query["allowToken"]] != "running":
                return 404, "", {}
            api.leases[query["allowToken"]] = "failed" if query["fail"] == "true" else "released"
            return 200, "", {}

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, name="zero-gpu-api")
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def zero_gpu_env(api: Api) -> dict[str, str]:
    """Return the environment variables of the platform."""
    return {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": api.url, "SPACE_ID": "somebody/space"}


@contextmanager
def zero_gpu_app(folder: Path, api: Api, **settings: object) -> Iterator[AppProcess]:
    """Run the app as on a ZeroGPU Space, with the tiny checkpoint."""
    env = {**zero_gpu_env(api), "HOME": str(folder)}
    settings = {
        "checkpoint": tiny.GOLDEN,
        "dtype": "float32",
        "slots": 2,
        "connects_per_minute": 10_000,
        **settings,
    }
    with app_process(folder, engine="auto", env=env, module="tests.support.zero_gpu", **settings) as app:
        app.until_ready()
        yield app
    for pid in api.pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def ip_token() -> str:
    """Return a token as the Hub adds it to a visitor's requests: its middle part is JSON."""
    return (
        "h." + base64.urlsafe_b64encode(json.dumps({"user": "visitor"}).encode()).decode().rstrip("=") + ".s"
    )


HOLD = 0
"""The first event of the page: the Talk tab's, which takes a lease."""


@contextmanager
def holding(app: AppProcess, lease: str) -> Iterator[httpx.Response]:
    """Send the event that the page's Gradio client sends at `trigger("submit", {lease})`.

    The connection is held, as a page holds it, until the block ends.
    """
    session = secrets.token_hex(5)
    headers = {"X-IP-Token": ip_token(), "X-Gradio-User": "app"}
    with httpx.Client(base_url=app.url, headers=headers, timeout=PATIENCE_S) as client:
        join = {
            "data": [],
            "fn_index": HOLD,
            "session_hash": session,
            "trigger_id": 1,
            "event_data": {"lease": lease},
        }
        client.post("/gradio_api/queue/join", json=join).raise_for_status()
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as events:
            yield events


@contextmanager
def leased_talk(
    app: AppProcess, connect: Callable[..., AbstractContextManager[Caller]] = call, **start: object
) -> Iterator[Caller]:
    """Begin a talk as the page does; yield the caller once the event that takes its GPU is sent.

    The event is held in a thread until the block ends.
    """
    with connect(app.url, codec="pcm", events=1, config="message") as caller:
        caller.order("start", **{"voice_prompt": "NATF0", "text_prompt": "Be kind.", **start})
        token = caller.until_event("lease")["token"]
        with holding(app, token) as events:
            thread = threading.Thread(target=lambda: [None for _ in events.iter_raw()], name="visitor")
            thread.start()
            try:
                yield caller
            finally:
                caller.socket.close()
                thread.join(PATIENCE_S)


def patch_torch() -> None:
    """Make this machine's torch look like one with CUDA. Call it before `spaces` is imported."""
    import torch

    torch.version.cuda = "12.8"
    torch._C._cuda_init = lambda: None
    torch.cuda._is_in_bad_fork = bool
    torch.cuda.synchronize = lambda *args: None
    torch.Tensor.cuda = lambda self, *args, **kwargs: self.clone()
    # pinned memory begins with a page, which direct reads from a file need
    torch.Tensor.pin_memory = lambda self: torch.frombuffer(mmap.mmap(-1, self.nbytes), dtype=self.dtype)

    def here(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def made(*args: Any, **kwargs: Any) -> torch.Tensor:
            worker = sys.modules.get("spaces.zero.wrappers")
            if worker and worker.forked and kwargs.get("device") == "cuda":
                kwargs["device"] = "cpu"
            return make(*args, **kwargs)

        return made

    torch.tensor, torch.empty = here(torch.tensor), here(torch.empty)


def main() -> int:
    """Run the app's command line with the patched torch."""
    patch_torch()
    from personaplex_app.__main__ import main as app

    return app()


if __name__ == "__main__":
    sys.exit(main())
