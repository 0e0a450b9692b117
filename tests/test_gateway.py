"""The gateway's protocol: its messages without I/O, and talks over the real route."""

import base64
import json
import re
import socket
import time
from contextlib import contextmanager, suppress
from urllib.parse import urlencode

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from personaplex_app.errors import BadInput
from personaplex_app.gateway.wire import MAX_MESSAGE_BYTES, GatewayWire, session_id_of
from personaplex_app.protocol_events import (
    AgentText,
    Audio,
    Capabilities,
    Ended,
    Interrupted,
    Limit,
    Mark,
    Preparing,
    Queued,
    Ready,
    Saved,
    Utterance,
)
from personaplex_app.server.allowance import TokenBucket
from personaplex_app.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

from .support.app_process import ROOT, app_process
from .support.patience import PATIENCE_S
from .support.peers import CLOSING_S, tone

KEY = "gateway-key-0001"
ADAPTERS = """\
adapters:
  - name: locked
    persona: {voice_prompt: NATF0, text_prompt: You guard a door.}
    capabilities: {requires_api_key_validation: true}
  - name: brief
    persona: {voice_prompt: NATF0, text_prompt: You are brief.}
    config:
      audio_chunk_size_ms: 100
      max_concurrent_sessions: 1
  - name: personaplex-storyteller
    enabled: false
session: {max_concurrent_sessions: 6}
"""


def chunk(samples, **fields) -> str:
    data = base64.b64encode(np.asarray(samples, "<f4").tobytes()).decode()
    return json.dumps({"type": "audio_chunk", "data": data, "format": "pcm", **fields})


def samples_of(message) -> np.ndarray:
    return np.frombuffer(base64.b64decode(message["data"]), "<f4")


# -- without I/O -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2400, 1920, 48_000])
def test_gateway_wire_takes_audio_of_any_size_unchanged(count):
    spoken = tone(2.0)[:count]
    said = GatewayWire("a", "b").read(chunk(spoken))
    assert {type(m) for m in said} <= {Audio}
    assert max([len(m.payload) for m in said], default=0) < 60_000
    assert np.array_equal(np.frombuffer(b"".join(m.payload for m in said), "<f4"), spoken)


BAD = {
    "broken JSON": "{",
    "no object": "[1]",
    "a number of many digits": "1" * 5000,
    "deep JSON": "[" * 20_000,
    "no type": "{}",
    "type no text": '{"type": ["ping"]}',
    "unknown type": '{"type": "dance"}',
    "a lone surrogate": '{"type": "\\ud800"}',
    "binary": b"\x01\x02",
    "no data": '{"type": "audio_chunk"}',
    "data no text": '{"type": "audio_chunk", "data": 7}',
    "bad base64": '{"type": "audio_chunk", "data": "???="}',
    "base64 in other letters": '{"type": "audio_chunk", "data": "ä"}',
    "an odd byte count": '{"type": "audio_chunk", "data": "AAAA"}',
    "NaN": chunk([0.1, np.nan]),
    "infinity": chunk([np.inf]),
    "another format": chunk([0.1], format="opus"),
    "another rate": chunk([0.1], sample_rate=16_000),
    "too long": chunk(np.zeros(48_001)),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_gateway_wire_bad_message_is_a_sentence(data):
    with pytest.raises(BadInput) as raised:
        GatewayWire("a", "b").read(data)
    assert str(raised.value).encode().endswith(b".")


def test_gateway_wire_numbers_chunks_of_any_size_without_gaps_and_drops_the_rest_when_interrupted():
    wire = GatewayWire("a", "b", chunk_samples=2400)
    frames = np.arange(10 * FRAME_SAMPLES, dtype="<f4").reshape(10, -1)
    told = [json.loads(t) for frame in frames[:5] for t in wire.write(Audio(frame.tobytes()))]
    assert [t["chunk_index"] for t in told] == [0, 1, 2, 3]
    assert np.array_equal(np.concatenate([samples_of(t) for t in told]), frames.reshape(-1)[:9600])
    # one more chunk is begun when the interrupt comes
    wire.write(Audio(frames[5].tobytes()))
    assert [json.loads(t) for t in wire.write(Interrupted())] == [
        {"type": "interrupted", "reason": "user_request"}
    ]
    after = [json.loads(t) for frame in frames[6:8] for t in wire.write(Audio(frame.tobytes()))]
    assert [t["chunk_index"] for t in after] == [4]
    assert samples_of(after[0])[0] == 6 * FRAME_SAMPLES


def test_gateway_wire_tells_captions_once_and_pieces_where_there_are_none():
    can = Capabilities(agent_captions=True, backchannels=True)
    ready = Ready(None, "echo", "Echo", "", "x", None, 600, 60, False, "", can, None)
    wire = GatewayWire("a", "b")
    assert json.loads(wire.write(ready)[0])["capabilities"]["backchannels"] is True
    said = Utterance(1, "user", "Hi", 0, 1, final=False)
    assert json.loads(wire.write(said)[0]) == {
        "type": "transcription",
        "text": "Hi",
        "partial": True,
        "role": "user",
    }
    assert wire.write(AgentText("Hello")) == []
    plain = GatewayWire("a", "b").write(AgentText("Hello"))
    assert json.loads(plain[0]) == {
        "type": "transcription",
        "text": "Hello",
        "partial": False,
        "role": "assistant",
    }
    others = (
        Preparing("echo", "Echo", "loading", "", None),
        Queued(0, 1.0),
        Saved(1.0),
        Mark("overlap", "user", 0, 1),
        Limit("time", 30),
    )
    assert not any(wire.write(event) for event in others)


@pytest.mark.parametrize(
    ("reason", "told"),
    [("idle", True), ("time_limit", True), ("draining", True), ("stopped", False), ("lost", False)],
)
def test_gateway_wire_tells_an_end_that_its_client_did_not_ask_for(reason, told):
    said = GatewayWire("a", "b").write(Ended(reason, "It is over.", None, 1.0, False, False))
    assert [json.loads(text) for text in said] == (
        [{"type": "error", "message": "It is over."}] if told else []
    )


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [("call-7_a.b:c", True), ("", False), ("a b", False), ("x" * 129, False), ("é", False)],
)
def test_gateway_session_id_is_echoed_if_valid(asked, echoed):
    assert (session_id_of(asked) == asked) is echoed
    assert session_id_of(session_id_of(asked))


def test_gateway_allowance_refills_with_time():
    now_s = [0.0]
    allowance = TokenBucket(2, 3, lambda: now_s[0])
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    now_s[0] = 1.0
    assert [allowance.take() for _ in range(3)] == [True, True, False]


# -- over the route --------------------------------------------------------------------------------


class Client:
    def __init__(self, socket_) -> None:
        self.socket = socket_
        self.messages: list[dict] = []

    def say(self, type_: str, **fields) -> None:
        self.socket.send(json.dumps({"type": type_, **fields}))

    def speak(self, samples, size=2400) -> None:
        for at in range(0, len(samples), size):
            self.socket.send(chunk(samples[at : at + size]))
            time.sleep(size / SAMPLE_RATE_HZ)

    def until(self, type_: str) -> dict:
        """Return the next message of a type; all are kept."""
        while True:
            self.messages.append(json.loads(self.socket.recv(timeout=PATIENCE_S)))
            if self.messages[-1]["type"] == type_:
                return self.messages[-1]

    def until_closed(self) -> tuple[int, str]:
        try:
            while True:
                self.messages.append(json.loads(self.socket.recv(timeout=PATIENCE_S)))
        except ConnectionClosed:
            return self.socket.close_code, self.socket.close_reason

    def of(self, type_: str) -> list[dict]:
        return [m for m in self.messages if m["type"] == type_]

    def heard(self) -> np.ndarray:
        return np.concatenate([samples_of(m) for m in self.of("audio_chunk")] or [np.zeros(0, "<f4")])


@contextmanager
def talk(app, adapter="personaplex-assistant", **query):
    address = f"{app.url.replace('http', 'ws')}/ws/voice/{adapter}?{urlencode(query)}"
    with connect(
        address, open_timeout=PATIENCE_S, close_timeout=CLOSING_S, ping_interval=None, max_queue=None
    ) as socket_:
        yield Client(socket_)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    (folder / "adapters.yaml").write_text(ADAPTERS)
    env = {"PERSONAPLEX_GATEWAY_KEY": KEY}
    with app_process(
        folder,
        env=env,
        slots=2,
        connects_per_minute=1000,
        adapters=folder / "adapters.yaml",
        personas=ROOT / "assets" / "personas.yaml",
    ) as app:
        app.until_ready()
        yield app
    log = app.log.read_text()
    assert "Traceback" not in log
    assert KEY not in log


@pytest.mark.process
def test_gateway_talk_goes_as_its_clients_expect(app):
    spoken = tone(1.0)
    with talk(app, session_id="call-17", user_id="somebody") as client:
        assert client.until("connected") == {
            "type": "connected",
            "adapter": "personaplex-assistant",
            "session_id": "call-17",
            "mode": "full_duplex",
            "audio_format": "pcm",
            "sample_rate": 24000,
            "capabilities": {"full_duplex": True, "interruption": True, "backchannels": False},
        }
        assert len(client.messages) == 1
        assert app.get("/health").json()["slots"]["used"] == 1
        client.speak(spoken)
        client.say("ping")
        assert client.until("pong") == {"type": "pong"}
        while len(client.heard()) < 12 * FRAME_SAMPLES:
            client.until("audio_chunk")
        client.say("interrupt")
        assert client.until("interrupted") == {"type": "interrupted", "reason": "user_request"}
        client.say("end")
        assert client.until_closed() == (1000, "The talk is over.")
    heard = client.heard()
    # float32 all the way: what comes back is what went in
    assert np.array_equal(heard[FRAME_SAMPLES : 12 * FRAME_SAMPLES], spoken[: 11 * FRAME_SAMPLES])
    assert [m["chunk_index"] for m in client.of("audio_chunk")] == list(range(len(client.of("audio_chunk"))))
    assert {(m["format"], m["sample_rate"]) for m in client.of("audio_chunk")} == {("pcm", 24000)}
    app.until_free()


@pytest.mark.process
def test_status_and_gateway_have_an_operators_personas_beside_the_apps(app):
    status = app.get("/voice/status").json()
    shown = {each["name"]: each for each in status["personas"]}
    assert list(shown)[-2:] == ["garden-centre", "interviewer"]
    assert "assistant" in shown
    assert shown["interviewer"]["voices"] == ["VARM2", "NATM2", "deep"]
    assert shown["interviewer"]["voice"] in {each["name"] for each in status["voices"]}
    adapters = {each["name"]: each["voice"] for each in status["adapters"]}
    assert adapters["personaplex-garden-centre"] == "NATF1"
    with talk(app, "garden-centre") as client:
        assert client.until("connected")["adapter"] == "personaplex-garden-centre"
        client.say("end")
        client.until_closed()
    app.until_free()


@pytest.mark.process
def test_gateway_bad_messages_are_told_and_the_talk_goes_on(app):
    with talk(app, session_id="not valid!") as client:
        assert client.until("connected")["session_id"] != "not valid!"
        for data in BAD.values():
            client.socket.send(data)
            assert client.until("error")["message"].endswith(".")
        client.speak(tone(0.3))
        client.until("audio_chunk")


@pytest.mark.process
def test_gateway_floods_and_too_large_messages_are_closed_with_a_reason(app):
    def garbage(client):
        for _ in range(30):
            client.socket.send("garbage")

    def pings(client):
        for _ in range(1000):
            client.say("ping")

    def nothing(client):
        for _ in range(1000):
            client.socket.send(chunk([]))

    def sound(client):
        for _ in range(4):
            client.socket.send(chunk(np.zeros(48_000)))

    def one_too_large(client):
        client.socket.send(" " * (MAX_MESSAGE_BYTES + 1))

    for flood, code, reason in [
        (garbage, 1008, "Too many messages"),
        (pings, 1008, "a second|waited to be read"),
        (nothing, 1008, "a second"),
        (sound, 1008, "ahead of real time"),
        (one_too_large, 1009, ""),
    ]:
        with talk(app) as client:
            client.until("connected")
            with suppress(ConnectionClosed):
                flood(client)
            closed = client.until_closed()
            assert closed[0] == code, flood
            assert re.search(reason, closed[1]), (flood, closed)
            assert code == 1009 or re.search(reason, client.of("error")[-1]["message"])
    app.until_free()


@pytest.mark.process
@pytest.mark.parametrize(
    ("adapter", "query", "code", "said"),
    [
        ("personaplex-nobody", {}, 1008, "There is no adapter 'personaplex-nobody'"),
        ("personaplex-storyteller", {}, 1008, "switched off"),
        ("locked", {}, 1008, "asks for an API key"),
        ("locked", {"api_key": "gateway-key-0002"}, 1008, "asks for an API key"),
        ("locked", {"api_key": "clé"}, 1008, "asks for an API key"),
    ],
)
def test_gateway_refusals_are_an_error_and_a_close(app, adapter, query, code, said):
    with talk(app, adapter, **query) as client:
        assert client.until_closed()[0] == code
    assert [m["type"] for m in client.messages] == ["error"]
    assert said in client.messages[0]["message"]


@pytest.mark.process
def test_gateway_adapter_that_asks_for_a_key_takes_the_right_one(app):
    with talk(app, "locked", api_key=KEY) as client:
        assert client.until("connected")["adapter"] == "locked"


@pytest.mark.process
def test_gateway_sessions_are_bounded_and_wait_for_a_slot(app):
    app.until_free()
    with talk(app) as first, talk(app, "brief") as second, talk(app) as third:
        first.until("connected")
        second.until("connected")
        with talk(app) as fourth:
            assert fourth.until_closed()[0] == 1013
        assert "From your address come 3 of 6 sessions" in fourth.of("error")[0]["message"]
        assert fourth.of("error")[0]["retry_after_s"] > 0
        with pytest.raises(TimeoutError):
            third.socket.recv(timeout=0.3)
        first.say("end")
        third.until("connected")
        with talk(app, "brief") as another:
            assert another.until_closed()[0] == 1013
        assert "1 sessions" in another.of("error")[0]["message"]
        second.speak(tone(0.4))
        second.until("audio_chunk")
        assert len(samples_of(second.messages[-1])) == 2400
        third.socket.socket.shutdown(socket.SHUT_RDWR)
    app.until_free()


@pytest.mark.process
def test_gateway_status_has_the_keys_of_both(app):
    status = app.get("/voice/status").json()
    assert (status["available"], status["global_audio_enabled"]) == (True, True)
    assert status["websocket_endpoint"] == "/ws/voice/{adapter_name}"
    by_name = {each["name"]: each for each in status["adapters"]}
    assert by_name["personaplex-assistant"] == {
        "name": "personaplex-assistant",
        "type": "speech_to_speech",
        "enabled": True,
        "full_duplex": True,
        "mode": "speech_to_speech",
        "voice": "NATF2",
    }
    assert by_name["personaplex-storyteller"]["enabled"] is False
    assert {"locked", "brief"} < by_name.keys()
    assert "engine" in status
    assert "You guard a door" not in json.dumps(status)
