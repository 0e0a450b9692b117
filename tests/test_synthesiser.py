"""The voices: intelligible, clearly different, with words in their places."""

from itertools import pairwise

import numpy as np
import pytest

from personaplex_app.classic.phrases import plain_words
from personaplex_app.speech.recogniser import Recogniser
from personaplex_app.speech.synthesiser import TIMBRES, Synthesiser
from personaplex_app.units import SAMPLE_RATE_HZ
from personaplex_app.voices import NAMES

pytestmark = pytest.mark.unit

SENTENCES = (
    "The compost bin costs eight dollars a month.",
    "Tell me a story about the sea and a small wooden boat.",
)


@pytest.fixture(scope="module")
def synthesiser():
    return Synthesiser()


@pytest.fixture(scope="module")
def recogniser():
    return Recogniser()


def pitch_hz(samples: np.ndarray) -> float:
    """The median fundamental of the voiced parts, by autocorrelation in windows of 40 ms."""
    width, found = SAMPLE_RATE_HZ // 25, []
    for at in range(0, len(samples) - 2 * width, width):
        part = samples[at : at + 2 * width]
        correlation = np.correlate(part, part, "full")[len(part) - 1 :]
        lags = slice(SAMPLE_RATE_HZ // 400, SAMPLE_RATE_HZ // 90)
        lag = int(np.argmax(correlation[lags])) + lags.start
        if correlation[0] > 1.0 and correlation[lag] > 0.5 * correlation[0]:
            found.append(SAMPLE_RATE_HZ / lag)
    return float(np.median(found))


def test_voices_are_at_least_four_and_named_for_what_they_are():
    names = [timbre.voice.name for timbre in TIMBRES]
    assert len(set(names)) == len(names) >= 4
    assert not set(map(str.upper, names)) & set(NAMES)


def test_voices_differ_in_pitch_by_a_clear_margin(synthesiser):
    pitches = sorted(pitch_hz(synthesiser.speak(SENTENCES[1], timbre).samples) for timbre in TIMBRES)
    assert all(higher / lower > 1.07 for lower, higher in pairwise(pitches)), pitches


@pytest.mark.parametrize("timbre", TIMBRES, ids=lambda timbre: timbre.voice.name)
def test_voice_is_understood(synthesiser, recogniser, timbre):
    for sentence in SENTENCES:
        heard = recogniser.transcribe(
            np.pad(synthesiser.speak(sentence, timbre).samples, SAMPLE_RATE_HZ // 5)
        ).text
        said, got = (
            plain_words(sentence.replace("eight dollars", "8")),
            plain_words(heard.replace("eight dollars", "8")),
        )
        assert len(set(said) ^ set(got)) <= 1, heard


def test_speak_words_lie_within_the_clip_in_order(synthesiser):
    clip = synthesiser.speak("It is $25, from 9 am until 5 pm.", TIMBRES[0])
    assert [word.text for word in clip.words] == ["It", "is", "$25,", "from", "9", "am", "until", "5", "pm."]
    edges = [edge for word in clip.words for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert edges[-1] <= len(clip.samples) / SAMPLE_RATE_HZ


def test_speak_word_times_agree_with_the_recogniser(synthesiser, recogniser):
    clip = synthesiser.speak(SENTENCES[1], TIMBRES[0])
    heard = recogniser.transcribe(clip.samples).words
    assert len(heard) == len(clip.words)
    errors = [abs(ours.start_s - theirs.start_s) for ours, theirs in zip(clip.words, heard, strict=True)]
    assert np.median(errors) < 0.2


def test_speak_starts_at_once_and_stays_in_range(synthesiser):
    samples = synthesiser.speak(SENTENCES[0], TIMBRES[0]).samples
    assert np.abs(samples).max() <= 1.0
    assert np.flatnonzero(np.abs(samples) > 0.01)[0] < 0.05 * SAMPLE_RATE_HZ


@pytest.mark.parametrize("text", ["", "   ", "..."])
def test_speak_nothing_to_say_is_an_empty_clip(synthesiser, text):
    clip = synthesiser.speak(text, TIMBRES[0])
    assert len(clip.samples) < SAMPLE_RATE_HZ
    assert clip.words == () or text.strip()


def test_speak_same_text_is_the_same_sound(synthesiser):
    first, second = (synthesiser.speak("Hello.", TIMBRES[1]).samples for _ in range(2))
    assert np.array_equal(first, second)
