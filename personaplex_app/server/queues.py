"""The two queues between a client and its talk, both bounded."""

from __future__ import annotations

import math
import time
from collections import deque

import anyio
import numpy as np

from ..errors import ProtocolError
from ..protocol_events import Audio, Pong, ToClient
from ..units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ
from .channel import Channel

WAITING_S = 30.0
AHEAD_S = 2.0
SEND_QUEUE_S = 2.0


class AudioQueue:
    """The user's samples on their way to the engine: the last `WAITING_S` of them.

    Whoever puts some never waits, so that a stop behind them is seen at once, however slow the engine is.
    """

    def __init__(self) -> None:
        self._chunks: deque[np.ndarray] = deque()
        self._waiting_samples = 0
        self._received_samples = 0
        self._began_s = self._last_s = time.monotonic()
        self._taken = False
        self._came = anyio.Event()

    def put(self, samples: np.ndarray) -> bool:
        """Add samples, the oldest give way; return whether some did.

        Raises: ProtocolError when they come faster than real time.
        """
        if not len(samples):
            return False
        self._last_s = time.monotonic()
        self._received_samples += len(samples)
        if self._received_samples / SAMPLE_RATE_HZ > time.monotonic() - self._began_s + AHEAD_S:
            raise ProtocolError(
                f"Audio came more than {AHEAD_S:g} s ahead of real time; send it as it is recorded."
            )
        return self._append(samples)

    def _append(self, samples: np.ndarray) -> bool:
        self._chunks.append(samples)
        self._waiting_samples += len(samples)
        lost = False
        while self._waiting_samples > WAITING_S * SAMPLE_RATE_HZ:
            self._waiting_samples -= len(self._chunks.popleft())
            lost = True
        self._came.set()
        self._came = anyio.Event()
        return lost

    async def take(self) -> np.ndarray:
        """Return the oldest samples, at most a frame of them, waiting for some."""
        if not self._taken:
            self._taken = True
            self._last_s = time.monotonic()
        while not self._chunks:
            await self._came.wait()
        samples = self._chunks.popleft()
        if len(samples) > FRAME_SAMPLES:
            self._chunks.appendleft(samples[FRAME_SAMPLES:])
        samples = samples[:FRAME_SAMPLES]
        self._waiting_samples -= len(samples)
        return samples

    @property
    def waiting_frames(self) -> int:
        """How many frames wait to be taken, the last of them perhaps in part."""
        return math.ceil(self._waiting_samples / FRAME_SAMPLES)

    def fill(self) -> None:
        """Once the talk runs, add silence for the time since samples came last, in whole frames."""
        frames = int((time.monotonic() - self._last_s) / FRAME_S) if self._taken else 0
        if frames:
            self._last_s += frames * FRAME_S
            self._received_samples += frames * FRAME_SAMPLES
            self._append(np.zeros(frames * FRAME_SAMPLES, np.float32))


class SendQueue:
    """What is on its way to the client: at most two seconds of audio, and as many others.

    A pong tells how long the way is, and does not wait behind them.
    """

    def __init__(self) -> None:
        self._most_audio = round(SEND_QUEUE_S / FRAME_S)
        self._audio = 0
        self._waiting: deque[ToClient] = deque()
        self._pongs: deque[ToClient] = deque()
        self._came = anyio.Event()

    def put(self, event: ToClient) -> bool:
        """Queue an event; False when the client reads too slowly."""
        if len(self._waiting) + len(self._pongs) >= 3 * self._most_audio:
            return False
        self._audio += isinstance(event, Audio)
        (self._pongs if isinstance(event, Pong) else self._waiting).append(event)
        self._came.set()
        return self._audio <= self._most_audio

    async def drain_to(self, channel: Channel) -> None:
        """Send what is queued, for ever. Raises: Disconnected."""
        while True:
            while queue := self._pongs or self._waiting:
                event = queue.popleft()
                await channel.send(event)
                # only now: a frame that the transport does not take yet counts as waiting
                self._audio -= isinstance(event, Audio)
            self._came = anyio.Event()
            await self._came.wait()

    def close(self) -> None:
        """Drop what is queued."""
        self._waiting.clear()
        self._pongs.clear()
