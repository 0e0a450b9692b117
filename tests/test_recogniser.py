"""Recognition of real speech with windows as short as the clip allows, and of sounds that are no speech."""

import faster_whisper
import numpy as np
import pytest

from personaplex_app.classic.phrases import plain_words
from personaplex_app.speech.recogniser import is_believable, window_frames
from personaplex_app.units import SAMPLE_RATE_HZ

from .support import speech
from .support.speech import speak

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def recogniser():
    return speech.recogniser()


def test_recogniser_runs_on_the_pinned_feature_extractor():
    assert faster_whisper.__version__ == "1.2.1"


@pytest.mark.parametrize(
    ("clip_frames", "window"),
    [(1, 1_000), (1_000, 1_000), (1_001, 1_500), (1_500, 1_500), (1_501, 3_000), (9_000, 3_000)],
)
def test_window_is_the_shortest_that_holds_the_clip(clip_frames, window):
    assert window_frames(clip_frames) == window


@pytest.mark.parametrize("silence_s", [0.2, 9.0, 20.0])
def test_recogniser_every_window_hears_the_end_of_the_clip(recogniser, silence_s):
    clip = np.pad(speak("The drone can be rented for a day."), (int(silence_s * SAMPLE_RATE_HZ), 0))
    assert "rented for a day" in recogniser.transcribe(clip).text


def test_recogniser_words_have_the_times_they_were_said(recogniser):
    words = recogniser.transcribe(np.pad(speak("Hello, where is the harbour?"), (SAMPLE_RATE_HZ, 0))).words
    assert [word.text for word in words][:2] == ["Hello,", "where"]
    starts = [word.start_s for word in words]
    assert starts == sorted(starts)
    assert words[1].start_s > 1.2
    assert words[-1].end_s <= 1.0 + 3.0


def test_recogniser_more_than_thirty_seconds_hears_the_last_thirty(recogniser):
    clip = np.concatenate(
        [
            speak("Bananas."),
            np.zeros(33 * SAMPLE_RATE_HZ, np.float32),
            speak("We open at nine in the morning."),
        ]
    )
    text = recogniser.transcribe(clip).text
    assert "morning" in text
    assert "anana" not in text


@pytest.mark.parametrize("voice", ["warm", "firm"])
def test_recogniser_question_in_a_noisy_room_is_understood(recogniser, voice):
    spoken = speak("Can you guarantee that the replacement part will be shipped tomorrow?", voice)
    level = np.sqrt(np.mean(np.square(spoken)))
    noise = np.random.default_rng(1).normal(0.0, 0.2 * level, len(spoken)).astype(np.float32)
    assert "replacement part" in recogniser.transcribe(spoken + noise).text


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize(("voice", "text"), [("deep", "Hello, can you hear me?"), ("light", "Okay, bye.")])
def test_recogniser_short_turn_is_heard_once(recogniser, voice, text, noise):
    spoken = speak(text, voice)
    level = noise * np.sqrt(np.mean(np.square(spoken)))
    spoken = spoken + np.random.default_rng(1).normal(0.0, level, len(spoken)).astype(np.float32)
    assert plain_words(recogniser.transcribe(spoken).text) == plain_words(text)


@pytest.mark.parametrize("level", [0.0, 0.001, 0.1])
def test_recogniser_noise_gives_no_text(recogniser, level):
    noise = np.random.default_rng(1).normal(0.0, 1.0, 2 * SAMPLE_RATE_HZ).astype(np.float32) * level
    assert recogniser.transcribe(noise).text == ""


@pytest.mark.parametrize(
    ("text", "log_prob", "no_speech", "believable"),
    [
        ("How much is it?", -0.2, 0.05, True),
        ("Thank you.", -0.2, 0.05, True),
        ("Thank you.", -0.9, 0.09, True),
        ("Thank you.", -0.7, 0.5, False),
        ("No", -1.6, 0.2, True),
        ("Go on.", -1.5, 0.34, True),
        ("No", -1.6, 0.6, False),
        ("You", -2.9, 0.93, False),
        ("Speak Spanish, you said to me.", -1.4, 0.1, False),
        ("you", -0.3, 0.9, False),
        ("How much is it?", -1.4, 0.05, False),
        ("[Music]", -0.2, 0.05, False),
        ("...", -0.2, 0.05, False),
        ("no no no no no no no no no no no no no no no no no no no no no no", -0.2, 0.05, False),
    ],
)
def test_believable_tells_speech_from_what_whisper_makes_of_noise(text, log_prob, no_speech, believable):
    assert is_believable(text, log_prob, no_speech) is believable
