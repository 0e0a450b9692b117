"""What an engine is whose device is lent, such as a ZeroGPU Space's: it is talked to while a lease lasts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Protocol, runtime_checkable

from .contract import Engine


class Lease(Protocol):
    """A device lent to one visitor for a limited time.

    `engine` opens sessions on it, one at a time, and may be used by one thread at a time.
    """

    @property
    def token(self) -> str:
        """The secret that `hold` is called with; it cannot be guessed."""
        ...

    @property
    def engine(self) -> Engine: ...

    @property
    def granted(self) -> Future[None]:
        """Done once the device is available; its exception is the EngineError that says why it is not."""
        ...

    @property
    def held(self) -> bool:
        """Whether `hold` is running for this lease, even if it still waits for a device."""
        ...

    @property
    def left_s(self) -> float:
        """How long sessions can still be stepped; 0 before the device is available."""
        ...

    def end(self) -> None:
        """Return the device, or cancel the request for one. May be called twice, from any thread."""
        ...


@runtime_checkable
class LeasingEngine(Engine, Protocol):
    """An engine whose device must be leased first: its own `open` always fails."""

    @property
    def lease_lengths_s(self) -> tuple[int, ...]:
        """The lengths that a visitor can choose from, the default first."""
        ...

    def lease(self, length_s: float) -> Lease:
        """Request a device for `length_s`; it is granted after `hold` was called with the lease's token.

        Raises: BadInput when that is longer than the longest of `lease_lengths_s`.
        """
        ...

    def hold(self, token: str) -> Iterator[None]:
        """Acquire a lease's device and keep it until the lease ends, yielding about once a second.

        It must be iterated inside the visitor's own page event, because the platform lends the device to that
        visitor. An unknown token yields nothing; errors go to `granted` of the lease.
        """
        ...
