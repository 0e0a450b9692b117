"""What the embedded engine asks of whoever decides what to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from ..engine.contract import SessionConfig


class Responder(Protocol):
    """One talk's other head.

    All calls of one talk come from one worker thread at a time, never from `step()`.
    """

    def greet(self) -> str:
        """Return the opening line in role, "" for none."""
        ...

    def reply(self, user_text: str) -> Iterator[str]:
        """Yield the answer's sentences, each as soon as it is known.

        May block. May be closed early: what was yielded has then not been said unless `heard` tells so. May
        also be asked for a text the user turns out to continue; only a reply followed by `heard` happened.
        """
        ...

    def heard(self, agent_text: str, interrupted: bool) -> None:
        """Take note of what was really played of the last reply or greeting: the only thing remembered as
        said.
        """
        ...

    def close(self) -> None:
        """Free what the responder holds. May be called twice."""
        ...


# takes a sentence for the person in the talk, from any thread
Notify = Callable[[str], None]
MakeResponder = Callable[[SessionConfig, Notify], Responder]
