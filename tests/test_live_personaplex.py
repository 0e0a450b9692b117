"""The PersonaPlex engine behind the real server: a moshi-family client gets the reference's words, two
callers at once.
"""

import threading
import time

import pytest
import soundfile
from gradio_client import handle_file

from personaplex_app.protocol import Kind

from .support import tiny
from .support.app_process import app_process
from .support.gradio_app import gradio_client
from .support.peers import Caller, call

pytestmark = pytest.mark.process
GREEDY = {"codec": "pcm", "audio_temperature": 0, "text_temperature": 0}
AHEAD_S = 1.5


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    with app_process(
        folder, engine="personaplex", checkpoint=tiny.GOLDEN, device="cpu", slots=2, connects_per_minute=1000
    ) as app:
        app.until_ready()
        yield app


def speak_user_wav(caller: Caller, frames: int) -> None:
    """Send the golden recording's own samples, a little ahead of real time."""
    samples, _ = soundfile.read(tiny.GOLDEN / "user.wav", dtype="int16")
    for t in range(frames):
        caller.say(Kind.AUDIO, samples[1920 * t : 1920 * (t + 1)].astype("<i2").tobytes())
        if 0.08 * t > AHEAD_S:
            time.sleep(0.08)


def sampled(app, change_at: int, **change) -> tuple[list[bytes], str]:
    """Talk with a seed and change the sampling after a number of frames; return each frame's sound, and the
    text.
    """
    with call(app.url, voice_prompt="NATF0", codec="pcm", events=1, seed=5, text_prompt="Be kind.") as caller:
        assert caller.until_event("ready")["sampling"]["seed"] == 5
        samples, _ = soundfile.read(tiny.GOLDEN / "user.wav", dtype="int16")
        for t in range(24):
            if t == change_at:
                caller.order("sampling", **change)
                in_force = caller.until_event("sampling")
                assert in_force["seed"] == 5
                assert change.items() <= in_force.items()
            caller.say(Kind.AUDIO, samples[1920 * t : 1920 * (t + 1)].astype("<i2").tobytes())
            while len(caller.audio) <= t:
                caller.take()
        return caller.audio, caller.text


def test_live_sampling_changed_while_talking_counts_from_there_and_replays(app):
    change = {"audio_temperature": 2.0, "audio_topk": 2000, "text_temperature": 0}
    plain, first, again = sampled(app, 99), sampled(app, 10, **change), sampled(app, 10, **change)
    assert first == again
    assert first[0][:10] == plain[0][:10]
    assert all(ours != theirs for ours, theirs in zip(first[0][10:], plain[0][10:], strict=True))


def test_live_sampling_out_of_bounds_is_refused_and_the_talk_goes_on(app):
    with call(app.url, voice_prompt="NATF0", events=1, **GREEDY) as caller:
        caller.until(Kind.HANDSHAKE)
        for order, said in [
            ({"audio_temperature": 9}, "audio_temperature must be a number from 0.0 to 2.0; '9' came."),
            (
                {"seed": 4},
                "The seed is chosen when a talk begins and stays; start a new talk with another one.",
            ),
            ({}, "changes at least one of audio_temperature, text_temperature, audio_topk, text_topk."),
        ]:
            caller.events.clear()
            caller.order("sampling", **order)
            notice = caller.until_event("notice")
            assert notice["code"] == "sampling_refused"
            assert said in notice["text"]
        speak_user_wav(caller, 3)
        while len(caller.audio) < 3:
            caller.take()
        assert not [event for event in caller.events if event["type"] == "sampling"]


def test_live_talk_without_voice_and_role_begins(app):
    with call(app.url, codec="pcm", events=1, config="message") as caller:
        caller.order("start", voice_prompt="none", text_prompt="", audio_temperature=0)
        assert caller.until_event("ready")["voice"] == "none"
        speak_user_wav(caller, 2)
        while len(caller.audio) < 2:
            caller.take()


def golden_text(name: str, frames: int) -> str:
    return "".join(
        text for text in tiny.case(name)[0]["text"][:frames] if text not in ("PAD", "EPAD", "BOS", "EOS")
    )


def test_live_two_callers_at_once_each_get_the_references_words(app):
    frames, said, faults = 30, {}, []

    def talk(name: str) -> None:
        about, _ = tiny.case(name)
        try:
            with call(
                app.url, voice_prompt=about["voice"], text_prompt=about["text_prompt"], **GREEDY
            ) as caller:
                caller.until(Kind.HANDSHAKE)
                speak_user_wav(caller, frames)
                while len(caller.heard()) < 1920 * frames or len(caller.text) < len(
                    golden_text(name, frames)
                ):
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
    pace = app.get("/voice/status").json()["engine"]["pace"]
    assert pace["steps"] >= frames
    assert set(pace) == {
        "steps",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "misses",
        "headroom",
        "carries",
        "more_sessions",
    }


def test_live_status_names_the_engine_and_the_checkpoints_voices(app):
    status = app.get("/voice/status").json()
    assert status["engine"]["name"] == "personaplex"
    assert [voice["name"] for voice in status["voices"]] == ["NATF0", "NATM1", "VARF2", "none"]
    assert "compute: cpu: asked for; float32: memory allows it." in app.log.read_text()


def test_live_unknown_voice_is_refused_with_those_there_are(app):
    with call(app.url, voice_prompt="VARM3.pt", **GREEDY) as caller:
        caller.until_closed()
    assert "VARM3" in caller.error
    # the page may have offered it before the checkpoint was there, and can say what it got instead
    with call(app.url, voice_prompt="VARM3.pt", events=1, **GREEDY) as caller:
        assert caller.until_event("ready")["voice"] == "NATF0"
        assert (
            caller.until_event("notice")["text"]
            == "PersonaPlex has no voice VARM3 here; you hear NATF0 in its place."
        )


def test_live_recording_is_answered_the_same_again_and_otherwise_with_another_seed(app, tmp_path):
    samples, rate_hz = soundfile.read(tiny.GOLDEN / "user.wav", frames=1920 * 19)
    with gradio_client(app) as client:

        def told(frames: int, seed: int) -> dict:
            soundfile.write(tmp_path / "user.wav", samples[: 1920 * frames], rate_hz)
            asked = {"voice": "NATF0", "prompt": "Be kind.", "api_name": "/respond"}
            return client.predict(handle_file(tmp_path / "user.wav"), **asked, room_s=0, seed=seed)[0]

        first, again, other = told(18, 1), told(19, 1), told(18, 2)
    # the same frames again, and one more
    assert again["key"] != first["key"]
    words, more = (
        [word for said in told["utterances"] if said["speaker"] == "agent" for word in said["words"]]
        for told in (first, again)
    )
    assert words[:-1] == more[: len(words) - 1]
    assert other["utterances"] != first["utterances"]
    assert first["sampling"]["seed"] == 1
