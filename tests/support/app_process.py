"""Run the app as people do: as a process of its own on a free port, which ends with the test."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from .patience import PATIENCE_S, until
from .warm_start import ROOT, Forked

FORKED = {
    "personaplex_app": "personaplex_app.cli.main",
    "tests.support.serve_lockstep": "tests.support.serve_lockstep",
}
"""Modules that are run as programs, and where their `main` is."""
READ_LATE = ("PERSONAPLEX_", "HF_", "GRADIO_TEMP_DIR")
"""Variables of the environment that a forked program reads."""


@dataclass(frozen=True)
class AppProcess:
    url: str
    process: subprocess.Popen | Forked
    log: Path
    client: httpx.Client

    def get(self, path: str, **kwargs) -> httpx.Response:
        return self.client.get(path, **kwargs)

    def post(self, path: str, **kwargs) -> httpx.Response:
        return self.client.post(path, **kwargs)

    def until_ready(self, **kwargs) -> None:
        until(lambda: self.get("/health", **kwargs).json()["status"] == "ok", self.last_lines)

    def until_free(self, **kwargs) -> None:
        """Wait until the talks before have left their slots."""
        until(lambda: not self.get("/health", **kwargs).json()["slots"]["used"], self.last_lines)

    def last_lines(self) -> str:
        return self.log.read_text()[-3000:]


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

    `module` is run instead of `personaplex_app`. Those of `FORKED` are forked from a process that has
    imported the program, where `env` holds nothing that is read before.
    """
    flags = {"engine": engine, "port": free_port(), "data": folder / "data", **settings}
    arguments = ["serve", *(f"--{name.replace('_', '-')}={value}" for name, value in flags.items())]
    log = folder / f"serve-{flags['port']}.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PERSONAPLEX_")}
    log.touch()
    environment = {**clean, **(env or {})}
    process: subprocess.Popen | Forked
    if module in FORKED and all(name.startswith(READ_LATE) for name in env or {}):
        process = Forked(FORKED[module], arguments, log, environment)
    else:
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
    try:

        def ready() -> re.Match[str] | None:
            assert process.poll() is None, log.read_text()[-3000:]
            return re.search(r"is ready at (\S+)", log.read_text())

        url = until(ready, lambda: log.read_text()[-3000:])[1]
        # a client of its own for each question would read all certificate authorities first, which takes
        # longer than the answer
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=url, limits=limits, timeout=PATIENCE_S) as client:
            yield AppProcess(url, process, log, client)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
