"""`/api/chat` over a WebSocket, and the same talk over HTTP for clients whose network blocks WebSockets."""

from __future__ import annotations

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from ...errors import BadInput, NotFound, PersonaplexError
from ...json_input import whole_number
from ...protocol import MAX_MESSAGE_BYTES, parse_query, unpack
from ...protocol_events import Ended, Failure
from ..app_state import AppState
from ..channel import Channel, Disconnected, Frames, HttpChannel, WebSocketChannel
from ..end_reasons import end_of
from ..entry_point import page_entry
from ..http import errors_as_json, limited_body, principal_of
from ..talk import Talk

MAX_BODY_BYTES = 4 * MAX_MESSAGE_BYTES
STREAM_PATIENCE_S = 10.0
MOST_POSTS = 2**31


def chat_routes(app_state: AppState) -> list[BaseRoute]:
    """Return the routes of talks."""

    async def chat(socket: WebSocket) -> None:
        async with app_state.arrivals.turn() as answered:
            await socket.accept()
            await talk(socket, Frames(socket, app_state.metrics.traffic("chat"), answered))

    async def talk(socket: WebSocket, frames: Frames) -> None:
        channel = WebSocketChannel(frames)
        try:
            app_state.rate.admit(principal_of(socket))
            request = parse_query(socket.query_params)
        except PersonaplexError as error:
            await refuse(channel, error, app_state, told=socket.query_params.get("events") in ("1", "true"))
            return
        await Talk(channel, request, app_state, page_entry("chat", request), principal_of(socket)).run()

    async def open_http(http: Request) -> Response:
        caller = principal_of(http)
        app_state.rate.admit(caller)
        request = parse_query(http.query_params)
        id_, channel = app_state.channels.add(caller, app_state.metrics.traffic("chat_http"))
        talk = Talk(channel, request, app_state, page_entry("chat_http", request), caller)
        app_state.start_soon(talk.run)
        app_state.start_soon(_hang_up_unless_streaming, channel)
        return JSONResponse({"id": id_})

    async def down(http: Request) -> Response:
        channel = app_state.channels.get(http.path_params["id"])
        if channel.streaming:
            raise BadInput("This talk is already being read; start a new one.")
        # proxies must neither compress nor collect the stream: nginx reads the second header
        headers = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
        return StreamingResponse(channel.stream(), media_type="application/octet-stream", headers=headers)

    async def up(http: Request) -> Response:
        channel = app_state.channels.get(http.path_params["id"])
        number = whole_number(http.query_params.get("n", ""), MOST_POSTS)
        if number is None:
            raise BadInput("Each POST of a talk needs its number, n=0, 1, 2, …")
        with channel.post():
            body = await limited_body(http, MAX_BODY_BYTES)
            try:
                await channel.put(number, list(unpack(body)))
            except Disconnected:
                raise NotFound("This talk is over; start a new one.") from None
        return Response(status_code=204)

    async def end(http: Request) -> Response:
        app_state.channels.get(http.path_params["id"]).hang_up(left=True)
        return Response(status_code=204)

    return [
        WebSocketRoute("/api/chat", chat),
        Route("/api/chat/http", errors_as_json(open_http), methods=["POST"]),
        Route("/api/chat/http/{id}", errors_as_json(down), methods=["GET"]),
        Route("/api/chat/http/{id}", errors_as_json(up), methods=["POST"]),
        Route("/api/chat/http/{id}", errors_as_json(end), methods=["DELETE"]),
    ]


async def refuse(channel: Channel, error: PersonaplexError, app_state: AppState, told: bool = False) -> None:
    """Tell a caller why there will be no talk, who wants to be `told` events by one too, and close."""
    app_state.metrics.errors.labels(error.code).inc()
    end = end_of(error)
    try:
        if told:
            await channel.send(Ended(end.reason, end.text, retry_after_s=end.retry_after_s))
        await channel.send(Failure(end.text, end.retry_after_s))
    except Disconnected:
        return
    await channel.close(error.close_code, str(error))


async def _hang_up_unless_streaming(channel: HttpChannel) -> None:
    """End a talk whose client never began to read it."""
    await anyio.sleep(STREAM_PATIENCE_S)
    if not channel.streaming:
        channel.hang_up()
