"""The bridge between real processes, both ways: the `moshi` package's server behind our app, its client
before it.
"""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from personaplex_app.engine.contract import Sampling, SessionConfig
from personaplex_app.engine.remote import RemoteEngine, RemoteSettings
from personaplex_app.protocol import Kind
from personaplex_app.rendering.render import render, request
from personaplex_app.units import FRAME_S

from .support import oracle, tiny
from .support.app_process import app_process, free_port
from .support.patience import PATIENCE_S, until
from .support.peers import call, tone

pytestmark = pytest.mark.process
if not oracle.FOLDER.is_dir():
    pytest.skip("the moshi package is not installed: `make test` does that", allow_module_level=True)

PACKAGE = Path(__file__).parent / "moshi_package"


@pytest.fixture(scope="module")
def moshi_port(tmp_path_factory):
    """The package's server, while it still starts: a tiny model with random weights."""
    folder, port = tmp_path_factory.mktemp("moshi"), free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, PACKAGE / "serve.py", folder, str(port)], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield port
        finally:
            process.kill()
            process.wait()


def _is_answered(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("localhost", port), timeout=PATIENCE_S):
        return True
    return False


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """Our app with the golden checkpoint: what a PersonaPlex server is to a client."""
    folder = tmp_path_factory.mktemp("golden")
    with app_process(
        folder, engine="personaplex", checkpoint=tiny.GOLDEN, device="cpu", slots=2, drain_s=1
    ) as app:
        yield app


@pytest.fixture(scope="module")
def face(tmp_path_factory, moshi_port, golden):
    """Our app before the package's server, which answers by then: the app does not wait for ever for one that
    does not. `golden` starts beside it.
    """
    folder = tmp_path_factory.mktemp("face")
    until(lambda: _is_answered(moshi_port))
    with app_process(folder, engine="auto", remote_url=f"ws://localhost:{moshi_port}", drain_s=1) as app:
        app.until_ready()
        yield app


def test_bridge_before_the_packages_server_talks_as_its_own_engine(face):
    app = face
    status = app.get("/voice/status").json()
    assert (status["engine"]["name"], status["engine"]["title"]) == ("remote", "Remote server")
    assert "answers in" in status["engine"]["about"]
    assert len(status["voices"]) == 18
    assert not any(each["now"] for each in status["sampling"].values())
    with call(
        app.url, voice_prompt="NATF0", text_prompt="You are a lighthouse.", codec="pcm", events=1
    ) as caller:
        caller.until(Kind.HANDSHAKE)
        caller.speak(tone(2.0))
        # random weights say something sooner or later, and not what they heard; a busy machine says it late
        while len(caller.audio) < 25 or not caller.text or np.abs(caller.heard()).max() <= 0.01:
            caller.speak(tone(FRAME_S))
            caller.until(Kind.AUDIO)
        stats = caller.until_event("stats")
        caller.order("stop")
        assert caller.until_event("ended")["reason"] == "stopped"
    assert [event for event in caller.events if event["type"] == "utterance"][-1]["speaker"] == "agent"
    assert stats["bridge"]["round_trip_ms"] > 0
    assert "a round trip takes" in app.get("/voice/status").json()["engine"]["about"]
    assert "lighthouse" not in app.log.read_text()


def test_bridge_gives_the_references_words_of_a_server_that_talks_as_the_reference_does(golden):
    golden.until_ready()
    about, _ = tiny.case("voice_and_text")
    greedy = Sampling(audio_temperature=0.0, text_temperature=0.0)
    engine = RemoteEngine(RemoteSettings((golden.url.replace("http", "ws") + "/api/chat?codec=pcm",)))
    try:
        engine.load(lambda state: None)
        assert [voice.name for voice in engine.voices] == ["NATF0", "NATM1", "VARF2", "none"]
        assert engine.max_sessions == 2
        # more than is compared: where the server is slow, its first words come some frames later
        samples, _ = soundfile.read(tiny.GOLDEN / "user.wav", dtype="float32", frames=1920 * 45)
        config = SessionConfig(about["voice"].removesuffix(".pt"), about["text_prompt"], sampling=greedy)
        rendering = render(engine, request(samples, config))
    finally:
        engine.close()
    words = "".join(text for text in about["text"][:29] if text not in ("PAD", "EPAD", "BOS", "EOS"))
    assert words.strip()
    heard = " ".join(word.text for said in rendering.utterances for word in said.words)
    assert heard.startswith(words.strip())
    assert rendering.meta.engine == "remote"


def package_client(url: str, folder: Path) -> tuple[str, str, np.ndarray]:
    """Let the package's client talk for two seconds; return what it printed, what it logged, and what it
    played.
    """
    soundfile.write(folder / "said.wav", tone(2.4), 24_000)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), str(oracle.FOLDER)])}
    env |= {"SOUND_IN": str(folder / "said.wav"), "SOUND_OUT": str(folder / "heard.wav")}
    command = [sys.executable, "-m", "moshi.client", f"--url={url}"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE_S)
    heard, _ = soundfile.read(folder / "heard.wav", dtype="float32")
    return done.stdout, done.stderr, heard


def test_bridge_the_packages_client_talks_with_our_engine(golden, tmp_path):
    golden.until_ready()
    printed, logged, heard = package_client(golden.url, tmp_path)
    assert "Info: connected!" in logged
    assert "unknown message kind 0" in logged  # the handshake, which this client does not know
    assert np.abs(heard).max() > 0.01
    assert printed.strip()
