"""Check answers without a language model as judge: facts, refusals, and phrases of the wrong role."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rapidfuzz import fuzz

from ..responder.lexicon import Lexicon
from ..responder.numbers import figures

MIN_ALIKE = 85.0
"""Similarity in per cent from which a phrase counts as found: transcripts hold recognition errors."""
# words that only interrupt: an answer need not take them up
_CUTS_IN = frozenset(("wait", "hold", "stop", "enough"))
_DECLINES = re.compile(
    r"\b(i('m| am) (not sure|afraid|unable)|i (do not|don't|can't|cannot|couldn't)"
    r" (know|have|say|tell|promise|answer|confirm|find|share|help)"
    r"|(isn't|is not|aren't|are not|not) (in|part of|on|among) (my|our|the) (notes|information|menu)|notes"
    r" don't|no (information|idea)"
    r"|not (allowed|able|available|possible)|(don't|do not|doesn't|does not)"
    r" (have|offer|cover|serve|know)|rather not"
    r"|unfortunately|sorry, (but )?(i|we|my|that))\b"
)


def normalised(text: str) -> str:
    """Return the text in lower case with plain apostrophes and single spaces."""
    return " ".join(text.replace("’", "'").lower().split())


def holds(answer: str, facts: Iterable[int | str]) -> bool:
    """Return whether an answer contains every fact.

    A fact is a number, in figures or in words, or a text of alternatives separated by `|`.
    """
    text = normalised(answer)
    numbers = figures(answer)
    return all(
        fact in numbers if isinstance(fact, int) else any(_contains(way, text) for way in fact.split("|"))
        for fact in facts
    )


def _contains(way: str, text: str) -> bool:
    # a shorter text would match only the beginning of the phrase
    return len(text) >= len(way) and fuzz.partial_ratio(way, text) >= MIN_ALIKE


def declines(answer: str) -> bool:
    """Return whether an answer declines: that the agent does not know, cannot or will not."""
    return bool(_DECLINES.search(normalised(answer)))


def relevance(asked: str, answer: str) -> float | None:
    """Return the share of a question's content words that an answer contains.

    None where the question has no content words.
    """
    lexicon = Lexicon.load()
    wanted = set(lexicon.content(asked)) - _CUTS_IN
    return len(wanted & set(lexicon.content(answer))) / len(wanted) if wanted else None


def inverts(text: str, phrases: Iterable[str]) -> bool:
    """Return whether a text matches one of the regular expressions for phrases of the other role."""
    return any(re.search(phrase, normalised(text)) for phrase in phrases)
