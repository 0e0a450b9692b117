"""Create the app: its state, routes, middleware, lifespan and page, in one ASGI application."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from .engine_choice import Choice, choose, offered
from .errors import SettingsError
from .platform_detection import this_platform
from .server.app_state import AppState
from .server.auth import AuthMiddleware
from .server.certificates import Certificate, certificate_of
from .server.comparisons import Comparisons
from .server.evaluations import Evaluations
from .server.event_streams import StreamEnds
from .server.page_cache import PageCache
from .server.page_headers import PageHeaders
from .server.proxy_headers import ProxyHeaders
from .server.request_limits import BodyLimit, CookieLimit, UploadShares
from .server.request_rate import RequestRate
from .server.routes.api_docs import api_docs_routes
from .server.routes.chat import chat_routes
from .server.routes.clone import clone_routes
from .server.routes.compare import compare_routes
from .server.routes.evaluation import evaluation_routes
from .server.routes.gateway import gateway_routes
from .server.routes.metrics import metrics_routes
from .server.routes.render import render_routes
from .server.routes.session import session_routes
from .server.routes.status import status_routes
from .sessions.temp_folder import PREFIX, TempFolder
from .settings import Settings
from .ui.page import build_page, mounted
from .ui.page_head import preview_route, with_head
from .ui.page_language import page_language
from .ui.scripts import script_routes
from .ui.talk_page import talk_page

log = logging.getLogger(__name__)

GRADIO_FOLDER = "GRADIO_TEMP_DIR"


def create_app(settings: Settings, choice: Choice | None = None) -> Application:
    """Create the app for these settings; its engine is loaded when the app is served.

    Raises: SettingsError for a certificate or a file of adapters that cannot be used, EngineUnavailable.
    """
    certificate = certificate_of(settings)
    choice = offered(choice or choose(settings), settings)
    state = AppState.build(settings, choice)
    log.info("engine %s: %s %s", choice.name, choice.why, choice.next_step)
    for field in state.adapters.unused:
        log.warning("the adapters file: %s is an unknown field and is ignored", field)
    return Application(state, certificate)


class Application:
    """The app as an ASGI application. Gradio's `launch` takes its `page` and its `parts` instead."""

    def __init__(self, state: AppState, certificate: Certificate | None) -> None:
        self.state = state
        self.certificate = certificate
        self._comparisons = Comparisons(state)
        self._evaluations = Evaluations(state)
        self._files = _gradio_folder()
        self.page = build_page(state, self._evaluations)

    def parts(self, open_paths: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the arguments for the FastAPI app that Gradio makes; `open_paths` need no login."""
        settings = self.state.settings
        host = this_platform()
        origins = (*settings.allowed_origins, *host.origins)
        # a notebook shows the public link in a frame, wherever it runs
        frames = ("*",) if settings.share else (*settings.allowed_origins, *host.frames)
        certified = not (self.certificate and self.certificate.self_signed)
        return {
            "routes": self._routes(),
            "middleware": [
                # first, since authentication needs the caller's own address, scheme and host
                Middleware(
                    ProxyHeaders, settings.trusted_proxies, settings.root_path, settings.share or host.relayed
                ),
                Middleware(PageHeaders, frames, certified),
                Middleware(RequestRate, self.state.metrics.errors, settings.gateway_key),
                Middleware(CookieLimit),
                Middleware(AuthMiddleware, settings, origins, open_paths),
                Middleware(StreamEnds),
                Middleware(self.state.askers.counting),
                Middleware(BodyLimit, UploadShares()),
                Middleware(PageCache, with_head, partial(page_language, personas=self.state.personas)),
            ],
            "exception_handlers": {
                RequestValidationError: _unfit,
                ClientDisconnect: _left,
                Exception: _fault,
            },
            "lifespan": self._lifespan,
            "docs_url": None,
            "redoc_url": None,
        }

    # made at the first call: where Gradio's `launch` serves the app, it is never needed
    @cached_property
    def _asgi(self) -> ASGIApp:
        return mounted(
            self.page, self.parts(), self.state.settings.root_path, pwa=this_platform().name == "space"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._asgi(scope, receive, send)

    def _routes(self) -> list[BaseRoute]:
        state = self.state
        routes = [
            *chat_routes(state),
            *gateway_routes(state),
            *status_routes(state),
            *metrics_routes(state),
            *session_routes(state.library, partial(talk_page, state.personas)),
            *clone_routes(state),
            *render_routes(state.renderings),
            *evaluation_routes(self._evaluations),
            *compare_routes(self._comparisons),
        ]
        return [*routes, *api_docs_routes(state.settings, routes), preview_route(), *script_routes()]

    @asynccontextmanager
    async def _lifespan(self, app: Any) -> AsyncIterator[None]:
        app.state.metrics = self.state.metrics
        async with self.state.open():
            yield

    def close(self) -> None:
        """Finish the work that outlasts requests, such as the upload of votes, and delete what was sent."""
        self._comparisons.close()
        self._files.wipe()


def _gradio_folder() -> TempFolder:
    """Make the folder of what visitors send to Gradio and get from it, and tell Gradio of it.

    Raises: SettingsError when it cannot be made.
    """
    given = Path(os.environ.get(GRADIO_FOLDER) or tempfile.gettempdir())
    # an earlier app of this process may have set it
    root = given.parent if given.name.startswith(PREFIX) else given
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = TempFolder(root)
    except OSError as error:
        raise SettingsError(
            f"No folder for uploads can be made in {root} ({error.strerror}); name another with TMPDIR."
        ) from error
    os.environ[GRADIO_FOLDER] = str(folder.path)
    return folder


async def _unfit(request: Request, error: Exception) -> JSONResponse:
    """Answer a body that does not fit, without what it holds: Gradio would encode all of it again."""
    return JSONResponse({"error": "bad_input", "message": "The body is not what this route takes."}, 422)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that a fault of the program ended; the log has where it happened."""
    text = "A fault of this program ended the request; its log has the place. Please try again."
    return JSONResponse({"error": "fault", "message": text}, 500)


async def _left(request: Request, error: Exception) -> Response:
    """Answer a caller who left in the middle of a body: nobody hears it, and nothing went wrong here."""
    return Response(status_code=400)
