"""Seeded bootstrap intervals, and which rates are worth showing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DRAWS = 1_000
SEED = 0
LEVEL = 0.95
MIN_EVENTS = 10
Interval = tuple[float, float]


def resampled_counts(units: int, draws: int = DRAWS, seed: int = SEED) -> np.ndarray:
    """Return how often each unit is in each draw with replacement. Shapes: int [draws, units]."""
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=draws)


def percentiles(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Return the interval that holds the middle `level` of the draws."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the mean of all events; None without any."""
    events = [value for group in groups for value in group]
    return float(np.mean(events)) if events else None


def mean_interval(groups: Sequence[Sequence[float]], draws: int = DRAWS, seed: int = SEED) -> Interval | None:
    """Return the bootstrap interval of the mean of all events; None when they are all alike or of one group,
    which tells no spread.

    A group is what was drawn at random, a conversation or a listener, with the events that it gave: groups
    are resampled whole.
    """
    filled = [group for group in groups if len(group)]
    if len(filled) < 2 or len({value for group in filled for value in group}) < 2:
        return None
    counts = resampled_counts(len(filled), draws, seed)
    sums = counts @ np.array([float(np.sum(group)) for group in filled])
    return percentiles(sums / (counts @ np.array([len(group) for group in filled])))


def is_shown(events: int) -> bool:
    """Return whether a figure rests on enough events to be put in front of a reader."""
    return events >= MIN_EVENTS
