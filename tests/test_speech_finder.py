"""Where somebody speaks: the network finds the speech, its ends are those of the sound."""

from itertools import pairwise

import numpy as np
import pytest

from personaplex_app.speech.sound import Sound
from personaplex_app.speech.speech_finder import SpeechFinder, align_to_sound

from .support.speech import speak

pytestmark = pytest.mark.unit
SAYINGS = (
    "Hi, this is the museum. How can I help you today?",
    "Your appointment is on Thursday.",
    "What about Sunday?",
)


def spoken(text: str, voice: str, noise: float) -> tuple[Sound, float, float]:
    """Somebody speaking in the middle of a quiet or noisy recording, with the first and last moment that can
    be heard.
    """
    clip = speak(text, voice, pause_s=0)
    samples = np.random.default_rng(0).normal(0, noise, 48_000 + len(clip) + 48_000).astype(np.float32)
    samples[48_000 : 48_000 + len(clip)] += clip
    loud = np.flatnonzero(np.abs(clip) > 0.01) / 24_000 + 2.0
    return Sound(samples, 24_000, 1), float(loud[0]), float(loud[-1])


@pytest.mark.parametrize("voice", ["deep", "natural"])
@pytest.mark.parametrize("text", SAYINGS)
@pytest.mark.parametrize(("noise", "within_s"), [(1e-4, 0.03), (0.01, 0.1)])
def test_align_to_sound_ends_are_where_it_can_be_heard(text, voice, noise, within_s):
    sound, first_s, last_s = spoken(text, voice, noise)
    found = align_to_sound(SpeechFinder().segments(sound), sound)
    assert found[0][0] == pytest.approx(first_s, abs=within_s)
    assert found[-1][1] == pytest.approx(last_s, abs=within_s)
    assert all(a[1] <= b[0] for a, b in pairwise(found))


def test_align_to_sound_segment_without_sound_stays_and_none_stays_none():
    silence = Sound(np.zeros(48_000, np.float32), 24_000, 1)
    assert align_to_sound([(0.5, 1.0)], silence) == [(0.5, 1.0)]
    assert align_to_sound([], silence) == []


def test_align_to_sound_goes_no_further_than_a_closure_and_half_way_to_the_next():
    samples = np.zeros(24_000 * 4, np.float32)
    for start_s, end_s in ((1.0, 1.5), (1.56, 2.0), (2.3, 2.6), (3.0, 3.9)):
        samples[int(start_s * 24_000) : int(end_s * 24_000)] = 0.3
    sound = Sound(samples, 24_000, 1)
    assert np.allclose(align_to_sound([(1.6, 1.9), (2.35, 2.5)], sound), [(1.2, 2.0), (2.3, 2.6)], atol=0.011)
    assert np.allclose(align_to_sound([(3.1, 3.3)], sound), [(3.0, 3.71)], atol=0.011)
