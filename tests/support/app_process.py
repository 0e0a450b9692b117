"""Run the app as people do: as a process of its own on a free port, which ends with the test."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class AppProcess:
    url: str
    process: subprocess.Popen
    log: Path
    client: httpx.Client

    def get(self, path: str, **kwargs) -> httpx.Response:
        return self.client.get(path, **kwargs)

    def until_ready(self, patience_s: float = 60.0) -> None:
        self._until(lambda: self.get("/health").json()["status"] == "ok", patience_s)

    def until_free(self, patience_s: float = 5.0) -> None:
        """Wait until earlier talks have left their slots."""
        self._until(lambda: not self.get("/health").json()["slots"]["used"], patience_s)

    def _until(self, true, patience_s: float) -> None:
        deadline_s = time.monotonic() + patience_s
        while not true():
            assert time.monotonic() < deadline_s, self.log.read_text()[-3000:]
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def app_process(
    folder: Path,
    engine: str = "echo",
    env: dict[str, str] | None = None,
    module: str = "personaplex_app",
    **settings: object,
) -> Iterator[AppProcess]:
    """Run `python -m personaplex_app serve` with settings; its data and log go to `folder`.

    `module` is run instead of `personaplex_app`.
    """
    flags = {"engine": engine, "port": free_port(), "data": folder / "data", **settings}
    command = [sys.executable, "-m", module, "serve"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    log = folder / f"serve-{flags['port']}.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PERSONAPLEX_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**clean, **(env or {})},
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        deadline_s = time.monotonic() + 120
        while not (ready := re.search(r"is ready at (\S+)", log.read_text())):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline_s, log.read_text()[-3000:]
            time.sleep(0.05)
        # a client of its own for each question would read all certificate authorities first, which takes
        # longer than the answer
        with httpx.Client(base_url=ready[1], limits=httpx.Limits(max_keepalive_connections=0)) as client:
            yield AppProcess(ready[1], process, log, client)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
