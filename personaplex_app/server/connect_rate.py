"""A rate limit: how often one caller may begin something."""

from __future__ import annotations

import time

from ..errors import CapacityError
from ..principal import Principal

# bounds memory, however many addresses call
MOST_CALLERS = 4096


class ConnectRate:
    """Limits how many of something one address may begin a minute; remembers a bounded number of addresses.

    The number is in the caller's limits, and `what` names the thing in the error.
    """

    def __init__(self, what: str = "talks", most_callers: int = MOST_CALLERS) -> None:
        self._what = what
        self._most = most_callers
        self._recent: dict[tuple[str, str], list[float]] = {}

    def admit(self, caller: Principal, now_s: float | None = None) -> None:
        """Count one connect. Raises: CapacityError when there were too many."""
        now_s = time.monotonic() if now_s is None else now_s
        who = (caller.tenant, caller.address)
        most = caller.limits.connects_per_minute
        times = [t for t in self._recent.pop(who, []) if now_s - t < 60.0]
        if len(times) < most:
            times.append(now_s)
        elif times:
            self._recent[who] = times
            wait_s = 60 - (now_s - times[0])
            raise CapacityError(
                f"More than {most} {self._what} a minute from this address; wait {wait_s:.0f} s.", wait_s
            )
        # `pop` above and insertion keep the dictionary in order of last use, so that the first is the
        # oldest
        if len(self._recent) >= self._most:
            self._recent.pop(next(iter(self._recent)))
        self._recent[who] = times
