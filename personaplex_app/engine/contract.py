"""What every engine is to the rest of the program.

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
    Sampling,
    Stage,
    TurnLatency,
    Utterance,
)
from ..voices import Voice


@dataclass(frozen=True)
class Clone:
    """A cloned voice: what its owner calls it, and the file that an engine's `clone` made."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class SessionConfig:
    """What one talk is opened with. `voice` and `prompt` are already validated (`voices`, `personas`).

    With a `clone` the engine speaks in that, and `voice` is only how it was asked for. A talk that is not
    `realtime` is stepped as fast as the machine allows: nothing in it may depend on the clock, and the same
    frames and seed give the same answer.
    """

    voice: str
    prompt: str
    persona: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    clone: Clone | None = None
    realtime: bool = True


Event = Utterance | Mark | TurnLatency | Notice


@dataclass(frozen=True)
class Step:
    """What one frame of the user brought back.

    Shapes: `agent` is float32 [1920] in [-1, 1]. `text` is the agent's text that begins in this frame, "" for
    none.
    """

    agent: np.ndarray
    text: str = ""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class StepTiming:
    """How quick a device is that all sessions share: its last steps, and what it could carry.

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
    """One conversation's state inside an engine."""

    def step(self, user: np.ndarray) -> Step:
        """Advance by one frame.

        Shapes: `user` is float32 [1920] at 24 kHz, in [-1, 1].
        Raises: EngineError when this session cannot go on; others are not touched.
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
        """Change temperatures and top-k from the next frame on; the seed stays what it was. May be called
        while a step runs.

        Raises: BadInput when this session's stay what they were.
        """
        ...


@runtime_checkable
class LinkedSession(Session, Protocol):
    """A session that is held elsewhere, and measures the way there."""

    def link_stats(self) -> LinkStats:
        """Return what the way costs by now. May be called while a step runs."""
        ...


@dataclass(frozen=True)
class EngineState:
    """How far an engine's start-up is. `progress` is 0 to 1, or None where it cannot be known."""

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
        """Where and how the engine runs here, in a sentence for the small print; "" where there is nothing to
        say.
        """
        ...

    @property
    def identity(self) -> str:
        """What, besides a session's configuration and sound, its answers depend on: program, weights, number
        type. Known once loaded.
        """
        ...

    @property
    def lost(self) -> str:
        """Why a loaded engine can hold no more talks and cannot help itself; "" while it can."""
        ...

    def sample(self, voice: str) -> np.ndarray | None:
        """Return how a voice sounds, a few seconds of float32 [N] at 24 kHz; None where no sample is at hand,
        or not yet.
        """
        ...

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Bring the engine to where `open` is quick, reporting each stage but the last ("ready").

        Raises: EngineError with the sentence to show.
        """
        ...

    def open(self, config: SessionConfig) -> Session:
        """Begin a conversation.

        Raises: UnknownVoice, BadPrompt, CapacityError, EngineError.
        """
        ...

    def close(self) -> None:
        """Free everything the engine holds."""
        ...


class CloningEngine(Engine, Protocol):
    """What an engine that declares `cloning` can do besides. A cloned voice is a small safetensors file."""

    def clone(self, speech: np.ndarray) -> bytes:
        """Return a voice made of a few seconds of speech.

        Shapes: `speech` is float32 [N] at 24 kHz.
        Raises: BadAudio, EngineError.
        """
        ...

    def check_clone(self, data: bytes) -> None:
        """Make sure that bytes from anywhere are a voice of this engine's model.

        Raises: BadVoiceFile, EngineError.
        """
        ...

    def forget_clone(self, data: bytes) -> None:
        """Let go of everything that was computed from a voice."""
        ...


@runtime_checkable
class TimedEngine(Protocol):
    """An engine whose sessions share one device, and which measures it."""

    def step_timing(self) -> StepTiming | None:
        """Return how quick the device is, None before the first step."""
        ...
