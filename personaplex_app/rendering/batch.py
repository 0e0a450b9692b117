"""Render many requests while talks run, in the slots that no talk needs.

Each rendering is cached as soon as it is done, so that an interrupted batch continues when it is requested
again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread

from ..engine.contract import Engine
from ..errors import PersonaplexError
from ..principal import NOBODY, Principal
from ..sessions.admission import Admission, Place, Slot
from ..units import FRAME_S
from .cache import RenderCache
from .render import Render, Rendering, RenderRequest
from .transcription import Transcriber

# work between two looks at whether a talk needs the slot: it waits at most so long
ADVANCE_S = 0.15
# earlier an estimate would jump
ESTIMATE_FROM_S = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class BatchProgress:
    """The progress of a batch.

    `left_s` is None until it can be estimated; `ahead` is the number of callers before it in the queue while
    it waits for a slot.
    """

    done: int
    total: int
    failed: int
    done_s: float
    total_s: float
    left_s: float | None = None
    ahead: int | None = None

    @property
    def share(self) -> float:
        """The share done, from 0 to 1, by seconds of sound."""
        return self.done_s / self.total_s if self.total_s else 1.0


@dataclass
class RenderBatch:
    """Renders requests into a cache. `run` does the work on the admission's event loop; the rest may be read
    then.

    `on_progress` is called whenever the progress changes. A `transcriber` adds the user's words and turn
    latencies where the engine does not report them. `keys` are the requests' keys in the cache; `errors`
    holds the error of each request that failed. Finished renderings stay in the cache when a batch is
    cancelled or fails.
    """

    requests: Sequence[RenderRequest]
    engine: Engine
    admission: Admission
    cache: RenderCache
    workers: anyio.CapacityLimiter
    on_progress: Callable[[BatchProgress], None] = lambda progress: None
    transcriber: Transcriber | None = None
    caller: Principal = NOBODY
    keys: list[str] = field(default_factory=list)
    errors: dict[int, PersonaplexError] = field(default_factory=dict)
    _ready: set[int] = field(default_factory=set)
    _under_way: dict[int, Render] = field(default_factory=dict)
    _places: dict[int, Place] = field(default_factory=dict)
    _rendered_frames: int = 0
    _began_s: float | None = None

    @property
    def progress(self) -> BatchProgress:
        """The progress now."""
        durations_s = [each.duration_s for each in self.requests]
        over = self._ready | self.errors.keys()
        # the last frame is padded, the recording is not
        running_s = sum(
            min(each.done_frames * FRAME_S, durations_s[index]) for index, each in self._under_way.items()
        )
        done_s = min(sum(durations_s), sum(durations_s[index] for index in over) + running_s)
        elapsed_s = time.monotonic() - self._began_s if self._began_s is not None else 0.0
        rate = self._rendered_frames * FRAME_S / elapsed_s if elapsed_s >= ESTIMATE_FROM_S else 0.0
        left_s = (sum(durations_s) - done_s) / rate if rate else None
        ahead = (
            min((place.ahead for place in self._places.values()), default=None)
            if not self._under_way
            else None
        )
        return BatchProgress(
            len(self._ready), len(self.requests), len(self.errors), done_s, sum(durations_s), left_s, ahead
        )

    def is_ready(self, index: int) -> bool:
        """Return whether a request's rendering is in the cache."""
        return index in self._ready

    @property
    def rendered_s(self) -> float:
        """How many seconds of sound were rendered by this batch, and not found in the cache."""
        return self._rendered_frames * FRAME_S

    async def run(self) -> None:
        """Render the requests that are not in the cache. It can be cancelled within a fraction of a second.

        An error of one request goes to `errors` and does not stop the others.
        """
        self.keys = await self._in_thread(lambda: [each.key(self.engine.identity) for each in self.requests])
        waiting: deque[int] = deque()
        for index, key in enumerate(self.keys):
            # an equal request is rendered once
            if key in self.keys[:index]:
                continue
            if await self._in_thread(partial(self.cache.get, key)) is None:
                waiting.append(index)
        self._note_ready(waiting)
        async with anyio.create_task_group() as tasks:
            for worker in range(min(len(waiting), max(1, self.admission.total))):
                tasks.start_soon(self._work, worker, waiting)

    def _note_ready(self, waiting: deque[int]) -> None:
        """Note the requests that are in the cache; equal ones are rendered once and become ready together."""
        missing = {self.keys[index] for index in waiting}
        self._ready = {index for index, key in enumerate(self.keys) if key not in missing}
        self.on_progress(self.progress)

    async def _work(self, worker: int, waiting: deque[int]) -> None:
        while waiting:
            index = waiting.popleft()
            try:
                # a session cannot be continued on another slot: it is rendered again from the beginning
                if not await self._render_one(worker, index):
                    waiting.appendleft(index)
            except PersonaplexError as error:
                self.errors |= {twin: error for twin, key in enumerate(self.keys) if key == self.keys[index]}
            self.on_progress(self.progress)

    async def _render_one(self, worker: int, index: int) -> bool:
        """Render one request; return False when a talk needed the slot before it was done."""

        def on_place(place: Place) -> None:
            self._places[worker] = place
            self.on_progress(self.progress)

        try:
            async with self.admission.slot(on_place, spare=True, caller=self.caller) as slot:
                self._places.pop(worker, None)
                rendering = await self._render(index, slot)
            if rendering is None:
                return False
            if self.transcriber:
                rendering = await self._in_thread(
                    partial(self.transcriber.complete, rendering, self.engine.capabilities)
                )
            await self._in_thread(partial(self.cache.put, rendering, self.caller))
        finally:
            self._places.pop(worker, None)
            self._under_way.pop(index, None)
        self._ready |= {twin for twin, key in enumerate(self.keys) if key == self.keys[index]}
        return True

    async def _render(self, index: int, slot: Slot) -> Rendering | None:
        under_way = await self._in_thread(partial(Render, self.engine, self.requests[index]))
        self._under_way[index] = under_way
        try:
            more = True
            while more:
                if slot.wanted.is_set():
                    return None
                more = await self._advance(under_way)
                self.on_progress(self.progress)
            return await self._in_thread(under_way.finish)
        finally:
            # the session must be closed even when the batch is being cancelled
            with anyio.CancelScope(shield=True):
                await self._in_thread(under_way.close)

    async def _advance(self, under_way: Render) -> bool:
        """Step for a while; while talks run no faster than a talk, to leave the device to them."""
        began_s = time.monotonic()
        before_frames = under_way.done_frames
        self._began_s = self._began_s or began_s
        talks_run = self.admission.talks > 0
        more = await self._in_thread(partial(under_way.advance, 0.0 if talks_run else ADVANCE_S))
        frames = under_way.done_frames - before_frames
        self._rendered_frames += frames
        if talks_run:
            await anyio.sleep(max(0.0, frames * FRAME_S - (time.monotonic() - began_s)))
        return more

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.workers)
