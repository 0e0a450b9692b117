"""Clips of a blind test hold the answer to its end and no more, the question without its silences."""

import numpy as np
import pytest

from personaplex_app.evaluation.answer_clip import answer_window, cut, question

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("user", "agent", "window"),
    [
        # greeting, question, answer
        ([(5, 7)], [(1, 3), (8, 12)], (7.9, 12.3)),
        # two questions: the last one counts
        ([(1, 2), (8, 9)], [(3, 6), (10, 12), (12.5, 14)], (9.9, 14.3)),
        # an answer that the user hums along to is one answer
        ([(1, 2), (5, 5.5)], [(3, 9)], (2.9, 9.3)),
        # an interruption: what was stopped is left out
        ([(1, 2), (5, 7)], [(3, 5.6), (8, 11)], (7.9, 11.3)),
        # at once: nothing of the question
        ([(1, 2)], [(2.05, 4)], (2, 4.3)),
        # to the very end of the rendering
        ([(1, 2)], [(3, 19.9)], (2.9, 20)),
        # no answer, no speech, an agent that speaks unasked
        ([(5, 7)], [(1, 3)], (7, 9)),
        ([(18, 19.5)], [], (18, 20)),
        ([], [(1, 3)], (0.9, 3.3)),
        ([], [], (0, 2)),
    ],
)
def test_answer_window_is_the_answer_to_the_last_turn(user, agent, window):
    assert answer_window(user, agent, 20.0) == pytest.approx(window)


def test_cut_of_a_window_is_exact_to_the_sample():
    samples = np.arange(48_000, dtype=np.float32)
    assert cut(samples, (0.5, 1.0)).tolist() == samples[12_000:24_000].tolist()


def test_question_keeps_every_word_and_shortens_long_silences():
    user = np.zeros(20 * 24_000, np.float32)
    for first_s, last_s in ((7, 9), (9.5, 10), (16, 17)):
        user[int(first_s * 24_000) : int(last_s * 24_000)] = 0.5
    asked = question(user, [(7, 9), (9.5, 10), (16, 17)])
    assert np.count_nonzero(asked) == np.count_nonzero(user)
    assert len(asked) / 24_000 == pytest.approx(0.1 + 2 + 0.5 + 0.5 + 0.3 + 0.6 + 1 + 0.3, abs=0.01)
    assert len(question(user, [])) == len(user)
