"""Conversion between units of measure: "how many feet are in a mile?", "ten kilos in pounds".

Own code over a table: a unit library (pint) brings two more packages and a grammar of its own, and reads
no spoken English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from ...yaml_fields import load_yaml
from .arithmetic import spoken
from .contract import Reply, Talk, reply
from .spoken_numbers import with_digits
from .turn import Turn

MEASURES_FILE = Path(__file__).with_name("measures.yaml")
_COUNT = r"(?P<count>-?\d+(?:\.\d+)?|an?|half an?)"


@dataclass(frozen=True)
class Unit:
    """A unit: base unit = value * `size` + `offset`. `one` and `many` are how it is said."""

    one: str
    many: str
    dimension: str
    size: Fraction
    offset: Fraction


class Measures:
    """The units of the file, found by name."""

    def __init__(self, path: Path = MEASURES_FILE) -> None:
        self._units: dict[str, Unit] = {}
        for dimension, entries in load_yaml(path).items():
            for entry in entries:
                names = entry["names"]
                size, offset = (
                    Fraction(entry.get(key, 0)).limit_denominator(10**9) for key in ("size", "offset")
                )
                unit = Unit(names[0], names[1], dimension, size, offset)
                self._units |= dict.fromkeys((name.lower() for name in names), unit)

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        names = "|".join(sorted(map(re.escape, self._units), key=len, reverse=True))
        goal = rf"(?P<to>{names})"
        given = rf"{_COUNT} ?(?P<of>{names})"
        return tuple(
            re.compile(pattern)
            for pattern in (
                rf"\bhow (?:many|much) {goal} (?:is|are|in|make|makes|does|do|has|are there in|is there in"
                rf"|fit in|go into)"
                rf"(?: there)?(?: in| make)? ?{given}(?: have)?\b",
                rf"\b(?:convert|change|turn|what is|what are|how much is|how much are|and"
                rf"|what about)? ?{given}"
                rf" (?:in|to|into|as) {goal}$",
                rf"\b{given}\b.*\b(?:is|are|would|does) (?:that|it|this|be)?(?: be| make)? ?in {goal}$",
                rf"^{given} (?:is|are|equals?|makes?) how (?:many|much) {goal}$",
            )
        )

    def convert(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a question for a conversion, None when the turn asks for none."""
        for form in turn.forms:
            text = with_digits(form.replace("°", " degrees ").replace("minus ", "-"))
            text = re.sub(r"^how (?:many|much) (?=.* in (?:an? |\d))", "how many ", " ".join(text.split()))
            found = next((m for p in self._patterns if (m := p.search(text))), None)
            if found:
                return self._converted(found, talk)
        return None

    def _converted(self, found: re.Match[str], talk: Talk) -> Reply | None:
        given, goal = self._units[found["of"]], self._units[found["to"]]
        if given.dimension != goal.dimension:
            # an ounce beside a measure of volume is a fluid one
            given = self._units.get(f"fluid {found['of']}", given)
            goal = self._units.get(f"fluid {found['to']}", goal)
        if given.dimension != goal.dimension:
            return reply(f"{given.many.capitalize()} and {goal.many} measure different things.")
        count = found["count"]
        value = Fraction(1, 2) if count.startswith("half") else Fraction(1 if count[0] == "a" else count)
        result = (value * given.size + given.offset - goal.offset) / goal.size
        talk.note(result=str(result.limit_denominator(10**6)))
        said, exact = spoken(result, 2)
        unit = goal.one if result == 1 else goal.many
        lead = "One" if value == 1 else "Half a" if count.startswith("half") else spoken(value, 3)[0]
        of = given.one if value == 1 or count.startswith("half") else given.many
        return reply(
            f"{lead} {of} {'is' if value <= 1 else 'are'} {'' if exact else 'about '}{said} {unit}.", True
        )
