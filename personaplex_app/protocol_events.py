"""Typed events of a talk, without bytes or I/O.

Engines, recorder, metrics and entry points share them.

`EVENTS` is what goes over the wire as JSON objects: the key is the object's `type`, the fields are the
dataclass's (`server/wire.py` has the few that differ, `docs/protocol.md` describes them all).
Units: names say them. Times in seconds are on the talk's own clock: its frame 0 begins at 0 s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

Speaker = Literal["user", "agent"]
SaidState = Literal["waiting", "begun", "done", "cut", "refused"]
MarkKind = Literal["interruption", "backchannel", "overlap"]
Stage = Literal["starting", "downloading", "loading", "self_test", "warming_up", "ready", "failed"]
LimitKind = Literal["time", "idle", "draining"]

T = TypeVar("T")
EVENTS: dict[str, type] = {}
"""Every event that is sent to clients as a JSON object, by its `type`."""


def named(type_: str, table: dict[str, type]) -> Callable[[type[T]], type[T]]:
    """Enter a class into a table; tests compare the tables with docs/protocol.md."""

    def enter(cls: type[T]) -> type[T]:
        table[type_] = cls
        return cls

    return enter


# -- events of a step ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """One step of the engine: 80 ms of both sides.

    `step_s` is how long the engine took. `missing_frames` frames of the user's sound before this one came too
    late: the agent was silent meanwhile.

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
    """A word with its times on the session's clock."""

    text: str
    start_s: float
    end_s: float


@named("utterance", EVENTS)
@dataclass(frozen=True)
class Utterance:
    """The words of one turn so far.

    The same `id` is sent again as the text grows; the last one is `final`. The agent's words are those that
    were played: an interrupted utterance ends where the sound ended. `typed`: written, not spoken. `line`:
    the id of the line that the agent was told to say, "" for its own words.
    """

    id: int
    speaker: Speaker
    text: str
    start_s: float
    end_s: float
    final: bool
    words: tuple[Word, ...] = ()
    typed: bool = False
    line: str = ""


@named("mark", EVENTS)
@dataclass(frozen=True)
class Mark:
    """An interruption, a backchannel or an overlap, to be drawn on the lane."""

    kind: MarkKind
    speaker: Speaker
    start_s: float
    end_s: float


@named("turn_latency", EVENTS)
@dataclass(frozen=True)
class TurnLatency:
    """The time from the user's last speech sample to the agent's first, on the session's clock."""

    user_end_s: float
    agent_start_s: float

    @property
    def latency_s(self) -> float:
        return self.agent_start_s - self.user_end_s

    @property
    def latency_ms(self) -> int:
        return round(self.latency_s * 1000)


@named("said", EVENTS)
@dataclass(frozen=True)
class Said:
    """How a line fares that the agent was told to say: what of it was spoken so far, and the rest.

    A line that is `cut` was taken back or interrupted; `why` says more where there is more to say.
    """

    id: str
    state: SaidState
    heard: str = ""
    rest: str = ""
    at_s: float = 0.0
    why: str = ""


@named("notice", EVENTS)
@dataclass(frozen=True)
class Notice:
    """A sentence for the user of a talk that goes on; `code` is its stable word."""

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
    """Measurements of the connection to a remote server.

    `round_trip_ms` is None until it was measured; `buffer_ms` is how long the server's sound waits in the
    jitter buffer. `late_frames` were played as silence because the server's had not arrived, `trimmed_ms` of
    sound were cut to catch up, and `skipped_frames` of the user were not sent.
    """

    round_trip_ms: float | None
    buffer_ms: float
    late_frames: int
    trimmed_ms: int
    skipped_frames: int


@named("stats", EVENTS)
@dataclass(frozen=True)
class Stats:
    """Statistics of the talk, sent every second.

    `at_s` is how much of it has been stepped. `late_frames` are steps that took longer than a frame's 80 ms,
    `silent_frames` frames of the user that came late. `turn_latency_ms` is the median over `turns` turns,
    None before the first. `bridge` holds the statistics of the link to a remote engine, None for others.
    """

    at_s: float
    step_ms: StepTimes
    late_frames: int
    silent_frames: int
    turn_latency_ms: float | None
    turns: int
    bridge: LinkStats | None


@named("saved", EVENTS)
@dataclass(frozen=True)
class Saved:
    """How much of the recording is safely stored, from the talk's beginning."""

    upto_s: float


# the events of one step, for the client and for the talk's listeners
StepEvent = Frame | AgentText | Utterance | Mark | TurnLatency | Notice | Said | Stats | Saved


# -- events of the talk -------------------------------------------------------------------------------------


@named("preparing", EVENTS)
@dataclass(frozen=True)
class Preparing:
    """The state of the engine's start. `progress` is 0 to 1, or None when it is unknown."""

    engine: str
    engine_title: str
    stage: Stage
    detail: str
    progress: float | None


@named("queued", EVENTS)
@dataclass(frozen=True)
class Queued:
    """The caller's position in line: how many callers are ahead of it, and the estimated wait."""

    ahead: int
    wait_s: float


@named("lease", EVENTS)
@dataclass(frozen=True)
class LeaseOffer:
    """Ask the page to take a lease, by the Gradio event that carries `token`."""

    token: str


@named("resumable", EVENTS)
@dataclass(frozen=True)
class Resumable:
    """The talk goes on for `within_s` after the last message of a broken connection; a `resume` order with
    `token`, first on a new connection, continues it there. Each token is good once.
    """

    token: str
    within_s: float


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
    # it says what it is told, word for word, and holds its tongue when told
    saying: bool = False


@named("sampling", EVENTS)
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


@named("ready", EVENTS)
@dataclass(frozen=True)
class Ready:
    """The talk has begun with these settings.

    `talk_id` is None where nothing is recorded, `sampling` where the engine does not sample. The talk ends
    after `limit_s`, or when the user says nothing for `idle_s`. `keep_problem` says why nothing can be kept,
    "" when all is well. `stand_in` tells the user that PersonaPlex does not speak, and why; "" where it does.
    """

    talk_id: str | None
    engine: str
    engine_title: str
    stand_in: str
    voice: str
    persona: str | None
    limit_s: float
    idle_s: float
    keeping: bool
    keep_problem: str
    capabilities: Capabilities
    sampling: Sampling | None


@named("interrupted", EVENTS)
@dataclass(frozen=True)
class Interrupted:
    """The agent has been silenced at the client's request."""


@named("limit", EVENTS)
@dataclass(frozen=True)
class Limit:
    """The talk ends in `left_s`, unless the reason passes."""

    reason: LimitKind
    left_s: float


@named("pong", EVENTS)
@dataclass(frozen=True)
class Pong:
    """The answer to a ping, with what it had `sent`."""

    sent: Any


@named("ended", EVENTS)
@dataclass(frozen=True)
class Ended:
    """The talk has ended: `reason` is the end reason, `text` a sentence for the user.

    `recording`: its owner can fetch its sound; `kept`: that stays after the visit. `retry_after_s`: when
    trying again can succeed, where there was no room.
    """

    reason: str
    text: str
    talk_id: str | None = None
    duration_s: float = 0.0
    recording: bool = False
    kept: bool = False
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Begun:
    """The talk begins: time zero is the next sample."""


@dataclass(frozen=True)
class Failure:
    """The message of an error; the connection is closed after it. `retry_after_s` as in `Ended`."""

    text: str
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Audio:
    """Sound of either side, encoded by the entry point's codec."""

    payload: bytes


JsonEvent = (
    Utterance
    | Mark
    | TurnLatency
    | Notice
    | Said
    | Stats
    | Saved
    | Preparing
    | Queued
    | LeaseOffer
    | Resumable
    | Ready
    | Sampling
    | Interrupted
    | Limit
    | Pong
    | Ended
)
ToClient = Audio | AgentText | Begun | Failure | JsonEvent
