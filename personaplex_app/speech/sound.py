"""A recording with its sample rate, and spans of time within it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Span = tuple[float, float]

USER_GAP_S = 0.6
AGENT_GAP_S = 0.5
# in binary 3.3 - 2.3 is a little less than 1, so a span of one second would fail a comparison with 1
_DIGITS = 9


@dataclass(frozen=True)
class Sound:
    """The audio of one file.

    Shapes: `samples` is float32 [N], the mean of the channels.
    """

    samples: np.ndarray
    rate_hz: int
    channels: int

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz


def seconds(difference_s: float) -> float:
    """Return a difference of two times without the rounding error of binary numbers."""
    return round(difference_s, _DIGITS)


def merged(segments: Sequence[Span], gap_s: float) -> list[Span]:
    """Return the segments in order, those joined that are at most `gap_s` apart."""
    joined: list[Span] = []
    for start_s, end_s in sorted(segments):
        if joined and seconds(start_s - joined[-1][1]) <= gap_s:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return joined
