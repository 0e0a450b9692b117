"""One talk with a remote server."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

from ..errors import BadInput, EngineError
from ..units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ
from .captions import Captions
from .contract import Event, LinkStats, Notice, Sampling, Step
from .interruption_mute import InterruptionMute
from .remote_connection import RemoteConnection

REALTIME_PATIENCE_S = 0.06
"""A step of a talk in real time waits so long for its frame: most of the time until the next step."""
FIRST_S = 0.5
PATIENCE_S = 2.0
BEHIND_SAMPLES = 3 * SAMPLE_RATE_HZ
STEPS_REMEMBERED = round(60.0 / FRAME_S)


class RemoteSession:
    """Sends each frame of the user and gives out what has come back by then.

    A talk in real time goes on when the server is late: with silence. One that is not waits for its frames,
    each of which has the place in time that the server gave it; it is held in real time too, which is what
    servers expect, or slower where the server is.
    """

    def __init__(
        self, line: RemoteConnection, host: str, realtime: bool, silent_s: float, left: Callable[[], None]
    ) -> None:
        """A server that sends no sound for `silent_s` has left; `left` is called at the end."""
        self._line: RemoteConnection | None = line
        self._last = line
        self._host = host
        self._realtime = realtime
        self._silent_s = silent_s
        self._left = left
        self._captions = Captions()
        self._mute = InterruptionMute()
        self._held_samples: deque[int] = deque(maxlen=STEPS_REMEMBERED)
        self._stepped_s = self._resumed_s = self._due_s = time.monotonic()
        self._skipped_frames = 0

    def step(self, user: np.ndarray) -> Step:
        """Advance by one frame.

        Shapes: `user` and the result's `agent` are float32 [1920].
        Raises: EngineError when the server has ended the talk, or is silent for too long.
        """
        line = self._line
        if line is None:
            raise EngineError("The talk has been closed.")
        if user.shape != (FRAME_SAMPLES,):
            raise EngineError(f"A frame has {FRAME_SAMPLES} samples; this one has the shape {user.shape}.")
        if not self._realtime:
            time.sleep(max(0.0, self._due_s - time.monotonic()))
        now_s = time.monotonic()
        self._due_s = max(self._due_s, now_s) + FRAME_S
        if now_s - self._stepped_s > 1.0:
            # nobody was there to send anything that the server could have answered
            self._resumed_s = now_s
        # what lies here when a step begins has waited for it
        self._held_samples.append(line.buffer.held_samples)
        notices = self._send(line, user)
        patience_s = (
            REALTIME_PATIENCE_S if self._realtime else PATIENCE_S if line.buffer.written_samples else FIRST_S
        )
        taken = line.buffer.take(patience_s)
        if taken.silent:
            self._check(line)
        self._stepped_s = time.monotonic()
        agent, text = self._mute.heard(taken.sound, taken.text)
        return Step(agent, text, (*self._captions.step(text), *notices))

    def _send(self, line: RemoteConnection, user: np.ndarray) -> tuple[Event, ...]:
        """Send what the user says, unless the server is so far behind that its answers would come
        ever later.
        """
        if line.sent_samples - line.buffer.written_samples <= BEHIND_SAMPLES:
            line.send(user)
            return ()
        self._skipped_frames += 1
        if self._skipped_frames > 1:
            return ()
        behind = f"{BEHIND_SAMPLES / SAMPLE_RATE_HZ:.0f} s behind"
        text = f"The remote server is slower than real time, {behind}: parts of what you say do not reach it."
        return (Notice("remote_slow", text),)

    def _check(self, line: RemoteConnection) -> None:
        if line.ended:
            raise EngineError(f"The talk with the remote server {self._host} has ended. {line.ended}")
        if time.monotonic() - max(line.heard_s, self._resumed_s) > self._silent_s:
            raise EngineError(
                f"The talk with the remote server {self._host} has ended. It sent no sound for"
                f" {self._silent_s:g} s."
            )

    def link_stats(self) -> LinkStats:
        """Return what the way to the server and back costs."""
        buffer = self._last.buffer
        trips_ms = list(self._last.trips_ms)
        held = list(self._held_samples)
        return LinkStats(
            round_trip_ms=round(float(np.median(trips_ms)), 1) if trips_ms else None,
            buffer_ms=round(float(np.median(held)) / SAMPLE_RATE_HZ * 1000, 1) if held else 0.0,
            late_frames=buffer.late_frames,
            trimmed_ms=round(buffer.trimmed_samples / SAMPLE_RATE_HZ * 1000),
            skipped_frames=self._skipped_frames,
        )

    def resample(self, sampling: Sampling) -> None:
        """Refuse: servers take their sampling when a talk begins."""
        raise BadInput(
            "A remote server takes the sampling only when a talk begins; it counts from the next talk on."
        )

    def interrupt(self) -> None:
        """Let nothing more be heard until the model pauses: the protocol has no word for it."""
        self._mute.begin()

    def close(self) -> None:
        """Hang up. May be called twice."""
        line = self._line
        self._line = None
        if line:
            line.hang_up()
            self._left()
