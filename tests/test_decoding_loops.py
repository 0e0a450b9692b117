"""Loops of the recogniser's decoder: cut, while what a person says twice stays."""

import numpy as np
import pytest

from personaplex_app.speech.decoding_loops import audible_s, without_loops

pytestmark = pytest.mark.unit


def kept(text: str, speech_s: float) -> str:
    words = text.split()
    return " ".join(words[at] for at in without_loops(words, speech_s))


@pytest.mark.parametrize(
    ("text", "speech_s", "once"),
    [
        ("Tell me they joke. Tell me they joke. Tell me", 0.9, "Tell me they joke."),
        ("What can you help me with? What can you help me with?", 1.2, "What can you help me with?"),
        ("I want to move into management. " * 4, 8.0, "I want to move into management."),
        ("Well, I want to stop. I want to stop. I want to", 1.6, "Well, I want to stop."),
        ("Go on. Go on. Go on. Go on. Go on. Go on.", 0.5, "Go on. Go on."),
        ("So how are you? How are you? How are you? Good.", 1.4, "So how are you? Good."),
    ],
)
def test_loop_that_nobody_had_the_time_to_say_is_cut(text, speech_s, once):
    assert kept(text, speech_s) == once


@pytest.mark.parametrize(
    ("text", "speech_s"),
    [
        ("No no, wait.", 0.7),
        ("That is very very good.", 0.9),
        ("Bye bye.", 0.4),
        ("No, no, no, no, stop.", 1.0),
        ("What can you help me with? What can you help me with?", 2.6),
        ("I don't know, I don't know.", 1.3),
        ("It was a long long time ago, and I want to say that I want to stay.", 3.5),
        ("", 0.0),
        ("Yes.", 0.2),
    ],
)
def test_what_a_person_repeats_stays(text, speech_s):
    assert kept(text, speech_s) == text


def test_audible_is_what_is_loud():
    tone = np.sin(np.arange(16_000) * 0.2).astype(np.float32)
    assert audible_s(np.concatenate([tone * 1e-3, tone, np.zeros(8_000, np.float32)]), 16_000) == 1.0
    assert audible_s(np.zeros(0, np.float32), 16_000) == 0.0
