"""Find the sentence of a Spanish role that answers a question, by stems, words of like meaning and rarity."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer
from rapidfuzz import fuzz

from .role import plain

# what the recogniser misheard by a letter or two
_SIMILAR = 84
_MIN_FUZZY_CHARS = 5
# "how much" asks for a figure, whatever it is about
_ASKED_FIGURE = 0.15
# the meanings, by the first word of their group, that tell what kind of figure is asked for, not of what
_KINDS_OF_FIGURE = frozenset(("precio", "horario"))


@lru_cache(maxsize=4096)
def _stem(word: str) -> str:
    return snowballstemmer.stemmer("spanish").stemWord(word)


@dataclass(frozen=True)
class Match:
    """A fact's place, and the share of the question's weight that it covers, 0 to 1."""

    fact: int
    coverage: float


class FactIndex:
    """The facts of one role, searchable."""

    def __init__(self, facts: Sequence[str], stop: frozenset[str], synonyms: Iterable[Sequence[str]]) -> None:
        self.facts = tuple(facts)
        self._stop = stop
        self._meaning = {_stem(word): group[0] for group in synonyms for word in group}
        self._stems = [self.content(fact) for fact in facts]
        found = Counter(stem for stems in self._stems for stem in stems)
        self._weight = {stem: math.log(1 + len(facts) / count) for stem, count in found.items()}
        self._unknown = math.log(1 + len(facts))

    def content(self, text: str) -> frozenset[str]:
        """Return the meanings of the words of a text that say what it is about."""
        words = (word for word in plain(text).split() if word not in self._stop)
        return frozenset(self._meaning.get(stem, stem) for stem in map(_stem, words))

    def search(self, question: str) -> Match | None:
        """Return the fact that covers most of a question, None where it is about nothing."""
        asked = self.content(question)
        if not asked or not self.facts:
            return None
        known = {stem: self._known(stem) for stem in asked}
        whole = sum(self._weight.get(stem or "", self._unknown) for stem in known.values())
        # the price of something else is no answer
        about = asked - _KINDS_OF_FIGURE
        wants_figure = "cuant" in plain(question) or "que hora" in plain(question)
        matches = [
            Match(
                number,
                sum(self._weight[stem] for stem in known.values() if stem and stem in stems) / whole
                + (_ASKED_FIGURE if wants_figure and any(map(str.isdigit, self.facts[number])) else 0.0),
            )
            for number, stems in enumerate(self._stems)
            if any(known[stem] in stems for stem in about or asked)
        ]
        # of equals the shorter one says it more directly
        return max(matches, key=lambda match: (match.coverage, -len(self.facts[match.fact])), default=None)

    def _known(self, stem: str) -> str | None:
        """Return a word of the facts that a question's word is or was meant to be, None for no such."""
        if stem in self._weight:
            return stem
        close = [
            other
            for other in self._weight
            if len(stem) >= _MIN_FUZZY_CHARS and fuzz.ratio(stem, other) >= _SIMILAR
        ]
        return max(close, key=lambda other: fuzz.ratio(stem, other), default=None)
