"""Draw a report's pictures as inline SVG: the lane of a conversation, and metrics with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Protocol

import numpy as np

from ..audio import peaks
from ..units import SAMPLE_RATE_HZ

PX_PER_S = 60
PITCH_PX = 3
PEAKS_PER_S = PX_PER_S // PITCH_PX
HALF_PX = 44
ROW_PX = 17
ROWS = 2
# the mean width of a letter in the report's font
LETTER_PX = 7.9
RUN_ON_PX = 56
GAP_PX = 5
MARK_PX = 15
NAMES = {
    "pause": "pause",
    "interruption": "interrupts",
    "hum": "mm-hm",
    "aside": "somebody else",
    "noise": "noise",
    "silence": "silence",
}


class Drawable(Protocol):
    """What a lane is drawn of, besides sound: marks and words at their times."""

    @property
    def title(self) -> str: ...

    @property
    def duration_s(self) -> float: ...

    @property
    def happened(self) -> Sequence[dict[str, Any]]: ...

    @property
    def user_words(self) -> Sequence[dict[str, Any]]: ...

    @property
    def agent_words(self) -> Sequence[dict[str, Any]]: ...


def lane(result: Drawable, user: np.ndarray, agent: np.ndarray) -> str:
    """Return the lane: both sides on one time axis, the user above, the agent below, words at their times.

    Shapes: `user` and `agent` are float32 [N] at 24 kHz.
    """
    words_px = MARK_PX + ROWS * ROW_PX + 4
    axis = HALF_PX + words_px
    width = int(result.duration_s * PX_PER_S) + 90
    title = f"{result.title}: {result.duration_s:.0f} seconds, the user above, the agent below"
    parts = [
        f'<svg class="lane" viewBox="0 0 {width} {2 * axis}" width="{width}" height="{2 * axis}" role="img"'
        f' aria-label="{escape(title)}" data-px-per-s="{PX_PER_S}">'
    ]
    parts += [_band(each, axis) for each in result.happened if each["what"] in NAMES]
    ticks = "".join(f"M{second * PX_PER_S} {axis - 4}v8" for second in range(0, width // PX_PER_S, 2))
    parts.append(f'<path class="axis" d="M0 {axis}H{width}{ticks}"/>')
    parts += [
        f'<path class="{side}" d="{_bars(sound, axis, sign)}"/>'
        for side, sound, sign in (("user", user, -1), ("agent", agent, 1))
    ]
    parts += [_words(result.user_words, "user", axis, -1), _words(result.agent_words, "agent", axis, 1)]
    parts.append(f'<line class="playhead" x1="0" x2="0" y1="2" y2="{2 * axis - 2}"/></svg>')
    return "".join(parts)


def _bars(samples: np.ndarray, axis: int, sign: int) -> str:
    path = []
    for index, peak in enumerate(peaks(samples, PEAKS_PER_S, SAMPLE_RATE_HZ)):
        if peak > 0.002:
            # a power below 1, like perceived loudness, keeps quiet speech visible
            height = max(1.5, min(1.0, float(peak) ** 0.6 * 1.15) * HALF_PX)
            path.append(f"M{index * PITCH_PX + 1} {axis + sign * 2}v{sign * height:.1f}")
    return "".join(path)


def _band(happened: dict[str, Any], axis: int) -> str:
    x = happened["start_s"] * PX_PER_S
    width = (happened["end_s"] - happened["start_s"]) * PX_PER_S
    name = f'<text class="mark" x="{x + 2:.1f}" y="{axis - HALF_PX - 5}">{NAMES[happened["what"]]}</text>'
    if happened["what"] == "interruption":
        return f'<path class="cut" d="M{x:.1f} {axis - HALF_PX}v{2 * HALF_PX}"/>{name}'
    return (
        f'<rect class="band" x="{x:.1f}" y="{axis - HALF_PX}" width="{max(2.0, width):.1f}"'
        f' height="{2 * HALF_PX}"/>{name}'
    )


def _words(words: Sequence[dict[str, Any]], side: str, axis: int, sign: int) -> str:
    """Return the words near their times, in two rows so that none covers another in fast speech."""
    ends = [-1e9] * ROWS
    row = 0
    elements = []
    for word in words:
        x = word["start_s"] * PX_PER_S
        # stay in the row while its text has not drifted further than `RUN_ON_PX` from its time
        if ends[0] <= x and ends[row] + RUN_ON_PX < x:
            row = 0
        elif ends[row] - x > RUN_ON_PX:
            row = ends.index(min(ends))
        at = max(x, ends[row])
        ends[row] = at + len(word["text"]) * LETTER_PX + GAP_PX
        y = axis + sign * (HALF_PX + MARK_PX + 6 + row * ROW_PX) + 4
        elements.append(f'<text x="{at:.0f}" y="{y}">{escape(word["text"])}</text>')
    return f'<g class="{side}-words">{"".join(elements)}</g>'


def intervals_plot(metric: dict[str, Any]) -> str:
    """Return a plot of a metric by voice with intervals, "" where no interval can be shown."""
    every = [*metric["by_voice"].items(), ("all", metric["all"])]
    cells = [(name, cell) for name, cell in every if cell["shown"] and cell["value"] is not None]
    if len(metric["by_voice"]) == 1:
        cells = [(name, cell) for name, cell in cells[-1:] if cell["interval"]]
    if not any(cell["interval"] for _, cell in cells):
        return ""
    ends = [each for _, cell in cells for each in cell["interval"] or [cell["value"]]] + [
        cell["value"] for _, cell in cells
    ]
    scales = {"rate": (0.0, 1.0), "share": (0.0, 1.0), "cosine": (0.0, 1.0), "1 to 5": (1.0, 5.0)}
    low, high = scales.get(metric["unit"], (min(0.0, *ends), max(*ends) * 1.08 or 1.0))
    left = 132
    width = 460
    line = 24

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - 56)

    parts = [
        f'<svg class="plot" viewBox="0 0 {width} {line * len(cells) + 20}" role="img"'
        f' aria-label="{escape(metric["title"])} by voice">'
    ]
    foot = line * len(cells) + 2
    parts.append(
        f'<path class="axis" d="M{left} {foot}H{width - 56}M{x(low):.1f} {foot}v4M{x(high):.1f} {foot}v4"/>'
    )
    parts += [
        f'<text class="tick" x="{x(at):.1f}" y="{foot + 15}" text-anchor="middle">{at:.2g}</text>'
        for at in (low, high)
    ]
    for index, (name, cell) in enumerate(cells):
        y = index * line + 13
        if cell["interval"]:
            parts.append(
                f'<path class="span" d="M{x(cell["interval"][0]):.1f} {y}H{x(cell["interval"][1]):.1f}"/>'
            )
        parts.append(
            f'<text class="name" x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
        )
        parts.append(f'<circle class="dot" cx="{x(cell["value"]):.1f}" cy="{y}" r="5"/>')
        parts.append(f'<text class="value" x="{width - 48}" y="{y + 4}">{cell["value"]:.2f}</text>')
    return "".join([*parts, "</svg>"])
