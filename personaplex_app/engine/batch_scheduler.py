"""One thread owns the device. Sessions hand it frames and wait; it steps together whoever's frame is there.

Between two steps it computes one chunk of one newcomer's prompt phase, so that nobody who is talking waits
for more than a chunk.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..errors import CapacityError, EngineError, PersonaplexError, shorten
from ..model.duplex import Duplex, FrameOutput
from ..model.generation import RowSampling, Snapshot
from ..model.prompt import Prompt
from ..units import FRAME_MS
from .contract import StepTiming
from .snapshots import Snapshots
from .step_timing import StepTimer

log = logging.getLogger(__name__)
CLOSED = "The engine has been closed; start the app again."
BROKEN = "The model stopped with an error and is being made ready again; start a new talk."
T = TypeVar("T")


@dataclass
class _Newcomer:
    row: int
    key: Hashable | None
    sampling: RowSampling
    prompt: Prompt
    row_ready: Future[int] = field(default_factory=Future)
    chunks: Iterator[int] | None = None


class BatchScheduler:
    """The rows of a `Duplex`, shared among threads. `build` makes one, at first and after a fault."""

    def __init__(self, build: Callable[[], Duplex], snapshots: Snapshots, chunk_frames: int) -> None:
        self._build = build
        self._snapshots = snapshots
        self._chunk_frames = chunk_frames
        self._duplex = build()
        self.count = self._duplex.count
        self._pace = StepTimer(_carried(self._duplex))
        self._changed = threading.Condition()
        self._free = list(range(self.count))
        self._newcomers: deque[_Newcomer] = deque()
        self._frames: dict[int, tuple[np.ndarray, Future[FrameOutput]]] = {}
        self._resampled: dict[int, RowSampling] = {}
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._generation = 0
        self._broken: str | None = None
        self.lost = ""
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="personaplex-device", daemon=True)
        self._thread.start()

    def take(self, key: Hashable | None, prompt: Prompt, sampling: RowSampling) -> Row:
        """Take a free row through its prompt phase; waits until it can be stepped. `key` names the prompt
        among the snapshots, None where nobody will come again for it.

        Raises: CapacityError when no row is free, EngineError when the prompt phase fails.
        """
        with self._changed:
            self._check()
            if not self._free:
                raise CapacityError(f"All {self.count} places are taken; try again when a talk has ended.")
            # the lowest row, so that a step runs on as few rows as possible
            row = min(self._free)
            self._free.remove(row)
            newcomer = _Newcomer(row, key, sampling, prompt)
            self._newcomers.append(newcomer)
            generation = self._generation
            self._changed.notify_all()
        try:
            newcomer.row_ready.result()
        except BaseException:
            self.release(row, generation)
            raise
        return Row(self, row, generation)

    def step(self, row: int, generation: int, frame: np.ndarray) -> FrameOutput:
        """Advance a row by one frame together with whoever else is there.

        Raises: EngineError when this row, or the device, cannot go on.
        """
        future: Future[FrameOutput] = Future()
        with self._changed:
            self._check(generation)
            self._frames[row] = frame, future
            self._changed.notify_all()
        spoken = future.result()
        if not spoken.finite:
            raise EngineError(
                "The model's numbers overflowed in this talk, and it cannot go on; start a new one. Others"
                " are not touched."
            )
        return spoken

    def resample(self, row: int, generation: int, sampling: RowSampling) -> None:
        """Change how a row samples, from its next frame on."""
        with self._changed:
            self._check(generation)
            self._resampled[row] = sampling

    def call(self, work: Callable[[], T]) -> T:
        """Run something short on the device's thread, between two steps, and return what it returned.

        Raises: whatever `work` raises, EngineError when the device cannot go on.
        """
        future: Future[T] = Future()
        with self._changed:
            self._check()
            self._calls.append((work, future))
            self._changed.notify_all()
        return future.result()

    def step_timing(self) -> StepTiming | None:
        """Return how quick the device is, None before the first step."""
        with self._changed:
            free = len(self._free)
        return self._pace.read(self.count - free, free)

    def release(self, row: int, generation: int) -> None:
        """Give a row back at once."""
        with self._changed:
            if generation != self._generation or row in self._free:
                return
            self._free.append(row)
            if row in self._frames:
                self._frames.pop(row)[1].set_exception(EngineError("The talk has been closed."))

    def close(self) -> None:
        """End the thread; everybody who waits gets an error. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

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
                self._changed.wait_for(lambda: self._closed or self._frames or self._newcomers or self._calls)
                if self._closed:
                    self._fail_all(EngineError(CLOSED))
                    return
                frames = self._frames
                self._frames = {}
                resampled = self._resampled
                self._resampled = {}
                newcomer = self._newcomers[0] if self._newcomers else None
                call = self._calls.popleft() if self._calls else None
            try:
                self._advance(frames, resampled, newcomer)
                if call:
                    _answer(*call)
            except (
                BaseException
            ) as error:  # out of memory, a driver's fault: whatever it is, those who wait must hear of it
                self._rebuild(error, [future for _, future in (*frames.values(), *([call] if call else []))])

    def _advance(
        self,
        frames: dict[int, tuple[np.ndarray, Future[FrameOutput]]],
        resampled: dict[int, RowSampling],
        newcomer: _Newcomer | None,
    ) -> None:
        for row, sampling in resampled.items():
            self._duplex.set_sampling(row, sampling)
        if frames:
            before_s = time.perf_counter()
            spoken = self._duplex.step({row: frame for row, (frame, _) in frames.items()})
            self._pace.add((time.perf_counter() - before_s) * 1000)
            for row, (_, future) in frames.items():
                future.set_result(spoken[row])
        if newcomer and self._prefill_chunk(newcomer):
            with self._changed:
                self._newcomers.remove(newcomer)
            newcomer.row_ready.set_result(newcomer.row)

    def _prefill_chunk(self, newcomer: _Newcomer) -> bool:
        """Do one chunk of a newcomer's prompt phase; return whether it was the last."""
        duplex = self._duplex
        row = newcomer.row
        if newcomer.chunks is None:
            duplex.set_sampling(row, newcomer.sampling)
            kept = None if newcomer.key is None else self._snapshots.get(newcomer.key)
            if isinstance(kept, Snapshot):
                duplex.restore(row, kept)
                return True
            newcomer.chunks = duplex.prefill(row, newcomer.prompt, self._chunk_frames)
        if next(newcomer.chunks, None) is not None:
            return False
        if newcomer.key is not None:
            self._snapshots.put(newcomer.key, duplex.snapshot(row))
        return True

    def _rebuild(self, error: BaseException, waiting: list[Future[FrameOutput]]) -> None:
        """End all talks with an error and begin with fresh rows; where even that fails, say so to everybody
        who comes.
        """
        log.error("the model stopped: %s", type(error).__name__)
        with self._changed:
            self._generation += 1
            self._broken = BROKEN
            told = EngineError(f"{BROKEN} ({shorten(error, 80)})")
            self._fail_all(told)
        for future in waiting:
            if not future.done():
                future.set_exception(told)
        self._snapshots.clear()
        try:
            del self._duplex  # two of them may not fit
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
        """Tell everybody who waits. Called with the lock held."""
        for _, future in self._frames.values():
            future.set_exception(error)
        for newcomer in self._newcomers:
            newcomer.row_ready.set_exception(error)
        for _, future in self._calls:
            future.set_exception(error)
        self._frames = {}
        self._resampled = {}
        self._newcomers.clear()
        self._calls.clear()


def _answer(work: Callable[[], T], future: Future[T]) -> None:
    """Do somebody's work; what is wrong with what they brought is theirs to hear, and no fault of the
    device.
    """
    try:
        future.set_result(work())
    except PersonaplexError as error:
        future.set_exception(error)


def _carried(duplex: Duplex) -> int:
    """Return how many sessions were measured to stay within a frame at the far end of their talks."""
    carried = 0
    for batch in sorted({duplex.batch_of(rows) for rows in range(1, duplex.count + 1)}):
        if duplex.longest_ms(batch) > FRAME_MS:
            break
        carried = batch
    return carried


@dataclass(frozen=True)
class Row:
    """A row that somebody owns."""

    slots: BatchScheduler
    row: int
    generation: int

    def step(self, frame: np.ndarray) -> FrameOutput:
        """Advance by one frame (see `BatchScheduler.step`)."""
        return self.slots.step(self.row, self.generation, frame)

    def resample(self, sampling: RowSampling) -> None:
        """Change the sampling from the next frame on."""
        self.slots.resample(self.row, self.generation, sampling)

    def release(self) -> None:
        """Give the row back."""
        self.slots.release(self.row, self.generation)
