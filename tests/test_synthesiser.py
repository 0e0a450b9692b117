"""The voices: intelligible, clearly different, with words in their places."""

from importlib.util import find_spec
from itertools import chain, combinations, pairwise

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from personaplex_app.classic.phrases import plain_words
from personaplex_app.evaluation.similarity import VoiceEncoder, similarity
from personaplex_app.speech.sound import Sound
from personaplex_app.speech.synthesiser import (
    SAMPLE_TEXT,
    SAMPLES_FOLDER,
    TIMBRES,
    kept_sample,
)
from personaplex_app.speech.vocoder import with_pitch
from personaplex_app.units import SAMPLE_RATE_HZ
from personaplex_app.voices import NAMES

from .support import oracle, speech  # noqa: F401 - Resemblyzer lies in the oracle's folder

SENTENCES = (
    "The compost bin costs eight dollars a month.",
    "Tell me a story about the sea and a small wooden boat.",
)
LIKENESS = (
    *SENTENCES,
    "I am sorry to hear that, it must have been very hard for you.",
)


@pytest.fixture(scope="module")
def synthesiser():
    return speech.synthesiser()


@pytest.fixture(scope="module")
def recogniser():
    return speech.recogniser()


def pitch_hz(samples: np.ndarray) -> float:
    """The median fundamental of the voiced parts, by autocorrelation in windows of 40 ms."""
    width, found = SAMPLE_RATE_HZ // 25, []
    for at in range(0, len(samples) - 2 * width, width):
        part = samples[at : at + 2 * width]
        correlation = np.correlate(part, part, "full")[len(part) - 1 :]
        lags = slice(SAMPLE_RATE_HZ // 400, SAMPLE_RATE_HZ // 70)
        lag = int(np.argmax(correlation[lags])) + lags.start
        if correlation[0] > 1.0 and correlation[lag] > 0.5 * correlation[0]:
            found.append(SAMPLE_RATE_HZ / lag)
    return float(np.median(found))


def test_voices_are_at_least_four_and_named_for_what_they_are():
    names = [timbre.voice.name for timbre in TIMBRES]
    assert len(set(names)) == len(names) >= 4
    assert not set(map(str.upper, names)) & set(NAMES)


def test_men_speak_an_octave_below_the_women(synthesiser):
    pitches = {
        timbre.voice.name: pitch_hz(synthesiser.speak(SENTENCES[1], timbre).samples) for timbre in TIMBRES
    }
    men = sorted(pitches.pop(name) for name in ("deep", "firm"))
    women = sorted(pitches.values())
    assert men[1] < 130 < 145 < women[0], (men, women)
    assert all(higher / lower > 1.07 for lower, higher in chain(pairwise(men), pairwise(women)))


@pytest.mark.slow
def test_each_voice_is_another_speaker(synthesiser):
    if find_spec("resemblyzer") is None:
        pytest.skip("the package Resemblyzer is not installed: `make test` does that")
    encoder = VoiceEncoder()
    found = {
        timbre.voice.name: encoder.embed(Sound(said, SAMPLE_RATE_HZ, 1))
        for timbre, said in (
            (timbre, np.concatenate([synthesiser.speak(text, timbre).samples for text in LIKENESS]))
            for timbre in TIMBRES
        )
    }
    alike = {pair: similarity(found[pair[0]], found[pair[1]]) for pair in combinations(found, 2)}
    # bright and light are called what they are: the natural voice, higher
    variants = {"natural", "bright", "light"}
    assert max(value for pair, value in alike.items() if not variants.issuperset(pair)) <= 0.85, alike


def test_kept_samples_are_what_the_voices_say(synthesiser):
    assert {f"{timbre.voice.name}.flac" for timbre in TIMBRES} == {
        path.name for path in SAMPLES_FOLDER.iterdir()
    }
    for timbre in TIMBRES:
        said = synthesiser.speak(SAMPLE_TEXT, timbre).samples
        kept = kept_sample(timbre)
        assert len(kept) == len(said)
        assert np.corrcoef(kept, said)[0, 1] > 0.99


def test_with_pitch_moves_the_fundamental_and_leaves_the_times():
    time_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    # a voice's pulses, with a resonance at 700 Hz
    tone = sum(np.cos(2 * np.pi * 200 * k * time_s) / (1 + (200 * k - 700) ** 2 / 4e4) for k in range(1, 30))
    made = with_pitch((0.1 * tone).astype(np.float32), 0.55)
    assert abs(len(made) - len(tone)) < SAMPLE_RATE_HZ // 100
    assert pitch_hz(made) == pytest.approx(110, rel=0.03)
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made))))
    assert np.argmax(spectrum) * SAMPLE_RATE_HZ / len(made) == pytest.approx(700, abs=111)


@pytest.mark.parametrize("timbre", TIMBRES, ids=lambda timbre: timbre.voice.name)
def test_voice_is_understood(synthesiser, recogniser, timbre):
    errors = 0
    for sentence in SENTENCES:
        heard = recogniser.transcribe(
            np.pad(synthesiser.speak(sentence, timbre).samples, SAMPLE_RATE_HZ // 5)
        ).text
        said, got = (plain_words(text.replace("eight dollars", "8")) for text in (sentence, heard))
        errors += Levenshtein.distance(said, got)
    assert errors <= 1


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
    first = synthesiser.speak("Hello.", TIMBRES[1]).samples
    with speech.computed_anew():
        second = synthesiser.speak("Hello.", TIMBRES[1]).samples
    assert first is not second
    assert np.array_equal(first, second)
