"""A run's summary for a terminal."""

from __future__ import annotations

import textwrap
from typing import Any

from .report import cell_text, span_text


def text_of(summary: dict[str, Any]) -> str:
    """Return the figures over all voices as text; those of too few events are hidden."""
    voices = summary["voices"]
    lines = [
        f"{summary['conversations']} conversations with {summary['engine']}, {len(summary['scenarios'])} scenarios of our own, "
        f"voices {', '.join(voices)}, clock {summary['clock']['name']}",
        *textwrap.wrap(summary["note"], 100),
        "",
    ]
    group = ""
    for metric in summary["metrics"].values():
        if not metric["all"]["events"]:
            continue
        if metric["group"] != group:
            group = metric["group"]
            lines.append(f"{group}:")
        name = metric["title"] + (", s" if metric["unit"] == "s" else "")
        lines.append(f"  {name:44}{cell_text(metric['all'], metric['unit']):>8}  {span_text(metric['all'], metric['unit'])}")
    speed = summary["speed"]["all"]
    if speed["steps"]:
        rest = f"{speed['p95_ms']:.1f}, {speed['p99_ms']:.1f}, {speed['max_ms']:.1f}"
        lines += [
            "Speed:",
            f"  {'step, ms: p50, p95, p99, longest':44}{speed['p50_ms']:>8.1f}  {rest}",
            f"  {'real-time factor; steps within 80 ms':44}{speed['rtf']:>8.3f}  {speed['deadline_attainment']:.2%}",
        ]
    lines += [f"Not measured: {what.replace('_', ' ')}: {why}" for what, why in summary["not_measured"].items()]
    return "\n".join(lines)
