"""Sums, proportions and exact times, whose marks mean something else between other figures."""

from __future__ import annotations

import re

from .figure import NUMBER, SIGN, Rule, rule, signed
from .number_words import number
from .numbers import counted, decimal

_OPERATORS = {
    "+": "plus", "-": "minus", "–": "minus", "−": "minus", "*": "times", "×": "times", "·": "times",
    "x": "times", "÷": "divided by", "/": "divided by",
}  # fmt: skip
_TERM = rf"(?:{NUMBER})"
_SURE = r"(?:\s[+*·]\s|[+*·])"
"""What stands between numbers in a sum alone: a minus may be a range, a stroke a fraction or a date, and a
plus with a space before it alone begins the number of a phone.
"""
_ANY = r"[-–−+*×·x÷/]"


def _said(text: str) -> str:
    return number(decimal(text, ","))


def _sum(match: re.Match[str]) -> str:
    # the sign of a result stands after "=", all others are operators
    parts = re.findall(rf"=\s?{SIGN}|{_ANY}|\?|{_TERM}", re.sub(r"\s", "", match[0]))
    words = []
    for part in parts:
        if part.startswith("="):
            words.append(f"equals {signed(part[1:])}".strip())
        else:
            words.append({"?": "what"}.get(part) or _OPERATORS.get(part) or _said(part))
    return " ".join(words)


def _proportion(match: re.Match[str]) -> str:
    return match["lead"] + " to ".join(map(_said, re.findall(_TERM, match["parts"])))


def _exact_time(match: re.Match[str]) -> str | None:
    if int(match["minutes"]) > 59 or float(match["seconds"]) >= 60:
        return None
    whole, _, parts = match["seconds"].partition(".")
    seconds = number(f"{int(whole)}.{parts}")
    hours, minutes = (counted(str(int(match[name])), name[:-1]) for name in ("hours", "minutes"))
    return f"{hours}, {minutes} and {seconds} seconds"


SUMS: tuple[Rule, ...] = (
    rule(rf"{_TERM}(?:\s?{_ANY}\s?{_TERM})+\s?=\s?(?:{SIGN}{_TERM}|\?)", _sum),
    rule(rf"{_TERM}(?:{_SURE}{_TERM})+", _sum),
    rule(
        rf"(?P<lead>(?i:odds|chances|ratio|scale)(?: of| are| is|:)?\s)"
        rf"(?P<parts>{_TERM}(?:\s?[:/]\s?{_TERM})+)",
        _proportion,
    ),
    rule(rf"(?P<lead>)(?P<parts>\d+(?::{_TERM})+)(?=[ -](?:scale|odds|ratio)\b)", _proportion),
    rule(r"(?P<hours>\d{1,2}):(?P<minutes>\d\d):(?P<seconds>\d\d\.\d+)", _exact_time),
)
