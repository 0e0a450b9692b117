"""Recordings of every kind decoded within limits, and the speech in them picked: real words with silence
around, and what is refused.
"""

import io
import struct

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_app.audio import at_loudness, decode
from personaplex_app.cloning.picking import MAX_SPEECH_S, MIN_SPEECH_S, Picker
from personaplex_app.errors import BadAudio
from personaplex_app.voices import CLONE_LUFS

from .support.speech import recognise, speak

pytestmark = pytest.mark.unit
RATE_HZ = 24_000
WORDS = "The river ran slowly past the old mill, and nobody had opened its door for years."


def recording(samples, rate_hz=RATE_HZ, kind="WAV", subtype=None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=kind, subtype=subtype)
    return file.getvalue()


def tone(seconds=1.0, rate_hz=RATE_HZ, channels=1) -> np.ndarray:
    one = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz)
    return np.stack([one] * channels, axis=1)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE_HZ), np.float32)


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    return speak(WORDS, pause_s=0.0)


@pytest.fixture(scope="module")
def picker() -> Picker:
    return Picker()


# --- decoding ---


@pytest.mark.parametrize(
    ("rate_hz", "channels", "kind", "subtype"),
    [
        (8_000, 1, "WAV", "PCM_U8"),
        (16_000, 2, "WAV", "PCM_16"),
        (24_000, 1, "WAV", "FLOAT"),
        (44_100, 2, "FLAC", "PCM_24"),
        (48_000, 1, "OGG", "VORBIS"),
        (48_000, 2, "OGG", "OPUS"),
        (44_100, 1, "MP3", None),
        (192_000, 2, "WAV", "PCM_16"),
    ],
)
def test_decode_common_formats_become_mono_at_24_khz(rate_hz, channels, kind, subtype):
    samples = decode(recording(tone(1.0, rate_hz, channels), rate_hz, kind, subtype), 5.0)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(RATE_HZ, abs=RATE_HZ * 0.06)  # mp3 and opus add some
    middle = samples[4_000:20_000]
    assert np.abs(np.fft.rfft(middle)).argmax() * RATE_HZ / len(middle) == pytest.approx(440, abs=2)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)


def lying_header() -> bytes:
    """A wav whose header promises four gigabytes."""
    data = bytearray(recording(tone(0.1)))
    data[40:44] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"<html>no</html>", "is a web page"),
        (recording(tone())[:30], "cannot be read as a recording|holds no sound"),
        (recording(np.zeros(0)), "holds no sound"),
        (recording(tone(5.2)), "longer than 5 s"),
        (recording(tone(1, 48_000, 9), 48_000), "9 channels at 48,000 Hz"),
        (recording(tone(1, 4_000), 4_000), "1 channel at 4,000 Hz"),
        (recording(np.array([0.0, np.nan]), subtype="FLOAT"), "not numbers"),
        (recording(np.array([0.0, np.inf]), subtype="FLOAT"), "not numbers"),
    ],
    # a file written now holds the time: it names no test
    ids=[
        "nothing",
        "a page",
        "half a header",
        "no samples",
        "too long",
        "nine channels",
        "a low rate",
        "not a number",
        "infinite",
    ],
)
def test_decode_what_is_no_recording_gets_a_sentence(data, said):
    with pytest.raises(BadAudio, match=said):
        decode(data, 5.0)


def test_decode_header_that_lies_gives_what_is_there():
    assert len(decode(lying_header(), 5.0)) == RATE_HZ // 10


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["WAV", "FLAC", "OGG"]),
    place=st.integers(0, 2**13),
    noise=st.binary(min_size=1, max_size=8),
)
def test_decode_with_bytes_changed_is_refused_or_bounded(kind, place, noise):
    data = bytearray(recording(tone(0.3), kind=kind))
    place %= len(data)
    data[place : place + len(noise)] = noise
    try:
        samples = decode(bytes(data), 1.0)
    except BadAudio:
        return
    assert 0 < len(samples) <= 3 * RATE_HZ + 1
    assert np.abs(samples).max() <= 1.0


# --- picking ---


def test_pick_leaves_the_words_and_not_the_silence(picker, spoken):
    before_s, after_s = 4.0, 6.0
    picked = picker.pick(np.concatenate([silence(before_s), spoken, silence(after_s)]))
    assert picked.duration_s == pytest.approx(len(spoken) / RATE_HZ, abs=0.5)
    assert picked.spans[0][0] == pytest.approx(before_s, abs=0.2)
    assert picked.spans[-1][1] == pytest.approx(before_s + len(spoken) / RATE_HZ, abs=0.3)
    heard = recognise(picked.samples).lower()
    assert "river" in heard
    assert "years" in heard


def test_pick_joins_what_lies_apart_in_its_order(picker, spoken):
    half = len(spoken) // 2
    cut = half + int(np.argmin(np.convolve(spoken[half : half + RATE_HZ] ** 2, np.ones(2_400), "same")))
    parts = [silence(2), spoken[:cut], silence(3), spoken[cut:], silence(2)]
    picked = picker.pick(np.concatenate(parts))
    assert len(picked.spans) >= 2
    assert all(
        a < b
        for span in zip(picked.spans, picked.spans[1:], strict=False)
        for a, b in [(span[0][1], span[1][0])]
    )
    assert sum(end - start for start, end in picked.spans) == pytest.approx(picked.duration_s, abs=1e-3)
    assert MIN_SPEECH_S <= picked.duration_s <= len(spoken) / RATE_HZ + 1.0


def test_pick_from_a_long_recording_is_ten_seconds_at_most(picker, spoken):
    picked = picker.pick(np.concatenate([spoken] * 6))
    assert 8.0 < picked.duration_s <= MAX_SPEECH_S


def test_loudness_of_what_is_picked_is_the_models(picker, spoken):
    import pyloudnorm  # it brings scipy, which takes seconds to import

    for gain in (0.05, 1.0):
        levelled = at_loudness(picker.pick(spoken * np.float32(gain)).samples, CLONE_LUFS)
        assert pyloudnorm.Meter(RATE_HZ).integrated_loudness(levelled.astype(np.float64)) == pytest.approx(
            CLONE_LUFS, abs=0.1
        )


def test_pick_from_a_question_in_a_quiet_minute_is_the_question(picker):
    words = "Can you guarantee that the part for my old washing machine will be shipped tomorrow?"
    spoken = speak(words, "bright", pause_s=0.0)
    hiss = np.random.default_rng(5).normal(0.0, 3e-4, 40 * RATE_HZ).astype(np.float32)
    hiss[12 * RATE_HZ : 12 * RATE_HZ + len(spoken)] += spoken
    picked = picker.pick(hiss)
    assert MIN_SPEECH_S < picked.duration_s < len(spoken) / RATE_HZ + 1.0
    assert "shipped tomorrow" in recognise(picked.samples)


def noisy(samples: np.ndarray, snr_db: float) -> np.ndarray:
    level = np.sqrt(np.mean(np.square(samples[np.abs(samples) > 0.01]))) * 10 ** (-snr_db / 20)
    return samples + np.random.default_rng(3).standard_normal(len(samples)).astype(np.float32) * level


def clipped(samples: np.ndarray, gain: float) -> np.ndarray:
    return np.clip(samples / np.abs(samples).max() * gain, -1.0, 1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: noisy(s, 6.0), "too noisy: the voice is . dB above the noise, and 12 dB are needed"),
        (lambda s: clipped(s, 4.0), "clipped"),
        # turned down and resampled after it was clipped, as a telephone does
        (
            lambda s: 0.3 * soxr.resample(soxr.resample(clipped(s, 4.0), 24_000, 44_100), 44_100, 24_000),
            "clipped",
        ),
        (lambda s: s[: 2 * RATE_HZ], r"only [12]\.\d s of speech were found; a voice needs 3 s"),
        (lambda s: silence(5), "no speech was heard in your recording; a voice needs"),
        (lambda s: silence(0.001), "no speech was heard in your recording; a voice needs"),
        (lambda s: tone(8)[:, 0].astype(np.float32), "no speech was heard in your recording; a voice needs"),
        (lambda s: noisy(silence(8) + 0.02, 0.0), "no speech was heard in your recording; a voice needs"),
    ],
)
def test_pick_from_what_makes_no_voice_says_why(picker, spoken, change, said):
    with pytest.raises(BadAudio, match=said):
        picker.pick(change(spoken))


@pytest.mark.parametrize("change", [lambda s: noisy(s, 20.0), lambda s: clipped(s, 1.2), lambda s: 0.02 * s])
def test_pick_from_what_is_good_enough_goes_on(picker, spoken, change):
    assert picker.pick(change(spoken)).duration_s >= MIN_SPEECH_S
