"""Run blocking work on as many threads as a limiter allows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


async def in_thread(limiter: anyio.CapacityLimiter, work: Callable[..., T], *args: Any) -> T:
    """Return what `work` returns, called in a thread."""
    return await anyio.to_thread.run_sync(partial(work, *args), limiter=limiter)
