"""The limits that a talk in progress has: its time, its user's silence, the server's last grace, and that it
keeps others out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import anyio

from ..protocol_events import Limit, LimitKind
from ..sessions.admission import Slot
from ..sessions.talk_runner import TalkRunner
from . import end_reasons
from .app_state import AppState
from .end_reasons import EndReason

WARN_BEFORE_S = 30.0
TICK_S = 0.5
# how long a talk goes on that keeps others out, and how long it may last at least
SHARED_S = 60.0
UNSHARED_S = 120.0


async def watch_limits(
    app_state: AppState,
    talk: TalkRunner,
    slot: Slot,
    talk_s: float,
    idle_s: float,
    tell: Callable[[Limit], None],
) -> EndReason:
    """Warn before a limit runs out, and return how the talk ends by it."""
    began_s = time.monotonic()
    shared_s: float | None = None
    warned: set[str] = set()
    while True:
        ends_s = began_s + talk_s
        if app_state.admission.must_share(slot):
            shared_s = shared_s or time.monotonic()
            ends_s = min(ends_s, max(shared_s + SHARED_S, began_s + UNSHARED_S))
        else:
            shared_s = None
        # when it ends, and how long before that it is told
        limits: dict[LimitKind, tuple[EndReason, float, float]] = {
            "time": (end_reasons.TIME_LIMIT, ends_s, min(WARN_BEFORE_S, talk_s / 2)),
            "idle": (end_reasons.IDLE, talk.user_spoke_s + idle_s, min(WARN_BEFORE_S, idle_s / 2)),
        }
        if app_state.drained_s is not None:
            limits["draining"] = (end_reasons.DRAINED, app_state.drained_s, math.inf)
        for reason, (end, at_s, warn_before_s) in limits.items():
            left_s = at_s - time.monotonic()
            if left_s <= 0:
                return end
            near = left_s <= warn_before_s
            if near and reason not in warned:
                tell(Limit(reason, left_s))
            (warned.add if near else warned.discard)(reason)
        await anyio.sleep(TICK_S)
