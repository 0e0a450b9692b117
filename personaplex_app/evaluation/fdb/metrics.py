"""Full-Duplex-Bench's metrics as formulas over words and spans: no files, no audio.

Each metric is there as published ("strict"), and where that definition misleads also "corrected", under a
name of its own. All times are seconds on the audio timeline.
Source: arXiv 2503.04721 (v1.0), arXiv 2507.23159 (v1.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...protocol_events import Word
from ...speech.sound import AGENT_GAP_S, Span, seconds

SHORT_S = 1.0
SHORT_WORDS = 3
PAUSE_GRACE_S = 1.0
LONG_SEGMENT_S = 3.0
BACKCHANNEL_WORDS = 2
BIN_S = 0.2
_BIN_FLOOR = 1e-10


def count_words(words: Sequence[Word]) -> int:
    """Return how many words are said; an entry may hold several."""
    return sum(len(word.text.split()) for word in words)


# -- who takes the turn ----------------------------------------------------------------------------


def take_over(words: Sequence[Word]) -> int:
    """Return 1 when the agent takes the turn, 0 when it says nothing or no more than a short remark."""
    if not words:
        return 0
    return (
        0
        if seconds(words[-1].end_s - words[0].start_s) < SHORT_S and count_words(words) <= SHORT_WORDS
        else 1
    )


def utterances(words: Sequence[Word], gap_s: float = AGENT_GAP_S) -> list[list[Word]]:
    """Return the words parted where the agent is silent for longer than `gap_s`."""
    parts: list[list[Word]] = []
    end_s = 0.0
    for word in words:
        if not parts or seconds(word.start_s - end_s) > gap_s:
            parts.append([])
        parts[-1].append(word)
        end_s = max(end_s, word.end_s)
    return parts


def take_over_in_pause(words: Sequence[Word], pauses: Sequence[Span]) -> int:
    """Return 1 only when the agent begins to take the turn in a pause or within a second after it
    (corrected).

    The published rate counts any talk in the clip, the rightful answer at its end included.
    """
    began = [part[0].start_s for part in utterances(words) if take_over(part)]
    return int(any(start_s <= at_s <= end_s + PAUSE_GRACE_S for at_s in began for start_s, end_s in pauses))


def latency_s(words: Sequence[Word], from_s: float) -> float | None:
    """Return how long after `from_s` the first word begins, never below 0; None when the agent takes
    no turn.
    """
    return max(0.0, seconds(words[0].start_s - from_s)) if take_over(words) else None


@dataclass(frozen=True)
class ReplyTiming:
    """Whether the agent takes the turn, and when; a negative latency is a reply that began before its
    time.
    """

    tor: int
    latency_s: float | None


def reply_to_turn(words: Sequence[Word], turn_end_s: float) -> ReplyTiming:
    """Return the reply to a turn that ends at `turn_end_s`, its latency signed (corrected).

    What the agent had finished saying by then is no reply, and an early beginning is not rounded up to 0.
    """
    return _reply([part for part in utterances(words) if part[-1].end_s > turn_end_s], turn_end_s)


def reply_to_interruption(words: Sequence[Word], interruption_end_s: float) -> ReplyTiming:
    """Return the reply that begins once the interruption is over (corrected): going on with the old answer is
    none.
    """
    return _reply(
        [part for part in utterances(words) if part[0].start_s >= interruption_end_s], interruption_end_s
    )


def _reply(parts: list[list[Word]], from_s: float) -> ReplyTiming:
    words = [word for part in parts for word in part]
    return ReplyTiming(1, seconds(words[0].start_s - from_s)) if take_over(words) else ReplyTiming(0, None)


# -- backchannels ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Backchannels:
    tor: int
    spans: tuple[Span, ...]


def backchannels(segments: Sequence[Span], words: Sequence[Word]) -> Backchannels:
    """Return the segments that count as backchannels, as published: the last one's judgement stands, every
    one counts.
    """
    tor = 0
    counted = []
    for segment in segments:
        if seconds(segment[1] - segment[0]) > LONG_SEGMENT_S:
            return Backchannels(1, tuple(counted))
        tor = 0 if _is_short(segment, words) else 1
        counted.append(segment)
    return Backchannels(tor, tuple(counted))


def true_backchannels(segments: Sequence[Span], words: Sequence[Word]) -> Backchannels:
    """Return only the short segments, and a take-over when any segment is not short (corrected)."""
    short = tuple(segment for segment in segments if _is_short(segment, words))
    return Backchannels(int(len(short) < len(segments)), short)


def _is_short(segment: Span, words: Sequence[Word]) -> bool:
    start_s, end_s = segment
    # a word without an end is a point in time
    inside = [
        word for word in words if word.start_s < end_s and (word.end_s > start_s or word.start_s >= start_s)
    ]
    return seconds(end_s - start_s) < SHORT_S and count_words(inside) <= BACKCHANNEL_WORDS


def frequency_hz(spans: Sequence[Span], duration_s: float) -> float | None:
    """Return backchannels a second; None for a clip without length."""
    return len(spans) / duration_s if duration_s > 0 else None


def divergence(spans: Sequence[Span], duration_s: float, human: Sequence[float] | None) -> float | None:
    """Return how far the backchannels' distribution over time is from the human one: 1 when there are none.

    None when there is no human distribution to compare with. Natural logarithm, so two distributions never
    reach 1.
    """
    if not spans:
        return 1.0
    if human is None:
        return None
    bins = int(duration_s / BIN_S) + 1
    agent = np.zeros(bins)
    for start_s, end_s in spans:
        # the published bins are those of binary division: 0.6 / 0.2 falls into the second
        agent[int(start_s / BIN_S) : int(end_s / BIN_S) + 1] += 1
    agent += _BIN_FLOOR
    people = np.interp(np.linspace(0, 1, bins), np.linspace(0, 1, len(human)), human)
    return _jensen_shannon(agent / agent.sum(), people / people.sum())


def _jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    middle = (p + q) / 2
    halves = (part[part > 0] * np.log(part[part > 0] / middle[part > 0]) for part in (p, q))
    return float(np.sqrt(max(0.0, sum(half.sum() for half in halves) / 2)))


# -- overlaps (v1.5) -------------------------------------------------------------------------------


def overlaps(user: Sequence[Span], agent: Sequence[Span]) -> list[Span]:
    """Return where both speak, in order of time."""
    both = ((max(u[0], a[0]), min(u[1], a[1])) for u in user for a in agent)
    return sorted((start_s, end_s) for start_s, end_s in both if seconds(end_s - start_s) > 0)


def stop_latencies_s(user: Sequence[Span], agent: Sequence[Span]) -> list[float]:
    """Return the length of each user-agent overlap."""
    return [seconds(end_s - start_s) for start_s, end_s in overlaps(user, agent)]


def response_latencies_s(user: Sequence[Span], agent: Sequence[Span]) -> list[float]:
    """Return the time from a user end to the agent's next start, strictly later; each start answers the
    latest end before it.
    """
    answers: dict[float, float] = {}
    starts_s = sorted(start_s for start_s, _ in agent)
    for end_s in sorted(end_s for _, end_s in user):
        start_s = next((start_s for start_s in starts_s if start_s > end_s), None)
        if start_s is not None:
            answers[start_s] = end_s
    return [seconds(start_s - end_s) for start_s, end_s in answers.items()]


def stop_after_onset_s(agent: Sequence[Span], onset_s: float) -> float | None:
    """Return how long the agent speaks on after the user's onset; None when it was not speaking then."""
    return next((seconds(end_s - onset_s) for start_s, end_s in agent if start_s < onset_s < end_s), None)


def words_per_minute(words: Sequence[Word]) -> float | None:
    """Return the speaking rate over the words' own span; None when they have none."""
    span_s = words[-1].end_s - words[0].start_s if words else 0.0
    return count_words(words) / span_s * 60 if span_s > 0 else None
