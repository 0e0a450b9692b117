"""Measure how long the shared device takes for its steps, and how many sessions it can carry."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from ..units import FRAME_MS, FRAME_S
from .contract import StepTiming

# one minute, so that what the page shows follows the present load
STEPS_REMEMBERED = round(60.0 / FRAME_S)


class StepTimer:
    """Records step times on one thread; any thread may read them."""

    def __init__(self, carries: int) -> None:
        self._carries = carries
        self._took_ms: deque[float] = deque(maxlen=STEPS_REMEMBERED)
        self._steps = self._misses = 0
        self._lock = threading.Lock()

    def add(self, took_ms: float) -> None:
        """Record one step of the whole batch."""
        with self._lock:
            self._took_ms.append(took_ms)
            self._steps += 1
            # counted over all steps, while the percentiles forget what is older than a minute
            self._misses += took_ms > FRAME_MS

    def read(self, used: int, free: int) -> StepTiming | None:
        """Return the timing with `used` rows taken and `free` rows left, None before the first step."""
        with self._lock:
            steps = self._steps
            misses = self._misses
            took_ms = list(self._took_ms)
        if not took_ms:
            return None
        p50, p95, p99 = (round(float(ms), 2) for ms in np.percentile(took_ms, [50, 95, 99]))
        # limited by the measured speed and by the free rows
        more = max(min(self._carries - used, free), 0)
        return StepTiming(steps, p50, p95, p99, misses, round(1 - p95 / FRAME_MS, 3), self._carries, more)
