"""Frames and samples."""

import io
import struct

import numpy as np
import pytest
import soundfile
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
        with pytest.raises(BadAudio, match=r"cannot be read|is a list of addresses"):
            audio.decode(text, 2.0)


def tone(channels=1):
    return np.tile(0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)[:, None], (1, channels))


def written(samples, **form):
    file = io.BytesIO()
    soundfile.write(file, samples, 24_000, **form)
    return file.getvalue()


def chunks(*named):
    body = b"WAVE" + b"".join(name + struct.pack("<I", size) + data for name, size, data in named)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def heard(samples):
    middle = samples[4_000:16_000]
    return 2 * abs(np.mean(middle * np.exp(-2j * np.pi * 440 * np.arange(len(middle)) / 24_000)))


FORM = (b"fmt ", 16, struct.pack("<HHIIHH", 1, 1, 24_000, 48_000, 2, 16))
PCM = audio.float_to_pcm16(tone()[:, 0])
ID3 = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
WRITTEN = {
    **{f"wav of {form}": {"format": "WAV", "subtype": form}
       for form in ("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW", "IMA_ADPCM", "GSM610")},
    "wav, extensible": {"format": "WAVEX", "subtype": "PCM_24"},
    "wav, big-endian": {"format": "WAV", "subtype": "PCM_16", "endian": "BIG"},
    "wav, 64 bits": {"format": "RF64", "subtype": "PCM_16"},
    "aiff of mu-law": {"format": "AIFF", "subtype": "ULAW"},
    "caf of alac": {"format": "CAF", "subtype": "ALAC_16"},
}  # fmt: skip
HEADERS = {
    "odd chunk before the sound": chunks((b"LIST", 3, b"abc\0"), FORM, (b"data", len(PCM), PCM)),
    "length of a writer to a pipe": chunks(FORM, (b"data", 0xFFFFFFFF, PCM)),
    "length of 0": chunks(FORM, (b"data", 0, PCM)),
    "length too long": chunks(FORM, (b"data", 9 * len(PCM), PCM)),
    "length too short": chunks(FORM, (b"data", 4_000, PCM)),
    "half a sample at the end": chunks(FORM, (b"data", len(PCM) + 1, PCM + b"\1")),
    "two chunks of sound": chunks(
        FORM, (b"data", 20_000, PCM[:20_000]), (b"LIST", 3, b"abc\0"), (b"data", 28_000, PCM[20_000:])
    ),
    "list of sound and silence": chunks(
        FORM,
        (
            b"LIST",
            48_028,
            b"wavl"
            + b"".join(
                name + struct.pack("<I", len(data)) + data
                for name, data in (
                    (b"data", PCM[:40_000]),
                    (b"slnt", struct.pack("<I", 480)),
                    (b"data", PCM[40_000:]),
                )
            ),
        ),
    ),
    "odd chunk without its even byte": chunks((b"LIST", 3, b"abc"), FORM, (b"data", len(PCM), PCM)),
    "form after the sound": chunks((b"data", len(PCM), PCM), FORM),
    "64 bits by its other name": b"BW64" + written(tone(), format="RF64")[4:],
    "tag at the end": chunks(FORM, (b"data", len(PCM), PCM)) + b"TAG" + b"x" * 125,
    "MP3 behind a tag": ID3 + written(tone(), format="MP3"),
    "MP3 behind zeros": bytes(64) + written(tone(), format="MP3"),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_decode_reads_what_programs_write(form):
    assert heard(audio.decode(written(tone(), **WRITTEN[form]), 2.0)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("header", HEADERS)
def test_decode_believes_the_content_over_the_header(header):
    samples = audio.decode(HEADERS[header], 2.0)
    assert heard(samples) == pytest.approx(0.5, abs=0.02)
    assert len(samples) == pytest.approx(24_000, abs=2_000)


def test_decode_silence_that_a_header_claims_takes_no_memory():
    claimed = chunks(
        FORM, (b"LIST", 20, b"wavl" + b"slnt" + struct.pack("<II", 4, 2**31)), (b"data", 4, PCM[:4])
    )
    with pytest.raises(BadAudio, match="too much of it to join"):
        audio.decode(claimed, 2.0)


def test_decode_tells_the_aac_behind_a_tag_from_mp3():
    assert heard(audio.decode(ID3 + recorded("adts", "aac"), 2.0)[:12_000]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("voice", [0, 2, 5])
def test_decode_hears_one_voice_among_six_channels_at_its_full_level(voice):
    sound = tone(6) * (np.arange(6) == voice)
    notes = []
    assert heard(audio.decode(written(sound, format="WAV"), 2.0, notes.append)) == pytest.approx(
        0.5, abs=0.02
    )
    assert "silence in channel" in notes[0]


def test_decode_of_a_recording_cut_off_keeps_what_is_there_and_says_so():
    notes = []
    whole = written(np.tile(tone(), (3, 1)), format="FLAC")
    samples = audio.decode(whole[: len(whole) * 4 // 5], 9.0, notes.append)
    assert 24_000 < len(samples) < 60_000
    assert "damaged or cut off after 2 s" in notes[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"PK\3\4" + bytes(60), "a zip archive; unpack it first"),
        (b"%PDF-1.7", "a PDF document"),
        (b"MThd\0\0\0\6", "a MIDI file"),
    ],
)
def test_decode_names_what_is_no_recording(content, told):
    with pytest.raises(BadAudio, match=told):
        audio.decode(content, 1.0)
