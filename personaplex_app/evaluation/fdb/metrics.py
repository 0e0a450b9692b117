"""Full-Duplex-Bench's metrics as functions of words and spans, without files or audio.

Each metric exists as published ("strict"), and where that definition misleads also "corrected", under its own
name. All times are seconds on the audio timeline.
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
# keeps the logarithm of an empty bin finite
_BIN_FLOOR = 1e-10


def count_words(words: Sequence[Word]) -> int:
    """Return the number of words; an entry may hold several."""
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
    """Split the words where the agent is silent for longer than `gap_s`."""
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

    The published rate counts any speech in the clip, including the proper answer at its end.
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
    """Whether the agent takes the turn, and when; a negative latency is a reply that began too early."""

    tor: int
    latency_s: float | None


def reply_to_turn(words: Sequence[Word], turn_end_s: float) -> ReplyTiming:
    """Return the reply to a turn that ends at `turn_end_s`, its latency signed (corrected).

    Speech that had ended by then is no reply, and the latency of an early reply is not rounded up to 0.
    """
    return _reply([part for part in utterances(words) if part[-1].end_s > turn_end_s], turn_end_s)


def reply_to_interruption(words: Sequence[Word], interruption_end_s: float) -> ReplyTiming:
    """Return the reply that begins after the interruption has ended (corrected).

    Continuing the interrupted answer is not a reply.
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
    """Return the backchannels as published.

    Every segment counts, and whether the agent took over is decided by the last one.
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
    """Return only the short segments; any longer one is a take-over (corrected)."""
    short = tuple(segment for segment in segments if _is_short(segment, words))
    return Backchannels(int(len(short) < len(segments)), short)


def _is_short(segment: Span, words: Sequence[Word]) -> bool:
    start_s, end_s = segment
    # a word without an end has length 0
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
        # the published code divides in floating point, where 0.6 / 0.2 is below 3 and falls into the bin
        # before
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
    """Return the spans in which both speak, in order of time."""
    both = ((max(u[0], a[0]), min(u[1], a[1])) for u in user for a in agent)
    return sorted((start_s, end_s) for start_s, end_s in both if seconds(end_s - start_s) > 0)


def stop_latencies_s(user: Sequence[Span], agent: Sequence[Span]) -> list[float]:
    """Return the length of each user-agent overlap."""
    return [seconds(end_s - start_s) for start_s, end_s in overlaps(user, agent)]


def response_latencies_s(user: Sequence[Span], agent: Sequence[Span]) -> list[float]:
    """Return the times from each end of the user's speech to the agent's next start, strictly later.

    Each start is matched with the latest end before it.
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
    """Return the speaking rate from the first word to the last; None when that span has no length."""
    span_s = words[-1].end_s - words[0].start_s if words else 0.0
    return count_words(words) / span_s * 60 if span_s > 0 else None
