"""A session on a remote server."""

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
from .saying_contract import Line

REALTIME_TIMEOUT_S = 0.06
"""How long a real-time step waits for the server's frame: most of the 80 ms until the next step."""
# short, because a server may need several frames of the user before it sends its first sound
FIRST_FRAME_TIMEOUT_S = 0.5
FRAME_TIMEOUT_S = 2.0
MAX_BEHIND_SAMPLES = 3 * SAMPLE_RATE_HZ
STEPS_REMEMBERED = round(60.0 / FRAME_S)


class RemoteSession:
    """Sends each frame of the user and returns the server's sound that has arrived by then.

    A real-time session continues with silence when the server is late. A session that is not real-time waits
    for every frame, so that the answer keeps the server's timing; it too is paced to real time, which servers
    expect, or slower where the server is.
    """

    def __init__(
        self,
        connection: RemoteConnection,
        host: str,
        realtime: bool,
        silent_s: float,
        on_close: Callable[[], None],
    ) -> None:
        """Take over an open connection; `on_close` is called when the session is closed.

        A server that sends no sound for `silent_s` counts as gone.
        """
        self._connection: RemoteConnection | None = connection
        # the statistics are read once more after `close`
        self._last_connection = connection
        self._host = host
        self._realtime = realtime
        self._silent_s = silent_s
        self._on_close = on_close
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
        connection = self._connection
        if connection is None:
            raise EngineError("The talk has been closed.")
        if user.shape != (FRAME_SAMPLES,):
            raise EngineError(f"A frame has {FRAME_SAMPLES} samples; this one has the shape {user.shape}.")
        if not self._realtime:
            time.sleep(max(0.0, self._due_s - time.monotonic()))
        now_s = time.monotonic()
        # from now on where the step is late: lost time is not made up by a burst of frames
        self._due_s = max(self._due_s, now_s) + FRAME_S
        if now_s - self._stepped_s > 1.0:
            # the caller paused: no sound was sent, so that the server's silence does not count
            self._resumed_s = now_s
        # what is buffered when a step begins is the delay that the buffer adds
        self._held_samples.append(connection.buffer.held_samples)
        notices = self._send(connection, user)
        timeout_s = (
            REALTIME_TIMEOUT_S
            if self._realtime
            else FRAME_TIMEOUT_S
            if connection.buffer.written_samples
            else FIRST_FRAME_TIMEOUT_S
        )
        taken = connection.buffer.take(timeout_s)
        if taken.silent:
            self._check(connection)
        self._stepped_s = time.monotonic()
        agent, text = self._mute.apply(taken.sound, taken.text)
        captions = self._captions.step(text)
        return Step(agent, self._captions.text, (*captions, *connection.take_said(), *notices))

    def _send(self, connection: RemoteConnection, user: np.ndarray) -> tuple[Event, ...]:
        """Send the user's frame, or skip it where the server is so far behind that answers would come ever
        later.

        Return a notice for the first skipped frame.
        """
        if connection.sent_samples - connection.buffer.written_samples <= MAX_BEHIND_SAMPLES:
            connection.send(user)
            return ()
        # skipped and not queued: a server that is behind would only fall further behind
        self._skipped_frames += 1
        if self._skipped_frames > 1:
            return ()
        behind = f"{MAX_BEHIND_SAMPLES / SAMPLE_RATE_HZ:.0f} s behind"
        text = f"The remote server is slower than real time, {behind}: parts of what you say do not reach it."
        return (Notice("remote_slow", text),)

    def _check(self, connection: RemoteConnection) -> None:
        if connection.ended:
            raise EngineError(f"The talk with the remote server {self._host} has ended. {connection.ended}")
        if time.monotonic() - max(connection.last_audio_s, self._resumed_s) > self._silent_s:
            raise EngineError(
                f"The talk with the remote server {self._host} has ended. It sent no sound for"
                f" {self._silent_s:g} s."
            )

    def link_stats(self) -> LinkStats:
        """Return the statistics of the network link so far."""
        buffer = self._last_connection.buffer
        round_trips_ms = list(self._last_connection.round_trips_ms)
        held = list(self._held_samples)
        return LinkStats(
            round_trip_ms=round(float(np.median(round_trips_ms)), 1) if round_trips_ms else None,
            buffer_ms=round(float(np.median(held)) / SAMPLE_RATE_HZ * 1000, 1) if held else 0.0,
            late_frames=buffer.late_frames,
            trimmed_ms=round(buffer.trimmed_samples / SAMPLE_RATE_HZ * 1000),
            skipped_frames=self._skipped_frames,
        )

    def resample(self, sampling: Sampling) -> None:
        """Raise BadInput: servers take the sampling only when a talk begins."""
        raise BadInput(
            "A remote server takes the sampling only when a talk begins; it applies from the next talk on."
        )

    def interrupt(self) -> None:
        """Mute the agent until it pauses: the protocol cannot interrupt a server."""
        self._mute.begin()

    def say(self, line: Line) -> None:
        """Pass a line on. Raises: BadInput where the server cannot be told what to say."""
        self._sayer.order("say", **vars(line))

    def more(self, line_id: str, text: str, last: bool) -> None:
        """Pass on what follows of a line. Raises: BadInput, as `say`."""
        self._sayer.order("more", id=line_id, text=text, last=last)

    def unsay(self, line_id: str) -> None:
        """Have a line taken back. Raises: BadInput, as `say`."""
        self._sayer.order("unsay", id=line_id)

    def hold(self, on: bool) -> None:
        """Have the agent hold its tongue, or speak again. Raises: BadInput, as `say`."""
        self._sayer.order("hold", on=on)

    @property
    def _sayer(self) -> RemoteConnection:
        if self._connection is None or not self._connection.saying:
            raise BadInput("The remote server cannot be told what to say.")
        return self._connection

    def close(self) -> None:
        """Close the connection. May be called twice."""
        connection = self._connection
        self._connection = None
        if connection:
            connection.close_soon()
            self._on_close()
