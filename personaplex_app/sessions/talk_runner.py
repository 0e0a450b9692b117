"""One talk's worker side: samples of the user in, typed events out, shown to the talk's listeners.

Runs in a worker thread, one call at a time, and knows neither sockets nor event loops, wire nor codec.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from .. import audio
from ..engine.contract import SampledSession, Session
from ..engine.saying_contract import Line, SayingSession
from ..engine.typing_contract import TypingSession
from ..errors import BadInput
from ..protocol_events import AgentText, Frame, Sampling, StepEvent
from ..units import FRAME_S, frames_to_s
from .typed_lines import Speak, TypedLines, nobody_speaks

SPEECH_LEVEL_DB = -45.0
# clients may send a few frames at once; a longer gap is sound that is late
BURST_FRAMES = 3


class Listener(Protocol):
    """A subscriber of a talk's events: its recorder, its statistics, the metrics."""

    def see(self, events: Sequence[StepEvent]) -> Sequence[StepEvent]:
        """Take the events of one step; return further events for the client and for later listeners.

        Called in the talk's worker thread, within the 80 ms of a step: never waits for long.
        """
        ...


class TalkRunner:
    """Steps one session by the audio that arrives, and shows what comes back to its listeners in turn.

    `speak` reads a typed line to an engine that only hears.
    Units: `now` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        session: Session,
        listeners: Sequence[Listener] = (),
        now: Callable[[], float] = time.monotonic,
        speak: Speak = nobody_speaks,
    ) -> None:
        self._session = session
        self._listeners = listeners
        self._now = now
        self._reframer = audio.Reframer()
        self._fed_s: float | None = None
        self._typed = TypedLines(speak)
        self.frames = 0
        self.user_spoke_s = now()

    @property
    def duration_s(self) -> float:
        """How much of the talk has been stepped."""
        return frames_to_s(self.frames)

    def feed(self, samples: np.ndarray) -> list[StepEvent]:
        """Take samples of the user; return the events of every frame that they complete.

        The talk never runs ahead of the user: while their sound is late the agent is silent, and those frames
        are counted.

        Shapes: `samples` is float32 [N] in [-1, 1], already checked by the codec.
        Raises: BadAudio, EngineError.
        """
        frames = self._reframer.push(samples)
        missing = self._missing_frames() if frames else 0
        events: list[StepEvent] = []
        for frame in frames:
            events += self._step(frame, missing)
            missing = 0
        return events

    def interrupt(self) -> None:
        """Make the agent stop speaking."""
        self._session.interrupt()

    def type(self, text: str) -> None:
        """Take a typed line as the user's turn. Blocks while it is spoken into the ear of an engine that only
        hears.

        Raises: BadInput where that cannot be, or too many lines wait.
        """
        self.user_spoke_s = self._now()
        if isinstance(self._session, TypingSession):
            self._session.type(text)
        else:
            self._typed.add(text)

    def say(self, line: Line) -> None:
        """Make the agent say a line. Raises: BadInput, CapacityError."""
        self._sayer.say(line)

    def more(self, line_id: str, text: str, last: bool) -> None:
        """Go on with a line that is not finished. Raises: BadInput."""
        self._sayer.more(line_id, text, last)

    def unsay(self, line_id: str) -> None:
        """Take a line back, "" for all. Raises: BadInput where no line can be said."""
        self._sayer.unsay(line_id)

    def hold(self, on: bool) -> None:
        """Keep the agent from speaking of its own, or let it. Raises: BadInput where that cannot be."""
        self._sayer.hold(on)

    @property
    def _sayer(self) -> SayingSession:
        if not isinstance(self._session, SayingSession):
            raise BadInput("The engine that speaks cannot be told what to say.")
        return self._session

    def resample(self, sampling: Sampling) -> None:
        """Change how the agent is sampled from the next frame on.

        Raises: BadInput when this engine does not sample.
        """
        if not isinstance(self._session, SampledSession):
            raise BadInput("The engine that speaks does not sample, so there is nothing to set.")
        self._session.resample(sampling)

    def close(self) -> None:
        """End the engine's session."""
        self._session.close()

    def _missing_frames(self) -> int:
        """Return how many frames of the user came too late since sound last arrived."""
        now_s = self._now()
        gap_frames = 0 if self._fed_s is None else round((now_s - self._fed_s) / FRAME_S)
        self._fed_s = now_s
        return gap_frames - 1 if gap_frames > BURST_FRAMES else 0

    def _step(self, user: np.ndarray, missing_frames: int) -> list[StepEvent]:
        user, captions = self._typed.mix(user, self.duration_s)
        before_s = time.perf_counter()
        step = self._session.step(user)
        step_s = time.perf_counter() - before_s
        self.frames += 1
        # by level and not by an engine's voice activity, which not every engine has
        if audio.level_db(user) > SPEECH_LEVEL_DB:
            self.user_spoke_s = self._now()
        events: list[StepEvent] = [Frame(user, step.agent, step_s, missing_frames)]
        if step.text:
            events.append(AgentText(step.text))
        events += (*captions, *step.events)
        for listener in self._listeners:
            # in order, so that a later listener also sees what an earlier one added
            events += listener.see(events)
        return events
