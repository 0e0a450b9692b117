"""The live talk over real sockets: the real launch, the real routes, the echo engine."""

import socket
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import sphn
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from personaplex_app.errors import ProtocolError
from personaplex_app.protocol import MAX_MESSAGE_BYTES, Kind, Message, metadata, pack, unpack
from personaplex_app.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

from .support.app_process import app_process
from .support.patience import PATIENCE_S, until
from .support.peers import OWNER, call, call_http, opus_pages, tone

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with app_process(tmp_path_factory.mktemp("app"), slots=2, connects_per_minute=1000) as app:
        app.until_ready()
        yield app


def test_live_pcm_caller_hears_itself_one_frame_later(app):
    spoken = tone(0.8)
    with call(app.url, codec="pcm") as caller:
        caller.until(Kind.HANDSHAKE)
        caller.speak(spoken)
        while len(caller.heard()) < len(spoken):
            caller.take()
    heard = caller.heard()
    assert not heard[:FRAME_SAMPLES].any()
    assert np.abs(heard[FRAME_SAMPLES:] - spoken[: len(heard) - FRAME_SAMPLES]).max() < 1e-3
    assert caller.events == []


def test_live_opus_caller_of_the_moshi_family_hears_itself(app):
    reader, heard = sphn.OpusStreamReader(SAMPLE_RATE_HZ), []
    with call(app.url, text_prompt="Be kind.", voice_prompt="", audio_temperature=0.8, seed=-1) as caller:
        caller.until(Kind.HANDSHAKE)
        for page in opus_pages(tone(1.0)):
            caller.say(Kind.AUDIO, page)
            time.sleep(0.05)
        while sum(map(len, heard)) < 0.7 * SAMPLE_RATE_HZ:
            caller.until(Kind.AUDIO)
            heard.append(reader.append_bytes(caller.audio[-1]))
    spectrum = np.abs(np.fft.rfft(np.concatenate(heard)))
    assert np.argmax(spectrum) * SAMPLE_RATE_HZ / sum(map(len, heard)) == pytest.approx(220, abs=5)


def test_live_speech_before_the_handshake_is_not_lost(app):
    with call(app.url, codec="pcm") as caller:
        spoken = tone(0.4)
        for at in range(0, len(spoken), FRAME_SAMPLES):
            caller.say(Kind.AUDIO, (spoken[at : at + FRAME_SAMPLES] * 32767).astype("<i2").tobytes())
        while len(caller.heard()) < len(spoken):
            caller.take()
    assert np.abs(caller.heard()[FRAME_SAMPLES:]).max() > 0.2


def test_live_talk_with_events_tells_its_whole_life(app):
    with call(app.url, codec="pcm", events=1, config="message") as caller:
        caller.order("stop_dreaming")
        caller.order("start", owner=OWNER, keep=True, persona="", voice_prompt="echo")
        ready = caller.until_event("ready")
        assert (ready["engine"], ready["keeping"], ready["limit_s"]) == ("echo", True, 600)
        caller.speak(tone(2.2))
        assert set(caller.until_event("stats")["step_ms"]) == {"p50", "p95", "p99"}
        assert caller.until_event("saved")["upto_s"] >= 0.9
        while len(caller.heard()) < 2.0 * SAMPLE_RATE_HZ:
            caller.take()
        caller.order("ping", sent=12.5)
        assert caller.until_event("pong")["sent"] == 12.5
        caller.order("start", owner=OWNER)
        caller.order("stop")
        assert caller.until_closed() == 1000
    notices = [event["code"] for event in caller.events if event["type"] == "notice"]
    assert notices == ["unknown_type", "already_started"]
    ended = caller.until_event("ended")
    assert (ended["reason"], ended["talk_id"], ended["kept"]) == ("stopped", ready["talk_id"], True)
    assert ended["duration_s"] >= 2.0
    stored = app.get(f"/api/sessions/{ended['talk_id']}", headers={"X-Owner-Key": OWNER}).json()
    assert stored["duration_s"] == pytest.approx(ended["duration_s"], abs=0.1)
    assert OWNER not in app.log.read_text()


def test_live_stop_without_start_says_so(app):
    with call(app.url, codec="pcm", events=1, config="message") as caller:
        caller.order("stop")
        assert caller.until_closed() == 1000
    assert "none had been started" in caller.until_event("ended")["text"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"codec": "flac"}, "flac"),
        ({"sample_rate": 48000}, "48000"),
        ({"voice_prompt": "../../etc/passwd"}, "Voice"),
        ({"persona": "nobody"}, "nobody"),
        ({"text_prompt": "x" * 2001}, "2,000"),
    ],
)
def test_live_bad_query_is_told_and_closed(app, query, said):
    with call(app.url, **{"codec": "pcm", **query}) as caller:
        assert caller.until_closed() == 1008
    assert said in caller.error


def test_live_empty_prompt_in_a_start_is_told(app):
    with call(app.url, codec="pcm", events=1, config="message") as caller:
        caller.order("start", text_prompt="  ")
        assert caller.until_closed() == 1008
    assert "prompt" in caller.error


@pytest.mark.parametrize(
    ("send", "code", "said"),
    [
        (lambda c: c.say(Kind.AUDIO, b"odd"), 1008, "16-bit"),
        (lambda c: c.socket.send("hello"), 1003, "binary"),
        (lambda c: c.socket.send(b""), 1008, "empty"),
        (lambda c: c.say(Kind.METADATA, b"{"), 1008, "JSON"),
        (lambda c: [c.say(Kind.AUDIO, bytes(60_000)) for _ in range(5)], 1008, "real time"),
    ],
    ids=["half a sample", "text", "nothing", "broken json", "faster than real time"],
)
def test_live_bad_message_is_told_and_closed(app, send, code, said):
    with call(app.url, codec="pcm") as caller:
        caller.until(Kind.HANDSHAKE)
        send(caller)
        assert caller.until_closed() == code
    assert said in caller.error


def test_live_garbage_opus_is_told_and_closed(app):
    with call(app.url) as caller:
        caller.until(Kind.HANDSHAKE)
        caller.say(Kind.AUDIO, b"this is no ogg page at all" * 10)
        assert caller.until_closed() == 1008
    assert "Ogg-Opus" in caller.error


def test_live_oversize_message_closes_as_too_big(app):
    with call(app.url, codec="pcm") as caller:
        caller.until(Kind.HANDSHAKE)
        caller.socket.send(bytes(MAX_MESSAGE_BYTES + 1))
        assert caller.until_closed() == 1009


def test_live_when_full_tells_the_place_and_lets_the_next_in(app):
    app.until_free()
    with (
        call(app.url, codec="pcm") as first,
        call(app.url, codec="pcm") as second,
        call(app.url, codec="pcm", events=1) as third,
    ):
        first.until(Kind.HANDSHAKE)
        second.until(Kind.HANDSHAKE)
        queued = third.until_event("queued")
        assert queued["ahead"] == 0
        assert 0 < queued["wait_s"] <= 600
        assert app.get("/health").json()["slots"] == {"used": 2, "total": 2}
        first.socket.close()
        third.until(Kind.HANDSHAKE)


@contextmanager
def raw_call(app):
    """A caller that takes its own care of the socket, and answers no ping."""
    app.until_free()
    address = urlsplit(app.url)
    with socket.create_connection((address.hostname, address.port)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.sendall(
            b"GET /api/chat?codec=pcm HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        yield raw


def test_live_half_open_caller_is_freed(app):
    with raw_call(app):
        until(lambda: app.get("/health").json()["slots"]["used"] == 1)
        app.until_free()


def test_live_caller_that_reads_nothing_is_cut_off(app):
    with raw_call(app) as raw:
        frame = bytes([0x82, 0xFE]) + (3841).to_bytes(2, "big") + bytes(4) + bytes([Kind.AUDIO]) + bytes(3840)

        def send_without_reading():
            while True:
                raw.sendall(frame)
                time.sleep(0.07)

        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_without_reading()
    app.until_free()


def test_live_vanished_caller_frees_the_slot(app):
    app.until_free()
    with call(app.url, codec="pcm") as caller:
        caller.until(Kind.HANDSHAKE)
        caller.socket.socket.shutdown(socket.SHUT_RDWR)
    app.until_free()


def test_live_http_fallback_carries_the_same_talk(app):
    with call_http(app.url, codec="pcm", events=1, config="message") as caller:
        caller.order("start", owner=OWNER)
        caller.until_event("ready")
        for _ in range(6):
            caller.say(Kind.AUDIO, bytes(3840))
            caller.until(Kind.AUDIO)
        caller.order("stop")
        assert caller.until_event("ended")["reason"] == "stopped"
        assert caller.until_closed() is None
    assert len(caller.audio) == 6


def test_live_http_post_that_is_repeated_changes_nothing(app):
    with httpx.Client(base_url=app.url, timeout=PATIENCE_S) as client:
        id_ = client.post("/api/chat/http", params={"codec": "pcm", "events": "1"}).json()["id"]
        received = b""

        def post(number, *messages):
            answer = client.post(
                f"/api/chat/http/{id_}", params={"n": number}, content=pack([m.encode() for m in messages])
            )
            return answer.status_code

        with client.stream("GET", f"/api/chat/http/{id_}") as response:
            body = response.iter_bytes()
            for number in (0, 0, 1, 1, 0):
                assert post(number, Message(Kind.AUDIO, bytes(3840))) == 204
            # the answer to a ping comes after everything that was sent before it
            assert post(2, metadata("ping", sent="a mark")) == 204
            while b"a mark" not in received or messages_in(received).count(Kind.AUDIO) < 2:
                received += next(body)
            assert post(3, metadata("stop")) == 204
            received += b"".join(body)
        assert post(99) == 404
    assert messages_in(received).count(Kind.AUDIO) == 2


def messages_in(body):
    """Return the kinds of the whole messages at the beginning of a packed body."""
    kinds = []
    with suppress(ProtocolError):
        for message in unpack(body):
            kinds.append(Kind(message[0]))
    return kinds


def test_live_http_bad_requests_are_sentences(app):
    with httpx.Client(base_url=app.url, timeout=PATIENCE_S) as client:
        assert client.get("/api/chat/http/nothing").json()["error"] == "not_found"
        assert "codec" in client.post("/api/chat/http?codec=mp3").json()["message"].lower()
        id_ = client.post("/api/chat/http?codec=pcm").json()["id"]
        assert "n=0" in client.post(f"/api/chat/http/{id_}").json()["message"]
        assert client.post(f"/api/chat/http/{id_}?n=0", content=b"\x05").json()["error"] == "protocol"
        assert client.post(f"/api/chat/http/{id_}?n=1", content=bytes(300_000)).status_code == 413
        assert client.delete(f"/api/chat/http/{id_}").status_code == 204
    app.until_free()


def test_live_foreign_page_cannot_connect(app):
    address = app.url.replace("http", "ws") + "/api/chat"
    with (
        pytest.raises(InvalidStatus),
        connect(address, origin="https://evil.example", open_timeout=PATIENCE_S),
    ):
        pass


def test_live_voice_without_a_sample_is_told(app):
    assert [voice["sample"] for voice in app.get("/voice/status").json()["voices"]] == [False]
    response = app.get("/voice/samples/echo.wav")
    assert (response.status_code, response.json()["error"]) == (404, "not_found")


def test_live_page_and_gradio_routes_answer(app):
    assert "gradio" in app.get("").text
    assert app.get("/gradio_api/startup-events").status_code == 200


@pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="what a process has loaded is read from /proc"
)
def test_live_app_has_loaded_nothing_that_its_start_need_not_wait_for(tmp_path):
    # a program of its own: one that is forked has what the others loaded
    with app_process(tmp_path, env={"LC_ALL": "C.UTF-8"}) as app:
        app.until_ready()
        loaded = Path(f"/proc/{app.process.pid}/maps").read_text()
    assert "/numpy/" in loaded
    assert not [name for name in ("/scipy/", "/torch/") if name in loaded]


def test_live_limits_warn_and_end(tmp_path):
    login = {"PERSONAPLEX_AUTH": "ann:sesame", "PERSONAPLEX_API_KEY": "k-1"}
    with app_process(tmp_path, env=login, talk_limit_s=10, idle_limit_s=5, connects_per_minute=2) as app:
        for path in (
            "/",
            "/health",
            "/voice/status",
            "/api/sessions",
            "/gradio_api/startup-events",
            "/config",
        ):
            assert app.get(path).status_code == 401, path
        with pytest.raises(InvalidStatus), call(app.url):
            pass
        with (
            call(app.url, codec="pcm", events=1, api_key="k-1") as quiet,
            call(app.url, codec="pcm", events=1, api_key="k-1") as talker,
        ):
            with call(app.url, codec="pcm", api_key="k-1") as third:  # within a minute of the first
                assert third.until_closed() == 1013
            assert "a minute" in third.error
            quiet.until(Kind.HANDSHAKE)
            talker.until(Kind.HANDSHAKE)
            for _ in range(55):
                with suppress(ConnectionClosed):  # a slow machine is at the limits before this loop is
                    quiet.say(Kind.AUDIO, bytes(2 * FRAME_SAMPLES))
                with suppress(ConnectionClosed):
                    talker.speak(tone(0.08))
            assert quiet.until_closed() == 1000
            assert quiet.until_event("limit")["reason"] == "idle"
            assert quiet.until_event("ended")["reason"] == "idle"
            with suppress(ConnectionClosed):  # the limit comes in mid-word
                talker.speak(tone(10.0))
            assert talker.until_closed() == 1000
            assert [e["reason"] for e in talker.events if e["type"] in ("limit", "ended")] == [
                "time",
                "time_limit",
            ]
        assert "sesame" not in app.log.read_text()
