"""Whether an answer is right without a judge: facts as numbers and words, ways to decline, phrases of the
other role.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rapidfuzz import fuzz

from ..responder.lexicon import Lexicon
from ..responder.numbers import figures

MIN_ALIKE = 85.0
# said to be heard, not to be answered
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
    """Return whether an answer has every fact: a number in figures or words, or one of the ways to say it
    that `|` parts.
    """
    text = normalised(answer)
    numbers = figures(answer)
    return all(
        fact in numbers if isinstance(fact, int) else any(_said(way, text) for way in fact.split("|"))
        for fact in facts
    )


def _said(way: str, text: str) -> bool:
    # a word may be misheard or inflected, never only begun
    return len(text) >= len(way) and fuzz.partial_ratio(way, text) >= MIN_ALIKE


def declines(answer: str) -> bool:
    """Return whether an answer says that it does not know, or will not."""
    return bool(_DECLINES.search(normalised(answer)))


def relevance(asked: str, answer: str) -> float | None:
    """Return the share of what was asked about, its content words, that an answer takes up; None where it
    names nothing.
    """
    lexicon = Lexicon.load()
    wanted = set(lexicon.content(asked)) - _CUTS_IN
    return len(wanted & set(lexicon.content(answer))) / len(wanted) if wanted else None


def inverts(text: str, phrases: Iterable[str]) -> bool:
    """Return whether a text has a phrase of the other role, given as regular expressions."""
    return any(re.search(phrase, normalised(text)) for phrase in phrases)
