"""Format scores for a terminal: problems first, then our figures next to the published ones."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ... import intervals
from .published import NONE_PUBLISHED, NOTE, SOURCE, published
from .score import Problem, Scores, Values

MAX_LINES = 30
_NAMES = {
    "tor": "take-over rate",
    "latency_s": "latency, s",
    "frequency_hz": "backchannels a second",
    "jsd": "divergence from people",
    "stop_latency_s": "stop latency, s",
    "response_latency_s": "response latency, s",
    "reply_after_interruption_s": "reply after the interruption ends, s",
    "stop_after_onset_s": "stop after the user's onset, s",
    "words_per_minute_before": "words per minute before the overlap ends",
    "words_per_minute_after": "words per minute after it",
}


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """Return one line for each kind of problem, skipped samples first.

    A line names the first sample and counts the others.
    """
    alike: dict[str, list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: not problem.skipped):
        alike.setdefault(problem.message.replace(problem.id or "", "", 1), []).append(problem)
    lines = [
        ("Skipped: " if same[0].skipped else "Check: ")
        + same[0].message
        + (f" The same in {len(same) - 1} more." if same[1:] else "")
        for same in alike.values()
    ]
    return (
        lines
        if len(lines) <= MAX_LINES
        else [*lines[:MAX_LINES], f"and {len(lines) - MAX_LINES} more; --json lists them all."]
    )


def render(scores: Scores) -> str:
    """Return the figures as text; a mean of fewer than ten events is hidden."""
    aggregate = scores.aggregate
    lines = [
        f"{scores.task}: {aggregate['samples']} samples scored",
        "",
        f"{'':42}{'mean':>9}{'95 % interval':>20}{'events':>8}",
    ]
    lines += _figures(aggregate, "")
    if "corrected" in aggregate:
        lines += _figures(aggregate["corrected"], "corrected ")
    rows = published(scores.task)
    lines += ["", "Published, not measured here:" if rows else NONE_PUBLISHED]
    lines += [
        f"  {system:40}{'  '.join(f'{key} {value:.3f}' for key, value in row.items())}"
        for system, row in rows.items()
    ]
    about = textwrap.wrap(f"Source: {SOURCE}. {NOTE}", 100) if rows else []
    return "\n".join([*lines, *about])


def _figures(aggregate: Values, prefix: str) -> list[str]:
    lines = []
    for key, events in aggregate["events"].items():
        if not events:
            continue
        name = prefix + _NAMES[key]
        value = aggregate[key]
        span = aggregate["intervals"][key]
        if value is None:
            lines.append(f"{name:42}{'not measured':>37}")
        elif not intervals.is_shown(events):
            lines.append(f"{name:42}{'–':>9}{f'fewer than {intervals.MIN_EVENTS}':>20}{events:>8}")
        else:
            shown = f"{span[0]:.3f} … {span[1]:.3f}" if span else "–"
            lines.append(f"{name:42}{value:>9.3f}{shown:>20}{events:>8}")
    return lines
