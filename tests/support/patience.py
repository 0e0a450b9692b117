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

T = TypeVar("T")


def until(found: Callable[[], T], why: Callable[[], object] = str) -> T:
    """Wait until `found` returns something true, and return it; `why` tells more when it never does."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (result := found()):
        assert time.monotonic() < deadline_s, why() or f"nothing came within {PATIENCE_S:.0f} s"
        time.sleep(LOOK_EVERY_S)
    return result


async def until_async(found: Callable[[], T]) -> T:
    """Wait as `until` does, and let the event loop's other tasks run meanwhile."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (result := found()):
        assert time.monotonic() < deadline_s, f"nothing came within {PATIENCE_S:.0f} s"
        await anyio.sleep(LOOK_EVERY_S / 2)
    return result
