"""What a figure is: its words, and the patterns that several kinds of figures share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .tables import UNITS, VULGAR


@dataclass(frozen=True)
class Figure:
    """One figure in words; "€5" is the head "five" and the unit "euros".

    Two figures of one kind may be the ends of a range, and a plain number may take the other one's unit:
    `many` is the unit's plural.
    """

    head: str
    unit: str = ""
    many: str = ""
    kind: str = ""
    ranges: bool = False

    @property
    def words(self) -> str:
        return f"{self.head} {self.unit}".strip()


# two of these with a stroke between them are the ends of an interval
ISO_DATE = "date iso"
Say = Callable[[re.Match[str]], Figure | str | None]
"""Returns the words of what a pattern matched, None where it is no such figure after all."""
Rule = tuple[re.Pattern[str], Say]


def rule(pattern: str, say: Say) -> Rule:
    """Return a rule; its pattern must match a whole figure."""
    return re.compile(pattern), say


def any_of(words: Iterable[str]) -> str:
    """Return a pattern for one of `words`, the longest that fits."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


DASH = r"[-–—−]"
SPACE = r"[ \u00a0\u202f\u2009]"
THIN = r"[\u00a0\u202f\u2009]"
# the last of these groups as India does: "1,50,000"
_THOUSANDS = (
    rf"\d{{1,3}}(?:(?:,\d{{3}})+|(?:,\d\d)+,\d{{3}}|(?:{THIN}\d{{3}})+|(?: \d{{3}}){{2,}}|(?: 000)+)(?!\d)"
)
NUMBER = rf"(?:{_THOUSANDS}|\d+)(?:\.\d+)?|\.\d+"
# with a currency or unit beside it, a number may be written in other countries' ways too
GROUPED = (
    r"\d{1,2}(?:,\d\d)+,\d{3}(?:\.\d{1,2})?(?!\d)"
    r"|\d{1,3}(?:[.,'\u00a0\u202f\u2009]\d{3})+(?:[.,]\d{1,2})?(?!\d)"
)
SPACED = r"\d{1,3}(?: \d{3})+(?:[.,]\d{1,2})?(?!\d)"
AMOUNT = rf"{GROUPED}|\d{{1,3}}(?: \d{{3}})+[.,]\d\d(?!\d)|\d+(?:[.,]\d+)?|\.\d+"
FRACTION = rf"(?:(?:\d+{SPACE}?)?[{''.join(VULGAR)}]|(?:\d+[ -])?\d+/\d+)"
QUANTITY = rf"{FRACTION}|\d+,\d{{1,2}}(?!\d)|{NUMBER}"
SIGN = r"[-–−+±]?"
# what a number counts, and so is no year
COUNTED = r"\s(?:[a-z]+s|people|men|women|children)\b"
SCALE = r"hundred|thousand|lakh|million|crore|billion|trillion"
UNIT = any_of(UNITS)


def signed(sign: str) -> str:
    """Return the words before a number for what `SIGN` matched."""
    return {"": "", "+": "plus ", "±": "plus or minus "}.get(sign, "minus ")
