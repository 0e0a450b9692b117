"""What a session offers whose engine takes written turns; other engines only hear."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from .contract import Session


@runtime_checkable
class TypingSession(Session, Protocol):
    """A session that takes a written turn of the user as it is; for others it is spoken into their ear."""

    def type(self, text: str) -> None:
        """Take a line as the user's turn from the next frame on: whatever the agent says stops for it. May be
        called while a step runs.

        Raises: BadInput when too many lines wait.
        """
        ...
