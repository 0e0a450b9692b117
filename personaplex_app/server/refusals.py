"""What a client is told whose order cannot be carried out."""

from __future__ import annotations

from ..protocol_events import Notice


def refusal(order: str, why: str) -> Notice:
    """Return the notice for an order of that type, and `why` it was refused."""
    outcome = "Nothing was said for you." if order == "typed" else "Nothing was changed."
    return Notice(f"{order}_refused", f"{why} {outcome}")
