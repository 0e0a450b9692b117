"""Typed orders of a talk's clients, without bytes or I/O.

`ORDERS` are what comes over the wire as JSON objects, as `protocol_events.EVENTS` are what goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from .protocol_events import Audio, named

ORDERS: dict[str, type] = {}
"""Every order that a client can send as a JSON object, by its `type`."""
Moment = Literal["idle", "now", "reply"]


@named("start", ORDERS)
@dataclass(frozen=True)
class Start:
    """Begin a talk that was requested with `config=message`. None: not given, the query's value holds.

    `text_prompt` may be "" for a talk without a role. `language` is a code, such as "es". `lease_s` is the
    wanted length of the lease. `resumable` asks for a token with which the talk can be continued after a
    broken connection.
    """

    voice_prompt: str | None = None
    text_prompt: str | None = None
    persona: str | None = None
    engine: str | None = None
    language: str | None = None
    lease_s: int | None = None
    owner: str | None = None
    keep: bool | None = None
    resumable: bool | None = None
    audio_temperature: float | None = None
    text_temperature: float | None = None
    audio_topk: int | None = None
    text_topk: int | None = None
    seed: int | None = None


@named("resume", ORDERS)
@dataclass(frozen=True)
class Resume:
    """Continue the talk of a broken connection, in place of a start.

    `owner` is the key that the talk was started with. `received` counts the messages, but for sound, that
    came over the broken connection: what went missing after them is sent again. None: nothing went missing.
    """

    token: str
    owner: str | None = None
    received: int | None = None


@named("sampling", ORDERS)
@dataclass(frozen=True)
class SamplingChange:
    """Change temperatures and top-k from the next frame on. None: unchanged."""

    audio_temperature: float | None = None
    text_temperature: float | None = None
    audio_topk: int | None = None
    text_topk: int | None = None


@named("interrupt", ORDERS)
@dataclass(frozen=True)
class Interrupt:
    """Make the agent stop speaking."""


@named("typed", ORDERS)
@dataclass(frozen=True)
class Typed:
    """Take a line that the user wrote as their turn."""

    text: str


@named("say", ORDERS)
@dataclass(frozen=True)
class Say:
    """Make the agent say a line word for word; its fields are those of `engine.saying_contract.Line`."""

    id: str
    text: str
    last: bool = True
    when: Moment = "idle"
    then: Literal["free", "hold"] = "free"
    interruptible: bool = True


@named("more", ORDERS)
@dataclass(frozen=True)
class More:
    """Go on with a line that was begun with `last` false."""

    id: str
    text: str
    last: bool = True


@named("unsay", ORDERS)
@dataclass(frozen=True)
class Unsay:
    """Take a line back, "" for all."""

    id: str = ""


@named("hold", ORDERS)
@dataclass(frozen=True)
class Hold:
    """Keep the agent from speaking of its own, or let it again."""

    on: bool = True


@named("playback", ORDERS)
@dataclass(frozen=True)
class Playback:
    """The client's report of its playback since the talk began; None: not given, or no such number.

    `underruns` are gaps, `buffer_ms` of sound wait to be played, `trimmed_ms` were left out to catch up.
    """

    underruns: int | None = None
    buffer_ms: float | None = None
    trimmed_ms: float | None = None


@named("ping", ORDERS)
@dataclass(frozen=True)
class Ping:
    """Ask for a pong that returns what is `sent`."""

    sent: Any = None


@named("stop", ORDERS)
@dataclass(frozen=True)
class Stop:
    """End the talk."""


@dataclass(frozen=True)
class BadOrder:
    """An order of a `type` that is known, with a field that cannot be used, and `why`."""

    type: str
    why: str


@dataclass(frozen=True)
class UnknownOrder:
    """A JSON object of a `type` that the server does not know."""

    type: str


@dataclass(frozen=True)
class ControlStart:
    """The control message of the moshi family that asks for a start; the talk begins without it."""


@dataclass(frozen=True)
class KeepAlive:
    """A message without meaning for a full-duplex talk, except that the client is connected."""


LineOrder = Say | More | Unsay | Hold
Order = (
    Start
    | Resume
    | SamplingChange
    | Interrupt
    | Typed
    | LineOrder
    | Playback
    | Ping
    | Stop
    | BadOrder
    | UnknownOrder
    | ControlStart
    | KeepAlive
)
FromClient = Audio | Order
