"""Places that callers share: whoever holds many leaves room for those who hold none."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from ..errors import CapacityError
from ..principal import Principal, Sharers

T = TypeVar("T")


def has_room(caller: Principal, held: Mapping[Hashable, int], free: int) -> bool:
    """Return whether a caller may take one more place, with what everybody holds and how many are free.

    An address that holds some gets another only while more are free than it holds, and a browser while twice
    as many are: alone, an address has half of the places. So there is always one for who comes next, whatever
    the others do.
    """
    return free > 0 and all(weight * held.get(key, 0) < free for weight, key in enumerate(caller.sharers, 1))


def least_missed(
    things: Sequence[T], sharers: Callable[[T], Sharers], weight: Callable[[T], float] = lambda thing: 1.0
) -> T:
    """Return which of some things gives way to others: the oldest of the browser that has most, at the
    address that has most. `things` come oldest first.
    """
    for level in (1, 2):
        weights: dict[Sharers, float] = defaultdict(float)
        for thing in things:
            weights[sharers(thing)[:level]] += weight(thing)
        heaviest = max(weights, key=weights.__getitem__)
        things = [thing for thing in things if sharers(thing)[:level] == heaviest]
    return things[0]


class Shares:
    """A number of places, of which one caller gets a share.

    How many, `has_room` says. `what` says in a refusal what the places are.
    """

    def __init__(self, places: int, what: str) -> None:
        self._places = places
        self._what = what
        self._held: Counter[Hashable] = Counter()
        self._taken = 0

    @contextmanager
    def place(self, caller: Principal) -> Iterator[None]:
        """Hold a place. Raises: CapacityError when the caller has its share, or all are taken."""
        self.take(caller)
        try:
            yield
        finally:
            self.give_back(caller)

    def take(self, caller: Principal) -> None:
        """Take a place until `give_back`. Raises: CapacityError."""
        free = self._places - self._taken
        if not free:
            raise CapacityError(f"All {self._places} {self._what} are taken; try again in a minute.")
        if not has_room(caller, self._held, free):
            raise CapacityError(
                f"From your address come {self._held[caller.sharers[0]]} of {self._places} {self._what}, and"
                " the rest are for others; try again when one of yours has ended."
            )
        self._taken += 1
        self._held.update(caller.sharers)

    def give_back(self, caller: Principal) -> None:
        """Free a place that was taken."""
        self._taken -= 1
        self._held.subtract(caller.sharers)
        self._held += Counter()  # forgets who holds none
