"""What an engine is whose device is lent, such as a ZeroGPU Space's: it is talked to while a lease lasts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Protocol, runtime_checkable

from .contract import Engine


class Lease(Protocol):
    """A device that is lent for a while.

    `engine` opens sessions on it, one at a time; it may be used by one thread at a time.
    """

    @property
    def token(self) -> str:
        """What `hold` is called with: nobody can guess it."""
        ...

    @property
    def engine(self) -> Engine: ...

    @property
    def granted(self) -> Future[None]:
        """Done once the device is there; its exception is the EngineError that says why it is not."""
        ...

    @property
    def held(self) -> bool:
        """Whether somebody holds it, who may still wait for a device."""
        ...

    @property
    def left_s(self) -> float:
        """How long sessions can still be stepped; 0 before the device is there."""
        ...

    def end(self) -> None:
        """Give the device back, or let go of the wish. May be called twice, from any thread."""
        ...


@runtime_checkable
class LeasingEngine(Engine, Protocol):
    """An engine whose device must be leased before it can be talked to: its own `open` always fails."""

    @property
    def lease_lengths_s(self) -> tuple[int, ...]:
        """The lengths that a visitor can choose from, the usual one first."""
        ...

    def lease(self, length_s: float) -> Lease:
        """Wish for a device for so long, which comes once `hold` is called with the lease's token.

        Raises: BadInput when that is longer than the longest.
        """
        ...

    def hold(self, token: str) -> Iterator[None]:
        """Take a lease's device and keep it until the lease ends, yielding about once a second.

        To be iterated where a visitor's own event runs: the device is lent to that visitor. A token that is
        not known is nothing to hold; what goes wrong is told to whoever waits for the lease.
        """
        ...
