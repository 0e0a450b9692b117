"""The page's text and its configuration, made once and given to all: making them takes as long as a step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT_S = 30.0
MOST_KEPT = 32
PATHS = ("", "/", "/config")

Rewrite = Callable[[bytes, Scope, str], bytes]


@dataclass(frozen=True)
class _Answer:
    messages: tuple[Message, ...]
    made_s: float


class PageCache:
    """ASGI middleware, behind the login: answers `/` and `/config` as it did before, for a while.

    The page is the same for everybody who reads the same language, which `language` tells; its links depend
    on the address it is asked by. It is made for one request at a time, however many ask. `rewrite` returns
    what is said in place of an answer's body, in a language.
    """

    def __init__(
        self,
        app: ASGIApp,
        rewrite: Rewrite,
        language: Callable[[Scope], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._rewrite = rewrite
        self._language = language
        self._clock = clock
        self._answers: dict[tuple[str, ...], _Answer] = {}
        self._making = anyio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "")
        is_page = scope["type"] == "http" and scope["path"].removeprefix(root) in PATHS
        if not is_page or scope["method"] not in ("GET", "HEAD"):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        said = (headers.get(name, "") for name in ("host", "x-forwarded-host", "x-forwarded-proto"))
        language = self._language(scope)
        key = (language, scope["method"], scope["scheme"], scope["path"], root, *said)
        # Gradio's page for such a link is another than the page for all
        passing = b"deep_link" in scope["query_string"]
        answer = None if passing else self._fresh(key)
        if answer is None:
            async with self._making:
                answer = (None if passing else self._fresh(key)) or await self._make(key, scope, receive)
            if not passing:
                self._keep(key, answer)
        for message in answer.messages:
            # whoever stands before this adds headers to its own copy
            await send({**message, "headers": list(message["headers"])} if "headers" in message else message)

    def _fresh(self, key: tuple[str, ...]) -> _Answer | None:
        answer = self._answers.get(key)
        return answer if answer and self._clock() - answer.made_s < KEPT_S else None

    async def _make(self, key: tuple[str, ...], scope: Scope, receive: Receive) -> _Answer:
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, collect)
        if messages and messages[0].get("status") == 200:
            body = self._rewrite(b"".join(message.get("body", b"") for message in messages), scope, key[0])
            start = {**messages[0], "headers": list(messages[0]["headers"])}
            MutableHeaders(scope=start).add_vary_header("Accept-Language")
            if scope["method"] == "GET":
                MutableHeaders(scope=start)["content-length"] = str(len(body))
            messages = [start, {"type": "http.response.body", "body": body}]
        return _Answer(tuple(messages), self._clock())

    def _keep(self, key: tuple[str, ...], answer: _Answer) -> None:
        if answer.messages and answer.messages[0].get("status") == 200:
            self._answers.pop(key, None)
            if len(self._answers) >= MOST_KEPT:
                del self._answers[next(iter(self._answers))]
            self._answers[key] = answer
