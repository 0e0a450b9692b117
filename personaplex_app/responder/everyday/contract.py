"""The interface of the everyday layer: what a skill sees of the talk, and what it replies."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from ...speech.spoken_form import speakable
from ..dialogue import take_turns
from ..facts import Brief
from ..memory import Memory, Sentence
from ..numbers import figures
from ..retrieval import Index
from ..sentence_encoder import SentenceEncoder
from ..sentences import split_sentences
from .state import EverydayState
from .turn import Turn

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Reply:
    """A reply, by sentence. `computed` are the figures in it that the layer itself vouches for."""

    sentences: tuple[Sentence, ...]
    computed: frozenset[int] = frozenset()

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)


@dataclass(frozen=True)
class Role:
    """The role that the layer stands above. `seed` is what this talk's chance is drawn from.

    The talk `began` at that time.
    """

    brief: Brief
    index: Index
    style: str
    seed: int
    began: datetime


@dataclass
class Talk:
    """The talk as a skill sees it: the role, the draft's memory, the style's lines, and the clock."""

    role: Role
    memory: Memory
    slot: Callable[[str], str | None]
    clock: Clock
    encoder: SentenceEncoder | None = None
    # says what the role has taken down for the user, such as an order
    taken_down: Callable[[], list[str]] = list

    @property
    def state(self) -> EverydayState:
        return self.memory.everyday

    def note(self, **changes: Any) -> None:
        """Change fields of the layer's state, on the draft's copy of the memory."""
        self.memory.everyday = replace(self.memory.everyday, **changes)

    def line(self, key: str, lines: tuple[str, ...], **own: str) -> str:
        """Return the next of several lines, its slots filled by `own` or by the role; "" for none."""
        return (
            take_turns(
                f"everyday.{key}",
                lines,
                self.memory,
                lambda name: own[name] if name in own else self.slot(name),
            )
            or ""
        )

    def likeness(self, text: str, others: Sequence[str]) -> np.ndarray:
        """Return how alike a text and others are in meaning, -1 to 1; all 0 without an encoder.

        Shapes: float [N].
        """
        if not self.encoder or not others:
            return np.zeros(len(others))
        return self.encoder.encode(others) @ self.encoder.encode([text])[0]

    def chance(self) -> random.Random:
        """Return the talk's next source of chance; a draft that is not played uses up nothing."""
        self.note(draws=self.state.draws + 1)
        return random.Random(f"{self.role.seed}:{self.state.draws}")  # noqa: S311 (dice, no secret)


Skill = Callable[[Turn, Talk], Reply | None]


def reply(text: str, computed: bool = False) -> Reply | None:
    """Return a text as a reply, None for ""; `computed`: its figures are the layer's own and true."""
    sentences = tuple(Sentence(_capital(speakable(s))) for s in split_sentences(text))
    known = frozenset().union(*(figures(s.text) for s in sentences)) if computed else frozenset()
    return Reply(sentences, known) if sentences else None


def listed(items: list[str], last: str = "and") -> str:
    """Return "a, b and c"."""
    return f"{', '.join(items[:-1])} {last} {items[-1]}" if len(items) > 1 else "".join(items)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
