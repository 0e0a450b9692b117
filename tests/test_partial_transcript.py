"""A user turn's text as it grows, and the window it is recognised in."""

import pytest

from personaplex_app.classic.partial_transcript import MAX_WINDOW_S, PartialTranscript
from personaplex_app.protocol_events import Word
from personaplex_app.speech.recogniser import Transcript

pytestmark = pytest.mark.unit


def heard(text: str, word_s: float = 0.5) -> Transcript:
    words = tuple(Word(word, n * word_s, (n + 1) * word_s) for n, word in enumerate(text.split()))
    return Transcript(text, words)


def test_partial_shows_only_what_two_passes_agree_on():
    turn = PartialTranscript(1.0)
    turn.partial(heard("I would lake"), 1.0, 2.0)
    assert turn.text == ""
    turn.partial(heard("I would like two"), 1.0, 2.5)
    assert turn.text == "I would"
    turn.partial(heard("I would like to go"), 1.0, 3.0)
    assert turn.text == "I would like"
    assert turn.words[0].start_s == 1.0


def test_pause_shows_everything_and_a_longer_pass_replaces_it():
    turn = PartialTranscript(0.0)
    turn.pause(heard("I would like to."), 0.0, 2.0)
    assert turn.text == "I would like to."
    turn.resume()
    turn.pause(heard("I would like to order a pizza."), 0.0, 5.0)
    assert turn.text == "I would like to order a pizza."


def test_long_window_is_left_behind_at_a_pause():
    turn = PartialTranscript(0.0)
    turn.pause(heard("one two three"), 0.0, 9.0)
    turn.resume()
    assert turn.window_s == 9.0
    turn.pause(heard("four five"), 9.0, 12.0)
    assert turn.text == "one two three four five"
    assert turn.words[3].start_s == 9.0


def test_stale_window_is_ignored():
    turn = PartialTranscript(0.0)
    turn.pause(heard("one two three"), 0.0, 9.0)
    turn.resume()
    turn.partial(heard("one two three four"), 0.0, 9.5)
    turn.partial(heard("one two three four"), 0.0, 9.9)
    assert turn.text == "one two three"


def test_speech_without_a_pause_is_cut_after_an_agreed_word():
    turn = PartialTranscript(0.0)
    words = " ".join(f"w{n}" for n in range(30))
    turn.partial(heard(words), 0.0, 9.5)
    turn.partial(heard(words), 0.0, 10.0)
    assert 0.0 < turn.window_s <= 8.0
    assert len(turn.words) == turn.window_s / 0.5


def test_recognition_that_cannot_keep_up_leaves_the_sound_behind():
    turn = PartialTranscript(0.0)
    turn.overrun(MAX_WINDOW_S)
    assert turn.window_s == 0.0
    turn.overrun(MAX_WINDOW_S + 3.0)
    assert turn.window_s > MAX_WINDOW_S - 3.0
