"""The routes of the whole app, listed from the app itself, Gradio's among them."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.routing import BaseRoute

from personaplex_app.application import create_app
from personaplex_app.settings import Settings

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE")


def routes_of(routes: list[BaseRoute], before: str = "") -> list[tuple[str, BaseRoute]]:
    """Return every route below some, with its path, its parameters filled in."""
    found = []
    for route in routes:
        # FastAPI's own kind of route for a router that was included
        if router := getattr(route, "original_router", None):
            found += routes_of(router.routes, before)
            continue
        path = before + re.sub(r"\{[^}]*\}", "x", getattr(route, "path", ""))
        below = getattr(route, "routes", None)
        found += routes_of(below, path) if below else [(path or "/", route)]
    return found


def app_routes(folder: Path) -> list[tuple[str, BaseRoute]]:
    """Make an app whose data goes to `folder`, and return its routes."""
    app = create_app(Settings(engine="echo", data=folder))
    try:
        return routes_of(app._asgi.routes)
    finally:
        app.close()
        app.state.library.close()
        app.state.renderings.close()
