"""Routes behind the same door as in the app, without a server."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from personaplex_app.server.auth import AuthMiddleware
from personaplex_app.settings import Settings


def served(routes: Sequence[BaseRoute], settings: Settings | None = None) -> Starlette:
    """Return an app of some routes, which find out who calls as in the real one."""
    return Starlette(routes=routes, middleware=[Middleware(AuthMiddleware, settings or Settings())])
