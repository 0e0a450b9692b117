"""One talk's worker side: samples of the user in, messages for the user out, everything recorded on the way.

Runs in a worker thread, one call at a time, and knows neither sockets nor event loops.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict

import numpy as np

from .. import audio
from ..engine.contract import (
    Event,
    LinkedSession,
    Mark,
    Notice,
    SampledSession,
    Sampling,
    Session,
    TurnLatency,
    Utterance,
)
from ..errors import BadInput
from ..metrics import StepMeter
from ..protocol import Kind, Message, metadata
from ..units import FRAME_MS, FRAME_S, frames_to_s
from .talk_recorder import TalkRecorder

SPEECH_LEVEL_DB = -45.0
STATS_EVERY_FRAMES = round(1.0 / FRAME_S)
# one minute of steps is what the percentiles are taken over
STEPS_REMEMBERED = round(60.0 / FRAME_S)
TURNS_REMEMBERED = 1000
# clients may send a few frames at once; a longer gap is sound that is late
BURST_FRAMES = 3


class TalkRunner:
    """Steps one session by the audio that arrives and turns what comes back into messages.

    Units: `now` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        session: Session,
        log: TalkRecorder,
        encode: Callable[[np.ndarray], bytes],
        now: Callable[[], float] = time.monotonic,
        meter: StepMeter = StepMeter(),
    ) -> None:
        self._session = session
        self._log = log
        self._encode = encode
        self._now = now
        self._meter = meter
        self._reframer = audio.Reframer()
        self._steps_ms: deque[float] = deque(maxlen=STEPS_REMEMBERED)
        self._turns_ms: deque[float] = deque(maxlen=TURNS_REMEMBERED)
        self._late_frames = 0
        self._silent_frames = 0
        self._fed_s: float | None = None
        self._reported_saved_s = 0.0
        self.frames = 0
        self.user_spoke_s = now()

    @property
    def duration_s(self) -> float:
        """How much of the talk has been stepped."""
        return frames_to_s(self.frames)

    def feed(self, samples: np.ndarray) -> list[Message]:
        """Take float32 [N] of the user, return what every frame that became whole brought back.

        The talk never runs ahead of the user: while their sound is late the agent is silent, and those frames
        are counted.

        Raises: BadAudio, EngineError.
        """
        frames = list(self._reframer.push(audio.checked(samples)))
        if frames:
            now_s = self._now()
            gap_frames = 0 if self._fed_s is None else round((now_s - self._fed_s) / FRAME_S)
            if gap_frames > BURST_FRAMES:
                self._silent_frames += gap_frames - 1
                self._meter.came_late(gap_frames - 1)
            self._fed_s = now_s
        return [message for frame in frames for message in self._step(frame)]

    def interrupt(self) -> None:
        """Make the agent stop speaking."""
        self._session.interrupt()

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

    def _step(self, user: np.ndarray) -> list[Message]:
        before_s = time.perf_counter()
        step = self._session.step(user)
        step_ms = (time.perf_counter() - before_s) * 1000
        self._meter.step(step_ms / 1000)
        self._steps_ms.append(step_ms)
        self._late_frames += step_ms > FRAME_MS
        self.frames += 1
        notice = self._log.step(user, step)
        if audio.level_db(user) > SPEECH_LEVEL_DB:
            self.user_spoke_s = self._now()
        messages = [Message(Kind.AUDIO, data)] if (data := self._encode(step.agent)) else []
        if step.text:
            messages.append(Message(Kind.TEXT, step.text.encode()))
        messages += [self._message(event) for event in (*step.events, *([notice] if notice else []))]
        if self.frames % STATS_EVERY_FRAMES == 0:
            messages += self._report()
        return messages

    def _message(self, event: Event) -> Message:
        match event:
            case Utterance():
                words = [[word.text, round(word.start_s, 3), round(word.end_s, 3)] for word in event.words]
                times = _span(event)
                return metadata(
                    "utterance",
                    id=event.id,
                    speaker=event.speaker,
                    text=event.text,
                    final=event.final,
                    words=words,
                    **times,
                )
            case Mark():
                return metadata("mark", kind=event.kind, speaker=event.speaker, **_span(event))
            case TurnLatency():
                latency_ms = round(event.latency_s * 1000)
                self._turns_ms.append(latency_ms)
                return metadata(
                    "turn_latency",
                    user_end_s=event.user_end_s,
                    agent_start_s=event.agent_start_s,
                    latency_ms=latency_ms,
                )
            case Notice():
                return metadata("notice", code=event.code, text=event.text)

    def _report(self) -> list[Message]:
        p50, p95, p99 = (round(float(ms), 2) for ms in np.percentile(self._steps_ms, [50, 95, 99]))
        median_ms = round(float(np.median(self._turns_ms))) if self._turns_ms else None
        stats = metadata(
            "stats",
            at_s=round(self.duration_s, 2),
            step_ms={"p50": p50, "p95": p95, "p99": p99},
            late_frames=self._late_frames,
            silent_frames=self._silent_frames,
            turn_latency_ms=median_ms,
            turns=len(self._turns_ms),
            bridge=asdict(self._session.link_stats()) if isinstance(self._session, LinkedSession) else None,
        )
        if self._log.saved_s <= self._reported_saved_s:
            return [stats]
        self._reported_saved_s = self._log.saved_s
        return [stats, metadata("saved", upto_s=round(self._reported_saved_s, 2))]


def _span(event: Utterance | Mark) -> dict[str, float]:
    return {"start_s": round(event.start_s, 3), "end_s": round(event.end_s, 3)}
