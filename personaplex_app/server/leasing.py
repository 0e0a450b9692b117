"""Leases of devices: how a talk or a rendering gets one, and returns it whatever happens."""

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
    """An engine that can open sessions, and for how long; without limit where no device is leased.

    Renderings use `admission` and `workers`: on a leased device these are separate from the app's, since such
    renderings and the app's talks do not share a device.
    """

    engine: Engine
    limit_s: Callable[[], float]
    admission: Admission
    workers: anyio.CapacityLimiter


def talk_lease_s(engine: Engine, wanted_s: int, may_lease: bool) -> int:
    """Return for how long a talk's device must be leased, 0 where it need not be.

    Raises: GpuUnavailable where the talk's client may not lease one.
    """
    if not isinstance(engine, LeasingEngine):
        return 0
    if not may_lease:
        raise GpuUnavailable(
            "The GPU here is lent to visitors of the page, and this client did not come from it. "
            "Ask /api/chat for engine=classic to talk with the embedded engine."
        )
    return wanted_s or engine.lease_lengths_s[0]


@asynccontextmanager
async def usable_engine(
    app_state: AppState, engine: Engine, length_s: float, offer: Callable[[str], None]
) -> AsyncIterator[UsableEngine]:
    """Yield `engine` on a device that is leased for `length_s`; an engine that needs no lease as it is.

    `offer` is called with the token that `LeasingEngine.hold` takes, and must have `hold` called with it.

    Raises: GpuUnavailable with the sentence that says when to come back, BadInput, EngineError.
    """
    if not isinstance(engine, LeasingEngine) or not length_s:
        yield UsableEngine(engine, lambda: math.inf, app_state.admission, app_state.workers)
        return
    # ended below whatever happens, also before the device is granted
    lease = engine.lease(length_s)
    try:
        offer(lease.token)
        granted = anyio.Event()
        loop = asyncio.get_running_loop()
        # the future is done on the thread of the page's event, while this waits on the loop
        lease.granted.add_done_callback(lambda _: loop.call_soon_threadsafe(granted.set))
        # the page is waited for in vain where it was closed or its event did not arrive
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
        # shielded: a talk that is cancelled must return the device too
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lease.end)


@asynccontextmanager
async def usable_engine_here(
    app_state: AppState, engine: Engine, requests: Sequence[RenderRequest]
) -> AsyncIterator[UsableEngine]:
    """Yield an engine for renderings into the app's temporary cache.

    A device is leased to the visitor in whose page event this is called.
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
        key: each.duration_s + each.more_s
        for each in requests
        if cache.get(key := each.key(engine.identity)) is None
    }
    # an engine that keeps up with a talk renders at least in real time
    seconds = math.ceil(sum(missing.values()))
    return min(max(seconds, LEAST_RENDER_S), max(engine.lease_lengths_s)) if missing else 0


def _exhaust(values: Iterator[None]) -> None:
    for _ in values:
        pass
