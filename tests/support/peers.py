"""Clients of the chat route, well-behaved and hostile, over real sockets."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import httpx
import numpy as np
import sphn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from personaplex_app.audio import float_to_pcm16, pcm16_to_float
from personaplex_app.protocol import Kind, pack, unpack
from personaplex_app.units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

from .patience import PATIENCE_S

CLOSING_S = 10  # a server that has hung does not answer a close
OWNER = "an-owner-key-of-the-tests-0001"


class Caller:
    """A client that speaks the protocol over one WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[dict] = []
        self.audio: list[bytes] = []
        self.text = ""
        self.error = ""

    def say(self, kind: Kind, payload: bytes = b"") -> None:
        self.socket.send(bytes([kind]) + payload)

    def order(self, type_: str, **fields) -> None:
        self.say(Kind.METADATA, json.dumps({"type": type_, **fields}).encode())

    def speak(self, samples: np.ndarray) -> None:
        """Send float32 samples as PCM in real time."""
        for at in range(0, len(samples), FRAME_SAMPLES):
            self.say(Kind.AUDIO, float_to_pcm16(samples[at : at + FRAME_SAMPLES]))
            time.sleep(FRAME_S)

    def take(self) -> Kind:
        """Receive one message and file it."""
        data = self.socket.recv(timeout=PATIENCE_S)
        kind, payload = Kind(data[0]), data[1:]
        if kind is Kind.METADATA:
            self.events.append(json.loads(payload))
        elif kind is Kind.AUDIO:
            self.audio.append(payload)
        elif kind is Kind.TEXT:
            self.text += payload.decode()
        elif kind is Kind.ERROR:
            self.error = payload.decode()
        return kind

    def until(self, kind: Kind) -> None:
        while self.take() is not kind:
            pass

    def until_event(self, type_: str) -> dict:
        """Return the first event of a type, among those filed or to come."""
        while True:
            for event in self.events:
                if event["type"] == type_:
                    return event
            self.take()

    def until_closed(self) -> int:
        """File everything that comes; return the close code."""
        try:
            while True:
                self.take()
        except (ConnectionClosed, EOFError):
            return self.socket.close_code

    def heard(self) -> np.ndarray:
        return (
            np.concatenate([pcm16_to_float(data) for data in self.audio])
            if self.audio
            else np.zeros(0, np.float32)
        )


@contextmanager
def call(url: str, **query) -> Iterator[Caller]:
    """Connect to a server's live route."""
    socket_url = url.replace("http", "ws", 1) + "/api/chat?" + urlencode(query)
    with connect(
        socket_url,
        open_timeout=PATIENCE_S,
        close_timeout=CLOSING_S,
        ping_interval=None,
        compression=None,
        max_queue=None,
    ) as socket:
        yield Caller(socket)


class HttpSocket:
    """The HTTP fallback with the calls of a WebSocket, as far as a `Caller` uses them."""

    close_code = None

    def __init__(self, url: str, query: dict) -> None:
        self._client = httpx.Client(base_url=url, timeout=PATIENCE_S)
        opened = self._client.post("/api/chat/http", params=query)
        opened.raise_for_status()
        self._path = f"/api/chat/http/{opened.json()['id']}"
        self._number = 0
        self._received: queue.Queue[bytes | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="http-fallback")
        self._reader.start()

    def send(self, data: bytes) -> None:
        """Post one message."""
        posted = self._client.post(self._path, params={"n": self._number}, content=pack([data]))
        posted.raise_for_status()
        self._number += 1

    def recv(self, timeout: float) -> bytes:
        """Return the next message. Raises: TimeoutError, EOFError when the stream has ended."""
        try:
            data = self._received.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if data is None:
            raise EOFError("The stream has ended.")
        return data

    def close(self) -> None:
        """Hang up, unless the talk is over already. May be called twice."""
        if not self._client.is_closed:
            self._client.delete(self._path)
            self._reader.join()
            self._client.close()

    def _read(self) -> None:
        rest = b""
        with self._client.stream("GET", self._path) as response:
            for chunk in response.iter_bytes():
                rest += chunk
                while len(rest) >= 4 and len(rest) >= 4 + int.from_bytes(rest[:4], "little"):
                    size = 4 + int.from_bytes(rest[:4], "little")
                    for data in unpack(rest[:size]):
                        self._received.put(data)
                    rest = rest[size:]
        self._received.put(None)


@contextmanager
def call_http(url: str, **query) -> Iterator[Caller]:
    """Connect to a server's live route as a page does that WebSockets do not reach."""
    socket = HttpSocket(url, query)
    try:
        yield Caller(socket)  # type: ignore[arg-type]
    finally:
        socket.close()


def tone(seconds: float, hz: float = 220.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)).astype(
        np.float32
    )


def opus_pages(samples: np.ndarray) -> list[bytes]:
    """Return an Ogg-Opus stream in one chunk for each frame, as moshi's clients send it."""
    writer = sphn.OpusStreamWriter(SAMPLE_RATE_HZ)
    chunks = [
        writer.append_pcm(samples[at : at + FRAME_SAMPLES]) for at in range(0, len(samples), FRAME_SAMPLES)
    ]
    return [chunk for chunk in chunks if chunk]
