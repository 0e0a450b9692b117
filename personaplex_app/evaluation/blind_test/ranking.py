"""Rank the voices of a blind test by a Bradley-Terry model of the votes, with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np

from ... import intervals

Choice = Literal["left", "right", "tie", "both_bad"]
MIN_VOTES = 20
"""Below so many votes a voice's rank is called preliminary."""
BOARD_VOTES = 10
"""Below so many votes in the whole test no score is shown."""
BASE_SCORE = 1500.0
SCORE_PER_NAT = 173.72  # 400 / ln 10: the scale of Elo
_Z_95 = 1.96
_MAX_STEPS = 200
_CLOSE = 1e-9


@dataclass(frozen=True)
class Vote:
    """One listener's choice between two voices. Votes of hidden checks must not be among those ranked."""

    listener: str
    left: str
    right: str
    choice: Choice

    def __post_init__(self) -> None:
        if self.choice not in get_args(Choice):
            raise ValueError(f"choice is {self.choice!r}; it must be one of {', '.join(get_args(Choice))}")
        if self.left == self.right:
            raise ValueError(f"both sides are {self.left!r}; a ranking is of votes between two voices")


@dataclass(frozen=True)
class Standing:
    """One voice's result. The interval is None until two listeners have voted; `ties` include `both_bad`.

    `margin` is how far the score may be off, at 95 %: half the interval, and at least what so few
    votes allow.
    """

    voice: str
    rank: int
    score: float
    interval: intervals.Interval | None
    votes: int
    wins: int
    losses: int
    ties: int
    both_bad: int
    margin: float = math.inf

    @property
    def rounded(self) -> tuple[int, int] | None:
        """Return the score and its margin with no more digits than the margin supports: its first one.

        None without a vote, or where the margin is wider than any score is.
        """
        if not self.votes or self.margin >= SCORE_PER_NAT * 10:
            return None
        step = 10 ** max(0, math.floor(math.log10(max(1.0, self.margin))))
        return round(self.score / step) * step, math.ceil(self.margin / step) * step

    @property
    def preliminary(self) -> bool:
        """Return whether the voice has too few votes for a reliable rank."""
        return self.votes < MIN_VOTES


@dataclass(frozen=True)
class SideBias:
    """How often the left and the right side won, and the p-value of that split without a bias."""

    left: int
    right: int
    p_value: float


@dataclass(frozen=True)
class Ranking:
    """The voices, best first. `wins[a][b]` is how often a beat b; a tie counts as half a win for each."""

    standings: tuple[Standing, ...]
    wins: dict[str, dict[str, float]]
    side_bias: SideBias
    listeners: int
    votes: int

    @property
    def preliminary(self) -> bool:
        """Return whether any voice has too few votes for a reliable rank."""
        return any(standing.preliminary for standing in self.standings)


def rank(
    votes: Sequence[Vote],
    voices: Iterable[str] = (),
    draws: int = intervals.DRAWS,
    seed: int = intervals.SEED,
) -> Ranking:
    """Rank the voices by the lower bound of their score; `voices` adds those without a vote."""
    names = sorted({*voices, *(vote.left for vote in votes), *(vote.right for vote in votes)})
    listeners = sorted({vote.listener for vote in votes})
    by_listener = _wins(votes, names, listeners)
    wins = by_listener.sum(axis=0)
    p = strengths(wins)
    scores = to_scores(p)
    margins = _Z_95 * SCORE_PER_NAT * standard_errors(wins, np.log(p))
    bounds: list[intervals.Interval | None] = [None] * len(names)
    # resample whole listeners: the votes of one listener are not independent of each other
    if len(listeners) > 1:
        drawn = np.tensordot(intervals.resampled_counts(len(listeners), draws, seed), by_listener, axes=1)
        bounds = [intervals.percentiles(values) for values in to_scores(strengths(drawn)).T]
    lowest = [bound[0] if bound else score for bound, score in zip(bounds, scores, strict=True)]
    order = sorted(range(len(names)), key=lambda i: (-lowest[i], -scores[i], names[i]))
    return Ranking(
        tuple(
            _standing(names[i], number, float(scores[i]), bounds[i], votes, float(margins[i]))
            for number, i in enumerate(order, 1)
        ),
        {a: {b: float(wins[i, j]) for j, b in enumerate(names) if i != j} for i, a in enumerate(names)},
        side_bias(votes),
        len(listeners),
        len(votes),
    )


def _wins(votes: Sequence[Vote], names: list[str], listeners: list[str]) -> np.ndarray:
    """Return the wins of each listener.

    Shapes: float [listeners, V, V], the row beats the column.
    """
    wins = np.zeros((len(listeners), len(names), len(names)))
    row = {name: i for i, name in enumerate(names)}
    listener = {name: i for i, name in enumerate(listeners)}
    for vote in votes:
        left = {"left": 1.0, "right": 0.0}.get(vote.choice, 0.5)
        wins[listener[vote.listener], row[vote.left], row[vote.right]] += left
        wins[listener[vote.listener], row[vote.right], row[vote.left]] += 1.0 - left
    return wins


def strengths(wins: np.ndarray) -> np.ndarray:
    """Return the Bradley-Terry strengths with one win and one loss against a voice of strength 1 as prior.

    Shapes: float [..., V, V], the row beats the column, to [..., V].
    """
    total = wins.sum(axis=-1)
    games = wins + wins.swapaxes(-1, -2)
    logs = np.zeros_like(total)
    for _ in range(_MAX_STEPS):
        # Newton's method: the usual fixed-point iteration p ← (w + 1) / (Σ n / (p + q) + 2 / (p + 1)) takes
        # thousands of steps
        share = _sigmoid(logs[..., :, None] - logs[..., None, :])
        prior = _sigmoid(logs)
        slope = total + 1 - (games * share).sum(axis=-1) - 2 * prior
        pull = games * share * (1 - share)
        bend = np.eye(logs.shape[-1]) * (pull.sum(axis=-1) + 2 * prior * (1 - prior))[..., None] - pull
        step = np.linalg.solve(bend, slope[..., None])[..., 0]
        # a damped step, which cannot overshoot (Sun and Tran-Dinh 2019, generalised self-concordance)
        length = np.sqrt(2) * np.linalg.norm(step, axis=-1, keepdims=True)
        logs = logs + step * np.divide(np.log1p(length), length, out=np.ones_like(length), where=length > 0)
        if length.max(initial=0.0) < _CLOSE:
            break
    return np.exp(logs)


def standard_errors(wins: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Return the standard errors of logarithmic strengths, from the curvature of their likelihood.

    Shapes: float [V, V], the row beats the column, and [V], to [V].
    """
    share = _sigmoid(logs[:, None] - logs[None, :])
    prior = _sigmoid(logs)
    pull = (wins + wins.T) * share * (1 - share)
    bend = np.diag(pull.sum(axis=-1) + 2 * prior * (1 - prior)) - pull
    return np.sqrt(np.diag(np.linalg.inv(bend)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # equal to 1 / (1 + exp(−x)), but never overflows
    return 0.5 + 0.5 * np.tanh(x / 2)


def to_scores(p: np.ndarray) -> np.ndarray:
    """Return strengths on the Elo scale, 1500 for a strength of 1."""
    return BASE_SCORE + SCORE_PER_NAT * np.log(p)


def _standing(
    voice: str,
    number: int,
    score: float,
    bound: intervals.Interval | None,
    votes: Sequence[Vote],
    margin: float,
) -> Standing:
    own = [vote for vote in votes if voice in (vote.left, vote.right)]
    won = sum(vote.choice == ("left" if vote.left == voice else "right") for vote in own)
    tied = sum(vote.choice in ("tie", "both_bad") for vote in own)
    bad = sum(vote.choice == "both_bad" for vote in own)
    # listeners who agree by chance, or a single one, have an interval that is too narrow
    margin = max(margin, (bound[1] - bound[0]) / 2 if bound else 0.0)
    return Standing(voice, number, score, bound, len(own), won, len(own) - won - tied, tied, bad, margin)


def side_bias(votes: Iterable[Vote]) -> SideBias:
    """Return the exact two-sided binomial test of left against right, ties left out."""
    choices = [vote.choice for vote in votes]
    left = choices.count("left")
    right = choices.count("right")
    n = left + right
    few = min(left, right)
    # in logarithms, since binomial coefficients of many votes overflow
    logs = np.concatenate(
        [[0.0], np.cumsum([math.log((n - k) / (k + 1)) for k in range(few)])]
    ) - n * math.log(2)
    return SideBias(left, right, min(1.0, 2 * float(np.exp(logs).sum())))


def pair_urgency(ranking: Ranking) -> dict[tuple[str, str], tuple[float, float]]:
    """Return a sort key for every pair; the pairs to be heard next come first.

    These are pairs of voices with few votes, then those whose intervals overlap most.
    """
    voices = {standing.voice: standing for standing in ranking.standings}

    def urgency(a: Standing, b: Standing) -> tuple[float, float]:
        votes = ranking.wins[a.voice][b.voice] + ranking.wins[b.voice][a.voice]
        if ranking.preliminary or a.interval is None or b.interval is None:
            return min(a.votes, b.votes), votes
        return -_overlap(a.interval, b.interval), votes

    return {pair: urgency(voices[pair[0]], voices[pair[1]]) for pair in combinations(sorted(voices), 2)}


def _overlap(a: intervals.Interval, b: intervals.Interval) -> float:
    """Return the share of the narrower interval that lies in the other one."""
    narrow = min(a[1] - a[0], b[1] - b[0])
    return (min(a[1], b[1]) - max(a[0], b[0])) / narrow if narrow > 0 else 0.0
