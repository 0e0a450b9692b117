"""Frames and samples."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_app import audio
from personaplex_app.errors import BadAudio
from personaplex_app.units import FRAME_SAMPLES, frames_to_s, s_to_frames

pytestmark = pytest.mark.unit


@given(st.lists(st.integers(0, 5000), max_size=12))
def test_reframer_any_chunks_give_the_same_samples_in_frames(sizes):
    samples = np.arange(sum(sizes), dtype=np.float32)
    reframer, frames = audio.Reframer(), []
    for chunk in np.split(samples, np.cumsum(sizes)[:-1] if sizes else []):
        frames += reframer.push(chunk)
    whole = len(samples) // FRAME_SAMPLES
    assert [f.shape for f in frames] == [(FRAME_SAMPLES,)] * whole
    assert np.array_equal(np.concatenate([*frames, []]), samples[: whole * FRAME_SAMPLES])


def test_pcm16_round_trip_stays_within_one_step():
    samples = np.linspace(-1, 1, 1001, dtype=np.float32)
    assert np.abs(audio.pcm16_to_float(audio.float_to_pcm16(samples)) - samples).max() < 2 / 32767


def test_float_to_pcm16_beyond_full_scale_clips():
    assert np.frombuffer(audio.float_to_pcm16(np.array([2.0, -2.0])), "<i2").tolist() == [32767, -32767]


def test_pcm16_odd_bytes_are_refused():
    with pytest.raises(BadAudio, match="3 bytes"):
        audio.pcm16_to_float(b"abc")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_checked_not_a_number_is_refused(bad):
    with pytest.raises(BadAudio, match="NaN"):
        audio.checked(np.array([0.0, bad], np.float32))


def test_level_of_silence_and_full_scale_is_in_db():
    assert audio.level_db(np.zeros(10)) == -120
    assert audio.level_db(np.ones(10)) == pytest.approx(0, abs=0.01)


def test_peaks_last_part_second_is_kept():
    assert audio.peaks(
        np.array([0.1, -0.5, 0.2, 0.3, -0.9]), per_s=2, sample_rate_hz=4
    ).tolist() == pytest.approx([0.5, 0.3, 0.9])


@given(st.integers(0, 10**6))
def test_frames_cover_their_own_time(frames):
    assert s_to_frames(frames_to_s(frames)) in (frames, frames + 1)


def recorded(container, codec, seconds=0.5, channels=1):
    """A tone as phones and browsers record it."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        layout = "stereo" if channels == 2 else "mono"
        stream = out.add_stream(codec, rate=48_000, layout=layout)
        n = np.arange(int(48_000 * seconds))
        sound = np.tile((0.5 * np.sin(2 * np.pi * 440 * n / 48_000)).astype(np.float32), (channels, 1))
        for at in range(0, len(n), 960):
            frame = av.AudioFrame.from_ndarray(sound[:, at : at + 960], format="fltp", layout=layout)
            frame.sample_rate, frame.pts = 48_000, at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("container", "codec", "channels"), [("ipod", "aac", 2), ("webm", "libopus", 1), ("adts", "aac", 1)]
)
def test_decode_what_phones_and_browsers_record(container, codec, channels):
    samples = audio.decode(recorded(container, codec, channels=channels), 2.0)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(12_000, abs=2_500)
    middle = samples[4_000:8_000]
    assert 2 * np.abs(
        np.mean(middle * np.exp(-2j * np.pi * 440 * np.arange(4_000) / 24_000))
    ) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("container", "codec"), [("ipod", "aac"), ("webm", "libopus")])
def test_decode_of_a_container_too_long_or_cut_off_is_told(container, codec):
    data = recorded(container, codec, seconds=1.5)
    with pytest.raises(BadAudio, match="longer than 1 s"):
        audio.decode(data, 1.0)
    with pytest.raises(BadAudio, match=r"cannot be read|holds no sound"):
        audio.decode(data[:60], 2.0)


def test_decode_never_follows_addresses(tmp_path, monkeypatch):
    import av

    (tmp_path / "sound.aac").write_bytes(recorded("adts", "aac"))
    monkeypatch.chdir(tmp_path)
    followed = b"ffconcat version 1.0\nfile sound.aac\n"
    with av.open(io.BytesIO(followed)) as file:  # as FFmpeg does if it may choose
        assert next(file.decode(audio=0)).samples
    with pytest.raises(BadAudio, match="cannot be read"):
        audio.decode(followed, 2.0)
    for text in (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"):
        with pytest.raises(BadAudio, match="cannot be read"):
            audio.decode(text, 2.0)
