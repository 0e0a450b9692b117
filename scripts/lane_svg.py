"""Draw a part of a talk's lane as SVG, in colours for light and dark backgrounds."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT = 1200, 280, 84
AXIS, HALF = HEIGHT // 2, 74
PEAKS_PER_BAR = 2
# how far a word may be drawn after its time
RUN_ON_PX = 120
STYLE = """rect{fill:#f6f3ec}.rule{stroke:#d9d3c6;fill:none}.bars{stroke-width:2.4;fill:none}
.user{stroke:#0a7a83}.agent{stroke:#c2481f}text{stroke:none!important;font:500 14px system-ui,sans-serif}
text.user{fill:#08636b}text.agent{fill:#9d3715}.mark{stroke-width:2;fill:none}
text.name,text.who{font:600 13px system-ui,sans-serif}
@media(prefers-color-scheme:dark){rect{fill:#131619}.rule{stroke:#333a41}.user{stroke:#45b8c0}
.agent{stroke:#ee7f53}text.user{fill:#7ad3d9}text.agent{fill:#f7a684}}"""
SIGNS = {"user": -1, "agent": 1}


def lane_svg(lane: dict[str, Any], length_s: float = 13.5) -> str:
    """Return the picture of `length_s` seconds of a lane, from the user's first word on.

    `lane` is that of `/api/sessions/{talk_id}`.
    """
    from_s = next(each["start_s"] for each in lane["utterances"] if each["speaker"] == "user") - 0.4
    to_s = from_s + length_s

    def at(seconds: float) -> float:
        return round(LEFT + (seconds - from_s) * (WIDTH - LEFT) / length_s, 1)

    seconds = "".join(f"M{at(s)} {AXIS - 5}v10" for s in range(int(from_s) + 1, int(to_s) + 1))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="One talk as two tracks on one time axis: the user above, the agent below">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10"/>',
        f'<path class="rule" d="M0 {AXIS}H{WIDTH}{seconds}"/>',
        f'<text class="user who" x="16" y="{AXIS - 12}">you</text>',
        f'<text class="agent who" x="16" y="{AXIS + 23}">agent</text>',
    ]
    for side in SIGNS:
        words = [word for each in lane["utterances"] if each["speaker"] == side for word in each["words"]]
        shown = [(text, at(start_s)) for text, start_s, _ in words if from_s <= start_s < to_s]
        parts += [_bars(lane, side, from_s, to_s, at), *_words(shown, side)]
    for mark in lane["marks"]:
        if mark["kind"] == "interruption" and from_s <= mark["start_s"] < to_s:
            x = at(mark["start_s"])
            arrow = f"M{x} {AXIS - HALF}v{2 * HALF}m-5 -8l5 8l5 -8"
            parts.append(f'<path class="user mark" d="{arrow}"/>')
            parts.append(f'<text class="user name" x="{x + 10}" y="{AXIS + HALF}">interrupts</text>')
    return "\n".join([*parts, "</svg>", ""])


def _bars(lane: dict[str, Any], side: str, from_s: float, to_s: float, at: Callable[[float], float]) -> str:
    peaks, rate, sign = lane[side], lane["peaks_per_s"], SIGNS[side]
    bars = []
    for first in range(int(from_s * rate), int(to_s * rate), PEAKS_PER_BAR):
        peak = max(peaks[first : first + PEAKS_PER_BAR], default=0)
        if peak > 0.004:
            # loudness is heard on a compressed scale; the page draws it the same way
            tall = max(2.0, min(1.0, peak**0.6 * 1.15) * HALF)
            bars.append(f"M{at(first / rate) + 1:g} {AXIS + sign * 3}v{sign * tall:.1f}")
    return f'<path class="{side} bars" d="{"".join(bars)}"/>'


def _words(words: list[tuple[str, float]], side: str) -> list[str]:
    """Return words at their times in two rows; when a row's words have drifted too far, the other is used."""
    row, ends = 0, [0.0, 0.0]
    placed = []
    for text, x in words:
        if ends[row] + RUN_ON_PX < x:
            row = 0
        elif ends[row] - x > RUN_ON_PX:
            row = 1 - row
        x = max(x, ends[row])
        ends[row] = x + _width_px(text) + 6
        if ends[row] < WIDTH:
            y = AXIS + SIGNS[side] * (HALF + 22 + 20 * row) + 5
            placed.append(f'<text class="{side}" x="{x:g}" y="{y}">{escape(text)}</text>')
    return placed


def _width_px(text: str) -> float:
    """Return the approximate width of a word, since no font is measured here."""
    return sum(12.5 if c in "mwMW" else 5.5 if c in "iljtfr.,'!" else 8.6 for c in text)
