"""Format a run's summary for a terminal."""

from __future__ import annotations

import textwrap
from typing import Any

from .report import cell_text, span_text

GOOD = {"low": " Low is good.", "high": " High is good."}


def text_of(summary: dict[str, Any], explained: bool = False) -> str:
    """Return the figures over all voices as text; those that too few events support are hidden. With
    `explained`, what each metric means stands below it.
    """
    voices = summary["voices"]
    lines = [
        (
            f"{summary['conversations']} conversations with {summary['engine']}, {len(summary['scenarios'])}"
            f" scenarios of our own, voices {', '.join(voices)}, clock {summary['clock']['name']}"
        ),
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
        lines.append(
            f"  {name:44}{cell_text(metric['all'], metric['unit']):>8} "
            f" {span_text(metric['all'], metric['unit'])}"
        )
        if explained:
            about = metric["about"] + GOOD.get(metric["better"], "")
            lines += textwrap.wrap(about, 100, initial_indent="    ", subsequent_indent="    ")
    speed = summary["speed"]["all"]
    if speed["steps"]:
        rest = f"{speed['p95_ms']:.1f}, {speed['p99_ms']:.1f}, {speed['max_ms']:.1f}"
        in_time = f"{speed['headroom']:.0%}, {speed['deadline_attainment']:.2%}"
        lines += [
            "Speed:",
            f"  {'step, ms: p50, p95, p99, longest':44}{speed['p50_ms']:>8.1f}  {rest}",
            f"  {'real-time factor; headroom; steps in 80 ms':44}{speed['rtf']:>8.3f}  {in_time}",
            f"  {'underruns, simulated, by start buffer':44}{'':8}  "
            + ", ".join(
                f"{each['count']} ({each['stall_ms']:.0f} ms) at {each['buffer_ms']} ms"
                for each in speed["underruns"]
            ),
        ]
    if peak_bytes := summary["memory"].get("peak_bytes"):
        lines.append(f"  {'peak memory, MB':44}{peak_bytes / 1e6:>8.0f}")
    for kind, values in (summary["alike"] or {}).items():
        known = [value for value in values.values() if value is not None]
        if known:
            name = {"same": "likeness of one voice with itself", "cross": "likeness of different voices"}[
                kind
            ]
            lines.append(
                f"  {name:44}{sum(known) / len(known):>8.2f}  {min(known):.2f} … {max(known):.2f} over"
                f" {len(known)}"
            )
    lines += [
        f"Not measured: {what.replace('_', ' ')}: {why}" for what, why in summary["not_measured"].items()
    ]
    return "\n".join(lines)
