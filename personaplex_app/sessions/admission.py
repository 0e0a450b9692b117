"""Who may talk now and who waits in line: a bounded number of slots. It knows nothing of models.

First come, first served, among addresses that hold as many slots; where others wait, who holds fewer goes
first, and an address that holds every slot is to give back the longest of its talks. Nobody is overtaken for
longer than a talk can last, and nobody fills the line (`shares.has_room`).

Work that nobody waits for in real time, such as renderings, takes spare slots: those that no talk needs,
given back as soon as one does.

All of it happens on one event loop, and all times are that loop's.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ..errors import CapacityError
from ..principal import NOBODY, Principal
from .shares import has_room

NOTIFY_EVERY_S = 5.0
TALKS_REMEMBERED = 50
MOST_WAITING = 32
DRAINING = "This server is about to restart and begins no new talks. Try again in a minute."


@dataclass(frozen=True)
class Place:
    """A caller's place in line: how many are before it, and in about how long its turn comes."""

    ahead: int
    wait_s: float


# not equal by value: two talks may begin at the same time, and each slot is an element of a set
@dataclass(frozen=True, eq=False)
class Slot:
    """The right to hold one talk, from `began_s` on the loop's clock.

    The holder of a `spare` one gives it back once `wanted` is set.
    """

    began_s: float
    limit_s: float
    caller: Principal = NOBODY
    spare: bool = False
    wanted: asyncio.Event = field(default_factory=asyncio.Event)


class _Waiter:
    """A caller in line: `slot` comes with its turn, or an error when there will be none."""

    def __init__(self, caller: Principal) -> None:
        self.caller = caller
        self.came_s = _now_s()
        self.slot: asyncio.Future[Slot] = _future()
        self.moved = _future()


class Admission:
    """Slots for talks of at most `talk_limit_s` seconds, and the line before them."""

    def __init__(self, slots: int, talk_limit_s: float, most_waiting: int = MOST_WAITING) -> None:
        self._total = slots
        self._limit_s = talk_limit_s
        self._most_waiting = most_waiting
        self._running: set[Slot] = set()
        self._line: deque[_Waiter] = deque()
        self._spare_line: deque[_Waiter] = deque()
        self._lengths_s: deque[float] = deque(maxlen=TALKS_REMEMBERED)
        self._draining = False
        self._order: list[_Waiter] | None = None

    @property
    def used(self) -> int:
        """How many slots are taken."""
        return len(self._running)

    @property
    def talks(self) -> int:
        """How many slots are taken by talks."""
        return sum(not slot.spare for slot in self._running)

    @property
    def total(self) -> int:
        """How many slots there are."""
        return self._total

    @property
    def waiting(self) -> int:
        """How many callers are in line to talk."""
        return len(self._line)

    @property
    def draining(self) -> bool:
        """Whether no new talks begin."""
        return self._draining

    @asynccontextmanager
    async def slot(
        self, on_wait: Callable[[Place], None], spare: bool = False, caller: Principal = NOBODY
    ) -> AsyncIterator[Slot]:
        """Hold a slot; where none is free, wait in line for it.

        The caller of a `spare` one waits behind every talk, and gives it back soon after `wanted` is set.
        While a caller must wait, `on_wait` is called with its place in line: at once, whenever that changes
        and every five seconds.

        Raises: CapacityError when the line is full too, or the caller's share of it, or when no new talks
        begin.
        """
        if self._draining:
            raise CapacityError(DRAINING)
        if self.used < self._total:
            slot = self._take(caller, spare)
        else:
            slot = await self._wait(on_wait, _Waiter(caller), self._spare_line if spare else self._line)
        try:
            yield slot
        finally:
            if not spare:
                self._lengths_s.append(_now_s() - slot.began_s)
            self._give_back(slot)

    def must_share(self, slot: Slot) -> bool:
        """Return whether a talk keeps others out: its address holds every slot, somebody of another waits,
        and it is the longest of those talks.
        """
        talks = [each for each in self._running if not each.spare]
        address = slot.caller.sharers[:1]
        return (
            len(talks) >= max(2, self._total)
            and all(each.caller.sharers[:1] == address for each in talks)
            and any(waiter.caller.sharers[:1] != address for waiter in self._line)
            and slot is min(talks, key=lambda each: each.began_s)
        )

    def drain(self) -> None:
        """Begin no new talks: callers in line are turned away, running talks go on."""
        self._draining = True
        self._order = None
        for line in (self._line, self._spare_line):
            while line:
                waiter = line.popleft()
                if not waiter.slot.done():
                    waiter.slot.set_exception(CapacityError(DRAINING))
        for slot in self._running:
            slot.wanted.set()

    def resize(self, slots: int) -> None:
        """Change how many slots there are; running talks go on where there are fewer."""
        self._total = slots
        self._call_next()

    async def _wait(self, on_wait: Callable[[Place], None], waiter: _Waiter, line: deque[_Waiter]) -> Slot:
        self._check_room(waiter.caller, line)
        line.append(waiter)
        self._order = None
        if line is self._line:
            self._request_back()
        self._notify_lines()
        told: int | None = None
        try:
            while not waiter.slot.done():
                # before the place is read, so that no move in between is missed
                waiter.moved = _future()
                place = self._place(waiter)
                if place.ahead != told:
                    told = place.ahead
                    on_wait(place)
                moved, _ = await asyncio.wait(
                    (waiter.slot, waiter.moved), timeout=NOTIFY_EVERY_S, return_when=asyncio.FIRST_COMPLETED
                )
                told = told if moved else None
            return waiter.slot.result()
        except BaseException:
            self._leave(waiter)
            raise

    def _check_room(self, caller: Principal, line: deque[_Waiter]) -> None:
        free = self._most_waiting - len(line)
        taken = f"All {self._total} slots are taken and"
        if not free:
            raise CapacityError(
                f"{taken} {len(line)} callers are waiting, which is the most. Try again in a few minutes.",
                self._wait_s(0),
            )
        held = Counter(key for each in line for key in each.caller.sharers)
        if not has_room(caller, held, free):
            raise CapacityError(
                f"{taken} {held[caller.sharers[0]]} callers of your address are waiting, its share of"
                " the line. Try again in a few minutes.",
                self._wait_s(0),
            )

    def _leave(self, waiter: _Waiter) -> None:
        """Forget a caller that waits no more, also one whose turn came at the very moment it left."""
        line = next((line for line in (self._line, self._spare_line) if waiter in line), None)
        if line is not None:
            line.remove(waiter)
            self._order = None
            self._notify_lines()
        elif waiter.slot.done() and waiter.slot.exception() is None:
            self._give_back(waiter.slot.result())

    def _request_back(self) -> None:
        """Ask for one spare slot back for every caller in line to talk, those that began last first: with
        them the least work is lost.
        """
        spare = sorted(
            (slot for slot in self._running if slot.spare), key=lambda slot: slot.began_s, reverse=True
        )
        # a slot that was asked for before is still on its way back, and counts
        missing = self.waiting - sum(slot.wanted.is_set() for slot in spare)
        for slot in [slot for slot in spare if not slot.wanted.is_set()][: max(0, missing)]:
            slot.wanted.set()

    def _take(self, caller: Principal, spare: bool) -> Slot:
        slot = Slot(_now_s(), self._limit_s, caller, spare)
        self._running.add(slot)
        self._order = None
        return slot

    def _give_back(self, slot: Slot) -> None:
        self._running.discard(slot)
        self._order = None
        self._call_next()

    def _call_next(self) -> None:
        while (self._line or self._spare_line) and self.used < self._total:
            waiter = self._in_order()[0]
            spare = not self._line
            (self._spare_line if spare else self._line).remove(waiter)
            waiter.slot.set_result(self._take(waiter.caller, spare))
        self._notify_lines()

    def _in_order(self) -> list[_Waiter]:
        """Return everybody in line in the order in which their turns come."""
        if self._order is None:
            self._order = [*self._sorted(self._line, False), *self._sorted(self._spare_line, True)]
        return self._order

    def _sorted(self, line: deque[_Waiter], spare: bool) -> Iterator[_Waiter]:
        """Yield who holds fewer slots before who holds more, counting those that come before."""
        held = Counter(key for each in self._running if each.spare is spare for key in each.caller.sharers)
        left = list(line)
        while left:
            waiter = min(left, key=lambda each: self._rank(each, held))
            left.remove(waiter)
            held.update(waiter.caller.sharers)
            yield waiter

    def _rank(self, waiter: _Waiter, held: Mapping[Hashable, int]) -> tuple[int, ...]:
        """Return what puts one before another; equal ones stay as they came."""
        overdue = _now_s() - waiter.came_s > self._limit_s
        return (0,) if overdue else (1, *(held[key] for key in waiter.caller.sharers))

    def _notify_lines(self) -> None:
        self._notify(self._line)
        self._notify(self._spare_line)

    @staticmethod
    def _notify(line: deque[_Waiter]) -> None:
        for waiter in line:
            if not waiter.moved.done():
                waiter.moved.set_result(None)

    def _place(self, waiter: _Waiter) -> Place:
        ahead = self._in_order().index(waiter)
        return Place(ahead, round(self._wait_s(ahead), 1))

    def _wait_s(self, ahead: int) -> float:
        """Estimate when the caller behind `ahead` others gets in: talks last as long as lately, and never
        longer than allowed.
        """
        usual_s = sum(self._lengths_s) / len(self._lengths_s) if self._lengths_s else self._limit_s
        free_in_s = [self._left_s(slot, usual_s) for slot in self._running]
        # a heap, whose first element is always the slot that becomes free next
        heapq.heapify(free_in_s)
        for _ in range(len(free_in_s) - self._total):
            heapq.heappop(free_in_s)  # after `resize` to fewer, these slots are not given out again
        # those ahead take the slots as they become free, and hold them for a usual talk each
        for _ in range(ahead if free_in_s else 0):
            heapq.heapreplace(free_in_s, free_in_s[0] + usual_s)
        return free_in_s[0] if free_in_s else self._limit_s

    @staticmethod
    def _left_s(slot: Slot, usual_s: float) -> float:
        if slot.spare:
            return 0.0
        elapsed_s = _now_s() - slot.began_s
        most_s = max(0.0, slot.limit_s - elapsed_s)
        # a talk that already outlasts the usual may end at any time until its limit
        return min(most_s, usual_s - elapsed_s) if elapsed_s < usual_s else most_s / 2


def _future() -> asyncio.Future:
    return asyncio.get_running_loop().create_future()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
