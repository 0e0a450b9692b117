"""The PersonaPlex engine behind the real server: a moshi-family client gets the reference's words, two callers at once."""

import threading
import time

import httpx
import pytest
import soundfile

from personaplex_app.protocol import Kind

from . import tiny
from .peers import Caller, call
from .served import served

pytestmark = pytest.mark.unit
GREEDY = {"codec": "pcm", "audio_temperature": 0, "text_temperature": 0}
AHEAD_S = 1.5


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    with served(folder, engine="personaplex", checkpoint=tiny.GOLDEN, device="cpu", slots=2, connects_per_minute=1000) as app:
        app.until_ready()
        yield app


def speak_user_wav(caller: Caller, frames: int) -> None:
    """Send the golden recording's own samples, a little ahead of real time."""
    samples, _ = soundfile.read(tiny.GOLDEN / "user.wav", dtype="int16")
    for t in range(frames):
        caller.say(Kind.AUDIO, samples[1920 * t : 1920 * (t + 1)].astype("<i2").tobytes())
        if 0.08 * t > AHEAD_S:
            time.sleep(0.08)


def golden_text(name: str, frames: int) -> str:
    return "".join(text for text in tiny.case(name)[0]["text"][:frames] if text not in ("PAD", "EPAD", "BOS", "EOS"))


def test_live_two_callers_at_once_each_get_the_references_words(app):
    frames, said, faults = 30, {}, []

    def talk(name: str) -> None:
        about, _ = tiny.case(name)
        try:
            with call(app.url, voice_prompt=about["voice"], text_prompt=about["text_prompt"], **GREEDY) as caller:
                caller.until(Kind.HANDSHAKE)
                speak_user_wav(caller, frames)
                while len(caller.heard()) < 1920 * frames or len(caller.text) < len(golden_text(name, frames)):
                    caller.take()
                said[name] = caller.text
        except Exception as error:
            faults.append(error)

    names = ["voice_and_text", "long_text"]
    threads = [threading.Thread(target=talk, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert said == {name: golden_text(name, frames) for name in names}


def test_live_status_names_the_engine_and_the_checkpoints_voices(app):
    status = httpx.get(app.url + "/voice/status").json()
    assert status["engine"]["name"] == "personaplex"
    assert [voice["name"] for voice in status["voices"]] == ["NATF0", "NATM1", "VARF2"]
    assert "compute: cpu: asked for; float32: memory allows it." in app.log.read_text()


def test_live_unknown_voice_is_refused_with_those_there_are(app):
    with call(app.url, voice_prompt="VARM3.pt", **GREEDY) as caller:
        caller.until_closed()
    assert "VARM3" in caller.error
