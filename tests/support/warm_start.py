"""Start apps from a process that has imported the program, which is most of what a start computes.

Run as a program, this is that process: each connection to its socket asks for one app, which it forks. A
second fork in between waits for the app, and tells how it ended and what it used.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib import import_module, reload
from pathlib import Path

from .patience import PATIENCE_S, until

ROOT = Path(__file__).parents[2]


class Forked:
    """An app that was forked, with as much of `subprocess.Popen` as tests need."""

    spent_s = 0.0
    """CPU seconds of all that have ended; no process that this one waits for."""

    def __init__(self, module: str, arguments: list[str], log: Path, env: dict[str, str]) -> None:
        path = prepare()
        until(lambda: os.path.exists(path))
        self._told = socket.socket(socket.AF_UNIX)
        self._told.connect(path)
        self._lines = self._told.makefile("r")
        self._told.sendall((json.dumps([(module, arguments), str(log), env]) + "\n").encode())
        self.pid = int(self._lines.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            status, used_s = json.loads(self._lines.readline())
            self.returncode = os.waitstatus_to_exitcode(status)
            Forked.spent_s += used_s
            self._lines.close()
            self._told.close()
        return self.returncode

    def wait(self, timeout: float = PATIENCE_S) -> int:
        if self.returncode is None and not select.select([self._told], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("serve", timeout)
        self.poll()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended this moment
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def prepare() -> str:
    """Start the program once, for this process and its forks, whose end it sees by its pipe.

    Returns the path of its socket, which is there when the program is ready.
    """
    path = tempfile.mkdtemp(prefix="warm-") + "/socket"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_start", path], cwd=ROOT, stdin=subprocess.PIPE
    )
    process.returncode = 0  # nobody waits for it: it ends with this one
    _kept.append(process)
    return path


# the pipe must stay open
_kept: list[subprocess.Popen] = []


def read_once() -> None:
    """Read here, for all forks, what the embedded engine reads whenever it is loaded, which takes a second.

    The files themselves stay as they are while tests run.
    """
    import hibari.g2p

    from personaplex_app.responder import encoder_weights, sentence_encoder
    from personaplex_app.speech import weights

    hibari.g2p._load_json = cache(hibari.g2p._load_json)
    hibari.g2p.G2P()
    weights.PackagedWeights.verified = cache(weights.PackagedWeights.verified)  # type: ignore[method-assign]
    for each in vars(weights).values():
        if isinstance(each, weights.PackagedWeights) and each.is_installed:
            each.verified()
    packaged_files = cache(encoder_weights.packaged_files)
    encoder_weights.packaged_files = sentence_encoder.packaged_files = packaged_files
    packaged_files()


def _serve_forks(path: str) -> None:
    # what an app of the embedded engine imports when it loads is a quarter of its start
    import faster_whisper  # noqa: F401
    import hibari  # noqa: F401
    import pyloudnorm  # noqa: F401

    import personaplex_app.application
    import personaplex_app.classic.engine
    import personaplex_app.engine.personaplex
    import personaplex_app.launch
    import personaplex_app.responder.rules  # noqa: F401
    import tests.support.serve_lockstep  # noqa: F401
    from personaplex_app.errors import end

    read_once()
    gc.collect()
    gc.freeze()  # a fork that looks for garbage among what was imported makes all of it its own
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who waits for an app is waited for by nobody
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path + ".part")
        listener.listen()
        os.rename(path + ".part", path)
        while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
            asked, _ = listener.accept()
            if not os.fork():
                listener.close()
                module, arguments = _wait_for_app(asked)
                break
            asked.close()
        else:
            return
    end(import_module(module).main(arguments))


def _wait_for_app(asked: socket.socket) -> tuple[str, list[str]]:
    """Fork an app, and return its module and arguments in it; the other waits for it, tells of its end and
    ends.
    """
    import huggingface_hub.constants

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    program, log, env = json.loads(asked.makefile("r").readline())
    pid = os.fork()
    if pid:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        asked.sendall(f"{pid}\n".encode())
        _, status, usage = os.wait4(pid, 0)
        asked.sendall((json.dumps([status, usage.ru_utime + usage.ru_stime]) + "\n").encode())
        os._exit(0)
    asked.close()
    os.environ.clear()
    os.environ.update(env)
    reload(huggingface_hub.constants)  # which hold what the environment was at their import
    tempfile.tempdir = None
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    return program


if __name__ == "__main__":
    _serve_forks(sys.argv[1])
