"""How many requests one address may make: what comes faster waits for its turn, and then is refused.

Each request costs the event loop, which carries everybody's sound, up to 2 ms. So the requests of one address
are spaced out once a page's worth of them came at once, and refused once an office's worth did.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

import anyio
from prometheus_client import Counter
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..addresses import caller_of
from ..errors import CapacityError
from .allowance import TokenBucket
from .auth import has_key
from .connect_rate import MOST_CALLERS
from .http import error_response

log = logging.getLogger(__name__)

REQUESTS_PER_S = 100
BURST = 1000
"""Forty people of one address who open the page at the same time."""
SPACED_PER_S = 200
"""How fast one address gets its turns."""
UNSPACED = 150
PATIENCE_S = 2.0
CHEAP = ("/assets/", "/static/", "/svelte/", "/scripts/", "/theme.css", "/favicon.ico", "/api/chat/http/")
"""The hundred files that a page consists of, and the pieces of a talk over HTTP, twelve a second."""
CHEAP_COST = 0.25
METRICS_COST = 4.0
UNCACHED_PAGE_COST = 8.0
LOG_EVERY_S = 60.0
FORGOTTEN_S = LOG_EVERY_S
"""After so long an address has all that a new one has."""


class _Caller:
    """What one address has left."""

    __slots__ = ("logged_s", "requests", "seen_s", "turns")  # there are thousands

    def __init__(self, now: Callable[[], float]) -> None:
        self.turns = TokenBucket(SPACED_PER_S, UNSPACED, now)
        self.requests = TokenBucket(REQUESTS_PER_S, BURST, now)
        self.logged_s = self.seen_s = -math.inf


class RequestRate:
    """ASGI middleware, before the login, so that refused logins count too: answers 429 to whoever asks for
    too much, by HTTP or for a WebSocket.

    Whoever has `gateway_key` is the operator's own program, through which many people call, and is not
    counted. `refused` counts the refusals by their code. At most `most_callers` addresses are remembered.
    """

    def __init__(
        self,
        app: ASGIApp,
        refused: Counter,
        gateway_key: str = "",
        most_callers: int = MOST_CALLERS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._refused = refused
        self._gateway_key = gateway_key
        self._most = most_callers
        self._now = now
        self._callers: dict[str, _Caller] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._is_gateway(scope):
            return await self._app(scope, receive, send)
        caller = self._caller_of(scope)
        cost = _cost_of(scope)
        wait_s = caller.turns.wait_s(cost)
        if wait_s > PATIENCE_S:
            if await _still_there(receive, PATIENCE_S):
                await self._refuse(caller, wait_s)(scope, receive, send)
            return
        caller.turns.owe(cost)
        if wait_s:
            await anyio.sleep(wait_s)
        if caller.requests.take(cost):
            return await self._app(scope, receive, send)
        await self._refuse(caller, caller.requests.wait_s(REQUESTS_PER_S))(scope, receive, send)

    def _is_gateway(self, scope: Scope) -> bool:
        return bool(self._gateway_key) and has_key(HTTPConnection(scope), self._gateway_key)

    def _caller_of(self, scope: Scope) -> _Caller:
        address = caller_of((scope.get("client") or ("",))[0])
        # `pop` and insertion keep the dictionary in order of last use: the first is the oldest
        caller = self._callers.pop(address, None) or _Caller(self._now)
        caller.seen_s = self._now()
        self._callers[address] = caller
        while len(self._callers) > self._most or caller.seen_s - self._oldest.seen_s >= FORGOTTEN_S:
            del self._callers[next(iter(self._callers))]
        return caller

    @property
    def _oldest(self) -> _Caller:
        return next(iter(self._callers.values()))

    def _refuse(self, caller: _Caller, wait_s: float) -> Response:
        """Return the answer to one request too many, and log the first in a minute."""
        error = CapacityError(
            f"More than {REQUESTS_PER_S} requests a second come from this address; wait"
            f" {math.ceil(max(1.0, wait_s))} s.",
            wait_s,
        )
        self._refused.labels(error.code).inc()
        if self._now() - caller.logged_s >= LOG_EVERY_S:
            caller.logged_s = self._now()
            log.warning(
                "requests of one address are refused: more than %d a second come from there. If that is your"
                " proxy, name it with --trusted-proxies.",
                REQUESTS_PER_S,
            )
        return error_response(error)


def _cost_of(scope: Scope) -> float:
    """Return how much a request counts: about its milliseconds of the event loop or, beside it, of the
    interpreter.
    """
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if path.startswith(CHEAP):
        return CHEAP_COST
    if path == "/metrics":
        return METRICS_COST
    return UNCACHED_PAGE_COST if b"deep_link" in scope["query_string"] else 1.0


async def _still_there(receive: Receive, for_s: float) -> bool:
    """Wait, discarding what comes; return whether the client waited too."""
    with anyio.move_on_after(for_s):
        while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
            pass
        return False
    return True
