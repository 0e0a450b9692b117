"""Run an app: choose its address and its server, and end it cleanly."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .addresses import Peers, bracketed, url_of
from .application import Application
from .platform_detection import this_platform
from .server.app_state import AppState
from .server.certificates import advice
from .server.connections import Connections, free_port, listen_from, most_connections, raise_handle_limit
from .server.listener import Server, limit
from .server.memory import give_back_memory
from .server.signals import listen
from .server.talk import GOODBYE_S
from .ui.page import SESSIONS_REMEMBERED, page_options

# Gradio's launch requests this route itself, without a login, to start the page's queue
STARTUP_PATH = "/gradio_api/startup-events"
NO_PUBLIC_LINK = (
    "there is no public link, since Gradio's share service gave none. Start again, look at"
    " https://status.gradio.app, or use a tunnel of your own"
)


def launch(app: Application) -> None:
    """Run an app until the process is told to stop.

    Raises: SettingsError when no port is free.
    """
    raise_handle_limit()
    give_back_memory()
    # what visitors send and get is nobody else's, on a machine with other users too
    os.umask(0o077)
    stop, at_once = listen()
    with running(app, at_once) as url:
        missing = f"; {NO_PUBLIC_LINK}" if app.state.settings.share and not app.page.share_url else ""
        print(f"personaplex-app is ready at {url}  (ctrl-C ends it){missing}", flush=True)
        stop.wait()


@contextmanager
def running(app: Application, at_once: threading.Event) -> Iterator[str]:
    """Serve an app until the block ends, and yield its address.

    Running talks then have `drain_s` to end, or no time once `at_once` is set.
    """
    settings = app.state.settings
    certificate = app.certificate
    # `spaces` prepares a ZeroGPU Space's device in `Blocks.launch`, and the relay of --share is Gradio's
    served = _served_by_gradio if settings.share or this_platform().name == "zerogpu" else _served
    with served(app) as (port, shared_url):
        if certificate and certificate.self_signed:
            print(advice(certificate, settings.host, port), flush=True)
        try:
            yield shared_url or url_of(settings.host, port, secure=certificate is not None)
        finally:
            _drain(app.state, at_once)
    app.close()


@contextmanager
def _served(app: Application) -> Iterator[tuple[int, str]]:
    """Serve an app with plain uvicorn; yield the port, and no public address."""
    settings = app.state.settings
    connections = Connections(most_connections(), proxies=Peers(settings.trusted_proxies))
    sockets, port = listen_from(settings.host, settings.port, connections)
    server = Server(
        app,
        app.state.adapters.ping_s,
        sockets,
        connections,
        ssl_keyfile=app.certificate and app.certificate.key,
        ssl_certfile=app.certificate and app.certificate.chain,
    )
    server.start()
    try:
        yield port, ""
    finally:
        app.page.close(verbose=False)
        server.close()


@contextmanager
def _served_by_gradio(app: Application) -> Iterator[tuple[int, str]]:
    """Serve an app with the server that Gradio starts; yield the port and the public address, "" for none.

    Connections made during the launch have uvicorn's default limits, later ones the app's.
    """
    settings = app.state.settings
    port = free_port(settings.host, settings.port)
    # else uvicorn trusts the forwarded headers of every peer on this machine, and the relay is one
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    app.page.launch(
        server_name=bracketed(settings.host),
        server_port=port,
        share=settings.share,
        ssl_keyfile=str(app.certificate.key) if app.certificate else None,
        ssl_certfile=str(app.certificate.chain) if app.certificate else None,
        # Gradio requests its own page by an address that need not be on the certificate
        ssl_verify=False,
        # Gradio puts it before the URLs of its files
        root_path=settings.root_path or None,
        state_session_capacity=SESSIONS_REMEMBERED,
        prevent_thread_lock=True,
        quiet=True,
        app_kwargs=app.parts(open_paths=(STARTUP_PATH,)),
        **page_options(),
    )
    limit(app.page.server.config, app.state.adapters.ping_s)
    for name in ("uvicorn", "uvicorn.access"):
        # to the app's log, as with the other server
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    try:
        yield port, app.page.share_url or ""
    finally:
        app.page.close(verbose=False)


def _drain(state: AppState, at_once: threading.Event) -> None:
    """Begin no new talks, warn every caller, and wait until the running talks have ended."""
    grace_s = state.settings.drain_s
    # read first: callers that wait in line leave as soon as `drain` is called
    callers = state.callers
    state.drain(grace_s)
    if callers:
        print(
            f"Callers still here: {callers}. Their talks end within {grace_s} s; ctrl-C again ends them now.",
            flush=True,
        )
    # Python can wait for one event at a time only
    _first_of(state.alone, at_once).wait(grace_s + GOODBYE_S)
    if at_once.is_set():
        state.drain(0)
        state.alone.wait(GOODBYE_S)


def _first_of(*events: threading.Event) -> threading.Event:
    """Return an event that is set as soon as one of several is."""
    first = threading.Event()

    def follow(event: threading.Event) -> None:
        event.wait()
        first.set()

    for event in events:
        # a thread whose event never comes ends with the process
        threading.Thread(target=follow, args=(event,), daemon=True).start()
    return first
