"""Rate limits: how often one caller may do something in a minute."""

from __future__ import annotations

import math
import time

from ..errors import CapacityError
from ..principal import Principal

# bounds memory, however many addresses call
MOST_CALLERS = 4096
WINDOW_S = 60.0


class Recent:
    """When each of a bounded number of callers did something in the last minute."""

    def __init__(self, most_callers: int = MOST_CALLERS) -> None:
        self._most = most_callers
        # in order of last use, which `pop` and insertion keep: the first is the oldest
        self._times: dict[object, list[float]] = {}

    def wait_s(self, who: object, most: int, now_s: float | None = None) -> float:
        """Return for how long a caller has done it `most` times in the last minute; 0 when it has not."""
        now_s = time.monotonic() if now_s is None else now_s
        times = [each for each in self._times.get(who, ()) if now_s - each < WINDOW_S]
        return WINDOW_S - (now_s - times[len(times) - most]) if len(times) >= most else 0.0

    def add(self, who: object, now_s: float | None = None) -> None:
        """Note that a caller did it now."""
        now_s = time.monotonic() if now_s is None else now_s
        times = [each for each in self._times.pop(who, ()) if now_s - each < WINDOW_S]
        self._times[who] = [*times, now_s]
        self._forget(now_s)

    def _forget(self, now_s: float) -> None:
        """Forget those whose minute is over, and the oldest where there are too many."""
        while len(self._times) > self._most or now_s - next(iter(self._times.values()))[-1] >= WINDOW_S:
            del self._times[next(iter(self._times))]


class ConnectRate:
    """Limits how many of something one address may begin a minute.

    The number is in the caller's limits, and `what` names the thing in the error.
    """

    def __init__(self, what: str = "talks", most_callers: int = MOST_CALLERS) -> None:
        self._what = what
        self._recent = Recent(most_callers)

    def admit(self, caller: Principal, now_s: float | None = None) -> None:
        """Count one connect. Raises: CapacityError when there were too many."""
        who = (caller.tenant, caller.address)
        most = caller.limits.connects_per_minute
        if wait_s := self._recent.wait_s(who, most, now_s):
            raise CapacityError(
                f"More than {most} {self._what} a minute from this address; wait {math.ceil(wait_s)} s.",
                wait_s,
            )
        self._recent.add(who, now_s)
