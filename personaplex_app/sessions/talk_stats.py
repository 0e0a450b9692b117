"""The statistics that a talk reports once a second: times of its steps and turns, and what came late."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from ..protocol_events import Frame, LinkStats, Stats, StepEvent, StepTimes, TurnLatency
from ..units import FRAME_MS, FRAME_S, frames_to_s

STATS_EVERY_FRAMES = round(1.0 / FRAME_S)
# one minute of steps is what the percentiles are taken over
STEPS_REMEMBERED = round(60.0 / FRAME_S)
TURNS_REMEMBERED = 1000


class TalkStats:
    """Measures one talk; `link_stats` returns the figures of the link to a remote engine, None for others."""

    def __init__(self, link_stats: Callable[[], LinkStats] | None = None) -> None:
        self._link_stats = link_stats
        self._steps_ms: deque[float] = deque(maxlen=STEPS_REMEMBERED)
        self._turns_ms: deque[float] = deque(maxlen=TURNS_REMEMBERED)
        self._frames = 0
        self._late_frames = 0
        self._silent_frames = 0

    def see(self, events: Sequence[StepEvent]) -> list[Stats]:
        """Count the events of one step; return the statistics once a second."""
        due = False
        for event in events:
            match event:
                case Frame():
                    step_ms = event.step_s * 1000
                    self._steps_ms.append(step_ms)
                    self._late_frames += step_ms > FRAME_MS
                    self._silent_frames += event.missing_frames
                    self._frames += 1
                    due = self._frames % STATS_EVERY_FRAMES == 0
                case TurnLatency():
                    self._turns_ms.append(event.latency_ms)
        return [self._figures()] if due else []

    def _figures(self) -> Stats:
        p50, p95, p99 = (float(ms) for ms in np.percentile(self._steps_ms, [50, 95, 99]))
        return Stats(
            at_s=frames_to_s(self._frames),
            step_ms=StepTimes(p50, p95, p99),
            late_frames=self._late_frames,
            silent_frames=self._silent_frames,
            turn_latency_ms=round(float(np.median(self._turns_ms))) if self._turns_ms else None,
            turns=len(self._turns_ms),
            bridge=self._link_stats() if self._link_stats else None,
        )
