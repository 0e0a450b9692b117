"""Work that must not hold up a step: queued to one thread per model, its results taken up between frames."""

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
# In lockstep every job takes exactly this long, however long it really takes: results do not depend on the
# machine.
LOCKSTEP_FRAMES = 2
_CLOSE_S = 2.0


class Worker:
    """One thread that runs one thing at a time. Several sessions may share it."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"classic-{name}")
        self._last: Future[Any] | None = None

    @property
    def busy(self) -> bool:
        """Return whether something submitted is not finished."""
        return self._last is not None and not self._last.done()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Queue `work`."""
        # with the caller's context, so that log lines know their talk
        future = self._executor.submit(copy_context().run, work)
        self._last = future
        return future

    def close(self, last_work: Callable[[], None] = lambda: None) -> None:
        """Run `last_work` after what is queued and end the thread; a call that hangs is waited for no longer
        than two seconds.
        """
        last = self._executor.submit(last_work)
        wait([last], timeout=_CLOSE_S)
        self._executor.shutdown(wait=last.done())


@dataclass
class _PendingWork:
    future: Future[Any]
    due_frame: int
    then: Callable[[Any], None]


class WorkQueue:
    """One session's work under way, at most 128 pieces."""

    def __init__(self, lockstep: bool) -> None:
        self._lockstep = lockstep
        self._pending: deque[_PendingWork] = deque()
        self._frame = 0

    def run(self, worker: Worker, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Queue `work` on `worker`; `then` gets its result inside a later `poll`.

        Raises: EngineError when this session's work has piled up.
        """
        if len(self._pending) >= MAX_PENDING:
            raise EngineError(
                f"This talk has {MAX_PENDING} pieces of work waiting, the most it may have; the machine is"
                " too slow for it."
            )
        self._pending.append(_PendingWork(worker.submit(work), self._frame + LOCKSTEP_FRAMES, then))

    def poll(self, frame: int) -> None:
        """Take up every result that is there, in the order of submission within a lane."""
        self._frame = frame
        waiting = self._pending
        self._pending = deque()
        for job in waiting:
            if frame >= job.due_frame if self._lockstep else job.future.done():
                if not job.future.cancelled():
                    job.then(job.future.result())
            else:
                self._pending.append(job)

    def close(self) -> None:
        """Take no more results."""
        for job in self._pending:
            job.future.cancel()
        self._pending.clear()
