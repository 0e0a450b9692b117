"""Many callers of a running app at once, the bytes of one whose client does as it likes, and what the app
holds meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx
import numpy as np
import sphn
from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from personaplex_app.audio import float_to_pcm16
from personaplex_app.protocol import Kind, pack
from personaplex_app.units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

from .app_process import AppProcess
from .patience import LOOK_EVERY_S, PATIENCE_S, until, until_async
from .serve_counting_tasks import tasks_of

CROWD = {"trusted_proxies": "127.0.0.1", "connects_per_minute": 10_000}
"""Settings with which each caller may name an address of its own, as behind a proxy."""
SOUND = float_to_pcm16(
    (0.3 * np.sin(2 * np.pi * 300 * np.arange(FRAME_SAMPLES) / SAMPLE_RATE_HZ)).astype(np.float32)
)
FRAME = Frame(Opcode.BINARY, bytes([Kind.AUDIO]) + SOUND).serialize(mask=True)
"""The same as the bytes of a WebSocket."""
IDLE_S = 15


def forwarded_address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def socket_url(url: str, query: dict) -> str:
    return url.replace("http", "ws", 1) + "/api/chat?" + urlencode(query)


def connected(url: str, number: int = 1, **query: object) -> connect:
    """Return a connection to be made, as of the caller `number`."""
    return connect(
        socket_url(url, {"codec": "pcm", "events": "1", **query}),
        additional_headers={"X-Forwarded-For": forwarded_address(number)},
        compression=None,
        max_size=None,
        ping_interval=None,
        open_timeout=PATIENCE_S,
    )


class LiveCaller:
    """A caller who talks at the pace of real time and keeps what comes back."""

    def __init__(self, url: str, number: int = 1, **query: object) -> None:
        self._connect = connected(url, number, **query)
        self.owner = str(query.get("owner", ""))
        self._opus = sphn.OpusStreamWriter(SAMPLE_RATE_HZ) if query.get("codec") == "opus" else None
        self.socket: ClientConnection
        self.began = asyncio.Event()
        self.over = asyncio.Event()
        self.sent_frames = 0
        self.sound: list[bytes] = []
        self.heard_frames = 0
        self.text = ""
        self.events: list[dict] = []
        self.error = ""

    async def run(self, seconds: float = float("inf"), frames: np.ndarray | None = None) -> LiveCaller:
        """Talk for so long, or say these frames of int16; wait for as many frames of the agent, and stop."""
        async with self._connect as self.socket:
            reading = asyncio.create_task(self._read())
            try:
                await self.began.wait()
                await self._talk(seconds if frames is None else len(frames) * FRAME_S, frames)
                await until_async(lambda: self.over.is_set() or self.answered)
                if not self.over.is_set():
                    await self.order("stop")
                    await self.over.wait()
            except ConnectionClosed:
                await self.over.wait()
            finally:
                reading.cancel()
        return self

    @property
    def answered(self) -> bool:
        """Whether a frame came back for each that was sent; Opus comes in pages of any length."""
        return self._opus is not None or self.heard_frames >= self.sent_frames

    async def order(self, type_: str, **fields: object) -> None:
        await self.socket.send(bytes([Kind.METADATA]) + json.dumps({"type": type_, **fields}).encode())

    def told(self, type_: str) -> list[dict]:
        return [event for event in self.events if event["type"] == type_]

    async def _talk(self, seconds: float, frames: np.ndarray | None) -> None:
        began_s = time.perf_counter()
        while self.sent_frames * FRAME_S < seconds and not self.over.is_set():
            payload = SOUND if frames is None else frames[self.sent_frames].tobytes()
            if self._opus:
                payload = self._opus.append_pcm(np.zeros(FRAME_SAMPLES, np.float32))
            if payload:
                await self.socket.send(bytes([Kind.AUDIO]) + payload)
            self.sent_frames += 1
            await asyncio.sleep(max(0.0, began_s + self.sent_frames * FRAME_S - time.perf_counter()))

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                kind, payload = Kind(message[0]), message[1:]
                if kind is Kind.HANDSHAKE:
                    self.began.set()
                elif kind is Kind.AUDIO:
                    self.heard_frames += 1
                    if len(self.sound) < 1000:
                        self.sound.append(payload)
                elif kind is Kind.TEXT:
                    self.text += payload.decode()
                elif kind is Kind.METADATA:
                    self._see(json.loads(payload))
                elif kind is Kind.ERROR:
                    self.error = payload.decode()
        except ConnectionClosed:
            pass
        finally:
            self.over.set()
            self.began.set()

    def _see(self, event: dict) -> None:
        # the figures of each second and their like would fill hours of a soak
        if event["type"] in ("stats", "saved"):
            self.events = [each for each in self.events if each["type"] != event["type"]]
        self.events.append(event)


async def come_and_go(url: str, number: int, http: httpx.AsyncClient) -> None:
    """Talk for a few frames, and leave in one of eight ways."""
    way = number % 8
    query: dict[str, object] = {
        1: {"owner": f"owner-key-{number % 50:010d}"},
        2: {"codec": "opus"},
        3: {"config": "message"},
        4: {"resumable": "1"},
        5: {"keep": "1", "owner": "kept-by-its-owner-01"},
        6: {"codec": "pcm"},
        7: {"voice_prompt": "nobody"},
    }.get(way, {})
    if way == 6:
        opened = await http.post("/api/chat/http", params=query)
        path = f"/api/chat/http/{opened.json()['id']}"
        async with http.stream("GET", path) as stream:
            await http.post(path, params={"n": 0}, content=pack([bytes([Kind.AUDIO]) + SOUND]))
            async for _ in stream.aiter_bytes():
                break
        await http.delete(path)
        return
    try:
        async with connected(url, number, **query) as socket:
            if way == 3:
                await socket.send(bytes([Kind.METADATA]) + b'{"type": "start"}')
            while (await socket.recv())[0] != Kind.HANDSHAKE:
                pass
            writer = sphn.OpusStreamWriter(SAMPLE_RATE_HZ)
            for _ in range(1 + number // 8 % 10):
                sound = writer.append_pcm(np.zeros(FRAME_SAMPLES, np.float32)) if way == 2 else SOUND
                await socket.send(bytes([Kind.AUDIO]) + sound)
            if way in (0, 5):
                await socket.send(bytes([Kind.METADATA]) + b'{"type": "stop"}')
            elif way == 1:
                socket.transport.abort()
    except ConnectionClosed:
        assert way == 7


class RawCaller:
    """A WebSocket written byte by byte: it answers no ping, and reads only when told to."""

    def __init__(self, url: str, receive_buffer_bytes: int = 0) -> None:
        uri = parse_uri(socket_url(url, {"codec": "pcm", "events": "1"}))
        self._protocol = ClientProtocol(uri, max_size=None)
        self.socket = socket.socket()
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect((uri.host, uri.port))
        self._protocol.send_request(self._protocol.connect())
        self.socket.sendall(b"".join(self._protocol.data_to_send()))
        until(lambda: Kind.HANDSHAKE in self.read())

    def read(self) -> list[int]:
        """Return the kinds of the messages that came."""
        self._protocol.receive_data(self.socket.recv(1 << 16))
        received = self._protocol.events_received()
        return [frame.data[0] for frame in received if getattr(frame, "opcode", None) is Opcode.BINARY]

    def say_frame(self) -> bool:
        """Send a frame of sound. Return whether the connection still takes it."""
        try:
            self.socket.sendall(FRAME)
        except OSError:
            return False
        return True

    def close_code(self) -> int | None:
        """Read what has come, and return the code that the server closed with, None while it has not."""
        while self._protocol.close_rcvd is None and select.select([self.socket], [], [], 0)[0]:
            if not (data := self.socket.recv(1 << 16)):
                break
            self._protocol.receive_data(data)
        return self._protocol.close_rcvd and self._protocol.close_rcvd.code

    def break_off_in_mid_frame(self) -> None:
        """Send part of a frame and reset the connection, as a machine that loses its network does."""
        self.socket.sendall(FRAME[:100])
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@contextmanager
def raw_caller(url: str, receive_buffer_bytes: int = 0) -> Iterator[RawCaller]:
    """Hold a talk over a raw socket."""
    caller = RawCaller(url, receive_buffer_bytes)
    try:
        yield caller
    finally:
        caller.socket.close()


# -- what the app holds ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """What an app's process holds."""

    memory_mb: float
    descriptors: int
    threads: int
    tasks: int


def memory_mb(running: AppProcess, peak: bool = False) -> float:
    """Return the resident memory of an app's process, now or at its peak."""
    with open(f"/proc/{running.process.pid}/status") as status:
        field = "VmHWM" if peak else "VmRSS"
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024


def computed_s(running: AppProcess) -> float:
    """Return the CPU time that an app's process has used."""
    fields = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def held(running: AppProcess) -> Held:
    """Return what an app holds that runs as `serve_counting_tasks`."""
    pid = running.process.pid
    return Held(
        memory_mb(running),
        len(os.listdir(f"/proc/{pid}/fd")),
        len(os.listdir(f"/proc/{pid}/task")),
        tasks_of(pid),
    )


def gauge(running: AppProcess, name: str) -> float:
    """Return a metric without labels."""
    return float(re.search(rf"^personaplex_{name} (\S+)$", running.get("/metrics").text, re.MULTILINE)[1])


def callers_left(running: AppProcess) -> int:
    """Return how many slots, places in line and connections are taken."""
    return int(sum(gauge(running, name) for name in ("slots_used", "queue_length", "callers")))


def free_after_s(running: AppProcess, since_s: float, limit_s: float = 60) -> float:
    """Return how long after `since_s` the last slot became free; `limit_s` where none did until then."""
    while running.get("/health").json()["slots"]["used"] and time.monotonic() - since_s < limit_s:
        time.sleep(LOOK_EVERY_S / 4)
    return time.monotonic() - since_s


def settled(running: AppProcess) -> Held:
    """Wait until nobody calls any more and idle threads have ended; return what the app holds."""
    until(lambda: not callers_left(running))
    for _ in range(IDLE_S):
        # whenever a thread is asked for, those that have been idle for 10 s are ended
        running.get("/api/sessions", headers={"X-Owner-Key": "nobody-in-particular"}).raise_for_status()
        time.sleep(1)
    return held(running)
