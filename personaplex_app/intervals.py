"""Bootstrap confidence intervals with a fixed seed, and how many events a shown figure needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DRAWS = 1_000
SEED = 0
LEVEL = 0.95
# with fewer events a rate moves by more than 10 % with each of them
MIN_EVENTS = 10
Interval = tuple[float, float]


def resampled_counts(units: int, draws: int = DRAWS, seed: int = SEED) -> np.ndarray:
    """Return how often each unit occurs in each bootstrap draw (with replacement).

    Shapes: int [draws, units].
    """
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=draws)


def percentiles(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Return the interval of the middle `level` share of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the mean of all events, None when there are none."""
    events = [value for group in groups for value in group]
    return float(np.mean(events)) if events else None


def mean_interval(groups: Sequence[Sequence[float]], draws: int = DRAWS, seed: int = SEED) -> Interval | None:
    """Return the bootstrap interval of the mean of all events, None for one group or equal events.

    A group is what was sampled at random, such as a conversation or a listener, with its events. Groups are
    resampled whole, since events of one group depend on each other.
    """
    filled = [group for group in groups if len(group)]
    if len(filled) < 2 or len({value for group in filled for value in group}) < 2:
        return None
    counts = resampled_counts(len(filled), draws, seed)
    sums = counts @ np.array([float(np.sum(group)) for group in filled])
    return percentiles(sums / (counts @ np.array([len(group) for group in filled])))


def is_shown(events: int) -> bool:
    """Return whether a figure rests on enough events to be shown."""
    return events >= MIN_EVENTS
