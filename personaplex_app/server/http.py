"""Helpers of all routes: errors as JSON, bounded bodies, the caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ..errors import BadInput, CapacityError, NotFound, PersonaplexError, StorageFull, TalkRunning, TooLarge
from ..json_input import read_json
from ..principal import Principal

PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
Endpoint = Callable[[Request], Awaitable[Response]]
# the first that fits counts: several of these are a BadInput too
_STATUS: tuple[tuple[type[PersonaplexError], int], ...] = (
    (NotFound, 404),
    (TalkRunning, 409),
    (TooLarge, 413),
    (BadInput, 400),
    (CapacityError, 429),
    (StorageFull, 507),
)


def status_of(error: PersonaplexError) -> int:
    """Return the HTTP status of a request that ends by an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 503)


def errors_as_json(endpoint: Endpoint) -> Endpoint:
    """Wrap an endpoint so that the program's errors become JSON with their sentence and a fitting status, and
    are counted in the app's metrics.
    """

    @wraps(endpoint)
    async def wrapped(request: Request) -> Response:
        try:
            return await endpoint(request)
        except PersonaplexError as error:
            if metrics := getattr(request.app.state, "metrics", None):
                metrics.errors.labels(error.code).inc()
            return error_response(error)

    return wrapped


def error_response(error: PersonaplexError) -> JSONResponse:
    """Return the answer to a request that ends by an error."""
    content: dict[str, Any] = {"error": error.code, "message": str(error)}
    headers = {}
    if isinstance(error, CapacityError):
        content["retry_after_s"] = error.retry_after_s
        headers["Retry-After"] = str(error.retry_after_s)
    return JSONResponse(content, status_of(error), headers)


async def refuse_request(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    code: str,
    text: str,
    headers: dict[str, str] | None = None,
) -> None:
    """Answer a request that does not get through; a WebSocket is refused before it opens, by 403."""
    is_socket = scope["type"] == "websocket"
    if is_socket:
        await receive()
        if "websocket.http.response" not in scope.get("extensions", {}):
            return await send({"type": "websocket.close", "code": 1008, "reason": text[:120]})
    answer = JSONResponse({"error": code, "message": text}, 403 if is_socket else status, headers)
    await answer(scope, receive, send)


def too_large(limit_bytes: int) -> TooLarge:
    """Return the error for a body over a limit."""
    return TooLarge(f"The body has more than {limit_bytes} bytes, which is the limit here.")


def check_announced(headers: Headers, limit_bytes: int) -> None:
    """Look at the length that a body will have. Raises: TooLarge when it says one over the limit."""
    said = headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > limit_bytes:
        raise too_large(limit_bytes)


async def limited_body(request: Request, limit_bytes: int) -> bytes:
    """Return a request's body. Raises: TooLarge as soon as it is over the limit, or says that it will be."""
    check_announced(request.headers, limit_bytes)
    # counted while it arrives too: a Content-Length may be missing or wrong
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise too_large(limit_bytes)
    return bytes(body)


async def json_object(request: Request, limit_bytes: int, example: str = "") -> dict[str, Any]:
    """Return a request's body as the JSON object that it is.

    Raises: TooLarge; BadInput when it is something else. `example` continues the words "a JSON object".
    """
    wanted = f"The body must be a JSON object {example}".rstrip()
    body = await limited_body(request, limit_bytes)
    try:
        value = read_json(body)
    except ValueError as error:
        raise BadInput(f"{wanted}; {error}.") from None
    if not isinstance(value, dict):
        raise BadInput(f"{wanted}.")
    return value


def principal_of(connection: HTTPConnection) -> Principal:
    """Return who calls, as established by the authentication before every route."""
    return connection.state.principal


def principal_and_id(request: Request, parameter: str) -> tuple[Principal, str]:
    """Return who calls, and the id in the path."""
    return principal_of(request), request.path_params[parameter]


def private_json(content: dict[str, Any], status: int = 200) -> JSONResponse:
    """Return JSON that no cache may keep."""
    return JSONResponse(content, status, headers=PRIVATE)
