"""Route to the files of a rendering, for everybody who knows its key."""

from __future__ import annotations

import re

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...errors import NotFound
from ...rendering.cache import RenderCache
from ...rendering.files import FORMS, file_name
from ..http import errors_as_json

PATH = "/api/renderings/{key}/answer.{form}"
_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def render_routes(cache: RenderCache) -> list[Route]:
    """Return the routes to the renderings in a cache."""

    def file(key: str, form: str) -> Response:
        rendering = cache.get(key) if re.fullmatch("[0-9a-f]{64}", key) and form in FORMS else None
        if rendering is None:
            raise NotFound(
                "There is no such rendering here any more: they are kept for 15 minutes. Render it again."
            )
        make, media_type = FORMS[form]
        headers = {
            **_PRIVATE,
            "Content-Disposition": f'attachment; filename="{file_name(rendering, form)}"',
        }
        return Response(make(rendering), headers=headers, media_type=media_type)

    async def answer(request: Request) -> Response:
        return await anyio.to_thread.run_sync(file, request.path_params["key"], request.path_params["form"])

    return [Route(PATH, errors_as_json(answer), methods=["GET"])]
