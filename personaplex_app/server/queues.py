"""The two queues between a client and its talk, both bounded."""

from __future__ import annotations

import time
from collections import deque

import anyio
import numpy as np

from ..errors import ProtocolError
from ..protocol_events import Audio, ToClient
from ..units import FRAME_S, SAMPLE_RATE_HZ
from .channel import Channel

EARLY_AUDIO_S = 30.0
AHEAD_S = 2.0
WAITING_S = 2.0
SEND_QUEUE_S = 2.0


class AudioQueue:
    """The user's samples on their way to the engine, bounded before the talk and while it runs."""

    def __init__(self) -> None:
        self._chunks: deque[np.ndarray] = deque()
        self._waiting_samples = 0
        self._received_samples = 0
        self._began_s = time.monotonic()
        self._changed = anyio.Event()
        self._live = False

    async def put(self, samples: np.ndarray) -> None:
        """Add samples. When the queue is full, the oldest are dropped before the talk begins, and the sender
        waits while it runs.

        Raises: ProtocolError when they come faster than real time.
        """
        if not len(samples):
            return
        self._received_samples += len(samples)
        if self._received_samples / SAMPLE_RATE_HZ > time.monotonic() - self._began_s + AHEAD_S:
            raise ProtocolError(
                f"Audio came more than {AHEAD_S:g} s ahead of real time; send it as it is recorded."
            )
        # a waiting reader stops reading the socket, and TCP slows the client down
        while self._live and self._waiting_samples > WAITING_S * SAMPLE_RATE_HZ:
            await self._changed.wait()
        self._chunks.append(samples)
        self._waiting_samples += len(samples)
        while not self._live and self._waiting_samples > EARLY_AUDIO_S * SAMPLE_RATE_HZ:
            self._waiting_samples -= len(self._chunks.popleft())
        self._wake()

    async def take(self) -> np.ndarray:
        """Return the oldest chunk, waiting for one."""
        self._live = True
        while not self._chunks:
            await self._changed.wait()
        samples = self._chunks.popleft()
        self._waiting_samples -= len(samples)
        self._wake()
        return samples

    def _wake(self) -> None:
        # an anyio event cannot be cleared: whoever waits next gets a new one
        self._changed.set()
        self._changed = anyio.Event()


class SendQueue:
    """The events on their way to the client: at most two seconds of audio, and twice as many others."""

    def __init__(self) -> None:
        self._most_audio = round(SEND_QUEUE_S / FRAME_S)
        self._audio = 0
        self._put, self._take = anyio.create_memory_object_stream[ToClient](3 * self._most_audio)

    def put(self, event: ToClient) -> bool:
        """Queue an event; False when the client reads too slowly."""
        self._audio += isinstance(event, Audio)
        try:
            self._put.send_nowait(event)
        except anyio.WouldBlock:
            return False
        return self._audio <= self._most_audio

    async def drain_to(self, channel: Channel) -> None:
        """Send what is queued, until it is cancelled. Raises: Disconnected."""
        async for event in self._take:
            await channel.send(event)
            # only now: a frame that the transport does not take yet counts as waiting
            self._audio -= isinstance(event, Audio)

    def close(self) -> None:
        """Drop what is queued."""
        self._put.close()
        self._take.close()
