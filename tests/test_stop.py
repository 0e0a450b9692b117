"""Told to stop, the real process with people in it: who is told what, when it is gone, and with which
code.
"""

import re
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
from websockets.exceptions import ConnectionClosed

from personaplex_app.protocol import Kind
from personaplex_app.units import FRAME_SAMPLES

from .support.app_process import ROOT, app_process, free_port
from .support.patience import PATIENCE_S
from .support.peers import OWNER, call, tone

pytestmark = pytest.mark.process

# an app whose end hangs, as an engine does that never comes back from its device
HANGING = """
import sys, threading
from pathlib import Path
from personaplex_app.application import create_app
from personaplex_app.launch import launch
from personaplex_app.server import signals
from personaplex_app.server.app_state import AppState
from personaplex_app.settings import Settings
signals.AT_ONCE_S = 0.5
AppState.close = lambda self: threading.Event().wait()
launch(create_app(Settings(engine="echo", port=int(sys.argv[1]), data=Path(sys.argv[2]))))
"""

# a thread in a library of C++ makes the process abort when Python is taken down under it; so does this object
COMPUTING = """
import atexit, os, sys, threading
from personaplex_app.errors import end
class Library:
    def __del__(self, abort=os.abort):
        abort()
sys.library = Library()
threading.Thread(target=threading.Event().wait, daemon=True).start()
atexit.register(print, "tidied up")
print("the end")
end(3)
"""


@contextmanager
def talking(folder, **settings):
    """An app with one place, and somebody in it who keeps the talk."""
    with app_process(folder, slots=1, **settings) as app:
        app.until_ready()
        with call(app.url, codec="pcm", events=1, config="message") as caller:
            caller.order("start", owner=OWNER, keep=True)
            caller.until(Kind.HANDSHAKE)
            yield app, caller


def test_app_told_to_stop_begins_no_talk_and_ends_with_the_last_one(tmp_path):
    with talking(tmp_path, drain_s=600) as (app, caller), ExitStack() as callers:
        waiting = callers.enter_context(call(app.url, codec="pcm", events=1))
        waiting.until_event("queued")
        moshi = callers.enter_context(call(app.url, codec="pcm"))
        app.process.send_signal(signal.SIGTERM)
        assert caller.until_event("limit")["reason"] == "draining"
        health = app.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "draining")
        late = callers.enter_context(call(app.url, codec="pcm"))
        for turned_away in (waiting, moshi, late):
            assert turned_away.until_closed() == 1013
            assert "begins no new talks" in turned_away.error
        # who talks goes on
        before = len(caller.audio)
        caller.speak(tone(0.5))
        while len(caller.audio) < before + 0.4 * 24_000 // FRAME_SAMPLES:
            caller.take()
        assert app.process.poll() is None
        caller.order("stop")
        assert caller.until_closed() == 1000
        assert caller.until_event("ended")["kept"]
        assert app.process.wait(timeout=PATIENCE_S) == 0
    # who is turned away may have left before they are counted
    told = r"Callers still here: [1-3]\. Their talks end within 600 s; ctrl-C again ends them now\."
    assert re.search(told, app.log.read_text())


def test_app_told_to_stop_twice_tells_who_talks_and_ends_at_once(tmp_path):
    with talking(tmp_path, drain_s=600) as (app, caller):
        app.process.send_signal(signal.SIGTERM)
        assert caller.until_event("limit")["left_s"] > 500
        app.process.send_signal(signal.SIGTERM)
        try:
            while True:
                caller.speak(tone(0.08))
        except ConnectionClosed:
            assert caller.until_closed() == 1000
        ended = caller.until_event("ended")
        assert (ended["reason"], ended["kept"]) == ("draining", True)
        assert app.process.wait(timeout=PATIENCE_S) == 0


def test_app_that_hangs_in_its_end_is_gone_after_the_second_signal(tmp_path):
    command = [sys.executable, "-c", HANGING, str(free_port()), str(tmp_path / "data")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        while "is ready at" not in (line := process.stdout.readline()):
            assert line, process.wait()
        try:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=PATIENCE_S) == 1
        finally:
            process.kill()


def test_program_ends_with_its_code_while_a_thread_computes():
    ended = subprocess.run(
        [sys.executable, "-c", COMPUTING], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "the end\ntidied up\n", "")
