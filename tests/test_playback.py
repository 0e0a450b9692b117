"""What the agent plays, in frames."""

import numpy as np
import pytest

from personaplex_app.classic.playback import Playback, first_audible_s
from personaplex_app.protocol_events import Word
from personaplex_app.speech.synthesiser import SpeechClip
from personaplex_app.units import FRAME_S, FRAME_SAMPLES

pytestmark = pytest.mark.unit


def clip(frames: int = 10, *words: tuple[str, float, float]) -> SpeechClip:
    return SpeechClip(np.full(frames * FRAME_SAMPLES, 0.5, np.float32), tuple(Word(*word) for word in words))


def pull(playback: Playback, count: int, first: int = 0) -> tuple[np.ndarray, list[Word]]:
    played = [playback.pull((first + n) * FRAME_S) for n in range(count)]
    return np.concatenate([p.frame for p in played]), [word for p in played for word in p.started_words]


def test_playback_clips_follow_without_a_gap_and_words_begin_in_their_frames():
    playback = Playback()
    playback.say(SpeechClip(np.full(2_000, 0.5, np.float32), (Word("one", 0.01, 0.05),)))
    playback.say(clip(1, ("two", 0.02, 0.08)))
    sound, words = pull(playback, 3, first=10)
    assert np.count_nonzero(sound) == 2_000 + FRAME_SAMPLES
    assert [word.text for word in words] == ["one", "two"]
    assert words[1].start_s == pytest.approx(10 * FRAME_S + 2_000 / 24_000 + 0.02)
    assert playback.empty


def test_playback_ducked_is_12_db_softer():
    playback = Playback()
    playback.say(clip())
    playback.duck(True)
    sound, _ = pull(playback, 2)
    assert sound[-1] == pytest.approx(0.5 * 10 ** (-12 / 20), rel=1e-3)


def test_playback_cut_fades_within_one_frame_and_begins_no_word():
    playback = Playback()
    playback.say(clip(10, ("one", 0.0, 0.3), ("two", 0.1, 0.4)))
    pull(playback, 1)
    playback.cut()
    sound, words = pull(playback, 5)
    assert words == []
    assert 0 < np.count_nonzero(sound) < FRAME_SAMPLES
    assert np.abs(np.diff(sound)).max() < 0.01
    assert not playback.is_sounding


def test_playback_resumed_says_the_cut_word_again_and_counts_it_once():
    playback = Playback()
    playback.say(clip(10, ("one", 0.0, 0.1), ("two", 0.1, 0.5), ("three", 0.5, 0.8)))
    pull(playback, 4)
    playback.cut()
    pull(playback, 3, first=4)
    playback.resume()
    sound, words = pull(playback, 10, first=7)
    assert [word.text for word in words] == ["three"]
    assert [word.text for word in playback.words] == ["one", "two", "three"]
    assert np.count_nonzero(sound) == round((0.8 - 0.1) * 24_000)


def test_playback_cut_between_sentences_holds_the_next_one_back():
    playback = Playback()
    playback.cut()
    playback.say(clip(1, ("next", 0.0, 0.1)))
    sound, words = pull(playback, 2)
    assert not sound.any()
    assert words == []
    playback.resume()
    assert [word.text for word in pull(playback, 1)[1]] == ["next"]


def test_playback_cut_and_dropped_still_fades_then_forgets():
    playback = Playback()
    playback.say(clip())
    pull(playback, 1)
    playback.cut()
    playback.drop()
    sound, _ = pull(playback, 3)
    assert 0 < np.count_nonzero(sound) < FRAME_SAMPLES
    assert playback.empty
    assert playback.words == []


def test_playback_next_answer_follows_a_dropped_one_at_full_level():
    playback = Playback()
    playback.say(clip())
    playback.duck(True)
    pull(playback, 2)
    playback.cut()
    pull(playback, 1)
    playback.drop()
    playback.say(clip(1))
    assert pull(playback, 1)[0].min() == pytest.approx(0.5)


def test_playback_aside_is_soft_and_beside_the_rest():
    playback = Playback()
    playback.play_over(clip(1))
    assert playback.is_sounding
    sound, words = pull(playback, 2)
    assert 0.1 < sound.max() < 0.3
    assert words == []
    assert not playback.is_sounding


def test_first_audible_skips_the_silence():
    assert first_audible_s(
        SpeechClip(np.concatenate([np.zeros(2_400), np.ones(10)]).astype(np.float32), ())
    ) == pytest.approx(0.1)
