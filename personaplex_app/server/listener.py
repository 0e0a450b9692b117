"""The web server of one app: uvicorn in a thread, with our limits on every connection."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol
from websockets import http11
from websockets.frames import CloseCode

from ..errors import SettingsError
from ..gateway.wire import MAX_MESSAGE_BYTES
from .allowance import TokenBucket
from .connections import Connections, most_connections

PING_EVERY_S = 10.0
# 0.7 s of PCM; the kernel's default would hold many seconds, which nobody counts
SEND_BUFFER_BYTES = 32 * 1024
ABORT_AFTER_S = 5.0
GRACEFUL_SHUTDOWN_S = 3
CLOSE_PATIENCE_S = 5.0
"""How long the app's own end may take once every request has ended."""

# a role prompt of the most characters, of four bytes each, takes 24,000 bytes of a query
MAX_HEAD_BYTES = 64 << 10
MAX_HEADERS = 512
HEAD_PATIENCE_S = 15.0
BODY_PATIENCE_S = 20.0
MIN_BODY_BYTES_PER_S = 16 << 10
"""What a body must bring after its first seconds."""
BODY_CHECK_S = 5.0
DRAIN_S = 30.0
"""How long a body is read on that nobody wants any more, so that its sender comes to read the answer."""
FRAMES_PER_S = 400
"""What a WebSocket may bring, pings and empty fragments too: twice the messages that a talk may send."""
FRAMES_AT_ONCE = 1200
PIECE_BYTES = 4 << 10
"""How much of a WebSocket is parsed before its frames are counted: at most 700 frames of six bytes."""
READER_PATIENCE_S = 60.0
LINGER_S = 1.0
# asyncio takes so many connections at a time, before any of them can be seen to wait
BACKLOG = 128

_Protocol: Any = AutoWebSocketsProtocol
_HEAD_END = re.compile(rb"\n\r?\n")


def _answer(status: HTTPStatus, text: str) -> bytes:
    """Return a whole answer to a request that never reaches the app."""
    body = f"{text}\n".encode()
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body


class _LingeringTransport:
    """A transport that `BoundedHttp` closes, once its peer has had time to read the answer."""

    def __init__(self, transport: asyncio.Transport, protocol: BoundedHttp) -> None:
        self._transport = transport
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close it, or have the rest of a request's body discarded first."""
        self._protocol.close(self._transport)

    def is_closing(self) -> bool:
        """Return whether nothing more can be sent."""
        return self._protocol.discarding or self._transport.is_closing()


class BoundedHttp(H11Protocol):
    """uvicorn's HTTP, whose peers may not be slow without end, nor send heads without end.

    A request's head is collected here until it is whole: what is too long for the parsers behind would be
    answered by 400, or by nothing where it asks for a WebSocket.
    """

    def __init__(self, *args: Any, open_connections: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open_connections = open_connections
        self._head = bytearray()
        # whether the answer has been sent, and what still comes is of no use
        self.discarding = False
        self._plain_transport: Any = None
        self._is_upgraded = False
        self._handle = -1
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        self._body_bytes = 0
        self._body_s = 0.0
        self._drained_s = 0.0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a first request."""
        self._plain_transport = transport
        super().connection_made(_LingeringTransport(transport, self))  # pyrefly: ignore[bad-argument-type]
        if sock := transport.get_extra_info("socket"):
            self._handle = sock.fileno()
        self._head_timer = self.loop.call_later(HEAD_PATIENCE_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        timers = (self._head_timer, self._body_timer, self._read_timer, self._linger_timer, self._drain_timer)
        for timer in timers:
            if timer:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take bytes: whole heads and bodies go on to the parser."""
        if self.discarding:
            self._wait_for_the_rest(self.transport)
            return
        if self._is_between_requests:
            head = self._whole_head(data)
            if head is None:
                return
            data = head
        else:
            self._body_bytes += len(data)
        super().data_received(data)
        self._watch_body()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to the WebSocket's protocol: nothing here is for it any more."""
        self._is_upgraded = True
        self.transport = self._plain_transport
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is there already."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._open_connections.waits(self._handle)

    def pause_writing(self) -> None:
        """Give a reader time that is slower than its answer."""
        super().pause_writing()
        self._read_timer = self.loop.call_later(READER_PATIENCE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the reader has caught up."""
        super().resume_writing()
        if self._read_timer:
            self._read_timer.cancel()

    @property
    def _is_between_requests(self) -> bool:
        return self.conn.their_state is h11.IDLE and (self.cycle is None or self.cycle.response_complete)

    def _whole_head(self, data: bytes) -> bytes | None:
        """Return what has come since the last request, once it begins with a whole head."""
        seen = len(self._head)
        self._head += data
        end = _HEAD_END.search(self._head, max(0, seen - 2))
        # the parser tells at once that something is no HTTP, such as a TLS handshake
        if not end and len(self._head) <= MAX_HEAD_BYTES and self._head[0] > 0x20:
            return None
        if len(self._head) > MAX_HEAD_BYTES and (not end or end.end() > MAX_HEAD_BYTES):
            whole_line = b"\n" in self._head[:MAX_HEAD_BYTES]
            status = HTTPStatus(431 if whole_line else 414)
            self._refuse(status, f"A request's head may have {MAX_HEAD_BYTES} bytes here; this one has more.")
            return None
        if end and self._head.count(b"\n", 0, end.end()) > MAX_HEADERS + 2:
            self._refuse(
                HTTPStatus(431), f"A request may have {MAX_HEADERS} headers here; this one has more."
            )
            return None
        if self._head_timer:
            self._head_timer.cancel()
        self._open_connections.busy(self._handle)
        head, self._head = bytes(self._head), bytearray()
        return head

    def _head_is_late(self) -> None:
        if self._head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"No whole request came within {HEAD_PATIENCE_S:.0f} s.")
        else:
            self.transport.close()

    def _watch_body(self) -> None:
        """Begin to watch how fast a body comes, or cease once it is there."""
        if self._is_upgraded:
            return
        coming = self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing()
        if coming and not self._body_timer:
            self._body_bytes = 0
            self._body_s = self._drained_s = 0.0
            self._body_timer = self.loop.call_later(BODY_CHECK_S, self._check_body)
        elif not coming and self._body_timer:
            self._body_timer.cancel()
            self._body_timer = None

    def _check_body(self) -> None:
        self._body_timer = self.loop.call_later(BODY_CHECK_S, self._check_body)
        if self.cycle.response_complete:
            self._drained_s += BODY_CHECK_S
        elif not self.flow.read_paused:  # else it waits for the app
            self._body_s += BODY_CHECK_S
        if self._drained_s >= DRAIN_S:
            self.transport.abort()
        elif self._body_bytes < (self._body_s - BODY_PATIENCE_S + BODY_CHECK_S) * MIN_BODY_BYTES_PER_S:
            if self.cycle.response_started:
                self.transport.close()
            else:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request's body came too slowly.")

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        """Answer without the app, and close."""
        if self.transport.is_closing():
            return
        self._head.clear()
        self.transport.write(_answer(status, text))
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._linger(self.transport)

    def close(self, transport: Any) -> None:
        """Close the transport; in the middle of a body, once its sender has had time to read the answer."""
        if self.conn.their_state is h11.SEND_BODY and not transport.is_closing():
            self._linger(transport)
        else:
            transport.close()

    def _linger(self, transport: Any) -> None:
        """Discard what still comes, then close: unread bytes would make the peer lose the answer."""
        if self.discarding:
            return
        self.discarding = True
        if self._body_timer:
            self._body_timer.cancel()
        self.flow.resume_reading()
        self._drain_timer = self.loop.call_later(DRAIN_S, transport.abort)
        self._wait_for_the_rest(transport)

    def _wait_for_the_rest(self, transport: Any) -> None:
        if self._linger_timer:
            self._linger_timer.cancel()
        self._linger_timer = self.loop.call_later(LINGER_S, transport.abort)


class BoundedWebSocket(_Protocol):
    """uvicorn's WebSocket with small buffers, so that little audio waits in a slow reader's socket, and with
    so many frames a second: each is parsed on the loop, which carries everybody's sound.
    """

    def connection_made(self, transport: Any) -> None:
        self._frames = TokenBucket(FRAMES_PER_S, FRAMES_AT_ONCE)
        transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
        if sock := transport.get_extra_info("socket"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes, the whole handshake first; answer one that is refused, as uvicorn does not."""
        if not self.handshake_initiated:
            super().data_received(data)
            if not self.handshake_initiated and not self.transport.is_closing():
                said = b"".join(self.conn.data_to_send())
                self.transport.write(
                    said or _answer(HTTPStatus.BAD_REQUEST, "This is no WebSocket handshake.")
                )
                self.transport.close()
            return
        for at in range(0, len(data), PIECE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[at : at + PIECE_BYTES])

    def handle_events(self) -> None:
        """Handle the frames that have come, or end a connection that brings too many."""
        if self._frames.take(len(self.conn.events)):
            super().handle_events()
            return
        self.conn.events_received()
        self.conn.fail(CloseCode.POLICY_VIOLATION, f"More than {FRAMES_PER_S} frames a second came.")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()
        # whoever floods need not read
        self.loop.call_later(ABORT_AFTER_S, self.transport.abort)

    async def run_asgi(self) -> None:
        await super().run_asgi()
        # closing waits until the peer has read what was sent, which a peer that reads nothing never does
        self.loop.call_later(ABORT_AFTER_S, self.transport.abort)


def limits(ping_every_s: float) -> dict[str, Any]:
    """Return uvicorn's options for long heads, small messages, early pings, and an end that waits for no
    request.
    """
    # it reads its variables for these when it is imported, which may be before this program begins
    http11.MAX_LINE_LENGTH = MAX_HEAD_BYTES
    http11.MAX_NUM_HEADERS = MAX_HEADERS
    return {
        "h11_max_incomplete_event_size": MAX_HEAD_BYTES,
        "ws_max_size": MAX_MESSAGE_BYTES,
        "ws_max_queue": 8,
        "ws_ping_interval": min(PING_EVERY_S, ping_every_s),
        "ws_ping_timeout": PING_EVERY_S,
        # sound does not shrink, and compressing it costs time on the loop
        "ws_per_message_deflate": False,
        "timeout_graceful_shutdown": GRACEFUL_SHUTDOWN_S,
    }


def limit(config: uvicorn.Config, ping_every_s: float) -> None:
    """Set the limits of a server that Gradio started; they hold for every connection from now on.

    Its peer is a relay or a proxy, so connections are counted in all alone.
    """
    for name, value in limits(ping_every_s).items():
        setattr(config, name, value)
    most = most_connections()
    config.limit_concurrency = most
    config.http_protocol_class = _http(Connections(most))
    config.ws_protocol_class = BoundedWebSocket


def _http(connections: Connections) -> Any:
    """Return what makes the protocol of each connection."""
    return partial(BoundedHttp, open_connections=connections)


class Server(uvicorn.Server):
    """An app served by a thread of its own, from `start` to `close`."""

    def __init__(
        self,
        app: Any,
        ping_every_s: float,
        sockets: Sequence[socket.socket],
        connections: Connections,
        **certificate: Any,
    ) -> None:
        """Prepare to serve an ASGI app on bound `sockets`, which count their `connections`; `certificate` is
        as uvicorn takes it.
        """
        config = uvicorn.Config(
            app,
            http=_http(connections),
            ws=BoundedWebSocket,
            # the one whose sockets are Python's, and so count
            loop="asyncio",
            backlog=BACKLOG,
            lifespan="on",
            # the program has its own log; and forwarded headers are left to `ProxyHeaders`, since uvicorn
            # would trust every peer on this machine
            log_config=None,
            log_level="warning",
            proxy_headers=False,
            **limits(ping_every_s),
            **certificate,
        )
        super().__init__(config)
        self._sockets = list(sockets)
        self._thread = threading.Thread(target=self._serve_until_closed, name="server", daemon=True)
        self._settled = threading.Event()

    def start(self) -> None:
        """Return once the server listens. Raises: SettingsError where it cannot."""
        self._thread.start()
        self._settled.wait()
        if not self.started:
            raise SettingsError("The app could not be started; the log says why.")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and let `start` return."""
        await super().startup(sockets)
        self._settled.set()

    def close(self) -> None:
        """End the requests and the app, waiting a bounded time for them."""
        self.should_exit = True
        self._thread.join(GRACEFUL_SHUTDOWN_S + CLOSE_PATIENCE_S)

    def _serve_until_closed(self) -> None:
        try:
            self.run(self._sockets)
        finally:
            # also when it failed to start, or `start` would wait forever
            self._settled.set()
