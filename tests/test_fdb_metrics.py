"""Full-Duplex-Bench's formulas, every row of them with its boundaries, on words and spans alone."""

import math
from itertools import pairwise

import numpy as np
import pytest

from personaplex_app.evaluation.fdb import metrics
from personaplex_app.protocol_events import Word
from personaplex_app.speech.sound import AGENT_GAP_S, USER_GAP_S, merged

pytestmark = pytest.mark.unit


def said(*times: tuple[float, float], text: str = "word") -> list[Word]:
    return [Word(text, *span) for span in times]


def spread(count: int, start_s: float, end_s: float) -> list[Word]:
    """`count` words that fill a span."""
    edges = np.linspace(start_s, end_s, count + 1)
    return said(*((float(a), float(b)) for a, b in pairwise(edges)))


# -- take-over -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "start_s", "end_s", "tor"),
    [
        (3, 0.0, 0.99, 0),
        (3, 0.0, 1.0, 1),  # a span of exactly one second is no longer short
        (1, 2.3, 3.3, 1),  # 3.3 - 2.3 is below 1 in binary
        (4, 0.0, 0.99, 1),  # four words are too many, however fast
        (1, 5.0, 5.2, 0),
        (12, 1.0, 4.0, 1),
    ],
)
def test_take_over_span_and_words_decide(count, start_s, end_s, tor):
    assert metrics.take_over(spread(count, start_s, end_s)) == tor


def test_take_over_no_words_is_none():
    assert metrics.take_over([]) == 0


def test_take_over_counts_the_words_inside_an_entry():
    assert metrics.take_over(said((0.0, 0.5), text="oh I do see")) == 1
    assert metrics.take_over(said((0.0, 0.5), text="I do see")) == 0


def test_take_over_in_pause_needs_an_onset_in_it_or_a_second_after():
    pauses = [(3.0, 4.0)]
    assert metrics.take_over_in_pause(spread(6, 5.0, 7.0), pauses) == 1  # the last moment
    assert metrics.take_over_in_pause(spread(6, 3.0, 5.0), pauses) == 1
    for start_s in (5.01, 2.99, 8.0):  # the answer at the clip's end is right, and no take-over of the pause
        words = spread(6, start_s, start_s + 2.0)
        assert (metrics.take_over(words), metrics.take_over_in_pause(words, pauses)) == (1, 0)


def test_take_over_in_pause_short_remark_is_none_even_before_a_long_answer():
    words = said((3.2, 3.5)) + spread(8, 7.0, 10.0)
    assert (metrics.take_over(words), metrics.take_over_in_pause(words, [(3.0, 4.0)])) == (1, 0)


def test_utterances_part_after_more_than_half_a_second():
    words = said((0.0, 0.2), (0.7, 1.0), (1.51, 1.6))
    assert [len(part) for part in metrics.utterances(words)] == [2, 1]


# -- latency ---------------------------------------------------------------------------------------


def test_latency_is_from_the_turn_end_and_never_negative():
    words = spread(5, 4.25, 6.0)
    assert metrics.latency_s(words, 4.0) == pytest.approx(0.25)
    assert metrics.latency_s(words, 4.5) == 0.0
    assert metrics.latency_s(said((4.2, 4.4)), 4.0) is None  # no take-over, no latency
    assert metrics.latency_s([], 4.0) is None


def test_reply_to_turn_keeps_the_sign_and_leaves_out_what_was_over():
    early = spread(5, 3.8, 6.0)
    assert metrics.reply_to_turn(early, 4.0) == metrics.ReplyTiming(1, pytest.approx(-0.2))
    hummed = said((1.0, 1.3)) + spread(5, 4.5, 6.0)
    assert metrics.latency_s(hummed, 4.0) == 0.0  # as published: the hum is taken for the answer
    assert metrics.reply_to_turn(hummed, 4.0) == metrics.ReplyTiming(1, pytest.approx(0.5))
    assert metrics.reply_to_turn(said((1.0, 1.3)), 4.0) == metrics.ReplyTiming(0, None)
    assert metrics.reply_to_turn(spread(5, 2.0, 4.0), 4.0) == metrics.ReplyTiming(
        0, None
    )  # over at that very moment
    assert metrics.reply_to_turn(spread(10, 3.0, 6.0), 4.0) == metrics.ReplyTiming(
        1, pytest.approx(-1.0)
    )  # goes on past it


def test_reply_to_interruption_is_not_the_old_answer_going_on():
    old = spread(20, 2.0, 9.0)
    assert metrics.latency_s(old, 6.0) == 0.0
    assert metrics.reply_to_interruption(old, 6.0) == metrics.ReplyTiming(0, None)
    assert metrics.reply_to_interruption(spread(6, 6.0, 8.0), 6.0) == metrics.ReplyTiming(1, 0.0)
    assert metrics.reply_to_interruption(old[:8] + spread(6, 6.4, 8.0), 6.0) == metrics.ReplyTiming(
        1, pytest.approx(0.4)
    )


def test_stop_after_onset_counts_only_an_agent_that_speaks():
    agent = [(1.0, 5.5), (8.0, 9.0)]
    assert metrics.stop_after_onset_s(agent, 5.0) == pytest.approx(0.5)
    assert metrics.stop_after_onset_s(agent, 6.0) is None
    assert metrics.stop_after_onset_s(agent, 5.5) is None
    assert metrics.stop_after_onset_s(agent, 1.0) is None  # both began at once: nobody was interrupted


# -- backchannels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("segments", "words", "tor", "counted"),
    [
        ([], [], 0, 0),
        ([(1.0, 1.9)], said((1.0, 1.3), (1.4, 1.6)), 0, 1),
        ([(1.0, 1.9)], said((1.0, 1.2), (1.3, 1.5), (1.6, 1.8)), 1, 1),  # three words
        ([(1.0, 2.0)], said((1.0, 1.3)), 1, 1),  # exactly a second
        ([(1.0, 4.0)], [], 1, 1),  # exactly three seconds are not more than three
        ([(1.0, 4.1)], [], 1, 0),
        ([(1.0, 2.5), (5.0, 5.5)], [], 0, 2),  # the last one's judgement stands
        ([(0.5, 0.9), (1.0, 4.1), (6.0, 6.3)], [], 1, 1),  # nothing after the long one is looked at
        (
            [(1.0, 1.9)],
            said((0.2, 1.0), (1.1, 1.2), (1.3, 1.4), (1.9, 2.3), (3.0, 3.0)),
            0,
            1,
        ),  # words that only touch do not overlap
        ([(1.0, 1.9)], said((1.0, 1.0), (1.2, 1.2), (1.4, 1.4)), 1, 1),  # words without an end
    ],
)
def test_backchannels_as_published(segments, words, tor, counted):
    found = metrics.backchannels(segments, words)
    assert (found.tor, len(found.spans)) == (tor, counted)


def test_true_backchannels_are_the_short_ones_and_any_long_one_takes_over():
    segments = [(1.0, 2.5), (5.0, 5.5)]
    assert metrics.true_backchannels(segments, []) == metrics.Backchannels(1, ((5.0, 5.5),))
    assert metrics.true_backchannels(segments[1:], []) == metrics.Backchannels(0, ((5.0, 5.5),))
    assert metrics.true_backchannels([], []) == metrics.Backchannels(0, ())


def test_frequency_is_a_second_and_none_without_length():
    assert metrics.frequency_hz([(1.0, 1.5)] * 3, 20.0) == pytest.approx(0.15)
    assert metrics.frequency_hz([], 20.0) == 0.0
    assert metrics.frequency_hz([], 0.0) is None


def test_divergence_agrees_with_scipy_on_the_binned_distributions():
    from scipy.spatial.distance import jensenshannon  # scipy takes seconds to import

    spans, duration_s, human = [(0.6, 1.0), (3.1, 3.5), (3.2, 3.3)], 7.3, [0.0, 1.0, 3.0, 0.5]
    bins = int(7.3 / 0.2) + 1
    agent = np.full(bins, 1e-10)
    agent[2:6] += 1  # 0.6 / 0.2 is 2.999… in binary, and so it is published
    agent[15:18] += 1
    agent[16:17] += 1
    people = np.interp(np.linspace(0, 1, bins), np.linspace(0, 1, 4), human)
    assert metrics.divergence(spans, duration_s, human) == pytest.approx(
        jensenshannon(agent, people), abs=1e-12
    )


def test_divergence_bounds():
    assert metrics.divergence([], 10.0, [1.0]) == 1.0
    assert metrics.divergence([], 10.0, None) == 1.0
    assert metrics.divergence([(1.0, 1.5)], 10.0, None) is None
    assert metrics.divergence([(0.0, 10.0)], 10.0, [2.0]) == pytest.approx(
        0.0, abs=1e-6
    )  # both the same everywhere
    apart = metrics.divergence([(0.0, 0.1)], 10.0, [0.0, 0.0, 0.0, 0.0, 1.0])
    assert apart == pytest.approx(math.sqrt(math.log(2)), abs=1e-6)
    assert metrics.divergence([(9.9, 12.0)], 10.0, [1.0]) < apart  # what lies past the end is cut off


# -- overlaps --------------------------------------------------------------------------------------


def test_merged_joins_gaps_up_to_the_limit():
    spans = [(0.0, 1.0), (1.6, 2.0), (2.7, 3.0)]
    assert merged(spans, USER_GAP_S) == [(0.0, 2.0), (2.7, 3.0)]
    assert merged(spans, AGENT_GAP_S) == spans
    assert merged([(0.0, 5.0), (1.0, 2.0)], 0.5) == [(0.0, 5.0)]
    assert merged([(0.0, 1.0), (1.2, 1.5), (5.0, 6.0), (6.3, 7.0)], 0.5) == [(0.0, 1.5), (5.0, 7.0)]
    assert merged([], 0.5) == []


def test_stop_latency_is_each_overlaps_length_and_touching_is_none():
    user, agent = [(0.0, 2.0), (5.0, 8.0)], [(1.5, 5.0), (5.5, 6.0), (7.0, 9.0)]
    assert metrics.stop_latencies_s(user, agent) == pytest.approx([0.5, 0.5, 1.0])
    assert metrics.stop_latencies_s(user, []) == []


def test_response_latency_is_from_the_latest_user_end_strictly_before_each_start():
    assert metrics.response_latencies_s([(0.0, 1.0), (2.0, 3.0)], [(3.5, 4.0), (6.0, 7.0)]) == pytest.approx(
        [0.5]
    )
    assert metrics.response_latencies_s([(0.0, 1.0)], [(1.0, 2.0), (4.0, 5.0)]) == pytest.approx(
        [3.0]
    )  # not the one at the same moment
    assert metrics.response_latencies_s([(0.0, 1.0), (2.0, 3.0)], [(1.2, 1.5), (3.1, 4.0)]) == pytest.approx(
        [0.2, 0.1]
    )
    assert metrics.response_latencies_s([(0.0, 1.0)], [(0.2, 0.5)]) == []


def test_words_per_minute_over_their_own_span():
    assert metrics.words_per_minute(spread(6, 1.0, 3.0)) == pytest.approx(180.0)
    assert metrics.words_per_minute([]) is None
    assert metrics.words_per_minute(said((1.0, 1.0))) is None  # one word without an end has no rate
