"""Work that must not delay a step: it is queued to one thread per model, and its results are polled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import EngineError

T = TypeVar("T")
MAX_PENDING = 128
# In lockstep every piece of work takes exactly so long, so that results do not depend on the machine's speed.
LOCKSTEP_FRAMES = 2
_CLOSE_S = 2.0


class Worker:
    """A thread that runs one piece of work at a time. Several sessions may share it."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"classic-{name}")
        self._last: Future[Any] | None = None

    @property
    def busy(self) -> bool:
        """Return whether the last submitted work is unfinished."""
        return self._last is not None and not self._last.done()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Queue `work` and return its future."""
        # with the caller's context, so that log lines carry the id of the talk
        future = self._executor.submit(copy_context().run, work)
        self._last = future
        return future

    def close(self, last_work: Callable[[], None] = lambda: None) -> None:
        """Run `last_work` after what is queued, then end the thread; wait at most two seconds."""
        last = self._executor.submit(last_work)
        wait([last], timeout=_CLOSE_S)
        # joining a thread that hangs in a request would hang the caller too
        self._executor.shutdown(wait=last.done())


@dataclass
class _PendingWork:
    future: Future[Any]
    due_frame: int
    then: Callable[[Any], None]


class WorkQueue:
    """The pending work of one session, at most 128 pieces."""

    def __init__(self, lockstep: bool) -> None:
        self._lockstep = lockstep
        self._pending: deque[_PendingWork] = deque()
        self._frame = 0

    def run(self, worker: Worker, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Queue `work` on `worker`; a later `poll` calls `then` with its result.

        Raises: EngineError when too much of this session's work is pending.
        """
        if len(self._pending) >= MAX_PENDING:
            raise EngineError(
                f"This talk has {MAX_PENDING} pieces of work waiting, the most it may have; the machine is"
                " too slow for it."
            )
        self._pending.append(_PendingWork(worker.submit(work), self._frame + LOCKSTEP_FRAMES, then))

    def poll(self, frame: int) -> None:
        """Deliver every result that is due, in the order in which the work was queued."""
        self._frame = frame
        # callbacks may queue more work, which must not be delivered in this poll
        pending = self._pending
        self._pending = deque()
        for work in pending:
            # in lockstep a result that is late is waited for
            if frame >= work.due_frame if self._lockstep else work.future.done():
                if not work.future.cancelled():
                    work.then(work.future.result())
            else:
                self._pending.append(work)

    def close(self) -> None:
        """Cancel what is pending; no more results are delivered."""
        for work in self._pending:
            work.future.cancel()
        self._pending.clear()
