"""Let no answer of Gradio's queue get lost between two of a page's streams."""

from __future__ import annotations

import time
from collections import OrderedDict
from urllib.parse import parse_qs

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..json_input import read_json

JOIN_PATH, DATA_PATH = "/gradio_api/queue/join", "/gradio_api/queue/data"
END = b'"msg":"close_stream"'
ON_ITS_WAY_S = 0.5
"""How long the end of a stream may take to a page; on a slow line it takes about 0.2 s."""


class StreamEnds:
    """ASGI middleware: an event that a page sends while its stream ends is confirmed after the end has come.

    A page reads the answers to all its events from one stream, which the server ends when none is under way.
    If it learns that a new event was taken before it has read that end, it takes the stream for open, opens
    no other, and waits for ever.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._ended_s: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "") if scope["type"] == "http" else ""
        if path.endswith(DATA_PATH):
            await self._app(scope, receive, self._noting(_asked_session(scope), send))
        elif path.endswith(JOIN_PATH):
            body = bytearray()

            async def reading() -> Message:
                message = await receive()
                body.extend(message.get("body", b""))
                return message

            async def confirming(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await self._wait_for_end(_sent_session(body))
                await send(message)

            await self._app(scope, reading, confirming)
        else:
            await self._app(scope, receive, send)

    def _noting(self, session: str, send: Send) -> Send:
        async def noting(message: Message) -> None:
            if END in message.get("body", b""):
                now_s = time.monotonic()
                while self._ended_s and now_s - next(iter(self._ended_s.values())) > ON_ITS_WAY_S:
                    self._ended_s.popitem(last=False)
                self._ended_s[session] = now_s
                self._ended_s.move_to_end(session)
            await send(message)

        return noting

    async def _wait_for_end(self, session: str) -> None:
        if ended_s := self._ended_s.get(session):
            await anyio.sleep(max(0.0, ended_s + ON_ITS_WAY_S - time.monotonic()))


def _asked_session(scope: Scope) -> str:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("session_hash", [""])[0]


def _sent_session(body: bytearray) -> str:
    try:
        sent = read_json(bytes(body))
    except ValueError:
        return ""  # Gradio refuses it
    return str(sent.get("session_hash", "")) if isinstance(sent, dict) else ""
