"""The order in which callers come in: a few at a time, each answered before many more are let in.

Where hundreds connect in the same moment, all would otherwise be upgraded first and answered last, and talks
in progress would wait for all of them at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

AT_ONCE = 8
ANSWER_S = 0.2
"""After which the next comes in all the same: some clients are told nothing before their talk begins."""


class Arrivals:
    """The callers who are coming in."""

    def __init__(self, at_once: int = AT_ONCE, answer_s: float = ANSWER_S) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._answer_s = answer_s

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Callable[[], None]]:
        """Wait for a turn, and yield what gives it to the next; call that at the first answer, and later as
        often as you like.
        """
        await self._turns.acquire()
        given = False

        def give() -> None:
            nonlocal given
            if not given:
                given = True
                overdue.cancel()
                self._turns.release()

        overdue = asyncio.get_running_loop().call_later(self._answer_s, give)
        try:
            yield give
        finally:
            give()
