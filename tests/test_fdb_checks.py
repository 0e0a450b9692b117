"""The checks before a score: quiet about what is right, a sentence about what is not."""

import numpy as np
import pytest

from personaplex_app.evaluation.fdb import checks
from personaplex_app.protocol_events import Word
from personaplex_app.speech.sound import Sound

from .support.fdb_samples import tone

pytestmark = pytest.mark.unit


def sound(*spans: tuple[float, float], hz: float = 200.0, duration_s: float = 10.0) -> Sound:
    return Sound(tone(*spans, hz=hz, duration_s=duration_s), 24_000, 1)


def said(*times: tuple[float, float]) -> list[Word]:
    return [Word("word", *span) for span in times]


def test_checks_are_quiet_about_a_sound_pair():
    user, agent, notes = sound((1, 3)), sound((3.5, 6), hz=310, duration_s=10.4), []
    for one in (user, agent):
        checks.check_sound(one, "a", notes.append)
    checks.check_pair(user, agent, "a", "b", notes.append)
    checks.check_words(said((3.5, 4.0), (5.0, 6.0)), agent, "a", "b", notes.append)
    checks.check_words([], agent, "a", "b", notes.append)
    checks.check_events([(1.0, 3.0)], user, "a", "b", True, notes.append)
    checks.check_events([(4.0, 5.0)], user, "a", "b", False, notes.append)  # a pause is silent
    assert notes == []


def test_has_sound_looks_a_quarter_second_to_both_sides():
    one = sound((2, 3))
    found = [
        checks.has_sound(one, span)
        for span in ((1.0, 1.7), (1.0, 1.8), (2.4, 2.4), (3.2, 4.0), (3.3, 4.0), (0.0, 0.1))
    ]
    assert found == [False, True, True, True, False, False]


@pytest.mark.parametrize(("silent", "noted"), [(1, False), (2, False), (3, True)])
def test_check_words_minds_when_most_lie_in_silence(silent, noted):
    notes = []
    words = said(*[(2.2, 2.4)] * (4 - silent), *[(7.0, 7.2)] * silent)
    checks.check_words(words, sound((2, 3)), "w.json", "s.wav", notes.append)
    assert bool(notes) == noted
    assert all(note.startswith(f"w.json: {silent} of 4 words lie where s.wav is silent") for note in notes)


def test_check_words_minds_a_single_word_past_the_end():
    notes = []
    checks.check_words(said((2.2, 2.4), (10.2, 10.6)), sound((2, 3)), "w.json", "s.wav", notes.append)
    assert notes[0].startswith("w.json has words until 10.6 s and s.wav ends at 10.0 s")


def test_check_events_minds_a_silent_interruption_and_times_past_the_end():
    notes = []
    checks.check_events([(1.0, 2.0), (5.0, 6.0)], sound((1, 2)), "e.json", "u.wav", True, notes.append)
    checks.check_events([(1.0, 2.0), (9.0, 11.0)], sound((1, 2)), "e.json", "u.wav", False, notes.append)
    assert [note.split(";")[0] for note in notes] == [
        "e.json: u.wav is silent from 5.0 to 6.0 s",
        "e.json names 11.0 s and u.wav ends at 10.0 s",
    ]


@pytest.mark.parametrize("shift_s", [-0.5, 0.0, 0.32])
def test_likeness_finds_the_shift_either_way(shift_s):
    noise = np.random.default_rng(0).normal(0, 0.1, 240_000).astype(np.float32)
    alike, found_s = checks.likeness(
        Sound(noise, 24_000, 1), Sound(np.roll(noise, int(shift_s * 24_000)), 24_000, 1)
    )
    assert alike > 0.9
    assert found_s == pytest.approx(shift_s, abs=0.001)


def test_likeness_of_silence_is_none():
    assert checks.likeness(sound(), sound((1, 2))) == (0.0, 0.0)
