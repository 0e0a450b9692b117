"""The interface between a talk and whatever language model answers in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

# after a failure the rules answer for so long, so that not every turn waits for the timeout
RETRY_AFTER_S = 30.0

Message = dict[str, str]
Cancelled = Callable[[], bool]
"""Returns whether a reply is no longer wanted; called from any thread."""


class LlmFailed(Exception):
    """The model gave no answer. The message has no prompt, key or transcript in it.

    `lasting`: trying again is useless, such as with a wrong key; else it is tried again after `retry_s`.
    `told`: the user is shown why, once a talk.
    """

    def __init__(
        self, why: str, lasting: bool = False, retry_s: float = RETRY_AFTER_S, told: bool = True
    ) -> None:
        super().__init__(why)
        self.retry_s = float("inf") if lasting else retry_s
        self.told = told


class Chat(Protocol):
    """One talk's line to a model."""

    @property
    def cut_short(self) -> bool:
        """Whether the last reply ended at its limit of tokens."""
        ...

    def pieces(self, messages: Sequence[Message], cancelled: Cancelled) -> Iterator[str]:
        """Yield the text of one reply as it comes; "" for signs of life without text. Raises: LlmFailed."""
        ...

    def prepare(self, messages: Sequence[Message]) -> None:
        """Take note of how the next prompt will begin, while nobody waits for it. Does not block."""
        ...

    def make_room_for_thoughts(self) -> bool:
        """Raise the limit of tokens for the next replies; return whether that was still to be done."""
        ...

    def close(self) -> None:
        """End a reply that waits. May be called twice and from another thread."""
        ...


class LanguageModel(Protocol):
    """A model that answers in any number of talks.

    `first_clause_s` is the longest wait for the first words to speak, after which the rules answer.
    `is_small`: the rules answer what they know, since it would get facts wrong.
    """

    @property
    def is_small(self) -> bool: ...
    @property
    def max_reply_chars(self) -> int: ...
    @property
    def max_history_chars(self) -> int: ...
    @property
    def first_clause_s(self) -> float: ...
    def start(self) -> None:
        """Begin to load, without blocking. A second call does nothing."""
        ...

    def chat(self, in_time: bool = True) -> Chat:
        """Return one talk's line; unless `in_time` a reply may take as long as it takes."""
        ...

    def close(self) -> None:
        """Free what the model holds. May be called twice."""
        ...
