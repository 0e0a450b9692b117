"""Carry a client's orders out on the engine, beside the steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import anyio

from ..engine.saying_contract import Line
from ..errors import BadInput, CapacityError
from ..protocol_events import Interrupted, Notice, Said, Sampling, ToClient
from ..protocol_orders import Hold, Interrupt, LineOrder, More, SamplingChange, Say, Typed, Unsay
from ..sessions.talk_runner import TalkRunner
from .refusals import refusal

MOST_ORDERS = 32
"""How many may wait; a brain that speaks sends many short pieces."""
TalkOrder = Interrupt | SamplingChange | Typed | LineOrder


class TalkOrders:
    """The orders of one talk, carried out one after the other: some engines take a while to answer.

    `talk` is None until it has begun; `sampling` is what is in force.
    """

    def __init__(self, limiter: anyio.CapacityLimiter, tell: Callable[[ToClient], None]) -> None:
        self._limiter = limiter
        self._tell = tell
        self._waiting: deque[TalkOrder] = deque()
        self._came = anyio.Event()
        self.talk: TalkRunner | None = None
        self.sampling = Sampling()

    def put(self, order: TalkOrder) -> None:
        """Take an order; never waits."""
        if self.talk is None and not isinstance(order, SamplingChange):
            self._tell(Notice("not_begun", "The talk has not begun; there is nobody yet."))
        elif len(self._waiting) < MOST_ORDERS:
            self._waiting.append(order)
            self._came.set()
        else:
            self._tell(Notice("order_dropped", "Too many orders wait for the engine; one was dropped."))

    async def obey(self) -> None:
        """Hand the orders to the engine until it is cancelled."""
        while True:
            while self._waiting:
                await self._obey(self._waiting.popleft())
            self._came = anyio.Event()
            await self._came.wait()

    async def _obey(self, order: TalkOrder) -> None:
        match order:
            case SamplingChange():
                await self._resample(order)
            case Typed(text):
                await self._try("typed", lambda talk: talk.type(text))
            case Interrupt():
                if await self._try("interrupt", lambda talk: talk.interrupt()):
                    self._tell(Interrupted())
            case Hold(on):
                await self._try("hold", lambda talk: talk.hold(on))
            case Say() | More() | Unsay():
                await self._obey_line(order)

    async def _obey_line(self, order: Say | More | Unsay) -> None:
        match order:
            case Say():
                line = Line(**vars(order))
                why = await self._done(lambda talk: talk.say(line))
            case More(line_id, text, last):
                why = await self._done(lambda talk: talk.more(line_id, text, last))
            case Unsay(line_id):
                why = await self._done(lambda talk: talk.unsay(line_id))
        if why:
            self._tell(Said(order.id, "refused", rest=getattr(order, "text", ""), why=why))

    async def _resample(self, change: SamplingChange) -> None:
        """Change temperatures and top-k; a change that is refused changes nothing, and a notice says why."""
        if self.talk is None:
            why = "The talk has not begun; put its sampling into the start message."
            return self._tell(refusal("sampling", why))
        given = {name: value for name, value in vars(change).items() if value is not None}
        sampling = replace(self.sampling, **given)
        if await self._try("sampling", lambda talk: talk.resample(sampling)):
            self.sampling = sampling
            self._tell(sampling)
        return None

    async def _try(self, type_: str, work: Callable[[TalkRunner], None]) -> bool:
        """Do it, or tell by a notice why not; return whether it was done."""
        why = await self._done(work)
        if why:
            self._tell(refusal(type_, why))
        return not why

    async def _done(self, work: Callable[[TalkRunner], Any]) -> str:
        """Do it on a thread; return why it could not be done, "" when it was."""
        assert self.talk
        try:
            await anyio.to_thread.run_sync(
                partial(work, self.talk), abandon_on_cancel=True, limiter=self._limiter
            )
        except (BadInput, CapacityError) as error:
            return str(error)
        return ""
