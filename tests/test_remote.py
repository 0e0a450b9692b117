"""The remote engine against servers over real sockets: those that talk, and each way in which one can
fail.
"""

import asyncio
import json
import logging
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from personaplex_app.cli import doctor
from personaplex_app.codec import make_codec
from personaplex_app.engine import remote as remote_module
from personaplex_app.engine import remote_session
from personaplex_app.engine.contract import (
    Capabilities,
    EngineState,
    LinkStats,
    Notice,
    Sampling,
    SessionConfig,
    Utterance,
)
from personaplex_app.engine.jitter import JitterBuffer
from personaplex_app.engine.remote import RemoteEngine, RemoteSettings
from personaplex_app.engine.remote_connection import RemoteConnection, Timeouts
from personaplex_app.engine.remote_upstreams import Access, read_status
from personaplex_app.engine_choice import build, choose, remote_settings
from personaplex_app.errors import (
    BadInput,
    BadPrompt,
    CapacityError,
    EngineError,
    EngineUnavailable,
    SettingsError,
    UnknownVoice,
)
from personaplex_app.protocol import Kind
from personaplex_app.settings import Settings
from personaplex_app.units import FRAME_SAMPLES
from personaplex_app.voices import NAMES

from .support.app_process import free_port
from .support.moshi_servers import Talk, after_one_frame, echo, hang, moshi_server, mute
from .support.patience import PATIENCE_S, until
from .support.peers import tone

pytestmark = pytest.mark.unit

PATIENT = RemoteSettings((), timeouts=Timeouts(PATIENCE_S, PATIENCE_S, PATIENCE_S), start_s=0.2, pause_s=0.01)
SHORT = Timeouts(connect_s=PATIENCE_S, handshake_s=0.4, silent_s=0.6)
CONFIG = SessionConfig("NATF2", "You are a secret gardener.", sampling=Sampling(0.7, 0.6, 100, 20, 7))
SAID = tone(2.0).reshape(-1, FRAME_SAMPLES)
QUIET = np.zeros(FRAME_SAMPLES, np.float32)


def ignore(state: EngineState) -> None:
    pass


@contextmanager
def remote(*urls: str, loaded: bool = True, **settings):
    engine = RemoteEngine(replace(PATIENT, urls=urls, **settings))
    try:
        if loaded:
            engine.load(ignore)
        yield engine
    finally:
        engine.close()


def step_until_it_ends(session) -> str:
    """Step a talk that is about to end; return the sentence."""

    def ended() -> str:
        try:
            session.step(QUIET)
        except EngineError as error:
            return str(error)
        return ""

    return until(ended)


# what a talk is


def test_remote_talk_that_is_interrupted_is_silent_until_the_agent_pauses():
    with moshi_server(echo) as server, remote(server.url) as engine:
        session = engine.open(replace(CONFIG, realtime=False))
        sounding = [session.step(frame).agent.any() for frame in SAID[:10]]
        session.interrupt()
        after = [session.step(frame).agent.any() for frame in SAID[10:20]]
        session.close()
    assert any(sounding)
    assert not any(after)


def test_remote_talk_is_asked_for_with_voice_role_sampling_and_key(caplog):
    caplog.set_level(logging.DEBUG)
    access = Access({"Authorization": "Bearer k-123", "X-Extra": "yes"})
    with (
        moshi_server(key="k-123") as server,
        remote(server.url + "?worker=4&seed=9", access=access) as engine,
    ):
        engine.open(CONFIG).close()
        query, headers = server.asked[0]
    assert query == {
        "voice_prompt": "NATF2.pt",
        "text_prompt": CONFIG.prompt,
        "audio_temperature": "0.7",
        "text_temperature": "0.6",
        "audio_topk": "100",
        "text_topk": "20",
        # what the address says stays
        "seed": "9",
        "worker": "4",
    }
    assert headers["x-extra"] == "yes"
    assert not [word for word in ("gardener", "k-123") if word in caplog.text]


def said(steps) -> tuple[str, list[tuple[str, str]]]:
    """Return the pieces of text that came, and the captions with their speakers."""
    captions = [event for step in steps for event in step.events if isinstance(event, Utterance)]
    return "".join(step.text for step in steps), [(each.text, each.speaker) for each in captions]


@pytest.mark.parametrize("realtime", [True, False])
def test_remote_talk_brings_sound_text_captions_and_what_the_way_costs(realtime):
    def answer(talk: Talk) -> None:
        talk.begin()
        for n, frame in enumerate(talk.frames()):
            talk.speak(frame)
            if n in (3, 4):
                talk.say(Kind.TEXT, [b" Good", b" day"][n - 3])

    with moshi_server(answer) as server, remote(server.url) as engine:
        session = engine.open(replace(CONFIG, realtime=realtime))
        steps = [session.step(frame) for frame in SAID]

        def enough() -> bool:  # a busy machine answers late
            steps.append(session.step(SAID[len(steps) % len(SAID)]))
            return sum(step.agent.any() for step in steps) >= 22 and said(steps)[0] == " Good day"

        until(enough)
        stats = session.link_stats()
        session.close()
        session.close()
        assert "a round trip takes" in engine.about
        with pytest.raises(EngineError, match="closed"):
            session.step(QUIET)
    heard = np.concatenate([step.agent for step in steps])
    loud = heard[heard != 0][8_000:32_000] if realtime else heard[8_000:32_000]
    # the tone of 220 Hz through Opus twice
    assert np.argmax(np.abs(np.fft.rfft(loud))) == pytest.approx(220, abs=5 if realtime else 0)
    assert 0.2 < np.abs(loud).max() < 0.4
    text, captions = said(steps)
    assert (text, captions[-1]) == (" Good day", ("Good day", "agent"))
    assert realtime or (stats.skipped_frames, stats.trimmed_ms) == (0, 0)
    assert stats.round_trip_ms > 0


def test_remote_talk_not_in_real_time_keeps_the_servers_own_delay_and_makes_up_nothing(monkeypatch):
    # how long it waits decides nothing but what a busy machine may take
    monkeypatch.setattr(remote_session, "FRAME_TIMEOUT_S", PATIENCE_S)

    def three_later(talk: Talk) -> None:
        talk.begin()
        for n, frame in enumerate(talk.frames()):
            if n >= 3:
                time.sleep(0.1 if n == 9 else 0.0)
                talk.speak(frame)

    with moshi_server(three_later) as server, remote(server.url) as engine:
        session = engine.open(replace(CONFIG, realtime=False))
        loud = []
        for n, frame in enumerate(SAID[:18]):
            # the first three have no answer
            monkeypatch.setattr(remote_session, "FIRST_FRAME_TIMEOUT_S", PATIENCE_S if n == 3 else 0.05)
            loud.append(float(np.abs(session.step(frame).agent).max()) > 0.1)
        stats = session.link_stats()
        session.close()
    assert loud == [False] * 3 + [True] * 15
    assert stats.late_frames == 0


def test_remote_sampling_of_a_running_talk_stays():
    with moshi_server() as server, remote(server.url) as engine:
        session = engine.open(CONFIG)
        with pytest.raises(BadInput, match="from the next talk on"):
            session.resample(Sampling())
        session.close()
        assert engine.capabilities.sampling
        assert not engine.capabilities.resampling


def test_remote_server_that_tells_nothing_has_the_released_voices():
    with moshi_server() as server, remote(server.url) as engine:
        assert [voice.name for voice in engine.voices] == list(NAMES)
        assert (engine.max_sessions, engine.lost) == (1, "")
        assert not engine.capabilities.user_captions
        assert not engine.capabilities.cloning
        with pytest.raises(UnknownVoice, match="NATF9"):
            engine.open(replace(CONFIG, voice="NATF9"))


# how a beginning fails


def shut(talk: Talk) -> None:
    talk.socket.close(1013, "try later")


BEGINNINGS = {
    "nothing": (hang, "did not begin the talk within 0.4 s"),
    "error": (
        lambda talk: talk.say(Kind.ERROR, b"The voice is\x00 unknown."),
        'refused the talk. It says: "The voice is unknown."',
    ),
    "text": (lambda talk: talk.socket.send("hello"), "not the moshi protocol"),
    "unknown kind": (lambda talk: talk.socket.send(b"\x4dabc"), "not the moshi protocol. (Message kind 77"),
    "closing": (shut, "closed the connection (code 1013, 'try later') before the talk began"),
    "broken off": (
        lambda talk: talk.socket.socket.shutdown(socket.SHUT_RDWR),
        "broke off the connection before",
    ),
}


@pytest.mark.parametrize("kind", BEGINNINGS)
def test_remote_server_that_does_not_begin_is_told_in_one_sentence(kind):
    act, sentence = BEGINNINGS[kind]
    timeouts = SHORT if kind == "nothing" else PATIENT.timeouts
    with moshi_server(act) as server, remote(server.url, timeouts=timeouts) as engine:
        with pytest.raises(EngineError) as failed:
            engine.open(CONFIG)
        assert sentence in str(failed.value)
        assert str(failed.value).startswith("The remote server 127.0.0.1:")
        until(lambda: not server.talks)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((404, {}), "answers HTTP 404 at /api/chat where"),
        ((401, {}), "without the right key (HTTP 401); set PERSONAPLEX_REMOTE_KEY"),
        ((302, {"Location": "ws://127.0.0.1:9/api/chat"}), "answers HTTP 302"),
    ],
)
def test_remote_server_that_answers_otherwise_is_told(answer, sentence):
    with moshi_server(answer=answer) as server, remote(server.url) as engine:
        with pytest.raises(EngineError) as failed:
            engine.open(CONFIG)
        assert sentence in str(failed.value)


def test_remote_server_is_asked_again_before_the_talk_begins():
    tries = []

    def second_time(talk: Talk) -> None:
        tries.append(1)
        if len(tries) > 1:
            echo(talk)

    with moshi_server(second_time) as server, remote(server.url) as engine:
        engine.open(CONFIG).close()
    assert len(tries) == 2


def test_remote_engine_closed_while_a_server_hangs_gives_up():
    with moshi_server(hang) as server, remote(server.url) as engine:
        closing = threading.Thread(target=lambda: until(lambda: server.talks) and engine.close())
        closing.start()
        with pytest.raises(EngineError, match="closed"):
            engine.open(CONFIG)
        closing.join()


# how a talk fails


def opus_noise(talk: Talk) -> None:
    talk.say(Kind.AUDIO, b"garbage" * 50)


def endless_page(talk: Talk) -> None:
    page = b"OggS\x00\x02" + bytes(20) + b"\xff" + b"\xff" * 255
    for _ in range(40):
        talk.say(Kind.AUDIO, page + bytes(30_000))


def flood(talk: Talk) -> None:
    for _ in range(20):
        talk.speak(np.zeros(12 * 1920, np.float32))


ENDS = {
    "silence": (lambda talk: None, "It sent no sound for 0.6 s."),
    "noise for sound": (opus_noise, "not the moshi protocol"),
    "pages without sound": (endless_page, "not the moshi protocol"),
    "text message": (lambda talk: talk.socket.send("hello"), "not the moshi protocol"),
    "empty message": (lambda talk: talk.socket.send(b""), "not the moshi protocol"),
    "too large": (
        lambda talk: talk.say(Kind.TEXT, bytes(100_000)),
        "sent a message of more than 65,536 bytes",
    ),
    "too much": (flood, "s of sound in a talk of"),
    "error": (lambda talk: talk.say(Kind.ERROR, b"Out of memory"), 'It says: "Out of memory"'),
    "closing": (
        lambda talk: talk.socket.close(1000, "time is over"),
        "closed the connection (code 1000, 'time is over')",
    ),
    "broken off": (lambda talk: talk.socket.socket.shutdown(socket.SHUT_RDWR), "broke off the connection"),
}


@pytest.mark.parametrize("kind", ENDS)
def test_remote_server_that_fails_in_a_talk_ends_it_with_one_sentence(kind):
    act, sentence = ENDS[kind]
    timeouts = replace(PATIENT.timeouts, silent_s=0.6) if kind == "silence" else PATIENT.timeouts
    with moshi_server(after_one_frame(act)) as server, remote(server.url, timeouts=timeouts) as engine:
        session = engine.open(CONFIG)
        ended = step_until_it_ends(session)
        assert sentence in ended
        assert ended.startswith(f"The talk with the remote server {server.url[5:-9]} has ended. It ")
        session.close()
        assert len(server.asked) == 1


def test_remote_server_that_never_answers_a_frame_is_given_up():
    timeouts = replace(PATIENT.timeouts, silent_s=0.6)
    with moshi_server(mute) as server, remote(server.url, timeouts=timeouts) as engine:
        assert "sent no sound" in step_until_it_ends(engine.open(CONFIG))


def test_remote_server_that_is_too_slow_is_not_sent_more_and_the_person_is_told(monkeypatch):
    monkeypatch.setattr(remote_session, "MAX_BEHIND_SAMPLES", 4 * FRAME_SAMPLES)
    heard = []
    asked_40_times = threading.Event()

    def slow(talk: Talk) -> None:
        talk.begin()
        for frame in talk.frames():
            heard.append(1)
            if len(heard) > 2:
                asked_40_times.wait(PATIENCE_S)
            talk.speak(frame)

    with moshi_server(slow) as server, remote(server.url) as engine:
        session = engine.open(CONFIG)
        steps = [session.step(QUIET) for _ in range(40)]
        stats = session.link_stats()
        asked_40_times.set()
        session.close()
    notices = [event for step in steps for event in step.events if isinstance(event, Notice)]
    assert [notice.code for notice in notices] == ["remote_slow"]
    assert stats.late_frames > 5
    # what was sent and what was left out is all there was
    assert 10 < stats.skipped_frames <= 40 - len(heard)


def test_remote_server_that_takes_no_sound_ends_the_talk_before_much_of_it_waits():
    never = asyncio.Event

    class Stuck:
        """A connection whose other end reads nothing and answers no ping."""

        def __init__(self) -> None:
            self.transport = self
            self.aborted = False

        async def recv(self):
            await never().wait()

        send = ping = lambda self, *data: never().wait()

        async def close(self) -> None:
            pass

        def abort(self) -> None:
            self.aborted = True

    async def talk() -> tuple[RemoteConnection, Stuck]:
        socket = Stuck()
        line = RemoteConnection(socket, make_codec("pcm"), JitterBuffer(), lambda trip_ms: None)  # type: ignore[arg-type]
        running = asyncio.ensure_future(line.run())
        for _ in range(200):
            line.send(QUIET)
            await asyncio.sleep(0)
        await running
        return line, socket

    line, socket = asyncio.run(talk())
    assert line.ended == "It did not take the user's sound: more than 40 messages waited to be sent."
    assert socket.aborted
    assert line.buffer.take(0.0).silent


def test_remote_role_that_does_not_fit_into_an_address_is_refused():
    with moshi_server() as server, remote(server.url) as engine:
        with pytest.raises(BadPrompt, match="too long for a remote server"):
            engine.open(replace(CONFIG, prompt="火" * 1_000))
        assert not server.asked


# several servers


def test_remote_talks_go_to_the_least_busy_and_no_further_than_there_is_room():
    with moshi_server() as first, moshi_server() as second, remote(first.url, second.url) as engine:
        assert engine.max_sessions == 2
        sessions = [engine.open(CONFIG) for _ in range(2)]
        assert [len(each.asked) for each in (first, second)] == [1, 1]
        with pytest.raises(CapacityError, match="All slots"):
            engine.open(CONFIG)
        sessions[1].close()
        engine.open(CONFIG).close()
        assert [len(each.asked) for each in (first, second)] == [1, 2]
        sessions[0].close()


def test_remote_talk_goes_where_others_talk_least():
    def told(used: int):
        return lambda: (200, json.dumps(status(slots={"used": used, "total": 3})).encode())

    with (
        moshi_server(status=told(2)) as busy,
        moshi_server(status=told(1)) as free,
        remote(busy.url, free.url) as engine,
    ):
        sessions = [engine.open(replace(CONFIG, voice="warm")) for _ in range(2)]
        assert [len(each.asked) for each in (busy, free)] == [0, 2]
        for session in sessions:
            session.close()


def test_remote_dead_server_is_skipped_and_asked_again_later(monkeypatch):
    monkeypatch.setattr(remote_module, "PROBE_EVERY_S", 0.05)
    port = free_port()
    with moshi_server() as alive, remote(f"ws://127.0.0.1:{port}/api/chat", alive.url) as engine:
        assert engine.max_sessions == 1
        assert f"127.0.0.1:{port}: It cannot be reached (Connection refused)." in engine.about
        first = engine.open(CONFIG)
        with moshi_server(port=port) as back:
            until(lambda: engine.max_sessions == 2)
            engine.open(CONFIG).close()
            assert len(back.asked) == 1
        first.close()


def test_remote_server_that_breaks_at_the_beginning_leaves_the_talk_to_another():
    with moshi_server(shut) as broken, moshi_server() as good, remote(broken.url, good.url) as engine:
        for _ in range(2):
            engine.open(CONFIG).close()
        # the second time it is not even asked
        assert [len(each.asked) for each in (broken, good)] == [1, 2]


def test_remote_servers_that_are_all_dead_cannot_be_loaded():
    ports = [free_port(), free_port()]
    with remote(*(f"ws://127.0.0.1:{port}/api/chat" for port in ports), loaded=False) as engine:
        with pytest.raises(EngineUnavailable) as failed:
            engine.load(ignore)
        assert str(failed.value).startswith("None of the 2 remote servers can be used. 127.0.0.1:")
        with pytest.raises(EngineError):
            engine.open(CONFIG)


def test_remote_servers_that_stay_away_are_lost(monkeypatch):
    monkeypatch.setattr(remote_module, "PROBE_EVERY_S", 0.02)
    monkeypatch.setattr(remote_module, "LOST_AFTER_S", 0.1)
    with moshi_server() as server:
        engine = RemoteEngine(replace(PATIENT, urls=(server.url,)))
        engine.load(ignore)
    try:
        until(lambda: engine.lost)
        assert "cannot be used. It cannot be reached" in engine.lost
    finally:
        engine.close()


# servers that tell of themselves


def status(**changed) -> dict:
    voices = [
        {"name": name, "title": name.title(), "description": "", "family": "All"}
        for name in ("warm", "bright", "clone:1")
    ]
    capabilities = {
        **asdict(Capabilities()),
        "agent_captions": True,
        "role_prompt": True,
        "user_captions": True,
        "cloning": True,
    }
    engine = {"title": "Embedded", "stage": "ready", "detail": "", "capabilities": capabilities}
    return {
        "available": True,
        "engine": engine,
        "voices": voices,
        "slots": {"used": 1, "total": 3},
        **changed,
    }


def test_remote_server_of_this_program_tells_its_voices_places_and_what_it_can():
    body = json.dumps(status()).encode()
    with moshi_server(status=lambda: (200, body)) as server, remote(server.url) as engine:
        assert [voice.name for voice in engine.voices] == ["warm", "bright"]
        assert engine.capabilities == Capabilities(agent_captions=True, role_prompt=True)
        assert engine.max_sessions == 3
        assert "(Embedded) answers in" in engine.about
        engine.open(replace(CONFIG, voice="warm")).close()
        assert server.asked[0][0]["voice_prompt"] == "warm"


def test_remote_server_that_starts_is_waited_for():
    told = [EngineState("starting")]
    starting = status(available=False)
    starting["engine"] |= {"stage": "loading", "detail": "half of the weights"}
    answers = [starting, starting, status()]

    def answer():
        return 200, json.dumps(answers.pop(0) if len(answers) > 1 else answers[0]).encode()

    with moshi_server(status=answer) as server, remote(server.url, loaded=False, start_s=0.0) as engine:
        engine.load(told.append)
        assert "half of the weights" in told[-1].detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        b"[" * 100_000,
        json.dumps(status(slots={"used": "x", "total": 1})).encode(),
        json.dumps(status(voices=[1, 2])).encode(),
        json.dumps(status(engine="PersonaPlex")).encode(),
    ],
)
def test_remote_status_of_another_form_tells_nothing(body):
    assert read_status(body) is None


def test_remote_status_of_a_hostile_server_is_cut_to_what_can_be_shown():
    voices = [
        {"name": f"v{k}", "title": "x\n" * 1000, "description": "\x1b[2J", "family": ""}
        for k in range(10_000)
    ]
    told = read_status(json.dumps(status(voices=voices, slots={"used": -5, "total": 10**12})).encode())
    assert (len(told.voices), told.places, told.used) == (256, 1000, 0)
    assert len(told.voices[0].title) <= 200
    assert told.voices[0].description == "[2J"


# certificates


def certificate(folder) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(1)
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(private + made.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


def test_remote_certificate_is_checked_unless_it_is_told_not_to(tmp_path):
    with moshi_server(tls=certificate(tmp_path)) as server:
        with remote(server.url, loaded=False) as engine:
            with pytest.raises(EngineUnavailable) as failed:
                engine.load(ignore)
            assert "certificate cannot be verified (self-signed certificate)" in str(failed.value)
            assert "--remote-insecure" in str(failed.value)
        with remote(server.url, access=Access(insecure=True)) as engine:
            session = engine.open(CONFIG)
            assert session.step(QUIET).agent.shape == (FRAME_SAMPLES,)
            session.close()
        plain = server.url.replace("wss", "ws")
    with remote(plain, loaded=False) as engine, pytest.raises(EngineUnavailable, match="cannot be reached"):
        engine.load(ignore)


# settings, choice, doctor


def read(**values: str) -> Settings:
    return Settings.read({f"PERSONAPLEX_{name.upper()}": value for name, value in values.items()})


def test_remote_settings_take_any_spelling_of_an_address():
    settings = read(
        remote_url="https://a.example, ws://b.example:8998/x/api/chat?worker=1 ,wss://a.example/",
        remote_key="k",
        remote_headers='{"X-A": "b"}',
    )
    assert settings.remote_url == ("wss://a.example/api/chat", "ws://b.example:8998/x/api/chat?worker=1")
    assert remote_settings(settings).access == Access({"Authorization": "Bearer k", "X-A": "b"})
    assert not [
        secret for secret in ("'k'", "X-A") if secret in repr(settings) + repr(remote_settings(settings))
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"remote_url": "gpu.example"}, "begin with ws:// or wss://"),
        ({"remote_url": "ws://:80"}, "begin with ws:// or wss://"),
        ({"remote_url": "ws://a:99999"}, "begin with ws:// or wss://"),
        ({"remote_url": "ws://u:p@a.example"}, "PERSONAPLEX_REMOTE_KEY"),
        ({"remote_headers": "X-A: b"}, "a JSON object of HTTP headers"),
        ({"remote_headers": '{"X-A": "b\\nHost: c"}'}, "a JSON object of HTTP headers"),
    ],
)
def test_remote_settings_that_cannot_be_used_are_named(values, said):
    with pytest.raises(SettingsError, match=said):
        read(**values)


def test_choose_auto_with_an_address_takes_remote():
    assert choose(read(remote_url="ws://a.example")).name == "remote"
    assert choose(read(remote_url="ws://a.example", engine="classic")).name == "classic"
    without = choose(read(engine="remote"))
    assert (without.name, "--remote-url" in without.next_step) == ("remote", True)
    with pytest.raises(EngineUnavailable, match="--remote-url"):
        build(without, read(engine="remote")).load(ignore)


def test_doctor_says_whether_each_remote_server_answers(monkeypatch):
    # what takes seconds and is tested elsewhere
    monkeypatch.setattr(doctor, "_weights", lambda *_: {})
    monkeypatch.setattr(doctor, "_memory_plan", lambda settings, gpu_gib: {"unknown": "not asked"})
    port = free_port()
    with moshi_server() as server:
        settings = read(remote_url=f"{server.url},ws://127.0.0.1:{port}")
        found, told = doctor.examine(settings), doctor.report(settings, as_json=False)
    assert f"Remote     {server.url[5:-9]} answers in" in told
    assert found["engine"]["name"] == "remote"
    assert [(each["host"], each["answers"]) for each in found["remote"]] == [
        (server.url[5:-9], True),
        (f"127.0.0.1:{port}", False),
    ]
    assert "cannot be reached" in found["remote"][1]["detail"]


def test_bridge_is_plain_data_for_the_page():
    assert set(asdict(LinkStats(1.0, 2.0, 0, 0, 0))) == {
        "round_trip_ms",
        "buffer_ms",
        "late_frames",
        "trimmed_ms",
        "skipped_frames",
    }


def test_remote_server_without_a_known_name_is_told(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with (
        remote("ws://gpu.invalid/api/chat", loaded=False) as engine,
        pytest.raises(EngineUnavailable, match="not known to the name servers"),
    ):
        engine.load(ignore)
