"""What happens in a talk and what a client may order, as typed values: the words that engines, recorder,
metrics and entry points share. No bytes, no I/O.

`EVENTS` and `ORDERS` are what goes over the wire as JSON objects: the key is the object's `type`, the fields
are the dataclass's (`server/wire.py` has the few that differ, `docs/protocol.md` describes them all).
Units: names say them. Times in seconds are on the talk's own clock: its frame 0 begins at 0 s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

Speaker = Literal["user", "agent"]
MarkKind = Literal["interruption", "backchannel", "overlap"]
Stage = Literal["starting", "downloading", "loading", "self_test", "warming_up", "ready", "failed"]
LimitKind = Literal["time", "idle", "draining"]

T = TypeVar("T")
EVENTS: dict[str, type] = {}
"""Every event that a client can be told as a JSON object, by its `type`."""
ORDERS: dict[str, type] = {}
"""Everything that a client can order by a JSON object, by its `type`."""


def _named(type_: str, table: dict[str, type]) -> Callable[[type[T]], type[T]]:
    def enter(cls: type[T]) -> type[T]:
        table[type_] = cls
        return cls

    return enter


# -- what happens, to whoever listens -----------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """One step of the engine: 80 ms of both sides.

    `step_s` is how long the engine took. `missing_frames` of the user's sound came too late to be heard
    before this one: the agent was silent meanwhile.

    Shapes: `user` and `agent` are float32 [1920] in [-1, 1].
    """

    user: np.ndarray
    agent: np.ndarray
    step_s: float
    missing_frames: int = 0


@dataclass(frozen=True)
class AgentText:
    """The agent's next piece of text."""

    text: str


@dataclass(frozen=True)
class Word:
    """A word and when it sounds."""

    text: str
    start_s: float
    end_s: float


@_named("utterance", EVENTS)
@dataclass(frozen=True)
class Utterance:
    """One turn's words so far.

    The same `id` is sent again as the text grows; `final` comes once and last. For the agent the words are
    those already played: a barged-in utterance ends where the sound ended.
    """

    id: int
    speaker: Speaker
    text: str
    start_s: float
    end_s: float
    final: bool
    words: tuple[Word, ...] = ()


@_named("mark", EVENTS)
@dataclass(frozen=True)
class Mark:
    """Something to draw on the lane: the user interrupted, somebody backchannelled, both spoke."""

    kind: MarkKind
    speaker: Speaker
    start_s: float
    end_s: float


@_named("turn_latency", EVENTS)
@dataclass(frozen=True)
class TurnLatency:
    """Last user speech sample to first agent sample, on the engine's own clock."""

    user_end_s: float
    agent_start_s: float

    @property
    def latency_s(self) -> float:
        return self.agent_start_s - self.user_end_s

    @property
    def latency_ms(self) -> int:
        return round(self.latency_s * 1000)


@_named("notice", EVENTS)
@dataclass(frozen=True)
class Notice:
    """A sentence for the person in the talk, which goes on; `code` is a stable word for it."""

    code: str
    text: str


@dataclass(frozen=True)
class StepTimes:
    """Percentiles of the time of a step over the last minute, in milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class LinkStats:
    """What the way to a server and back adds to a talk.

    `round_trip_ms` is None until it was measured; `buffer_ms` is how long the server's sound waits here.
    `late_frames` were silence because theirs had not come, `trimmed_ms` of sound were left out to catch up,
    and `skipped_frames` of the user were not sent.
    """

    round_trip_ms: float | None
    buffer_ms: float
    late_frames: int
    trimmed_ms: int
    skipped_frames: int


@_named("stats", EVENTS)
@dataclass(frozen=True)
class Stats:
    """How the talk goes, once for each of its seconds.

    `at_s` is how much of it has been stepped. `late_frames` are steps that took longer than a frame's 80 ms,
    `silent_frames` frames of the user that came late. `turn_latency_ms` is the median over `turns` turns,
    None before the first. `bridge` is there where the engine is elsewhere.
    """

    at_s: float
    step_ms: StepTimes
    late_frames: int
    silent_frames: int
    turn_latency_ms: float | None
    turns: int
    bridge: LinkStats | None


@_named("saved", EVENTS)
@dataclass(frozen=True)
class Saved:
    """How much of the recording can no longer be lost, from the talk's beginning."""

    upto_s: float


# what one step of a talk brings, to the client and whoever else listens
StepEvent = Frame | AgentText | Utterance | Mark | TurnLatency | Notice | Stats | Saved


# -- what the client is told of the talk around it ----------------------------------------------------------


@_named("preparing", EVENTS)
@dataclass(frozen=True)
class Preparing:
    """How far the engine's start is. `progress` is 0 to 1, or None where it cannot be known."""

    engine: str
    engine_title: str
    stage: Stage
    detail: str
    progress: float | None


@_named("queued", EVENTS)
@dataclass(frozen=True)
class Queued:
    """The caller's place in line: how many are before it, and in about how long its turn comes."""

    ahead: int
    wait_s: float


@_named("lease", EVENTS)
@dataclass(frozen=True)
class LeaseOffer:
    """The page is to take a device, by the event that `token` is for."""

    token: str


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do; the page hides or explains what it cannot."""

    sampling: bool = False
    # all of it but the seed can be changed while a talk runs
    resampling: bool = False
    cloning: bool = False
    backchannels: bool = False
    user_captions: bool = False
    agent_captions: bool = False
    role_prompt: bool = False
    # a talk may have no role: its prompt is empty
    roleless: bool = False


@_named("sampling", EVENTS)
@dataclass(frozen=True)
class Sampling:
    """Sampling of one session; as an event, what is in force from the next frame on.

    Engines that declare no `sampling` ignore it.
    """

    audio_temperature: float = 0.8
    text_temperature: float = 0.7
    audio_topk: int = 250
    text_topk: int = 25
    seed: int | None = None


@_named("ready", EVENTS)
@dataclass(frozen=True)
class Ready:
    """The talk has begun, and this is what is in force.

    `talk_id` is None where nothing is recorded, `sampling` where the engine does not sample. The talk ends
    after `limit_s`, or when the user says nothing for `idle_s`. `keep_problem` says why nothing can be kept,
    "" when all is well.
    """

    talk_id: str | None
    engine: str
    engine_title: str
    voice: str
    persona: str | None
    limit_s: float
    idle_s: float
    keeping: bool
    keep_problem: str
    capabilities: Capabilities
    sampling: Sampling | None


@_named("interrupted", EVENTS)
@dataclass(frozen=True)
class Interrupted:
    """The agent has been stopped, as the client asked."""


@_named("limit", EVENTS)
@dataclass(frozen=True)
class Limit:
    """The talk ends in `left_s`, unless the reason passes."""

    reason: LimitKind
    left_s: float


@_named("pong", EVENTS)
@dataclass(frozen=True)
class Pong:
    """The answer to a ping, with what it had `sent`."""

    sent: Any


@_named("ended", EVENTS)
@dataclass(frozen=True)
class Ended:
    """The talk is over: `reason` is a stable word, `text` its sentence.

    `recording` tells whether there is sound of it for its owner, `kept` whether that stays after the visit.
    """

    reason: str
    text: str
    talk_id: str | None
    duration_s: float
    recording: bool
    kept: bool


@dataclass(frozen=True)
class Begun:
    """The talk begins: time zero is the next sample."""


@dataclass(frozen=True)
class Failure:
    """The sentence of an error; the close follows."""

    text: str


@dataclass(frozen=True)
class Audio:
    """Sound of either side in the form that the entry point's codec has."""

    payload: bytes


Told = (
    Utterance
    | Mark
    | TurnLatency
    | Notice
    | Stats
    | Saved
    | Preparing
    | Queued
    | LeaseOffer
    | Ready
    | Sampling
    | Interrupted
    | Limit
    | Pong
    | Ended
)
ToClient = Audio | AgentText | Begun | Failure | Told


# -- what a client orders -----------------------------------------------------------------------------------


@_named("start", ORDERS)
@dataclass(frozen=True)
class Start:
    """Begin the talk that was asked for with `config=message`. None: not said, what the query said holds.

    `text_prompt` may be "": a talk without a role. `lease_s` is how long a device is to be lent.
    """

    voice_prompt: str | None = None
    text_prompt: str | None = None
    persona: str | None = None
    engine: str | None = None
    lease_s: int | None = None
    owner: str | None = None
    keep: bool | None = None
    audio_temperature: float | None = None
    text_temperature: float | None = None
    audio_topk: int | None = None
    text_topk: int | None = None
    seed: int | None = None


@_named("sampling", ORDERS)
@dataclass(frozen=True)
class SamplingChange:
    """Change temperatures and top-k from the next frame on. None: as it was."""

    audio_temperature: float | None = None
    text_temperature: float | None = None
    audio_topk: int | None = None
    text_topk: int | None = None


@_named("interrupt", ORDERS)
@dataclass(frozen=True)
class Interrupt:
    """Make the agent stop speaking."""


@_named("playback", ORDERS)
@dataclass(frozen=True)
class Playback:
    """How the client's playback is, since the talk began; None: not said, or no such number.

    `underruns` are gaps, `buffer_ms` of sound wait to be played, `trimmed_ms` were left out to catch up.
    """

    underruns: int | None = None
    buffer_ms: float | None = None
    trimmed_ms: float | None = None


@_named("ping", ORDERS)
@dataclass(frozen=True)
class Ping:
    """Ask for a pong that returns what is `sent`."""

    sent: Any = None


@_named("stop", ORDERS)
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
    """A message that a full-duplex talk has no use for: it says only that the client is there."""


Order = (
    Start
    | SamplingChange
    | Interrupt
    | Playback
    | Ping
    | Stop
    | BadOrder
    | UnknownOrder
    | ControlStart
    | KeepAlive
)
FromClient = Audio | Order


def said(order: Start | SamplingChange, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return those fields of an order that are among `names` and were said."""
    return {name: value for name, value in vars(order).items() if name in names and value is not None}
