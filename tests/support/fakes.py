"""Fakes that follow a script: an engine, a responder, and a channel without a network."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import anyio
import anyio.lowlevel
import numpy as np

from personaplex_app.engine.contract import Capabilities, EngineState, SessionConfig, Step
from personaplex_app.protocol import Kind, Message, decode
from personaplex_app.protocol_events import ToClient
from personaplex_app.protocol_orders import FromClient
from personaplex_app.server.channel import Disconnected
from personaplex_app.server.wire import message_of, order_of
from personaplex_app.units import FRAME_SAMPLES
from personaplex_app.voices import Voice

from .patience import PATIENCE_S


class ScriptedSession:
    """A session that answers frame n with the `Step` of `script(n)`, or raises what that raises."""

    def __init__(self, script: Callable[[int], Step]) -> None:
        self._script = script
        self.frames = 0
        self.interrupted = False
        self.closed = False

    def step(self, user: np.ndarray) -> Step:
        self.frames += 1
        return self._script(self.frames)

    def interrupt(self) -> None:
        self.interrupted = True

    def close(self) -> None:
        self.closed = True


class ScriptedEngine:
    """An engine that opens a session for each script in turn; loading waits until `gate` is set."""

    name = "echo"
    capabilities = Capabilities()
    voices = (Voice("echo", "Echo", "For tests.", "Tests"),)
    max_sessions = 4
    about = ""
    identity = "scripted"
    lost = ""

    def __init__(self, *scripts: Callable[[int], Step], load_error: Exception | None = None) -> None:
        self._scripts = list(scripts)
        self._load_error = load_error
        self.gate = threading.Event()
        self.gate.set()
        self.sessions: list[ScriptedSession] = []

    def sample(self, voice: str) -> None:
        return None

    def load(self, report: Callable[[EngineState], None]) -> None:
        report(EngineState("loading", "the script", 0.5))
        self.gate.wait(timeout=PATIENCE_S)
        if self._load_error:
            raise self._load_error

    def open(self, config: SessionConfig) -> ScriptedSession:
        script = self._scripts.pop(0)
        self.sessions.append(ScriptedSession(script))
        return self.sessions[-1]

    def close(self) -> None:
        self.gate.set()


def silence(frame: int) -> Step:
    return Step(np.zeros(FRAME_SAMPLES, np.float32))


class FakeChannel:
    """A channel whose other end is the test, which reads and writes the wire's messages."""

    def __init__(self) -> None:
        self._to_server, self._from_test = anyio.create_memory_object_stream[bytes | str | None](1000)
        self.received: list[Message] = []
        self.closed: tuple[int, str] | None = None
        self._left = False

    async def receive(self) -> FromClient:
        data = await self._from_test.receive()
        if data is None:
            raise Disconnected(self._left)
        return order_of(decode(data))

    async def send(self, event: ToClient) -> None:
        await anyio.lowlevel.checkpoint()
        self.received.append(message_of(event))

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        self._to_server.close()
        self._from_test.close()

    def say(self, message: Message | None) -> None:
        self._to_server.send_nowait(message.encode() if message else None)

    @property
    def all_read(self) -> bool:
        """Whether the server has taken all that was said."""
        return not self._from_test.statistics().current_buffer_used

    def leave(self) -> None:
        """Say goodbye, as a page does that is closed; `say(None)` is a connection that breaks."""
        self._left = True
        self.say(None)

    def say_frames(self, count: int) -> None:
        for _ in range(count):
            self.say(Message(Kind.AUDIO, bytes(2 * FRAME_SAMPLES)))

    def events(self, type_: str) -> list[dict]:
        told = [json.loads(m.payload) for m in self.received if m.kind is Kind.METADATA]
        return [event for event in told if event["type"] == type_]

    @property
    def errors(self) -> list[str]:
        return [m.payload.decode() for m in self.received if m.kind is Kind.ERROR]

    def count(self, kind: Kind) -> int:
        return sum(m.kind is kind for m in self.received)


class ScriptedResponder:
    """A responder with a fixed greeting and answer; it records its calls."""

    pace = 1.0

    def __init__(
        self, greeting: str = "", answer: tuple[str, ...] = ("The compost bin costs eight dollars a month.",)
    ) -> None:
        self.greeting = greeting
        self.answer = answer
        self.asked: list[str] = []
        self.said: list[tuple[str, bool]] = []
        self.closed = False

    def greet(self) -> str:
        """Return the scripted greeting."""
        return self.greeting

    def reply(self, user_text: str) -> Iterator[str]:
        """Yield the scripted sentences, whatever was asked."""
        self.asked.append(user_text)
        yield from self.answer

    def record_played(self, agent_text: str, interrupted: bool) -> None:
        """Record what was played."""
        self.said.append((agent_text, interrupted))

    def close(self) -> None:
        """Record that it was closed."""
        self.closed = True
