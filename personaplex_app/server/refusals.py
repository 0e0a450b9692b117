"""What a client is told whose order cannot be carried out."""

from __future__ import annotations

from ..protocol_events import Notice


def refusal(order: str, why: str) -> Notice:
    """Return the notice for an order of that type, and `why` it was refused."""
    match order:
        case "typed":
            return Notice("typed_refused", f"{why} Nothing was said for you.")
        case "sampling":
            return Notice("sampling_refused", f"{why} Nothing was changed.")
        case _:
            return Notice("order_refused", why)
