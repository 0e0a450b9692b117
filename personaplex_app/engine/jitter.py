"""Sound that comes when it comes, given out frame by frame: a bounded buffer that keeps its delay short."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..audio import level_db
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ

MOST_SAMPLES = 3 * SAMPLE_RATE_HZ
MOST_TEXTS = 1_000
QUIET_DB = -45.0
# spare sound is cut where it is quiet; so much of it is cut wherever it is
LOUD_FRAMES = 4
CALM_STEPS = (50, 800)
FADE_SAMPLES = 240


@dataclass(frozen=True)
class Taken:
    """One frame out of the buffer: float32 [1920], the text that belongs to it, and whether it had to be made
    up of silence.
    """

    sound: np.ndarray
    text: str
    silent: bool


class JitterBuffer:
    """Written by one thread, read by another.

    A frame that has not come in time is silence, and counted; when it comes after all it delays everything
    behind it. So the buffer watches how much it held that was never needed, and cuts that away: after a calm
    time, which grows when that was wrong.
    """

    def __init__(self, trim: bool = True, now: Callable[[], float] = time.monotonic) -> None:
        """`trim` cuts spare sound; without it every sample is given out, however late."""
        self._trim = trim
        self._now = now
        self._sound = np.zeros(0, np.float32)
        self._texts: deque[tuple[int, str]] = deque(maxlen=MOST_TEXTS)
        self._changed = threading.Condition()
        self._over = False
        # sound that was there when a step's patience ended, the least of it in the calm time, and what nobody
        # needed in the one before
        self._in_time_samples = MOST_SAMPLES
        self._deadline_s = 0.0
        self._least_samples = MOST_SAMPLES
        self._steps = 0
        self._calm_steps = CALM_STEPS[0]
        self._spare_frames = 0
        self._has_cut = False
        self._read_samples = 0
        self.written_samples = self.trimmed_samples = self.late_frames = 0

    @property
    def held_samples(self) -> int:
        return len(self._sound)

    def write(self, samples: np.ndarray) -> None:
        """Add sound; what is more than three seconds pushes out the oldest."""
        with self._changed:
            if self._now() <= self._deadline_s:
                self._in_time_samples += len(samples)
            self.written_samples += len(samples)
            self._sound = np.concatenate([self._sound, samples])
            if len(self._sound) > MOST_SAMPLES:
                self._cut(len(self._sound) - MOST_SAMPLES)
            self._changed.notify()

    def write_text(self, piece: str) -> None:
        """Add text that belongs to the sound written last.

        It is given out with the frame after it, whichever came first.
        """
        with self._changed:
            self._texts.append((self.written_samples, piece))

    def end(self) -> None:
        """Nothing more will come: nobody needs to wait."""
        with self._changed:
            self._over = True
            self._changed.notify()

    def take(self, patience_s: float) -> Taken:
        """Return the next frame, silence where it has not come within `patience_s`."""
        with self._changed:
            self._settle(self._now() + patience_s)
            self._changed.wait_for(lambda: len(self._sound) >= FRAME_SAMPLES or self._over, patience_s)
            silent = len(self._sound) < FRAME_SAMPLES
            if silent:
                frame = np.zeros(FRAME_SAMPLES, np.float32)
                if self.written_samples:
                    self.late_frames += 1
                    if self._has_cut:
                        # what was cut was needed after all
                        self._calm_steps = min(2 * self._calm_steps, CALM_STEPS[1])
                    self._in_time_samples = MOST_SAMPLES
                    self._begin_calm(0)
            else:
                frame = self._sound[:FRAME_SAMPLES]
                self._sound = self._sound[FRAME_SAMPLES:]
                self._read_samples += FRAME_SAMPLES
            text = ""
            while self._texts and self._texts[0][0] < self._read_samples:
                text += self._texts.popleft()[1]
            return Taken(frame, text, silent)

    def _settle(self, deadline_s: float) -> None:
        """Cut what has not been needed for a calm time."""
        self._least_samples = min(self._least_samples, self._in_time_samples)
        self._in_time_samples = len(self._sound)
        self._deadline_s = deadline_s
        self._steps += 1
        if not self._trim:
            return
        if self._steps > self._calm_steps:
            # one frame is the step's own
            self._begin_calm(max(self._least_samples // FRAME_SAMPLES - 1, 0))
            if not self._spare_frames:
                self._has_cut = False
                self._calm_steps = max(self._calm_steps // 2, CALM_STEPS[0])
        if self._spare_frames >= LOUD_FRAMES or (
            self._spare_frames and level_db(self._sound[:FRAME_SAMPLES]) <= QUIET_DB
        ):
            self._cut(self._spare_frames * FRAME_SAMPLES)
            self._in_time_samples = len(self._sound)
            self._begin_calm(0)
            self._has_cut = True

    def _begin_calm(self, spare_frames: int) -> None:
        self._spare_frames = spare_frames
        self._steps = 0
        self._least_samples = MOST_SAMPLES

    def _cut(self, samples: int) -> None:
        """Leave out the oldest samples without a click."""
        samples = min(samples, len(self._sound))
        before = self._sound[:samples]
        after = self._sound[samples:].copy()
        fade = min(FADE_SAMPLES, len(before), len(after))
        rise = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        after[:fade] = before[:fade] * (1 - rise) + after[:fade] * rise
        self._sound = after
        self._read_samples += samples
        self.trimmed_samples += samples
