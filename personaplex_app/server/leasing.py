"""Engines whose device is lent: how a talk or a rendering comes by it, and gives it back whatever happens."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread

from ..engine.contract import Engine
from ..engine.lease_contract import LeasingEngine
from ..errors import GpuUnavailable
from ..rendering.cache import RenderCache
from ..rendering.render import RenderRequest
from ..sessions.admission import Admission

if TYPE_CHECKING:
    from .app_state import AppState

HOLD_PATIENCE_S = 20.0
"""How long the page may take to send the event that the device is lent to; after that the platform's own
queue decides.
"""
LEAST_RENDER_S = 10


@dataclass(frozen=True)
class UsableEngine:
    """What can be talked to, and for how long; for ever where nothing had to be lent.

    Renderings take `admission` and `workers`: on a device of their own they stand in nobody's way, and nobody
    in theirs.
    """

    engine: Engine
    limit_s: Callable[[], float]
    admission: Admission
    workers: anyio.CapacityLimiter


@asynccontextmanager
async def usable_engine(
    app_state: AppState, engine: Engine, length_s: float, wish: Callable[[str], None]
) -> AsyncIterator[UsableEngine]:
    """Give `engine` on a device for `length_s`, once it is lent; as it is where it needs none.

    `wish` is called with the token that `LeasingEngine.hold` takes, and must bring it there.

    Raises: GpuUnavailable with the sentence that says when to come back, BadInput, EngineError.
    """
    if not isinstance(engine, LeasingEngine) or not length_s:
        yield UsableEngine(engine, lambda: math.inf, app_state.admission, app_state.workers)
        return
    lease = engine.lease(length_s)
    try:
        wish(lease.token)
        granted = anyio.Event()
        loop = asyncio.get_running_loop()
        lease.granted.add_done_callback(lambda _: loop.call_soon_threadsafe(granted.set))
        with anyio.move_on_after(HOLD_PATIENCE_S):
            await granted.wait()
        if not (granted.is_set() or lease.held):
            raise GpuUnavailable(
                "The page did not take the GPU that was offered to it. Load the page again, and start"
                " once more."
            )
        await granted.wait()
        lease.granted.result()
        yield UsableEngine(
            lease.engine, lambda: lease.left_s, Admission(1, lease.left_s), anyio.CapacityLimiter(1)
        )
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lease.end)


@asynccontextmanager
async def usable_engine_here(
    app_state: AppState, engine: Engine, requests: Sequence[RenderRequest]
) -> AsyncIterator[UsableEngine]:
    """Give an engine for renderings into the app's temporary cache.

    What is lent is lent to the visitor whose event this is called in.
    """
    length_s = await anyio.to_thread.run_sync(render_length_s, requests, engine, app_state.renderings)

    def hold(token: str) -> None:
        values = cast(LeasingEngine, engine).hold(token)
        # a task and a thread begin with the event's own context, which tells who the visitor is
        app_state.start_soon(anyio.to_thread.run_sync, _exhaust, values)

    async with usable_engine(app_state, engine, length_s, hold) as device:
        yield device


def render_length_s(requests: Sequence[RenderRequest], engine: Engine, cache: RenderCache) -> int:
    """Return for how long renderings need a device, 0 where nothing must be lent or the cache has
    them all.
    """
    if not isinstance(engine, LeasingEngine):
        return 0
    missing = {
        key: each.duration_s for each in requests if cache.get(key := each.key(engine.identity)) is None
    }
    # what talks as fast as it hears renders at least as fast
    seconds = math.ceil(sum(missing.values()))
    return min(max(seconds, LEAST_RENDER_S), max(engine.lease_lengths_s)) if missing else 0


def _exhaust(values: Iterator[None]) -> None:
    for _ in values:
        pass
