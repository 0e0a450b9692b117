"""The files of a report, for the page and for downloads."""

from __future__ import annotations

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ...evaluation.report import HTML
from ..evaluations import Evaluations
from ..http import errors_as_json

# a report is one file that needs nothing else, so that it may load nothing else
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; media-src data:; img-src"
    " data:; frame-ancestors 'self'"
)


def evaluation_routes(evaluations: Evaluations) -> list[Route]:
    """Return the route to the reports."""

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        path = await anyio.to_thread.run_sync(evaluations.file, request.path_params["run_id"], name)
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY,
        }
        shown = name == HTML and "download" not in request.query_params
        return FileResponse(
            path, headers=headers, filename=name, content_disposition_type="inline" if shown else "attachment"
        )

    return [Route("/api/evaluations/{run_id}/{name}", errors_as_json(file), methods=["GET"])]
