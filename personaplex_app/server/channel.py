"""The channels between a talk and its client: a WebSocket, or a streamed GET with POSTs where WebSockets are
blocked.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ..errors import CapacityError, CloseCode, NotFound
from ..metrics import Traffic
from ..principal import NOBODY, Principal
from ..protocol import Kind, decode, pack
from ..protocol_events import ToClient
from ..protocol_orders import FromClient
from ..sessions.shares import Shares
from .allowance import Allowance
from .wire import message_of, order_of

CLOSE_PATIENCE_S = 2.0
# proxies cut responses that are silent for 30 s or more; WebSockets have pings of their own
KEEP_ALIVE_S = 10.0
ALIVE = bytes([Kind.PING])
MOST_POSTS = 4
# normal, and going away; a broken connection is 1006, or 1005 as the server below may tell it
_GOODBYES = (1000, 1001)


class Disconnected(Exception):
    """The other side is gone; `left` tells whether it said goodbye, so that it will not come back."""

    def __init__(self, left: bool = False) -> None:
        super().__init__()
        self.left = left


class Channel(Protocol):
    """Carries typed events and orders between a talk and its client; each channel codes the bytes itself."""

    async def receive(self) -> FromClient:
        """Return the next order. Raises: Disconnected; ProtocolError for a message that ends the talk."""
        ...

    async def send(self, event: ToClient) -> None:
        """Hand one event to the transport, waiting while it is full. Raises: Disconnected."""
        ...

    async def close(self, code: CloseCode, reason: str) -> None:
        """Close the connection with a code and a reason; never raises."""
        ...


class Frames:
    """Receives and sends the frames of a WebSocket that has been accepted."""

    def __init__(
        self,
        socket: WebSocket,
        traffic: Traffic = Traffic(),
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        """`answered` is called after each frame that was sent."""
        self._socket = socket
        self._traffic = traffic
        self._answered = answered

    async def receive(self) -> bytes | str:
        """Return the next frame. Raises: Disconnected."""
        try:
            frame = await self._socket.receive()
        except (WebSocketDisconnect, RuntimeError):
            # Starlette raises RuntimeError for a socket that is closed already
            raise Disconnected from None
        if frame["type"] == "websocket.disconnect":
            raise Disconnected(left=frame.get("code") in _GOODBYES)
        data = frame.get("bytes")
        data = data if data is not None else frame.get("text", "")
        self._traffic.received(len(data))
        return data

    async def send(self, data: bytes | str) -> None:
        """Send one frame, waiting while the transport is full. Raises: Disconnected."""
        self._traffic.sent(len(data))
        try:
            if isinstance(data, str):
                await self._socket.send_text(data)
            else:
                await self._socket.send_bytes(data)
        except (WebSocketDisconnect, RuntimeError):
            raise Disconnected from None
        self._answered()

    async def close(self, code: CloseCode, reason: str) -> None:
        """Close the WebSocket; never raises."""
        # a client that no longer reads must not delay the talk's end
        with anyio.move_on_after(CLOSE_PATIENCE_S):
            if self._socket.application_state is WebSocketState.CONNECTED:
                try:
                    await self._socket.close(code, _close_reason(reason))
                except (WebSocketDisconnect, RuntimeError):
                    return


def _close_reason(reason: str) -> str:
    """Return a reason that fits into a close frame, which holds 123 bytes of it (RFC 6455, 5.5)."""
    return reason.encode()[:120].decode(errors="ignore")


class WebSocketChannel:
    """A WebSocket with the moshi protocol's messages, one in each binary frame."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._allowance = Allowance()

    async def receive(self) -> FromClient:
        data = await self._frames.receive()
        self._allowance.take(data)
        return order_of(decode(data))

    async def send(self, event: ToClient) -> None:
        await self._frames.send(message_of(event).encode())

    async def close(self, code: CloseCode, reason: str) -> None:
        await self._frames.close(code, reason)


class HttpChannel:
    """The HTTP fallback's two directions as one channel: `put` takes POSTs, `stream` feeds the GET."""

    def __init__(self, traffic: Traffic = Traffic(), over: Callable[[], None] = lambda: None) -> None:
        self._traffic = traffic
        self._over = over
        self._left = False
        self._allowance = Allowance()
        # a few messages each way: sound waits in the talk's own queues, which count it
        self._up_in, self._up_out = anyio.create_memory_object_stream[bytes](32)
        self._down_in, self._down_out = anyio.create_memory_object_stream[bytes](8)
        # a client's POSTs may overlap, and their messages must not be mixed
        self._posting = anyio.Lock()
        self._posts = 0
        self._next_post = 0
        self.streaming = False

    async def receive(self) -> FromClient:
        try:
            data = await self._up_out.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise Disconnected(self._left) from None
        self._allowance.take(data)
        return order_of(decode(data))

    async def send(self, event: ToClient) -> None:
        try:
            await self._down_in.send(message_of(event).encode())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise Disconnected(self._left) from None

    async def close(self, code: CloseCode, reason: str) -> None:
        self._up_in.close()
        self._up_out.close()
        # `_down_out` stays open: the client still gets what is queued, then its stream ends
        self._down_in.close()

    @contextmanager
    def post(self) -> Iterator[None]:
        """Hold room for one POST's body. Raises: CapacityError when too many are on their way."""
        if self._posts >= MOST_POSTS:
            raise CapacityError(f"{MOST_POSTS} POSTs of this talk are on their way; wait for their answers.")
        self._posts += 1
        try:
            yield
        finally:
            self._posts -= 1

    async def put(self, number: int, messages: list[bytes]) -> None:
        """Take one POST's messages; a repeated number is a retry and changes nothing.

        Raises: Disconnected when the talk is over.
        """
        async with self._posting:
            if number < self._next_post:
                return
            # before the messages are passed on: a retry of a POST that was cut off must not repeat those
            # that arrived
            self._next_post = number + 1
            for message in messages:
                self._traffic.received(len(message))
                try:
                    await self._up_in.send(message)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    raise Disconnected from None

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield packed messages until the talk ends, and keep-alives when there are none; closing the
        generator early ends the talk.
        """
        self.streaming = True
        try:
            while True:
                message = ALIVE
                with anyio.move_on_after(KEEP_ALIVE_S):
                    message = await self._down_out.receive()
                self._traffic.sent(len(message))
                yield pack([message])
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return
        finally:
            self.hang_up()

    def hang_up(self, left: bool = False) -> None:
        """End the channel, since the client is gone: `receive` raises Disconnected from now on, which tells
        whether it `left` as clients do.
        """
        self._left = self._left or left
        self._over()
        self._up_in.close()
        self._down_out.close()


class HttpChannels:
    """The open fallback connections by their secret id; bounded."""

    def __init__(self, most: int) -> None:
        self._shares = Shares(most, "talks over HTTP")
        self._open: dict[str, tuple[HttpChannel, Principal]] = {}

    def add(self, caller: Principal = NOBODY, traffic: Traffic = Traffic()) -> tuple[str, HttpChannel]:
        """Return a new channel with its id. Raises: CapacityError."""
        self._shares.take(caller)
        id_ = secrets.token_urlsafe(24)
        channel = HttpChannel(traffic, partial(self._drop, id_))
        self._open[id_] = channel, caller
        return id_, channel

    def get(self, id_: str) -> HttpChannel:
        """Return an open channel. Raises: NotFound."""
        if id_ not in self._open:
            raise NotFound("This talk is over or was never begun; start a new one.")
        return self._open[id_][0]

    def _drop(self, id_: str) -> None:
        """Forget a connection that has ended, if it is still known."""
        if found := self._open.pop(id_, None):
            self._shares.give_back(found[1])
