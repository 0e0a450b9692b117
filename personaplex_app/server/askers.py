"""Who asked for work that takes a while, and whether anybody still waits for it.

Gradio tells a handler nothing of who reads its answer: the requests that read the answers of the page's queue
are counted as they pass.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs
from weakref import WeakSet

from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import CapacityError
from ..principal import NOBODY, Principal

GRACE_S = 20.0
"""How long work goes on that nobody waits for: a page comes back after a short break."""
_ANSWERS = re.compile(r"/gradio_api/(?:queue/data|call/(?:v2/)?[^/]+/(?P<event>[^/]+))$")


# not equal by value: one visitor may ask for the same twice
@dataclass(eq=False)
class Asker:
    """Whoever asked for one piece of work, by the session that its answer is read under."""

    caller: Principal = NOBODY
    session: str = ""
    readers: Counter[str] = field(default_factory=Counter)
    now: Callable[[], float] = time.monotonic
    cancelled: bool = False
    """Whether the visitor pressed Cancel, and has been shown that."""
    _seen_s: float | None = None

    def check(self) -> None:
        """Raise CapacityError when the work was cancelled or nobody has waited for the answer for a while.

        Call it now and then.
        """
        if self.cancelled:
            raise CapacityError("The work was cancelled.")
        now_s = self.now()
        if self._seen_s is None or self.readers[self.session] or self.readers[self.caller.address]:
            self._seen_s = now_s
        if now_s - self._seen_s > GRACE_S:
            raise CapacityError("Nobody waits for the answer any more, so the work was stopped.")


NO_ASKER = Asker(now=lambda: 0.0)
"""Stands for a program in this process, which waits itself."""


class Askers:
    """The sessions whose answers are being read."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._readers: Counter[str] = Counter()
        self._at_work: WeakSet[Asker] = WeakSet()
        self._now = now

    def asker(self, caller: Principal, session: str) -> Asker:
        """Return who asked, by what the request says of itself."""
        asker = Asker(caller, session, self._readers, self._now)
        self._at_work.add(asker)
        return asker

    def cancel(self, session: str) -> None:
        """Cancel what was asked for in a session until now.

        Gradio's own way, a listener that `cancels` others, would end what the same visitor begins within the
        next second too.
        """
        for asker in self._at_work:
            if asker.session == session:
                asker.cancelled = True

    def counting(self, app: ASGIApp) -> ASGIApp:
        """Return ASGI middleware that counts who reads answers."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            reader = _reader(scope)
            if not reader:
                return await app(scope, receive, send)
            self._readers[reader] += 1
            try:
                return await app(scope, receive, send)
            finally:
                self._readers[reader] -= 1
                if not self._readers[reader]:
                    del self._readers[reader]

        return counted


def _reader(scope: Scope) -> str:
    """Return which session's answers a request reads, "" for any other request.

    An answer that is read by its event's own id may belong to any session of that address.
    """
    if scope["type"] != "http" or not (found := _ANSWERS.search(scope["path"])):
        return ""
    if found["event"]:
        return (scope.get("client") or ("",))[0]
    return parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
