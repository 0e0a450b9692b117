"""From settings to a running app: its state, its routes on Gradio's server, the page, and a clean end."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import uvicorn
from starlette.middleware import Middleware

from .engine_choice import choose
from .errors import SettingsError
from .gateway.wire import MAX_MESSAGE_BYTES
from .platform_detection import this_platform
from .server.app_state import AppState
from .server.auth import AuthMiddleware
from .server.certificates import advice, certificate_of, url_of
from .server.comparisons import Comparisons
from .server.evaluations import Evaluations
from .server.proxy_headers import ProxyHeaders
from .server.routes.chat import chat_routes
from .server.routes.clone import clone_routes
from .server.routes.compare import compare_routes
from .server.routes.evaluation import evaluation_routes
from .server.routes.gateway import gateway_routes
from .server.routes.metrics import metrics_routes
from .server.routes.render import render_routes
from .server.routes.session import session_routes
from .server.routes.status import status_routes
from .server.signals import listen
from .server.talk import GOODBYE_S
from .settings import Settings
from .ui.page import build_page, launch_options

log = logging.getLogger(__name__)

PORTS_TRIED = 50
PING_EVERY_S = 10.0
SEND_BUFFER_BYTES = 32 * 1024
ABORT_AFTER_S = 5.0
CLOSING_S = 3


def serve(settings: Settings) -> None:
    """Run the app until it is told to stop.

    Raises: SettingsError when no port is free, or a key or certificate cannot be used.
    """
    stop, at_once = listen()
    with running(settings, at_once) as url:
        print(f"personaplex-app is ready at {url}  (ctrl-C ends it)", flush=True)
        stop.wait()


@contextmanager
def running(settings: Settings, at_once: threading.Event | None = None) -> Iterator[str]:
    """Hold a running app; gives its address.

    At its end running talks get `drain_s` to end, or nothing once `at_once` is set.
    """
    certificate = certificate_of(settings)
    choice = choose(settings)
    app_state = AppState.build(settings, choice)
    log.info("engine %s: %s %s", choice.name, choice.why, choice.next_step)
    for field in app_state.adapters.unused:
        log.warning("the adapters file: %s is not known here and was passed over", field)
    comparisons = Comparisons(app_state)
    guards: list[AuthMiddleware] = []

    def guard(app: Any) -> AuthMiddleware:
        guards.append(
            AuthMiddleware(
                app, settings.auth, settings.api_key, (*settings.allowed_origins, *this_platform().origins)
            )
        )
        return guards[-1]

    @asynccontextmanager
    async def lifespan(app: Any):
        app.state.metrics = app_state.metrics
        async with app_state.open():
            yield

    port = free_port(settings.host, settings.port)
    evaluations = Evaluations(app_state)
    page = build_page(app_state, evaluations)
    with _bounded_server(min(PING_EVERY_S, app_state.adapters.ping_s)):
        page.launch(
            server_name=settings.host,
            server_port=port,
            share=settings.share,
            ssl_keyfile=str(certificate.key) if certificate else None,
            ssl_certfile=str(certificate.chain) if certificate else None,
            # Gradio looks whether it answers, by an address that need not be on the certificate
            ssl_verify=False,
            # Gradio makes the addresses of its files of it
            root_path=settings.root_path or None,
            prevent_thread_lock=True,
            quiet=True,
            show_error=False,
            max_file_size="48mb",
            app_kwargs={
                "lifespan": lifespan,
                "middleware": [
                    Middleware(ProxyHeaders, settings.trusted_proxies, settings.root_path),
                    Middleware(guard),
                ],
                "routes": [
                    *chat_routes(app_state),
                    *gateway_routes(app_state),
                    *status_routes(app_state),
                    *metrics_routes(app_state),
                    *session_routes(app_state.library),
                    *clone_routes(app_state),
                    *render_routes(app_state.renderings),
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
    if certificate and certificate.self_signed:
        print(advice(certificate, settings.host, port), flush=True)
    try:
        yield page.share_url or url_of(settings.host, port, secure=certificate is not None)
    finally:
        _drain(app_state, at_once or threading.Event())
        page.close()
        comparisons.close()


def _drain(app_state: AppState, at_once: threading.Event) -> None:
    """Let running talks end; every caller is told and nobody new gets in."""
    grace_s = app_state.settings.drain_s
    app_state.drain(grace_s)
    if app_state.callers:
        print(
            f"Callers still here: {app_state.callers}. Their talks end within {grace_s} s; ctrl-C again ends"
            " them now.",
            flush=True,
        )
    _until_alone(app_state, grace_s + GOODBYE_S, at_once)
    if at_once.is_set():
        app_state.drain(0)
        _until_alone(app_state, GOODBYE_S, threading.Event())


def _until_alone(app_state: AppState, patience_s: float, enough: threading.Event) -> None:
    deadline_s = time.monotonic() + patience_s
    while app_state.callers and time.monotonic() < deadline_s and not enough.is_set():
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
            print(
                f"Port {port} is in use; taking {candidate}. Choose another with --port or PERSONAPLEX_PORT.",
                flush=True,
            )
        return candidate
    raise SettingsError(
        f"No port from {port} to {port + PORTS_TRIED - 1} can be used on {host} ({reason}); choose another"
        " with --port."
    )


@contextmanager
def _bounded_server(ping_every_s: float) -> Iterator[None]:
    """Let Gradio's launch build its server with our limits, for which it has no parameters."""
    original = uvicorn.Config
    uvicorn.Config = partial(BoundedConfig, ping_every_s)
    try:
        yield
    finally:
        uvicorn.Config = original


class BoundedConfig(uvicorn.Config):
    """Small messages, early pings, little audio waiting in a slow reader's socket, and our own log."""

    def __init__(self, ping_every_s: float, *args: Any, **kwargs: Any) -> None:
        limits: dict[str, Any] = {
            "ws_max_size": MAX_MESSAGE_BYTES,
            "ws_ping_interval": ping_every_s,
            "ws_ping_timeout": PING_EVERY_S,
        }
        # a request that does not end must not keep the app from being closed
        limits |= {"ws_max_queue": 8, "timeout_graceful_shutdown": CLOSING_S}
        # forwarded headers are `ProxyHeaders`'s affair: uvicorn itself would believe whoever connects from
        # this machine
        limits |= {"ws_per_message_deflate": False, "proxy_headers": False, "log_config": None}
        super().__init__(*args, **{**kwargs, **limits})

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
                # closing waits until the peer has read what was sent; one that reads nothing is not waited
                # for
                self.loop.call_later(ABORT_AFTER_S, self.transport.abort)

        self.ws_protocol_class = Bounded
