"""The live app of a notebook, in a process of its own: start it, follow what is loaded behind, check it."""

from __future__ import annotations

import atexit
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from html import escape
from pathlib import Path

import httpx

from ..engine_choice import WHILE_LOADING
from ..errors import EngineError
from ..evaluation.report import mp3
from ..platform_detection import this_platform
from .blind_test import LOOK, player
from .self_check import hold_talk

READY_S = 180.0
FOLLOW_EVERY_S = 1.0
_READY = re.compile(r"is ready at (\S+)  \(ctrl-C ends it\)(.*)\n")
_PROGRESS = re.compile(r"engine personaplex: (.*)")


@dataclass
class LiveApp:
    """The app, running in a process of its own: for visitors at `url`, on this machine at `local_url`."""

    url: str
    process: subprocess.Popen[bytes]
    local_url: str = ""
    log: Path = Path()

    def follow(self) -> None:
        """Print what is loaded behind the stand-in until it speaks or has failed, and what that takes."""
        shown = ""
        while (engine := self._engine())["why"] == WHILE_LOADING or engine["stage"] not in (
            "ready",
            "failed",
        ):
            steps = _PROGRESS.findall(self.log.read_text("utf-8", "replace"))
            if steps and steps[-1] != shown:
                shown = steps[-1]
                print(f"PersonaPlex: {shown}", flush=True)
            time.sleep(FOLLOW_EVERY_S)
        if engine["name"] == "personaplex":
            print(
                f"PersonaPlex speaks from the next talk on: press Stop, then Start. {engine['about']}".strip()
            )
        else:
            failed = f"{engine['instead_of_title']} has failed." if engine["instead_of"] else ""
            print(f"{failed} {engine['stand_in']} {engine['next_step']}".strip())

    def _engine(self) -> dict:
        """Return what the app says of its engine. Raises: EngineError when it does not answer."""
        try:
            return httpx.get(f"{self.local_url}/voice/status", timeout=30).json()["engine"]
        except httpx.HTTPError:
            raise EngineError(
                f"The app has ended; its log ends with: {self.log.read_text('utf-8', 'replace')[-600:]}"
            ) from None

    def check(self) -> None:
        """Hold a short talk without a microphone, and show both sides with a player.

        Raises: EngineError when there was no talk.
        """
        talk = hold_talk(self.local_url)
        sound = player(mp3(talk.user, talk.agent))
        show(f"{LOOK}<div style='overflow-x:auto'>{talk.drawn()}</div>{sound}")
        print(talk.verdict())

    def close(self, now: bool = True) -> None:
        """Stop the app, unless `now` is false."""
        if not now:
            print(f"The app goes on at {self.url}; tick END and run this cell again to end it.")
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def open_app(engine: str = "auto", share: bool = False, **settings: str | int | bool) -> LiveApp:
    """Start the live app and show its link. `share` makes a public one, which Colab needs: its own proxy
    drops WebSockets. It ends with the notebook at the latest.

    Raises: EngineError when the app does not start, with the end of its log.
    """
    port = settings.pop("port", 0) or _free_port()
    given = {
        name.replace("_", "-"): value
        for name, value in {"engine": engine, "share": share, "port": port, **settings}.items()
    }
    flags = [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in given.items()
        if value is not False and value != ""
    ]
    with tempfile.NamedTemporaryFile("wb", prefix="personaplex-app-", suffix=".log", delete=False) as out:
        command = [sys.executable, "-m", "personaplex_app", "serve", *flags]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)  # noqa: S603 (our own command)
    log = Path(out.name)
    # `serve` prints its address once it is ready
    until_s = time.monotonic() + READY_S
    while not (ready := _READY.search(log.read_text("utf-8", "replace"))):
        if process.poll() is not None or time.monotonic() > until_s:
            process.kill()
            process.wait()
            raise EngineError(
                f"The app did not start; its log ends with: {log.read_text('utf-8', 'replace')[-600:]}"
            )
        time.sleep(0.2)
    app = LiveApp(ready[1], process, f"http://localhost:{port}", log)
    atexit.register(app.close)
    if share and (missing := ready[2]):
        why = re.search(r"Could not create share link\. (.*)", log.read_text("utf-8", "replace"))
        print(f"The app runs{missing}. {why[1] if why else ''}".strip())
        # the address of a machine elsewhere leads nowhere
        if this_platform().name != "colab":
            print(f"On this machine itself it is at {app.url}")
        return app
    show(f"<p><a href='{escape(app.url)}' target='_blank' rel='noopener'>Open the live app</a></p>")
    print(f"The app is at {app.url}")
    return app


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def show(html: str) -> None:
    """Show HTML below the cell."""
    from IPython.display import HTML, display

    display(HTML(html))
