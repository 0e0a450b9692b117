"""Judge a reply by the rules of its turn, without a model: good, acceptable or bad, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz

from ...responder.numbers import figures, word_list
from ..answers_check import normalised
from .turns import Condition, Turn

Grade = Literal["good", "acceptable", "bad"]
ALIKE = 95.0
"""Similarity in per cent from which a reply is the one before it again."""
SAID_AGAIN = 75.0
"""Similarity in per cent of the words from which a reply says the one before it again."""
# that something is not allowed, sold or free is an answer, and none of these
_REFUSES = re.compile(
    r"""
    \b(i|we)\ (really\ |honestly\ |simply\ )?(do\ not|don't)\ know\b
    | \b(not|no|nothing|isn't|aren't|don't|can't)\b[^.?!]*\ (in|among)\ my\ notes
    | \bmy\ notes\ (do\ not|don't)
    | \bi\ (couldn't|could\ not|can't|cannot)\ (say|tell\ you|help\ with|answer)
    | \brather\ not\ guess
    | \bi('m|\ am)\ not\ sure\b
    | \bno\ idea\b
    | \bi\ (do\ not|don't)\ have\ (that|any|the|an\ answer|information)
    | \bnot\ something\ i\ (know|can)
    | \b(no|nothing|don't\ have)\ (information|details)\ (about|on)
    | \bdon't\ have\ anything\ (about|on)
    | \bbeyond\ me\b
    """,
    re.VERBOSE,
)
# an answer after a doubt is worth hearing, and less than one without
_DOUBTS = re.compile(
    r"\b(closest|nearest|may not be all|beyond me, but)\b"
    r"|\b(not sure|don't know|can't say)\b[^.]* but (here|what|i (do|can)|if|it|this)\b"
)
# what can follow anything; "sorry" before it shows that something was heard
_BRUSHES_OFF = re.compile(
    r"^(?!.*\bsorry\b).*\b(how (can|may) i help|what can i (do for|help)|which of those|my notes cover)\b"
)
_TAKEN_UP_KINDS = ("feeling", "statement", "correction", "order", "hours", "refusal")
# the model's own name holds a number
_NOT_A_FIGURE = re.compile(r"persona ?plex[- ]?(7 ?b|seven b)\b", re.IGNORECASE)
_COMMON = frozenset(
    word_list("about again could other really should their there these thing think those where which")
)
# "Oh, she called him Biscuit? Tell me more."
_ONLY_ECHOES = ("tell me more.", "go on.", "tell me more")


@dataclass(frozen=True)
class Verdict:
    """What the judge holds of a reply. `invented` are numbers that neither prompt, talk nor rule has."""

    grade: Grade
    why: str
    refused: bool = False
    invented: tuple[int, ...] = ()


def refuses(reply: str) -> bool:
    """Return whether a reply says that the agent does not know, or cannot say."""
    text = normalised(reply)
    return bool(_REFUSES.search(text)) and not _DOUBTS.search(text)


def judge(turn: Turn, reply: str, last_reply: str, known: frozenset[int]) -> Verdict:
    """Return the verdict on the reply to a turn.

    `known` are the numbers of the prompt and of what the visitor has said so far, this turn included.
    """
    text = normalised(reply)
    if not text:
        return Verdict("bad", "no reply")
    refused = refuses(reply)
    invented: tuple[int, ...] = ()
    if turn.figures is not None:
        said = figures(_NOT_A_FIGURE.sub("", reply))
        invented = tuple(sorted(said - known - turn.figures))
    grade, why = _graded(turn, text, normalised(last_reply), refused)
    if invented:
        return Verdict("bad", "says numbers that nobody gave it", refused, invented)
    return Verdict(grade, why, refused)


def _graded(turn: Turn, text: str, last: str, refused: bool) -> tuple[Grade, str]:
    for pattern in turn.bad:
        if found := re.search(pattern, text):
            return "bad", f"says {found[0]!r}"
    if "repeat" not in turn.may and last and fuzz.ratio(text, last) >= ALIKE:
        return "bad", "the same as the reply before"
    takes_up = turn.kind in _TAKEN_UP_KINDS
    said = normalised(turn.say)
    if takes_up and _BRUSHES_OFF.search(text) and not _content(text) & _content(said):
        return "bad", "brushes it off"
    good = all(_holds(condition, text, last) for condition in turn.good)
    fair = bool(turn.fair) and all(_holds(condition, text, last) for condition in turn.fair)
    if refused and "refuse" not in turn.may:
        return "bad", "says that it does not know"
    if good and _DOUBTS.search(text):
        return "acceptable", "answers with a doubt"
    if good and takes_up and text.endswith(_ONLY_ECHOES) and not _content(text) - _content(said):
        return "acceptable", "only says it back"
    if good:
        return "good", "all that a good reply holds"
    return ("acceptable", "what an acceptable reply holds") if fair else ("bad", "nothing that was wanted")


def _holds(condition: Condition, text: str, last: str) -> bool:
    if isinstance(condition, tuple):
        return any(_holds(each, text, last) for each in condition)
    if isinstance(condition, int):
        return condition in figures(text)
    match condition:
        case "@repeats":
            return fuzz.token_set_ratio(text, last) >= SAID_AGAIN
        case "@rewords":
            return fuzz.token_set_ratio(text, last) < SAID_AGAIN
        case "@shorter":
            return len(text.split()) < len(last.split())
        case "@resumes":
            return bool(_content(text) & _content(last))
    return bool(re.search(condition, text))


def _content(text: str) -> set[str]:
    # five letters are as good as a stem here: "float", "floats" and "floating" are one
    return {word[:5] for word in re.findall(r"[^\W\d_]{5,}", text) if word not in _COMMON}
