"""How long tests wait for what must come: long, since the machine may be busy with other things.

Only a test that fails waits to the end. A test that would wait on purpose gives the program shorter limits
instead, or a clock of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import anyio

PATIENCE_S = 300
LOOK_EVERY_S = 0.02
SELDOM_S = 0.25
"""What is long in coming is looked for less often, up to this: looking keeps busy what is waited for."""

T = TypeVar("T")


def until(found: Callable[[], T], why: Callable[[], object] = str) -> T:
    """Wait until `found` returns something true, and return it; `why` tells more when it never does."""
    began_s = time.monotonic()
    while not (result := found()):
        assert time.monotonic() < began_s + PATIENCE_S, why() or f"nothing came within {PATIENCE_S:.0f} s"
        time.sleep(_pause_s(began_s))
    return result


async def until_async(found: Callable[[], T]) -> T:
    """Wait as `until` does, and let the event loop's other tasks run meanwhile."""
    began_s = time.monotonic()
    while not (result := found()):
        assert time.monotonic() < began_s + PATIENCE_S, f"nothing came within {PATIENCE_S:.0f} s"
        await anyio.sleep(_pause_s(began_s) / 2)
    return result


def _pause_s(began_s: float) -> float:
    return min(max(LOOK_EVERY_S, (time.monotonic() - began_s) / 20), SELDOM_S)
