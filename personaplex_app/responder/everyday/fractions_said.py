"""Sums with fractions as people say them, other forms of one, and whether a sum that is said is right."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from operator import add, mul, sub, truediv

from .arithmetic import spoken
from .contract import Reply, Talk, reply
from .spoken_numbers import with_digits
from .turn import Turn

NAMES: Mapping[str, int] = {
    "half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12,
}  # fmt: skip
PART = re.compile(rf"\b(?:(\d+)|a|an|one) ({'|'.join(NAMES)})s?\b|\b(\d+) ?(?:/|over) ?(\d+)")
_P = r"(\d+/\d+|\d+(?:\.\d+)?)"
_OPERATIONS: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "plus": add, "and": add, "minus": sub, "times": mul, "of": mul, "divided by": truediv,
}  # fmt: skip
_SUM = re.compile(rf"^(?:what is|how much is|add|and|calculate) ?{_P} ({'|'.join(_OPERATIONS)}) {_P}$")
_CLAIM = re.compile(
    rf"^(?:is|check|is it true that|check this) ?{_P} (plus|minus|times|divided by|of) {_P}"
    rf" (?:is |equals )?{_P}$"
)
_FORM = re.compile(
    rf"\b(?:what is|how much is|convert|write|turn|simplify|reduce) {_P}"
    r"(?: (?:as|to|into|in) (?:an? )?(decimal|percentage|percent|fraction))?$"
)


def fractions_said(turn: Turn, talk: Talk) -> Reply | None:
    """Answer a sum with fractions, another form of one, or a sum that is claimed; None for other turns."""
    form = _form(turn)
    if re.search(r"/0+(?!\d)", form):
        return None
    if found := _CLAIM.match(form):
        value = _computed(found[1], found[2], found[3])
        right = value is not None and value == Fraction(found[4])
        lead = "Yes, that is right" if right else "No"
        told = f"{lead}: {found[1]} {found[2]} {found[3]} is {said(value)}." if value is not None else ""
        return reply(told, True)
    if "/" not in form and "as a" not in form:
        return None
    if found := _SUM.match(form):
        value = _computed(found[1], found[2], found[3])
        return reply(f"That is {said(value)}.", True) if value is not None else None
    if found := _FORM.search(form):
        value = Fraction(found[1])
        if found[2] == "decimal":
            return reply(f"That is {spoken(value, 3)[0]}.", True)
        if found[2] in ("percentage", "percent"):
            return reply(f"That is {spoken(value * 100, 1)[0]} percent.", True)
        return reply(f"That is {said(value)}.", True)
    return None


def claims(turn: Turn) -> bool:
    """Return whether a turn asks if a sum is right."""
    return _CLAIM.match(_form(turn)) is not None


def said(value: Fraction) -> str:
    """Return a fraction as it is said, such as "5 sixths"."""
    if value.denominator == 1:
        return str(value.numerator)
    names = {below: word for word, below in reversed([*NAMES.items()])}
    name = names.get(value.denominator, "")
    many = "s" if value.numerator > 1 and name != "half" else ""
    return f"{value.numerator} {name}{many}" if name else f"{value.numerator} over {value.denominator}"


def _form(turn: Turn) -> str:
    form = PART.sub(lambda m: f"{m[3] or m[1] or 1}/{m[4] or NAMES[m[2]]}", with_digits(turn.do))
    return re.sub(r"^(?:please |check this please |and )", "", " ".join(form.split()))


def _computed(one: str, operation: str, two: str) -> Fraction | None:
    if operation == "divided by" and not Fraction(two):
        return None
    return _OPERATIONS[operation](Fraction(one), Fraction(two))
