"""From settings to a running app: the house, its routes on Gradio's server, the page, and a clean end."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.middleware import Middleware

from ..engine.choose import choose
from ..errors import SettingsError
from ..hosting import here
from ..protocol import MAX_MESSAGE_BYTES
from ..settings import Settings
from ..ui.page import build_page, launch_options
from .chat_routes import chat_routes
from .clone_routes import clone_routes
from .compare_routes import compare_routes
from .comparisons import Comparisons
from .evaluation_routes import evaluation_routes
from .evaluations import Evaluations
from .guard import Guard
from .house import House
from .live import GOODBYE_S
from .render_routes import render_routes
from .session_routes import session_routes
from .status_routes import status_routes

log = logging.getLogger(__name__)

PORTS_TRIED = 50
PING_EVERY_S = 10.0
SEND_BUFFER_BYTES = 32 * 1024
ABORT_AFTER_S = 5.0


def serve(settings: Settings) -> None:
    """Run the app until it is told to stop.

    Raises: SettingsError when no port is free.
    """
    stop, at_once = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (at_once if stop.is_set() else stop).set())
    with running(settings, at_once) as url:
        print(f"personaplex-app is ready at {url}  (ctrl-C ends it)", flush=True)
        stop.wait()


@contextmanager
def running(settings: Settings, at_once: threading.Event | None = None) -> Iterator[str]:
    """Hold a running app; gives its address. At its end running talks get `drain_s` to end, unless `at_once` is set."""
    choice = choose(settings)
    log.info("engine %s: %s %s", choice.name, choice.why, choice.next_step)
    house = House.build(settings, choice)
    comparisons = Comparisons(house)
    guards: list[Guard] = []

    def guard(app: Any) -> Guard:
        guards.append(Guard(app, settings.auth, settings.api_key, (*settings.allowed_origins, *here().origins)))
        return guards[-1]

    @asynccontextmanager
    async def lifespan(app: Any):
        async with house.open():
            yield

    port = free_port(settings.host, settings.port)
    evaluations = Evaluations(house)
    page = build_page(house, evaluations)
    with _bounded_server():
        page.launch(
            server_name=settings.host,
            server_port=port,
            share=settings.share,
            prevent_thread_lock=True,
            quiet=True,
            show_error=False,
            max_file_size="48mb",
            app_kwargs={
                "lifespan": lifespan,
                "middleware": [Middleware(guard)],
                "routes": [
                    *chat_routes(house),
                    *status_routes(house),
                    *session_routes(house.library),
                    *clone_routes(house),
                    *render_routes(house.renderings),
                    *evaluation_routes(evaluations),
                    *compare_routes(comparisons),
                ],
                "docs_url": None,
                "redoc_url": None,
            },
            **launch_options(),
        )
    for each in guards:
        each.launched()
    try:
        yield page.share_url or f"http://{'localhost' if settings.host in ('0.0.0.0', '127.0.0.1') else settings.host}:{port}"  # noqa: S104
    finally:
        _drain(house, at_once or threading.Event())
        page.close()
        comparisons.close()


def _drain(house: House, at_once: threading.Event) -> None:
    """Let running talks end; every caller is told and nobody new gets in."""
    grace_s = house.settings.drain_s
    house.drain(grace_s)
    if house.callers:
        print(f"Callers still here: {house.callers}. Their talks end within {grace_s} s; ctrl-C again ends them now.", flush=True)
    deadline_s = time.monotonic() + grace_s + GOODBYE_S
    while house.callers and time.monotonic() < deadline_s and not at_once.is_set():
        time.sleep(0.05)


def free_port(host: str, port: int) -> int:
    """Return `port`, or the next free one, saying so.

    Raises: SettingsError when none of the next fifty is free.
    """
    reason = "it does not exist"
    for candidate in range(port, min(port + PORTS_TRIED, 65_536)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError as error:
                reason = error.strerror or str(error)
                continue
        if candidate != port:
            print(f"Port {port} is in use; taking {candidate}. Choose another with --port or PERSONAPLEX_PORT.", flush=True)
        return candidate
    raise SettingsError(f"No port from {port} to {port + PORTS_TRIED - 1} can be used on {host} ({reason}); choose another with --port.")


@contextmanager
def _bounded_server() -> Iterator[None]:
    """Let Gradio's launch build its server with our limits, for which it has no parameters."""
    original = uvicorn.Config
    uvicorn.Config = BoundedConfig
    try:
        yield
    finally:
        uvicorn.Config = original


class BoundedConfig(uvicorn.Config):
    """Small messages, early pings, and little audio waiting in a slow reader's socket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        limits = {"ws_max_size": MAX_MESSAGE_BYTES, "ws_ping_interval": PING_EVERY_S, "ws_ping_timeout": PING_EVERY_S}
        super().__init__(*args, **{**kwargs, **limits, "ws_per_message_deflate": False})

    def load(self) -> None:
        super().load()
        base: Any = self.ws_protocol_class

        class Bounded(base):
            def connection_made(self, transport: Any) -> None:
                transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
                if sock := transport.get_extra_info("socket"):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
                super().connection_made(transport)

            async def run_asgi(self) -> None:
                await super().run_asgi()
                # closing waits until the peer has read what was sent; one that reads nothing is not waited for
                self.loop.call_later(ABORT_AFTER_S, self.transport.abort)

        self.ws_protocol_class = Bounded
