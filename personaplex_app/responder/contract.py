"""The interface between the embedded engine and a responder, which decides what the agent says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from ..engine.contract import SessionConfig
from .sentence_encoder import SentenceEncoder


class Responder(Protocol):
    """Decides what the agent says in one talk.

    All calls come from one worker thread, never from `step()`, so that they may block.
    """

    @property
    def pace(self) -> float:
        """What multiplies the tempo of the next sentence: 1, unless the user asked for another pace."""
        ...

    def greet(self) -> str:
        """Return the greeting in role, "" for none."""
        ...

    def reply(self, user_text: str) -> Iterator[str]:
        """Yield the answer's sentences, each as soon as it is known. May block.

        The iterator may be closed early, and a reply may be made for a text that the user then continues.
        What was yielded counts as spoken only when `record_played` reports it.
        """
        ...

    def record_played(self, agent_text: str, interrupted: bool) -> None:
        """Take note of what was played of the last reply or greeting; nothing else counts as spoken."""
        ...

    def close(self) -> None:
        """Free what the responder holds. May be called twice."""
        ...


# shows the user a sentence; may be called from any thread
Notify = Callable[[str], None]


class MakeResponder(Protocol):
    """Makes the responder of one talk; `encoder` is the process's own, None where it is not installed."""

    def __call__(
        self, config: SessionConfig, notify: Notify, *, encoder: SentenceEncoder | None
    ) -> Responder: ...
