"""The web server of one app: uvicorn in a thread, with our limits on every WebSocket."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

from ..errors import SettingsError
from ..gateway.wire import MAX_MESSAGE_BYTES

PORTS_TRIED = 50
PING_EVERY_S = 10.0
# 0.7 s of PCM; the kernel's default would hold many seconds, which nobody counts
SEND_BUFFER_BYTES = 32 * 1024
ABORT_AFTER_S = 5.0
GRACEFUL_SHUTDOWN_S = 3
CLOSE_PATIENCE_S = 5.0
"""How long the app's own end may take once every request has ended."""

_Protocol: Any = AutoWebSocketsProtocol


class BoundedWebSocket(_Protocol):
    """uvicorn's WebSocket with small buffers, so that little audio waits in a slow reader's socket."""

    def connection_made(self, transport: Any) -> None:
        transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
        if sock := transport.get_extra_info("socket"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        super().connection_made(transport)

    async def run_asgi(self) -> None:
        await super().run_asgi()
        # closing waits until the peer has read what was sent, which a peer that reads nothing never does
        self.loop.call_later(ABORT_AFTER_S, self.transport.abort)


def limits(ping_every_s: float) -> dict[str, Any]:
    """Return uvicorn's options for small messages, early pings, and an end that waits for no request."""
    return {
        "ws_max_size": MAX_MESSAGE_BYTES,
        "ws_max_queue": 8,
        "ws_ping_interval": min(PING_EVERY_S, ping_every_s),
        "ws_ping_timeout": PING_EVERY_S,
        # sound does not shrink, and compressing it costs time on the loop
        "ws_per_message_deflate": False,
        "timeout_graceful_shutdown": GRACEFUL_SHUTDOWN_S,
    }


def limit(config: uvicorn.Config, ping_every_s: float) -> None:
    """Set the limits of a server that Gradio started; they hold for every connection from now on."""
    for name, value in limits(ping_every_s).items():
        setattr(config, name, value)
    config.ws_protocol_class = BoundedWebSocket


class Server(uvicorn.Server):
    """An app served by a thread of its own, from `start` to `close`."""

    def __init__(self, app: Any, ping_every_s: float, **where: Any) -> None:
        """Prepare to serve an ASGI app; `where` is host, port and certificate as uvicorn takes them."""
        config = uvicorn.Config(
            app,
            ws=BoundedWebSocket,
            lifespan="on",
            # the program has its own log; and forwarded headers are left to `ProxyHeaders`, since uvicorn
            # would trust every peer on this machine
            log_config=None,
            log_level="warning",
            proxy_headers=False,
            **limits(ping_every_s),
            **where,
        )
        super().__init__(config)
        self._thread = threading.Thread(target=self._serve_until_closed, name="server", daemon=True)
        self._settled = threading.Event()

    def start(self) -> None:
        """Return once the server listens. Raises: SettingsError where it cannot."""
        self._thread.start()
        self._settled.wait()
        if not self.started:
            raise SettingsError(
                f"The app could not be started on {self.config.host}, port {self.config.port}; the log says"
                " why."
            )

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
            self.run()
        finally:
            # also when it failed to start, or `start` would wait forever
            self._settled.set()


def free_port(host: str, port: int) -> int:
    """Return `port`, or the next free one, printing that.

    Raises: SettingsError when none of the next fifty is free.
    """
    reason = "it does not exist"
    for candidate in range(port, min(port + PORTS_TRIED, 65_536)):
        # another program may still take the port before the server does; `Server.start` reports that
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # as uvicorn does: a port whose last connections are still in TIME_WAIT can be used
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError as error:
                reason = error.strerror or str(error)
                continue
        if candidate != port:
            print(
                f"Port {port} is in use; taking {candidate}. Choose another with --port or PERSONAPLEX_PORT.",
                flush=True,
            )
        return candidate
    raise SettingsError(
        f"No port from {port} to {port + PORTS_TRIED - 1} can be used on {host} ({reason}); choose another"
        " with --port."
    )
