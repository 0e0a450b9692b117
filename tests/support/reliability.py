"""The reliability table: what a test measured, against its target, as a row of Markdown after a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

PROPERTY = "reliability"


@dataclass
class Row:
    """One row: what is tried, and each figure with its target."""

    name: str
    targets: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    broken: str = ""
    """Why the test ended before all was measured."""

    def at_most(self, what: str, figure: float, target: float, unit: str = "") -> None:
        """Note a figure that is to be no larger than its target."""
        shown = round(figure, 2 if figure < 10 else 1)
        self._note(what, f"≤ {target:g}{unit}", f"{shown:g}{unit}", figure <= target)

    def exactly(self, what: str, figure: object, target: object) -> None:
        """Note a figure that is to be its target."""
        self._note(f"{what}:", f"{target}", f"{figure}", figure == target)

    def told(self, what: str, figure: str) -> None:
        """Note a figure without a target."""
        self.figures.append(f"{what} {figure}")

    @property
    def verdict(self) -> str:
        """Return `holds`, `misses`, or why there is none."""
        return self.broken or ("misses" if self.missed else "holds")

    def line(self) -> str:
        """Return the row as Markdown."""
        columns = (self.name, "; ".join(self.targets), "; ".join(self.figures), self.verdict)
        return "| " + " | ".join(column.replace("|", "/").replace("\n", " ") for column in columns) + " |"

    def _note(self, what: str, target: str, figure: str, holds: bool) -> None:
        self.targets.append(f"{what} {target}")
        self.figures.append(f"{what} {figure}")
        if not holds:
            self.missed.append(f"{what} {figure}, wanted {target}")


@contextmanager
def measured(record_property: Callable[[str, object], None], name: str) -> Iterator[Row]:
    """Yield a row to be filled; it is in the table however the block ends.

    Raises: AssertionError after the block where a figure misses its target.
    """
    row = Row(name)
    try:
        yield row
    except BaseException as error:
        said = str(error).partition("\n")[0][:120]
        skipped = isinstance(error, pytest.skip.Exception)
        row.broken = f"not run: {said}" if skipped else f"broke off: {type(error).__name__}: {said}"
        raise
    finally:
        record_property(PROPERTY, row.line())
    assert not row.missed, row.missed


def table(reports: Iterable[object]) -> Iterator[str]:
    """Yield the table of all rows that these reports hold, nothing where they hold none."""
    rows = [
        line
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, line in getattr(report, "user_properties", ())
        if name == PROPERTY
    ]
    if rows:
        yield from ("", "| row | target | figure | verdict |", "|---|---|---|---|", *rows, "")
        yield f"{os.cpu_count()} cores; on average {os.getloadavg()[1]:.1f} programs wanted one"
