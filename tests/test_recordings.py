"""Recordings of every kind that people have, in the one reader of all of them."""

import io
import os
import struct

import av
import numpy as np
import pytest
import soundfile

from personaplex_app.audio import ACCEPTED_FORMATS, decode, level_db, read_recording
from personaplex_app.engine.offline import read_wav
from personaplex_app.errors import BadAudio
from personaplex_app.evaluation.fdb.folders import read_sound

pytestmark = pytest.mark.unit

RATE_HZ = 24_000
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
SILENCE = np.zeros_like(TONE)


def written(samples, form="WAV", subtype=None, rate_hz=RATE_HZ):
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


def muxed(container, codec, samples=TONE, rate_hz=48_000, whole=False):
    """The samples in a container, in one packet where `whole` says so."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate_hz, layout="mono")
        resampler = av.AudioResampler(format=stream.codec_context.format.name)
        size = len(samples) if whole else stream.codec_context.frame_size or 960
        for at in range(0, len(samples), size):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + size], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, at
            for converted in resampler.resample(frame):
                out.mux(stream.encode(converted))
        out.mux(stream.encode(None))
    return file.getvalue()


def promised(lengths):
    """A wav whose header says other lengths than it has: of the whole and of the data."""
    data = bytearray(written(TONE))
    at = data.index(b"data")
    whole, sound = lengths
    if whole is not None:
        data[4:8] = struct.pack("<I", whole)
    if sound is not None:
        data[at + 4 : at + 8] = struct.pack("<I", sound)
    return bytes(data)


UNTOLD = 0xFFFFFFFF


@pytest.mark.parametrize(
    "lengths", [(0, 0), (None, 0), (36, 0), (UNTOLD, UNTOLD), (0, None), (None, 2), (0x7FFFFFFF, 0x7FFFFFFF)]
)
def test_wav_with_an_unfinished_header_is_read_to_its_end(lengths):
    notes = []
    assert len(decode(promised(lengths), 2.0, notes.append)) == len(TONE)
    assert bool(notes) == (lengths[1] in (0, 2))


@pytest.mark.parametrize(
    ("form", "field", "at", "value"),
    [("AU", b".snd", 8, bytes(4)), ("CAF", b"data", 4, b"\xff" * 8), ("RF64", b"ds64", 8, bytes(24))],
)
def test_other_unfinished_headers_are_read_to_the_end_too(form, field, at, value):
    data = bytearray(written(TONE, form))
    start = data.rindex(field) + at
    data[start : start + len(value)] = value
    assert len(decode(bytes(data), 2.0)) == len(TONE)


@pytest.mark.parametrize("after", [b"", b"LIST\4\0\0\0INFO", b"\0"])
def test_wav_without_sound_holds_none_whatever_follows(after):
    data = written(TONE[:0]) + after
    with pytest.raises(BadAudio, match="holds no sound"):
        decode(data, 2.0)


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        ((TONE, -TONE), "cancel"),
        ((TONE, -0.8 * TONE), "cancel"),
        ((SILENCE, TONE), "silence in channel 1 "),
        ((TONE, SILENCE), "silence in channel 2 "),
        ((SILENCE,) * 5 + (TONE,), "silence in channel 1, 2, 3, 4, 5 "),
        ((SILENCE + 0.2, TONE), "silence in channel 1 "),  # an offset is no voice
        ((TONE, TONE), ""),
        ((TONE, np.roll(TONE, 14)), ""),
    ],
)
def test_channels_are_summed_without_losing_the_voice(channels, told):
    notes = []
    samples = decode(written(np.stack(channels, axis=1), "WAVEX"), 2.0, notes.append)
    assert level_db(samples) > level_db(TONE) - 3.5
    assert " ".join(notes).count("silence" if "silence" in told else "cancel") == bool(told)
    assert told in " ".join(notes)


def test_two_speakers_in_two_channels_both_stay():
    first, second = TONE.copy(), 0.1 * np.roll(TONE, 50)
    first[RATE_HZ // 2 :] = 0
    second[: RATE_HZ // 2] = 0
    samples = decode(written(np.stack([first, second], axis=1)), 2.0)
    assert level_db(samples[RATE_HZ // 2 :]) == pytest.approx(level_db(second[RATE_HZ // 2 :]) - 6, abs=0.5)


@pytest.mark.parametrize(
    "data",
    [
        *(
            written(TONE, "WAV", kind)
            for kind in ("PCM_U8", "PCM_24", "FLOAT", "ULAW", "GSM610", "IMA_ADPCM")
        ),
        *(written(TONE, form) for form in ("FLAC", "OGG", "MP3", "AIFF", "CAF", "AU", "W64", "RF64")),
        written(TONE, "OGG", "OPUS"),
        *(
            muxed(*form, rate_hz=24_000)
            for form in (("ipod", "aac"), ("ipod", "alac"), ("adts", "aac"), ("mov", "pcm_s16be"))
        ),
        *(muxed("matroska", codec, rate_hz=24_000) for codec in ("libopus", "pcm_u8", "pcm_s32le", "flac")),
    ],
    ids=range(23),
)
def test_every_format_is_believed_by_its_content_in_every_reader(tmp_path, data):
    path = tmp_path / "recording.wav"
    path.write_bytes(data)
    sound = read_sound(path)
    for samples, rate_hz in (
        (decode(data, 5.0), RATE_HZ),
        (read_wav(path), RATE_HZ),
        (sound.samples, sound.rate_hz),
    ):
        assert level_db(samples) == pytest.approx(level_db(TONE), abs=0.6)
        assert 0.99 <= len(samples) / rate_hz < 1.1


def test_accepted_formats_name_what_is_read():
    assert {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".webm", ".aac"} <= set(ACCEPTED_FORMATS)


@pytest.mark.parametrize("rate_hz", [8, 100, 7_999, 192_001])
@pytest.mark.parametrize("container", ["matroska", "wav"])
def test_rate_is_refused_before_anything_is_resampled(monkeypatch, container, rate_hz):
    monkeypatch.setattr("soxr.ResampleStream", None)
    data = muxed(container, "pcm_s16le", TONE, rate_hz, whole=True)
    with pytest.raises(BadAudio, match=f"1 channel at {rate_hz:,} Hz; give 1 to 8 channels at 8,000"):
        decode(data, 120.0)


def test_channels_and_codecs_are_refused_before_anything_is_decoded():
    with pytest.raises(BadAudio, match="9 channels"):
        decode(written(np.zeros((100, 9)), "WAVEX"), 1.0)
    with pytest.raises(BadAudio, match="coded as 'ac3'"):
        decode(muxed("matroska", "ac3"), 1.0)


def test_codec_that_nobody_knows_is_a_sentence():
    data = bytearray(written(TONE))
    data[20:22] = b"\x77\x77"
    with pytest.raises(BadAudio, match=r"coded as .something unknown.|cannot be read"):
        decode(bytes(data), 2.0)


def test_length_is_refused_at_the_first_sample_too_many():
    with pytest.raises(BadAudio, match="longer than 1 s"):
        decode(muxed("matroska", "pcm_u8", np.tile(TONE, 9), 8_000, whole=True), 1.0)


def test_own_rate_is_kept_up_to_48_khz():
    kept = [
        read_recording(written(TONE, rate_hz=rate), 9.0, keep_rate=True) for rate in (8_000, 48_000, 96_000)
    ]
    assert [(each.rate_hz, len(each.samples)) for each in kept] == [
        (8_000, len(TONE)),
        (48_000, len(TONE)),
        (48_000, len(TONE) // 2),
    ]


def test_names_that_are_not_utf8_are_read(tmp_path):
    path = tmp_path / os.fsdecode(b"gr\xfc\xdfe.wav")
    path.write_bytes(written(TONE))
    assert len(read_wav(path)) == len(read_sound(path).samples) == len(TONE)


@pytest.mark.parametrize(
    "data", [b"", b"<html>no</html>", b"RIFF\0\0\0\0WAVE", muxed("webm", "libopus")[:60], b"\xff" * 999]
)
def test_what_is_no_recording_is_a_sentence_with_its_name(tmp_path, data):
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    for read in (read_wav, read_sound):
        with pytest.raises(
            BadAudio, match=r"x\.wav'? (cannot be read|holds no sound|has no sound|is empty|is a web page)"
        ):
            read(path)
    with pytest.raises(BadAudio, match="cannot be read"):
        read_wav(tmp_path / "absent.wav")
