"""What a client is told whose order cannot be carried out."""

from __future__ import annotations

from ..protocol_events import Notice


def refusal(order: str, why: str) -> Notice:
    """Return the notice for an order by its type, "typed" or "sampling", and `why` it was refused."""
    if order == "typed":
        return Notice("typed_refused", f"{why} Nothing was said for you.")
    return Notice("sampling_refused", f"{why} Nothing was changed.")
