"""The contract between engines and the rest of the program.

An engine lists its voices and capabilities and opens sessions. A session takes one 80 ms frame of the user
and returns one of the agent, with the text and events that belong to it. Calls block and are made from one
worker thread per session, never from an event loop; two sessions may be stepped from two threads at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from ..protocol_events import (
    Capabilities,
    LinkStats,
    Mark,
    Notice,
    Said,
    Sampling,
    Stage,
    TurnLatency,
    Utterance,
)
from ..voices import Voice


@dataclass(frozen=True)
class Clone:
    """A cloned voice: its owner's name for it, and the file that an engine's `clone` made."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class SessionConfig:
    """The configuration of one session. `voice` and `prompt` are already validated (`voices`, `personas`).

    Where `clone` is given, the engine speaks in that voice, and `voice` is only the name that was requested.
    `language` is the code of the talk's language, "" for English. A session that is not `realtime` is stepped
    as fast as the machine allows: nothing in it may depend on the clock, and the same frames and seed give
    the same answer. An engine that begins a talk by a greeting leaves it out where `greets` is False.
    """

    voice: str
    prompt: str
    persona: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    clone: Clone | None = None
    realtime: bool = True
    language: str = ""
    greets: bool = True


Event = Utterance | Mark | TurnLatency | Notice | Said


@dataclass(frozen=True)
class Step:
    """The result of one frame: the agent's sound, its text, and the events that belong to it.

    Shapes: `agent` is float32 [1920] in [-1, 1]. `text` is the agent's text that begins in this frame, "" for
    none.
    """

    agent: np.ndarray
    text: str = ""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class StepTiming:
    """The timing of a device that all sessions share: its recent steps, and how many sessions it can carry.

    `headroom` is the share of a frame's 80 ms that 95 of 100 steps leave free, below 0 where they take
    longer. `carries` is the most sessions whose step in one batch, at the far end of a talk, was measured to
    stay within a frame.
    """

    steps: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    misses: int
    headroom: float
    carries: int
    more_sessions: int


class Session(Protocol):
    """An engine's state for one talk."""

    def step(self, user: np.ndarray) -> Step:
        """Advance by one frame.

        Shapes: `user` is float32 [1920] at 24 kHz, in [-1, 1].
        Raises: EngineError when this session cannot go on; other sessions are not affected.
        """
        ...

    def interrupt(self) -> None:
        """Make the agent stop speaking now."""
        ...

    def close(self) -> None:
        """Free everything the session holds. May be called twice."""
        ...


@runtime_checkable
class SampledSession(Session, Protocol):
    """A session of an engine that declares `sampling`."""

    def resample(self, sampling: Sampling) -> None:
        """Change temperatures and top-k from the next frame on; the seed stays. May be called while a step
        runs.

        Raises: BadInput when this session's sampling cannot be changed.
        """
        ...


@runtime_checkable
class LinkedSession(Session, Protocol):
    """A session on a remote server, which measures the network link."""

    def link_stats(self) -> LinkStats:
        """Return the statistics so far. May be called while a step runs."""
        ...


@dataclass(frozen=True)
class EngineState:
    """The state of an engine's start-up. `progress` is 0 to 1, or None where it is unknown."""

    stage: Stage
    detail: str = ""
    progress: float | None = None


class Engine(Protocol):
    """A way to hold conversations. Constructing one is cheap; `load` does the work."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def voices(self) -> tuple[Voice, ...]: ...

    @property
    def max_sessions(self) -> int:
        """How many sessions this engine can hold at once on this machine."""
        ...

    @property
    def about(self) -> str:
        """A sentence on where and how the engine runs, such as its device and number type; "" for none."""
        ...

    @property
    def identity(self) -> str:
        """All that an answer depends on besides a session's configuration and sound: program, weights, number
        type.

        It is part of a rendering's cache key, and known once the engine is loaded.
        """
        ...

    @property
    def lost(self) -> str:
        """Why a loaded engine can hold no more talks and cannot recover; "" while it works."""
        ...

    def sample(self, voice: str) -> np.ndarray | None:
        """Return a few seconds of a voice, float32 [N] at 24 kHz; None where there is no sample, or not
        yet.
        """
        ...

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Do all work that must precede `open`, reporting each stage but the last ("ready").

        Raises: EngineError with a sentence for the user.
        """
        ...

    def open(self, config: SessionConfig) -> Session:
        """Begin a session.

        Raises: UnknownVoice, BadPrompt, CapacityError, EngineError.
        """
        ...

    def close(self) -> None:
        """Free everything the engine holds."""
        ...


class CloningEngine(Engine, Protocol):
    """An engine that declares `cloning`. A cloned voice is a small safetensors file."""

    def clone(self, speech: np.ndarray) -> bytes:
        """Return a voice made of a few seconds of speech.

        Shapes: `speech` is float32 [N] at 24 kHz.
        Raises: BadAudio, EngineError.
        """
        ...

    def check_clone(self, data: bytes) -> None:
        """Check that untrusted bytes are a cloned voice of this engine's model.

        Raises: BadVoiceFile, EngineError.
        """
        ...

    def forget_clone(self, data: bytes) -> None:
        """Drop everything that was computed from a cloned voice."""
        ...


@runtime_checkable
class WatchedEngine(Protocol):
    """An engine that notices when its device does not answer; it is `lost` then."""

    @property
    def hung(self) -> str:
        """Since when the device has not answered, "" while it does; told after `close` too."""
        ...


@runtime_checkable
class MonolingualEngine(Protocol):
    """An engine that understands and speaks one language."""

    @property
    def language(self) -> str:
        """Its English name, "" where it is not known."""
        ...


def language_of(engine: object) -> str:
    """Return the one language that an engine understands and speaks, "" where nothing is known of that."""
    return engine.language if isinstance(engine, MonolingualEngine) else ""


@runtime_checkable
class TimedEngine(Protocol):
    """An engine whose sessions share one device, and which measures it."""

    def step_timing(self) -> StepTiming | None:
        """Return the timing of the recent steps, None before the first one."""
        ...
