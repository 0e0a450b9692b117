"""A jitter buffer: sound arrives unevenly from the network and leaves frame by frame, with a short delay."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..audio import level_db
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ

MAX_SAMPLES = 3 * SAMPLE_RATE_HZ
# bounds memory, whatever a server sends
MAX_TEXTS = 1_000
QUIET_DB = -45.0
# a few surplus frames are cut only where it is quiet; from this many on, the cut may fall into speech
LOUD_FRAMES = 4
# how many steps sound must have been surplus before it is cut, at first and at most: 4 s and 64 s
TRIM_AFTER_STEPS = (50, 800)
# 10 ms of cross-fade, enough to hide the click of a cut
FADE_SAMPLES = 240


@dataclass(frozen=True)
class BufferedFrame:
    """One frame out of the buffer, with the text that belongs to it.

    `silent` says that no sound had arrived and silence was put in its place.
    Shapes: `sound` is float32 [1920].
    """

    sound: np.ndarray
    text: str
    silent: bool


class JitterBuffer:
    """Buffers sound between a thread that writes and one that reads.

    A frame that has not arrived in time is replaced by silence and counted. When it arrives after all, it
    delays everything behind it. To get rid of such delay, the buffer watches how much of its sound was never
    needed during a number of steps, and cuts that surplus. Where a cut turns out to be wrong, because a frame
    is late soon after, the number of steps is doubled.
    """

    def __init__(self, trim: bool = True, now: Callable[[], float] = time.monotonic) -> None:
        """Make an empty buffer. `trim` allows surplus sound to be cut; without it every sample is read,
        however late.
        """
        self._trim = trim
        self._now = now
        self._sound = np.zeros(0, np.float32)
        self._texts: deque[tuple[int, str]] = deque(maxlen=MAX_TEXTS)
        self._changed = threading.Condition()
        self._ended = False
        # `_in_time_samples`: what had arrived by the deadline of the last step; `_least_samples`: its minimum
        # since the count began; `_spare_frames`: the surplus found by the count before
        self._in_time_samples = MAX_SAMPLES
        self._deadline_s = 0.0
        self._least_samples = MAX_SAMPLES
        self._steps = 0
        self._trim_after_steps = TRIM_AFTER_STEPS[0]
        self._spare_frames = 0
        self._has_cut = False
        self._read_samples = 0
        self.written_samples = 0
        self.trimmed_samples = 0
        self.late_frames = 0

    @property
    def held_samples(self) -> int:
        """How many samples wait to be read."""
        return len(self._sound)

    def write(self, samples: np.ndarray) -> None:
        """Add sound, float32 [N]; beyond three seconds the oldest is dropped."""
        with self._changed:
            if self._now() <= self._deadline_s:
                # what comes after the deadline did not help the step, so that it is not counted as surplus
                self._in_time_samples += len(samples)
            self.written_samples += len(samples)
            self._sound = np.concatenate([self._sound, samples])
            # bounds memory, whatever a server sends
            if len(self._sound) > MAX_SAMPLES:
                # after a stall of the network only the newest sound is near real time
                self._cut(len(self._sound) - MAX_SAMPLES)
            self._changed.notify()

    def write_text(self, piece: str) -> None:
        """Add text that belongs to the sound written last; it leaves with the first frame after that
        sound.
        """
        with self._changed:
            self._texts.append((self.written_samples, piece))

    def end(self) -> None:
        """Say that no more sound will come: `take` no longer waits."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def take(self, timeout_s: float) -> BufferedFrame:
        """Return the next frame, silence where it has not come within `timeout_s`."""
        with self._changed:
            self._settle(self._now() + timeout_s)
            self._changed.wait_for(lambda: len(self._sound) >= FRAME_SAMPLES or self._ended, timeout_s)
            silent = len(self._sound) < FRAME_SAMPLES
            if silent:
                frame = np.zeros(FRAME_SAMPLES, np.float32)
                if self.written_samples:
                    self.late_frames += 1
                    if self._has_cut:
                        # the sound that was cut would have covered this gap
                        self._trim_after_steps = min(2 * self._trim_after_steps, TRIM_AFTER_STEPS[1])
                    self._in_time_samples = MAX_SAMPLES
                    self._restart_trim_count(0)
            else:
                frame = self._sound[:FRAME_SAMPLES]
                self._sound = self._sound[FRAME_SAMPLES:]
                self._read_samples += FRAME_SAMPLES
            text = ""
            # text keeps its place in the sound even where sound was cut or dropped
            while self._texts and self._texts[0][0] < self._read_samples:
                text += self._texts.popleft()[1]
            return BufferedFrame(frame, text, silent)

    def _settle(self, deadline_s: float) -> None:
        """Begin a step: note what had arrived in time for the last one, and cut surplus sound."""
        self._least_samples = min(self._least_samples, self._in_time_samples)
        self._in_time_samples = len(self._sound)
        self._deadline_s = deadline_s
        self._steps += 1
        if not self._trim:
            return
        if self._steps > self._trim_after_steps:
            # one frame is needed by the step itself
            self._restart_trim_count(max(self._least_samples // FRAME_SAMPLES - 1, 0))
            # nothing was surplus: the delay fits the network again, and trimming may become quicker
            if not self._spare_frames:
                self._has_cut = False
                self._trim_after_steps = max(self._trim_after_steps // 2, TRIM_AFTER_STEPS[0])
        # a small surplus waits for a quiet moment, where a cut is not heard
        if self._spare_frames >= LOUD_FRAMES or (
            self._spare_frames and level_db(self._sound[:FRAME_SAMPLES]) <= QUIET_DB
        ):
            self._cut(self._spare_frames * FRAME_SAMPLES)
            self._in_time_samples = len(self._sound)
            self._restart_trim_count(0)
            self._has_cut = True

    def _restart_trim_count(self, spare_frames: int) -> None:
        self._spare_frames = spare_frames
        self._steps = 0
        self._least_samples = MAX_SAMPLES

    def _cut(self, samples: int) -> None:
        """Cut the oldest samples, with a cross-fade against clicks."""
        samples = min(samples, len(self._sound))
        before = self._sound[:samples]
        after = self._sound[samples:].copy()
        fade = min(FADE_SAMPLES, len(before), len(after))
        rise = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        # what was cut fades out while what follows it fades in, so that the level does not dip
        after[:fade] = before[:fade] * (1 - rise) + after[:fade] * rise
        self._sound = after
        self._read_samples += samples
        self.trimmed_samples += samples
