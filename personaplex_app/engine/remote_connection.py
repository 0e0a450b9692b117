"""One WebSocket connection to a server that speaks the moshi protocol.

It lives on an event loop and is used from a worker thread.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

import anyio
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ..codec import Codec
from ..errors import BadAudio, BadInput, EngineError, ProtocolError
from ..protocol import MAX_MESSAGE_BYTES, Kind, Message, decode, metadata
from ..protocol_events import Said, SaidState
from ..protocol_fields import take_number, take_text, take_word
from ..units import SAMPLE_RATE_HZ
from .jitter import JitterBuffer
from .remote_upstreams import CHAT_PATH, KEY_REQUIRED, Access, connection_error_text, one_line

CLOSE_S = 2.0
PING_EVERY_S = 1.0
ROUND_TRIPS_REMEMBERED = 60
# 3.2 s of frames
MAX_UNSENT = 40
# small, so that messages wait in the bounded queue, where they are counted, and not in the socket
WRITE_BUFFER_BYTES = 8 * 1024
MOST_SAID = 64
MAX_AHEAD_S = 10.0
"""How much more sound than the talk's length a server may send."""


class ServerFault(EngineError):
    """A server's fault, as a sentence about "it", to be put after the server's name."""


class TalkRefused(ServerFault):
    """The server works but refused this talk."""


@dataclass(frozen=True)
class Timeouts:
    """How long a server may take to connect and to begin a talk, and how long it may send no sound.

    Beginning takes time because some servers compute the whole prompt phase first.
    """

    connect_s: float = 10.0
    handshake_s: float = 60.0
    silent_s: float = 10.0


class _Connect(connect):
    """Follows no redirect: the headers may hold a key that no other server may see."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(
    url: str,
    codec: Codec,
    access: Access,
    timeouts: Timeouts,
    trim: bool,
    on_round_trip: Callable[[float], None],
) -> RemoteConnection:
    """Connect to a server and return when it has begun the talk.

    `trim` lets the jitter buffer cut surplus sound; `on_round_trip` is called with each round trip in
    milliseconds.
    Raises: ServerFault.
    """
    # a logger of its own that drops everything: websockets' debug log would write the address with the prompt
    options: dict[str, Any] = {"ssl": access.tls()} if url.startswith("wss:") else {}
    connecting = _Connect(
        url,
        additional_headers=dict(access.headers),
        open_timeout=timeouts.connect_s,
        # `_ping` measures the round trip, and `silent_s` notices a server that is gone
        ping_interval=None,
        close_timeout=CLOSE_S,
        # Opus and noise-like PCM do not shrink; compressing them only costs time on the loop
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
            raise ServerFault(KEY_REQUIRED.format(status=status)) from None
        raise ServerFault(
            f"It answers HTTP {status} at {CHAT_PATH} where a moshi server begins a talk."
        ) from None
    except OSError as error:
        raise ServerFault(connection_error_text(error)) from None
    except (WebSocketException, ValueError) as error:
        raise ServerFault(f"It does not speak WebSocket there ({type(error).__name__}).") from None
    connection = RemoteConnection(socket, codec, JitterBuffer(trim), on_round_trip)
    try:
        await connection.wait_for_start(timeouts.handshake_s)
    except BaseException:
        socket.transport.abort()
        raise
    return connection


class RemoteConnection:
    """The connection of one talk. `ended` says why it ended, "" while it is open."""

    def __init__(
        self,
        socket: ClientConnection,
        codec: Codec,
        buffer: JitterBuffer,
        on_round_trip: Callable[[float], None],
    ) -> None:
        self._socket = socket
        self._codec = codec
        self._on_round_trip = on_round_trip
        self.buffer = buffer
        self.ended = ""
        self.round_trips_ms: deque[float] = deque(maxlen=ROUND_TRIPS_REMEMBERED)
        self.last_audio_s = self._began_s = time.monotonic()
        self.sent_samples = 0
        # a character's bytes may come in two messages
        self._text = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self.saying = False
        """Whether the server can be told what to say."""
        self._said: deque[Said] = deque(maxlen=MOST_SAID)
        self._unsent: deque[bytes] = deque(maxlen=MAX_UNSENT)
        self._has_unsent = asyncio.Event()
        self._send_queue_full = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    # from a worker thread

    def send(self, samples: np.ndarray) -> None:
        """Queue the user's sound, float32 [N]. Never waits."""
        self.sent_samples += len(samples)
        if data := self._codec.encode(samples):
            self._call(self._queue, Message(Kind.AUDIO, data).encode())

    def order(self, type_: str, **fields: Any) -> None:
        """Queue an order about lines. Never waits."""
        self._call(self._queue, metadata(type_, **fields).encode())

    def take_said(self) -> list[Said]:
        """Return what the server told of lines since the last call."""
        return [self._said.popleft() for _ in range(len(self._said))]

    def close_soon(self) -> None:
        """Schedule the connection to be closed. Never waits, may be called twice."""
        self._call(self._cancel)

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed, and with it every connection
            self._loop.call_soon_threadsafe(function, *args)

    # on the loop

    async def wait_for_start(self, timeout_s: float) -> None:
        """Wait for the server's handshake, or for its first sound, since some servers send no handshake.

        Raises: ServerFault.
        """
        try:
            with anyio.fail_after(timeout_s):
                while True:
                    kind = self._handle(await self._socket.recv())
                    if kind in (Kind.HANDSHAKE, Kind.AUDIO):
                        break
        except TimeoutError:
            raise ServerFault(
                f"It did not begin the talk within {timeout_s:g} s; it may be full, or still loading."
            ) from None
        except ConnectionClosed as error:
            raise ServerFault(f"It {_closing(error)} before the talk began.") from None
        self.last_audio_s = self._began_s = time.monotonic()

    async def run(self) -> None:
        """Read and write until the talk ends or `close_soon` is called."""
        self._task = asyncio.current_task()
        tasks = [
            asyncio.ensure_future(part) for part in (self._read(), self._write(), self._watch(), self._ping())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            errors = [error for task in done if (error := task.exception())]
            # a fault also closes the connection: of both errors the fault says more
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
                # `close` may be cancelled while it waits for the server's answer
                self._socket.transport.abort()

    async def _read(self) -> None:
        while True:
            self._handle(await self._socket.recv())
            written_s = self.buffer.written_samples / SAMPLE_RATE_HZ
            lasted_s = max(time.monotonic() - self._began_s, self.sent_samples / SAMPLE_RATE_HZ)
            if written_s > lasted_s + MAX_AHEAD_S:
                raise ServerFault(f"It sent {written_s:.0f} s of sound in a talk of {lasted_s:.0f} s.")

    def _handle(self, data: bytes | str) -> Kind:
        try:
            message = decode(data)
            match message.kind:
                case Kind.AUDIO:
                    self._take_audio(message.payload)
                case Kind.TEXT:
                    self.buffer.write_text(self._text.decode(message.payload))
                case Kind.ERROR:
                    raise TalkRefused(f'It says: "{one_line(message.payload.decode(errors="replace"))}"')
                case Kind.METADATA if self.saying:
                    self._take_event(message.json())
                case _:
                    pass  # control, other metadata and pings carry no sound or text
        except (ProtocolError, BadAudio) as error:
            raise ServerFault(f"It sent what is not the moshi protocol. ({error})") from None
        return message.kind

    def _take_audio(self, payload: bytes) -> None:
        samples = self._codec.decode(payload)
        if len(samples):
            self.last_audio_s = time.monotonic()
            self.buffer.write(samples)

    def _take_event(self, event: dict[str, Any]) -> None:
        if event["type"] == "said":
            with suppress(BadInput):  # of a server that means something else by it
                self._said.append(_said_of(event))

    def _queue(self, data: bytes) -> None:
        if len(self._unsent) == MAX_UNSENT:
            self._send_queue_full.set()
        self._unsent.append(data)
        self._has_unsent.set()

    async def _write(self) -> None:
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            while self._unsent:
                await self._socket.send(self._unsent.popleft())

    async def _watch(self) -> None:
        # a task of its own, since `_queue` runs as a callback of the loop, where an exception would only be
        # logged
        await self._send_queue_full.wait()
        raise ServerFault(
            f"It did not take the user's sound: more than {MAX_UNSENT} messages waited to be sent."
        )

    async def _ping(self) -> None:
        while True:
            # awaiting `ping` sends it; awaiting its result waits for the pong and returns the seconds that
            # it took
            self.round_trips_ms.append(await (await self._socket.ping()) * 1000)
            self._on_round_trip(self.round_trips_ms[-1])
            await asyncio.sleep(PING_EVERY_S)

    def _cancel(self) -> None:
        if self._task:
            self._task.cancel()


def _said_of(event: dict[str, Any]) -> Said:
    """Return what a server tells of a line, every field within its limits. Raises: BadInput."""
    return Said(
        take_text(event, "id") or "",
        take_word(event, "state", get_args(SaidState)),
        take_text(event, "heard", "line") or "",
        take_text(event, "rest", "line") or "",
        take_number("at_s", event.get("at_s", 0), 0, 1e6, False),
        take_text(event, "why", "line") or "",
    )


def _closing(error: ConnectionClosed) -> str:
    if error.rcvd:
        reason = f", {one_line(error.rcvd.reason)!r}" if error.rcvd.reason else ""
        return f"closed the connection (code {error.rcvd.code}{reason})"
    if error.sent and error.sent.code == 1009:
        return f"sent a message of more than {MAX_MESSAGE_BYTES:,} bytes"
    return "broke off the connection"
