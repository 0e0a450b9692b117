"""Count the verdicts of a held set, by kind of turn and by role, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .hold import JudgedTurn
from .turns import ReplySet

TARGET = 0.85
"""Share of good and acceptable replies that the embedded engine is to reach."""
TARGET_KIND = 0.70
"""The same for each kind of turn."""


def as_json(held: Sequence[JudgedTurn], reply_set: ReplySet, about: dict[str, Any]) -> dict[str, Any]:
    """Return all figures and all turns; `about` is added at the top."""
    kinds = {kind: _counts(each for each in held if each.turn.kind == kind) for kind in reply_set.kinds}
    roles = {talk.role: _counts(each for each in held if each.role == talk.role) for talk in reply_set.talks}
    return {
        **about,
        "set_sha256": reply_set.sha256,
        "targets": {"share": TARGET, "share_of_a_kind": TARGET_KIND, "invented": 0},
        "all": _counts(held),
        "kinds": {kind: counts for kind, counts in kinds.items() if counts["turns"]},
        "roles": {role: counts for role, counts in roles.items() if counts["turns"]},
        "turns": [_turn(each) for each in held],
    }


def render(report: dict[str, Any], titles: dict[str, str]) -> str:
    """Return a report as tables for a terminal, with whether the targets are met."""
    every = report["all"]
    lines = [_HEAD, *_rows(report["kinds"], lambda kind: titles.get(kind, kind)), ""]
    lines += [_HEAD.replace("kind", "role", 1), *_rows(report["roles"], str), "", _row("all", every)]
    low = [kind for kind, counts in report["kinds"].items() if counts["share"] < TARGET_KIND]
    lines += [
        "",
        _target(f"good and acceptable {every['share']:.0%}, wanted {TARGET:.0%}", every["share"] >= TARGET),
        _target(f"kinds under {TARGET_KIND:.0%}: {', '.join(low) or 'none'}", not low),
        _target(f"replies with an invented figure: {every['invented']}, wanted none", not every["invented"]),
    ]
    return "\n".join(lines)


_HEAD = (
    f"{'kind':44}{'turns':>6}{'good':>6}{'accept.':>8}{'bad':>5}"
    f"{'share':>7}{'refused':>9}{'invented':>9}{'p50':>9}{'p95':>9}"
)


def _rows(counted: dict[str, dict[str, Any]], title: Callable[[str], str]) -> list[str]:
    return [_row(title(name), counts) for name, counts in counted.items()]


def _row(title: str, counts: dict[str, Any]) -> str:
    return (
        f"{title[:43]:44}{counts['turns']:>6}{counts['good']:>6}{counts['acceptable']:>8}{counts['bad']:>5}"
        f"{counts['share']:>7.0%}{counts['refused']:>9}{counts['invented']:>9}"
        f"{_time(counts['reply_p50_s']):>9}{_time(counts['reply_p95_s']):>9}"
    )


def _time(value_s: float | None) -> str:
    if value_s is None:
        return "-"
    return f"{value_s * 1000:.0f} ms" if value_s < 10 else f"{value_s:.0f} s"


def _target(sentence: str, met: bool) -> str:
    return f"{'met' if met else 'MISSED':8}{sentence}"


def _counts(turns: Iterable[JudgedTurn]) -> dict[str, Any]:
    held = list(turns)
    grades = [each.verdict.grade for each in held]
    times_s = [each.reply_s for each in held if each.reply_s is not None]
    return {
        "turns": len(held),
        "good": grades.count("good"),
        "acceptable": grades.count("acceptable"),
        "bad": grades.count("bad"),
        "share": 1 - grades.count("bad") / len(held) if held else 0.0,
        "refused": sum(each.verdict.refused for each in held),
        "invented": sum(bool(each.verdict.invented) for each in held),
        "reply_p50_s": float(np.percentile(times_s, 50)) if times_s else None,
        "reply_p95_s": float(np.percentile(times_s, 95)) if times_s else None,
    }


def _turn(each: JudgedTurn) -> dict[str, Any]:
    return {
        "role": each.role,
        "number": each.number,
        "kind": each.turn.kind,
        "say": each.turn.say,
        "heard": each.heard,
        "reply": each.reply,
        "reply_s": each.reply_s,
        **asdict(each.verdict),
    }
