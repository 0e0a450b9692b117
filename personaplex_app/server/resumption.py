"""Talks that survive a broken connection: their channel is replaced under them by a client that comes back.

While nobody is connected, what the client is told waits, bounded, and sound is dropped: who comes back hears
from then on. The engine meanwhile hears silence at the pace of real time (`AudioQueue.fill`), so that its
clock, the recording's and the page's stay one, and the model hears what a person on a dead line would say.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

import anyio

from ..errors import CannotResume, CloseCode
from ..principal import Principal
from ..protocol_events import Audio, Limit, Pong, Preparing, Queued, Resumable, Stats, ToClient
from ..protocol_orders import FromClient
from .channel import Channel, Disconnected

RESUME_S = 30.0
"""How long after its client's last message a talk waits for it to come back."""
MOST_KEPT = 1_000
"""How many events wait for a client, or are kept in case it did not get them."""
# of these only the latest is worth sending again
_PASSING = (Limit, Pong, Preparing, Queued, Stats)

T = TypeVar("T")


@dataclass(frozen=True)
class _Offer(Generic[T]):
    """A talk, and whose it is."""

    talk: T
    tenant: str
    owner: str


class Resumptions(Generic[T]):
    """Which talk a token continues: random, and only for who began the talk.

    Like the tokens of leases they are not bound to an address: who changes networks has a new one.
    """

    def __init__(self) -> None:
        self._offers: dict[str, _Offer[T]] = {}

    def offer(self, talk: T, caller: Principal) -> str:
        """Return a new token for a talk of `caller`."""
        token = secrets.token_urlsafe(24)
        self._offers[token] = _Offer(talk, caller.tenant, caller.owner)
        return token

    def find(self, token: str, caller: Principal) -> T:
        """Return the token's talk, which then uses the token up. Raises: CannotResume."""
        offer = self._offers.get(token)
        if offer is None or (offer.tenant, offer.owner) != (caller.tenant, caller.owner):
            raise cannot_resume()
        return offer.talk

    def withdraw(self, token: str) -> None:
        """Forget a token, for its talk is over."""
        self._offers.pop(token, None)


class TalkTokens(Generic[T]):
    """The tokens of one talk, each good once: the next one and, as long as its client has not shown that it
    got that, the one by which the client came. The line may break in between.
    """

    def __init__(self, resumptions: Resumptions[T], talk: T) -> None:
        self._resumptions = resumptions
        self._talk = talk
        self._next = ""
        self._unsettled = ""

    def renew(self, caller: Principal) -> str:
        """Return the next token, for the client of `caller`."""
        self._next = self._resumptions.offer(self._talk, caller)
        return self._next

    def use(self, token: str, connected: bool) -> None:
        """Use a token up. Raises: CannotResume where its client is `connected` by it already."""
        if token == self._unsettled and connected:
            raise cannot_resume()
        for other in {self._next, self._unsettled} - {token}:
            self._resumptions.withdraw(other)
        self._unsettled = token

    def settle(self) -> None:
        """Note that the client, from which something has come, has the next token."""
        if self._unsettled:
            self._resumptions.withdraw(self._unsettled)
            self._unsettled = ""

    def withdraw(self) -> None:
        """Forget all tokens, for the talk is over."""
        self.settle()
        self._resumptions.withdraw(self._next)


def cannot_resume() -> CannotResume:
    """Return the one answer to every token that is not good."""
    return CannotResume(
        "There is no talk here to come back to: it has ended, or this token was used already or is"
        " not yours. Start a new talk."
    )


@dataclass(frozen=True)
class Carried:
    """A talk goes on over another connection until that is `left`; the channel that it `replaced` must be
    closed.
    """

    left: anyio.Event
    replaced: Channel


class _Connection:
    """One of the channels that carry a talk, one after the other."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        # what was sent over it but for sound, the oldest forgotten
        self.sent: deque[ToClient] = deque(maxlen=MOST_KEPT)
        self.sent_count = 0
        self.deaf = False
        self.left = anyio.Event()
        self._waits: set[anyio.CancelScope] = set()

    async def use(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` on the channel returns. Raises: Disconnected, also when another replaces it."""
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                return await work()
            finally:
                self._waits.discard(scope)
        raise Disconnected

    def leave(self) -> None:
        """Stop using the channel: whoever waits for it is told."""
        self.left.set()
        for scope in self._waits:
            scope.cancel()

    def missed(self, received: int | None) -> list[ToClient]:
        """Return what was sent after the first `received` messages; nothing for None."""
        count = 0 if received is None else min(max(0, self.sent_count - received), len(self.sent))
        return list(islice(self.sent, len(self.sent) - count, None))


class ResumableChannel:
    """A talk's channel over one connection or, once `resumable` is set, over several in turn."""

    def __init__(self, channel: Channel) -> None:
        self.resumable = False
        self._connection: _Connection | None = _Connection(channel)
        self._last = self._connection
        self._waiting: deque[ToClient] = deque(maxlen=MOST_KEPT)
        # sound that was on its way when a client came back is not for it
        self._stale_sound = False
        self._attached = anyio.Event()

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def until_lost(self) -> None:
        """Wait until there is no connection."""
        while self._connection:
            await self._connection.left.wait()

    async def receive(self) -> FromClient:
        """Return what comes next, over whichever connection, waiting for one without end.

        Raises: Disconnected when nobody means to come back; ProtocolError.
        """
        while True:
            if (connection := self._connection) is None:
                await self._attached.wait()
                continue
            try:
                return await connection.use(connection.channel.receive)
            except Disconnected as error:
                self._lose(connection, error)

    async def send(self, event: ToClient) -> None:
        """Send an event; while there is no connection it waits, and sound is dropped.

        Raises: Disconnected when nobody means to come back.
        """
        if not isinstance(event, Audio):
            self._waiting.append(event)
            if isinstance(event, Resumable):
                self._stale_sound = False
        while (connection := self._connection) and not connection.deaf:
            try:
                return await connection.use(partial(self._flush, connection, event))
            except Disconnected:
                if not self.resumable:
                    raise
                # whether the client left or was lost, `receive` is told
                connection.deaf = True

    async def _flush(self, connection: _Connection, event: ToClient) -> None:
        while self._waiting:
            await connection.channel.send(self._waiting[0])
            connection.sent.append(self._waiting.popleft())
            connection.sent_count += 1
        if isinstance(event, Audio) and not self._stale_sound:
            await connection.channel.send(event)

    async def close(self, code: CloseCode, reason: str) -> None:
        """Say goodbye on the last connection; never raises."""
        await self._last.channel.close(code, reason)
        self._lose(self._last)

    def attach(self, channel: Channel, received: int | None) -> Carried:
        """Carry on over another connection, whose client got `received` messages over the last one."""
        last = self._last
        if self._connection:
            self._lose(self._connection)
        again = [*last.missed(received), *self._waiting]
        latest: dict[type, ToClient] = {type(event): event for event in again if isinstance(event, _PASSING)}
        self._waiting.clear()
        self._waiting.extend(event for event in again if latest.get(type(event), event) is event)
        self._stale_sound = True
        self._connection = self._last = _Connection(channel)
        self._attached.set()
        self._attached = anyio.Event()
        return Carried(self._connection.left, last.channel)

    def _lose(self, connection: _Connection, error: Disconnected | None = None) -> None:
        """Note that a connection is used no more. Raises: `error` when its client will not come back."""
        connection.leave()
        if self._connection is not connection:
            return  # another has replaced it
        self._connection = None
        if error and (not self.resumable or error.left):
            raise error
