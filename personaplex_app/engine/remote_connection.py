"""One connection to a server of the moshi family: opened, read, written and watched on an event loop, used
from a worker thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ..codec import Codec
from ..errors import BadAudio, EngineError, ProtocolError
from ..protocol import MAX_MESSAGE_BYTES, Kind, Message, decode
from ..units import SAMPLE_RATE_HZ
from .jitter import JitterBuffer
from .remote_upstreams import ASKS_FOR_A_KEY, CHAT_PATH, Access, one_line, sentence_of

CLOSE_S = 2.0
PING_EVERY_S = 1.0
TRIPS_REMEMBERED = 60
MAX_UNSENT = 40
WRITE_BUFFER_BYTES = 8 * 1024
AHEAD_S = 10.0
MAX_BARREN_BYTES = 256 * 1024
"""So many bytes of a stream that hold no sound are no stream."""


class ServerFault(EngineError):
    """What a server did wrong, said of "it": `remote server HOST` goes before."""


class Refused(ServerFault):
    """The server works and said no to this talk."""


@dataclass(frozen=True)
class Timeouts:
    """How long a server may take to be reached, to begin (some say their prompts to themselves before), and
    to be silent.
    """

    connect_s: float = 10.0
    handshake_s: float = 60.0
    silent_s: float = 10.0


class _Connect(connect):
    """Follows no redirect: the headers may hold a key that is not meant for others."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(
    url: str, codec: Codec, access: Access, timeouts: Timeouts, trim: bool, trip: Callable[[float], None]
) -> RemoteConnection:
    """Return a line on which the server has begun the talk. `trip` is told each round trip in milliseconds.

    Raises: ServerFault.
    """
    # its own logger, that says nothing: at the lowest level it would write the address, prompt and all
    options: dict[str, Any] = {"ssl": access.tls()} if url.startswith("wss:") else {}
    connecting = _Connect(
        url,
        additional_headers=dict(access.headers),
        open_timeout=timeouts.connect_s,
        ping_interval=None,
        close_timeout=CLOSE_S,
        compression=None,
        max_size=MAX_MESSAGE_BYTES,
        write_limit=WRITE_BUFFER_BYTES,
        logger=logging.Logger("silent", logging.CRITICAL + 1),
        **options,
    )
    try:
        socket = await connecting
    except TimeoutError:
        raise ServerFault(f"It did not answer within {timeouts.connect_s:g} s.") from None
    except InvalidStatus as error:
        status = error.response.status_code
        if status in (401, 403):
            raise ServerFault(ASKS_FOR_A_KEY.format(status=status)) from None
        raise ServerFault(
            f"It answers HTTP {status} at {CHAT_PATH} where a moshi server begins a talk."
        ) from None
    except OSError as error:
        raise ServerFault(sentence_of(error)) from None
    except (WebSocketException, ValueError) as error:
        raise ServerFault(f"It does not speak WebSocket there ({type(error).__name__}).") from None
    line = RemoteConnection(socket, codec, JitterBuffer(trim), trip)
    try:
        await line.until_begun(timeouts.handshake_s)
    except BaseException:
        socket.transport.abort()
        raise
    return line


class RemoteConnection:
    """An open talk with a server. `ended` says why there is no more, "" while there is."""

    def __init__(
        self, socket: ClientConnection, codec: Codec, buffer: JitterBuffer, trip: Callable[[float], None]
    ) -> None:
        self._socket = socket
        self._codec = codec
        self._reported_trip = trip
        self.buffer = buffer
        self.ended = ""
        self.trips_ms: deque[float] = deque(maxlen=TRIPS_REMEMBERED)
        self.heard_s = self._began_s = time.monotonic()
        self.sent_samples = 0
        self._barren_bytes = 0
        self._unsent: deque[bytes] = deque(maxlen=MAX_UNSENT)
        self._more = asyncio.Event()
        self._stuck = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    # from a worker thread

    def send(self, samples: np.ndarray) -> None:
        """Queue the user's sound, float32 [N]. Never waits."""
        self.sent_samples += len(samples)
        if data := self._codec.encode(samples):
            self._call(self._queue, Message(Kind.AUDIO, data).encode())

    def hang_up(self) -> None:
        """Close the connection soon. Never waits, may be called twice."""
        self._call(self._cancel)

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed, and with it every line
            self._loop.call_soon_threadsafe(function, *args)

    # on the loop

    async def until_begun(self, patience_s: float) -> None:
        """Wait for the handshake, or for sound where a server gives none.

        Raises: ServerFault.
        """
        try:
            with anyio.fail_after(patience_s):
                while True:
                    kind = self._take(await self._socket.recv())
                    if kind in (Kind.HANDSHAKE, Kind.AUDIO):
                        break
        except TimeoutError:
            raise ServerFault(
                f"It did not begin the talk within {patience_s:g} s; it may be full, or still loading."
            ) from None
        except ConnectionClosed as error:
            raise ServerFault(f"It {_closing(error)} before the talk began.") from None
        self.heard_s = self._began_s = time.monotonic()

    async def run(self) -> None:
        """Carry the talk until it ends or `hang_up` is called."""
        self._task = asyncio.current_task()
        tasks = [
            asyncio.ensure_future(part) for part in (self._read(), self._write(), self._watch(), self._ping())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            errors = [error for task in done if (error := task.exception())]
            # what it did wrong says more than that the connection is closed
            error = next((each for each in errors if not isinstance(each, ConnectionClosed)), errors[0])
            if isinstance(error, ConnectionClosed):
                self.ended = f"It {_closing(error)}."
            elif isinstance(error, ServerFault):
                self.ended = str(error)
            else:
                raise error
        finally:
            self.ended = self.ended or "The talk was ended here."
            self.buffer.end()
            for task in tasks:
                task.cancel()
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
                with suppress(WebSocketException, OSError):
                    await self._socket.close()
            finally:
                self._socket.transport.abort()

    async def _read(self) -> None:
        while True:
            self._take(await self._socket.recv())
            written_s = self.buffer.written_samples / SAMPLE_RATE_HZ
            lasted_s = max(time.monotonic() - self._began_s, self.sent_samples / SAMPLE_RATE_HZ)
            if written_s > lasted_s + AHEAD_S:
                raise ServerFault(f"It sent {written_s:.0f} s of sound in a talk of {lasted_s:.0f} s.")

    def _take(self, data: bytes | str) -> Kind:
        try:
            message = decode(data)
            match message.kind:
                case Kind.AUDIO:
                    self._hear(message.payload)
                case Kind.TEXT:
                    self.buffer.write_text(message.payload.decode(errors="replace"))
                case Kind.ERROR:
                    raise Refused(f'It says: "{one_line(message.payload.decode(errors="replace"))}"')
                case _:
                    pass  # control, metadata and pings say nothing about sound
        except (ProtocolError, BadAudio) as error:
            raise ServerFault(f"It sent what is not the moshi protocol. ({error})") from None
        return message.kind

    def _hear(self, payload: bytes) -> None:
        samples = self._codec.decode(payload)
        self._barren_bytes = 0 if len(samples) else self._barren_bytes + len(payload)
        if self._barren_bytes > MAX_BARREN_BYTES:
            raise BadAudio(f"{self._barren_bytes:,} bytes came without a sound in them.")
        if len(samples):
            self.heard_s = time.monotonic()
            self.buffer.write(samples)

    def _queue(self, data: bytes) -> None:
        if len(self._unsent) == MAX_UNSENT:
            self._stuck.set()
        self._unsent.append(data)
        self._more.set()

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._unsent:
                await self._socket.send(self._unsent.popleft())

    async def _watch(self) -> None:
        await self._stuck.wait()
        raise ServerFault(
            f"It did not take the user's sound: more than {MAX_UNSENT} messages waited to be sent."
        )

    async def _ping(self) -> None:
        while True:
            self.trips_ms.append(await (await self._socket.ping()) * 1000)
            self._reported_trip(self.trips_ms[-1])
            await asyncio.sleep(PING_EVERY_S)

    def _cancel(self) -> None:
        if self._task:
            self._task.cancel()


def _closing(error: ConnectionClosed) -> str:
    if error.rcvd:
        reason = f", {one_line(error.rcvd.reason)!r}" if error.rcvd.reason else ""
        return f"closed the connection (code {error.rcvd.code}{reason})"
    if error.sent and error.sent.code == 1009:
        return f"sent a message of more than {MAX_MESSAGE_BYTES:,} bytes"
    return "broke the connection off"
