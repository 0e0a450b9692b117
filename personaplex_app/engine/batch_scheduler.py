"""Batch the frames of all talks on one device.

A single thread owns the device. Sessions give it their frames and wait for the result; it steps all rows
whose frame has arrived in one batch. Between two steps it computes one chunk of the prompt phase of one new
session, so that running talks never wait longer than for a chunk.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..errors import CapacityError, EngineError, EngineHung, PersonaplexError, shorten
from ..model.duplex import Duplex, FrameOutput
from ..model.generation import RowSampling, Snapshot
from ..model.prompt import Prompt
from ..model.steering import FREE, Steer
from ..units import FRAME_MS
from .contract import StepTiming
from .snapshots import Snapshots
from .step_timing import StepTimer

log = logging.getLogger(__name__)
CLOSED = "The engine has been closed; start the app again."
BROKEN = "The model stopped with an error and is being made ready again; start a new talk."
STEP_LIMIT_S = 10.0
WORK_LIMIT_S = 120.0
REBUILD_LIMIT_S = 600.0
"""How long a step, other work, and making the model anew may take before the device is taken to have hung."""
CLOSE_PATIENCE_S = 30.0
T = TypeVar("T")


@dataclass
class _PendingSession:
    """A session in its prompt phase. `row_ready` is done when its row can be stepped."""

    row: int
    key: Hashable | None
    sampling: RowSampling
    prompt: Prompt
    row_ready: Future[int] = field(default_factory=Future)
    chunks: Iterator[int] | None = None


class BatchScheduler:
    """Shares the rows of a `Duplex` among the threads of many sessions.

    `build` makes a `Duplex`, at first and again after a fault. `lost` says why that is no longer possible, ""
    while it is. Units: `now` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        build: Callable[[], Duplex],
        snapshots: Snapshots,
        chunk_frames: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._build = build
        self._now = now
        # what the device is at: when it began, and how long it may take
        self._at_work: tuple[float, float] | None = None
        # who waits for what the device is at
        self._served: list[Future[Any]] = []
        self._snapshots = snapshots
        self._chunk_frames = chunk_frames
        self._duplex = build()
        self.count = self._duplex.count
        # measured once, with full caches, which talks reach only after minutes
        self._timer = StepTimer(_sessions_within_deadline(self._duplex))
        # guards every field below; the duplex itself needs no lock, only the device's thread touches it
        self._changed = threading.Condition()
        self._free = list(range(self.count))
        self._pending: deque[_PendingSession] = deque()
        self._frames: dict[int, tuple[np.ndarray, Steer, Future[FrameOutput]]] = {}
        self._sampling_changes: dict[int, RowSampling] = {}
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        # counts rebuilds: a row taken before one must not touch its successor's
        self._generation = 0
        self._broken: str | None = None
        self.lost = ""
        self._closed = False
        # a daemon, so that a device that hangs does not keep the process alive
        self._thread = threading.Thread(target=self._run, name="personaplex-device", daemon=True)
        self._thread.start()

    def take(self, key: Hashable | None, prompt: Prompt, sampling: RowSampling) -> Row:
        """Take a free row and prefill it; block until it can be stepped.

        `key` identifies the prompt among the snapshots, None for one that is not worth keeping.

        Raises: CapacityError when no row is free, EngineError when the prompt phase fails.
        """
        with self._changed:
            self._check()
            if not self._free:
                raise CapacityError(f"All {self.count} slots are taken; try again when a talk has ended.")
            # the lowest row, so that a step runs on as few rows as possible
            row = min(self._free)
            self._free.remove(row)
            pending = _PendingSession(row, key, sampling, prompt)
            self._pending.append(pending)
            generation = self._generation
            self._changed.notify_all()
        try:
            # not under the lock: the device's thread needs it to make progress
            pending.row_ready.result()
        except BaseException:
            self.release(row, generation)
            raise
        return Row(self, row, generation)

    def step(self, row: int, generation: int, frame: np.ndarray, steer: Steer) -> FrameOutput:
        """Advance a row by one frame, in one batch with the other rows that wait for a step.

        `steer` says what is decided about its text.

        Raises: EngineError when this row, or the device, cannot go on.
        """
        future: Future[FrameOutput] = Future()
        with self._changed:
            self._check(generation)
            self._frames[row] = frame, steer, future
            self._changed.notify_all()
        output = future.result()
        # checked on the caller's thread: only this talk ends
        if not output.finite:
            raise EngineError(
                "The model's numbers overflowed in this talk, and it cannot go on; start a new one. Others"
                " are not affected."
            )
        return output

    def resample(self, row: int, generation: int, sampling: RowSampling) -> None:
        """Change how a row samples, from its next frame on."""
        with self._changed:
            self._check(generation)
            self._sampling_changes[row] = sampling

    def call(self, work: Callable[[], T]) -> T:
        """Run a short function on the device's thread, between two steps, and return its result.

        Raises: whatever `work` raises, EngineError when the device cannot go on.
        """
        future: Future[T] = Future()
        with self._changed:
            self._check()
            self._calls.append((work, future))
            self._changed.notify_all()
        return future.result()

    def step_timing(self) -> StepTiming | None:
        """Return the timing of the recent steps, None before the first one."""
        with self._changed:
            free = len(self._free)
        return self._timer.read(self.count - free, free)

    def release(self, row: int, generation: int) -> None:
        """Free a row at once; a step that waits for it fails."""
        with self._changed:
            # after a rebuild every row is free already, and may belong to a new session
            if generation != self._generation or row in self._free:
                return
            self._free.append(row)
            if row in self._frames:
                self._frames.pop(row)[-1].set_exception(EngineError("The talk has been closed."))

    @property
    def hung(self) -> str:
        """Since when the device has not answered, "" while it does."""
        at_work = self._at_work
        if at_work is None or (took_s := self._now() - at_work[0]) <= at_work[1]:
            return ""
        return f"The device has not answered for {took_s:.0f} s; restart the app unless it recovers."

    def close(self) -> bool:
        """Stop the thread; every waiting call raises EngineError. May be called twice.

        Returns False when the device hangs: the thread ends when it comes back, and nobody waits for it.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if threading.current_thread() is self._thread:
            return True
        self._thread.join(0 if self.hung else CLOSE_PATIENCE_S)
        if self._thread.is_alive():
            with self._changed:
                text = "The device does not answer, so the talk was ended; start a new one."
                self._fail_all(EngineHung(text))
        return not self._thread.is_alive()

    @contextmanager
    def _working(self, limit_s: float) -> Iterator[None]:
        """Mark what the device is at."""
        self._at_work = self._now(), limit_s
        try:
            yield
        finally:
            self._at_work = None

    def _check(self, generation: int | None = None) -> None:
        if self._broken:
            raise EngineError(self._broken)
        if self._closed:
            raise EngineError(CLOSED)
        if generation is not None and generation != self._generation:
            raise EngineError(BROKEN)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._frames or self._pending or self._calls)
                if self._closed:
                    self._fail_all(EngineError(CLOSED))
                    return
                # swap under the lock, compute without it: sessions can queue their next frames meanwhile
                frames = self._frames
                self._frames = {}
                sampling_changes = self._sampling_changes
                self._sampling_changes = {}
                # prompt phases run one after the other: taken in turns, all would be ready late
                pending = self._pending[0] if self._pending else None
                call = self._calls.popleft() if self._calls else None
                self._served = [waiting[-1] for waiting in (*frames.values(), *([call] if call else []))]
            try:
                self._advance(frames, sampling_changes, pending)
                if call:
                    with self._working(WORK_LIMIT_S):
                        _run_call(*call)
            except BaseException as error:
                # out of memory, a driver's fault: whatever it is, the waiting threads must not hang
                with self._working(REBUILD_LIMIT_S):
                    self._rebuild(error)

    def _advance(
        self,
        frames: dict[int, tuple[np.ndarray, Steer, Future[FrameOutput]]],
        sampling_changes: dict[int, RowSampling],
        pending: _PendingSession | None,
    ) -> None:
        # before the step, so that the frame that was queued after `resample` is already sampled so
        for row, sampling in sampling_changes.items():
            self._duplex.set_sampling(row, sampling)
        if frames:
            # frames before prefill: talks in progress have a deadline, a new one has not
            before_s = time.perf_counter()
            with self._working(STEP_LIMIT_S):
                output = self._duplex.step(
                    {row: frame for row, (frame, _, _) in frames.items()},
                    {row: steer for row, (_, steer, _) in frames.items()},
                )
            self._timer.add((time.perf_counter() - before_s) * 1000)
            for row, (*_, future) in frames.items():
                _answer(future, output[row])
        if pending:
            with self._working(WORK_LIMIT_S):
                last = self._prefill_chunk(pending)
            with self._changed:
                if last and pending in self._pending:
                    self._pending.remove(pending)
                    pending.row_ready.set_result(pending.row)

    def _prefill_chunk(self, pending: _PendingSession) -> bool:
        """Compute one chunk of a session's prompt phase; return whether it was the last."""
        duplex = self._duplex
        row = pending.row
        if pending.chunks is None:
            duplex.set_sampling(row, pending.sampling)
            kept = None if pending.key is None else self._snapshots.get(pending.key)
            if isinstance(kept, Snapshot):
                duplex.restore(row, kept)
                return True
            pending.chunks = duplex.prefill(row, pending.prompt, self._chunk_frames)
        if next(pending.chunks, None) is not None:
            return False
        if pending.key is not None:
            self._snapshots.put(pending.key, duplex.snapshot(row))
        return True

    def _rebuild(self, error: BaseException) -> None:
        """End all talks with an error and build fresh rows.

        Where even that fails, `lost` says so, and every later call raises.
        """
        log.error("the model stopped: %s", type(error).__name__)
        with self._changed:
            # first of all: from now on the rows that running sessions hold are refused
            self._generation += 1
            self._broken = BROKEN
            self._fail_all(EngineError(f"{BROKEN} ({shorten(error, 80)})"))
            if self._closed:
                return
        # snapshots may hold numbers of the fault, and they take memory that the new rows need
        self._snapshots.clear()
        try:
            # free the old one first: the device may not have room for two
            del self._duplex
            self._duplex = self._build()
        except BaseException as again:
            with self._changed:
                self._broken = self.lost = (
                    f"The model cannot be made ready again ({shorten(again, 80)}); restart the app."
                )
            return
        with self._changed:
            self._broken = None
            self._free = list(range(self.count))

    def _fail_all(self, error: EngineError) -> None:
        """Fail every waiting call with `error`. Called with the lock held."""
        for future in (*self._served, *(waiting[-1] for waiting in self._frames.values())):
            if not future.done():
                future.set_exception(error)
        for pending in self._pending:
            pending.row_ready.set_exception(error)
        for _, future in self._calls:
            future.set_exception(error)
        self._frames = {}
        self._sampling_changes = {}
        self._pending.clear()
        self._calls.clear()


def _answer(future: Future[T], result: T) -> None:
    """Give a caller its result, unless it was told meanwhile that the device hangs."""
    with suppress(InvalidStateError):
        future.set_result(result)


def _run_call(work: Callable[[], T], future: Future[T]) -> None:
    """Run a caller's function and give it the result or its error.

    An error of the input, a `PersonaplexError`, goes to the caller; any other is treated as the device's
    fault.
    """
    try:
        result = work()
    except PersonaplexError as error:
        with suppress(InvalidStateError):
            future.set_exception(error)
    else:
        _answer(future, result)


def _sessions_within_deadline(duplex: Duplex) -> int:
    """Measure how many sessions can be stepped within a frame's time when their KV caches are full."""
    sessions = 0
    # rows are padded to a few batch sizes, and a step costs the same for all counts within one
    for batch in sorted({duplex.batch_of(rows) for rows in range(1, duplex.count + 1)}):
        if duplex.longest_ms(batch) > FRAME_MS:
            break
        sessions = batch
    return sessions


@dataclass(frozen=True)
class Row:
    """A row that a session has taken."""

    scheduler: BatchScheduler
    row: int
    generation: int

    def step(self, frame: np.ndarray, steer: Steer = FREE) -> FrameOutput:
        """Advance by one frame (see `BatchScheduler.step`)."""
        return self.scheduler.step(self.row, self.generation, frame, steer)

    def resample(self, sampling: RowSampling) -> None:
        """Change the sampling from the next frame on."""
        self.scheduler.resample(self.row, self.generation, sampling)

    def release(self) -> None:
        """Free the row."""
        self.scheduler.release(self.row, self.generation)
