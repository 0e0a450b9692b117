"""`/docs/api`: the interface as a page, as OpenAPI and as AsyncAPI, written from the app's own routes."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...settings import Settings
from ..api_page import page_of
from ..asyncapi import asyncapi
from ..openapi import openapi

PATH = "/docs/api"


def api_docs_routes(settings: Settings, others: Sequence[BaseRoute]) -> list[BaseRoute]:
    """Return the routes of the documents about `others` and themselves."""
    locked = bool(settings.auth or settings.api_key)

    def http_document(request: Request) -> dict:
        return openapi([*others, *routes], request.scope.get("root_path", ""), locked)

    def socket_document(request: Request) -> dict:
        url = request.url
        return asyncapi(url.netloc, url.scheme == "https", request.scope.get("root_path", ""), locked)

    async def page(request: Request) -> Response:
        return HTMLResponse(page_of(http_document(request), socket_document(request)))

    async def http(request: Request) -> Response:
        return JSONResponse(http_document(request))

    async def sockets(request: Request) -> Response:
        return JSONResponse(socket_document(request))

    routes: list[BaseRoute] = [
        Route(PATH, page, methods=["GET"]),
        Route(f"{PATH}/openapi.json", http, methods=["GET"]),
        Route(f"{PATH}/asyncapi.json", sockets, methods=["GET"]),
    ]
    return routes
