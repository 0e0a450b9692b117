"""Work that blocks: on as many threads as its limiter allows, or on a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from ..errors import EngineHung

T = TypeVar("T")


async def in_thread(limiter: anyio.CapacityLimiter, work: Callable[..., T], *args: Any) -> T:
    """Return what `work` returns, called in a thread."""
    return await anyio.to_thread.run_sync(partial(work, *args), limiter=limiter)


class Worker:
    """A thread of its own for the calls of one session, made one after the other.

    Nobody need wait for a call that does not come back: it holds up only the calls behind it.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Context, Callable[[], Any], Future[Any]] | None]
        self._calls = queue.SimpleQueue()
        self._last: Future[Any] | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def idle(self) -> bool:
        """Whether every call has come back."""
        return self._last is None or self._last.done()

    def start(self, work: Callable[..., T], *args: Any) -> Future[T]:
        """Make a call once those before it are over."""
        self._last = future = Future()
        self._calls.put((copy_context(), partial(work, *args), future))
        return future

    async def call(self, within_s: float, work: Callable[..., T], *args: Any) -> T:
        """Return what `work` returns; leaving early does not break it off.

        Raises: EngineHung when it has not come back `within_s`; whatever `work` raises.
        """
        future = self.start(work, *args)
        if not await came_back(future, within_s):
            raise EngineHung(
                f"The engine has not answered for {within_s:g} s, so the talk was ended; start a new one."
            )
        return future.result()

    def end(self) -> None:
        """Let the thread end after the calls that were made."""
        self._calls.put(None)

    def _run(self) -> None:
        while call := self._calls.get():
            context, work, future = call
            try:
                future.set_result(context.run(work))
            except BaseException as error:
                future.set_exception(error)


async def came_back(future: Future[Any], within_s: float) -> bool:
    """Wait for a call; return whether it is over `within_s`."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits there any more
            loop.call_soon_threadsafe(over.set)

    future.add_done_callback(tell)
    with anyio.move_on_after(within_s):
        await over.wait()
    return future.done()
