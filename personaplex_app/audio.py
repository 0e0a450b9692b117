"""Convert, check, cut and measure samples, and decode recordings within limits.

Pure functions and small classes: no files, no threads, no event loop.
"""

from __future__ import annotations

import io
from itertools import chain

import numpy as np
import soundfile
import soxr

from .errors import BadAudio
from .units import FRAME_SAMPLES, SAMPLE_RATE_HZ

RATES_HZ = (8_000, 192_000)
MAX_CHANNELS = 2
ACCEPTED_FORMATS = (
    ".wav",
    ".flac",
    ".ogg",
    ".opus",
    ".mp3",
    ".m4a",
    ".mp4",
    ".aac",
    ".webm",
    ".mka",
    ".mkv",
    ".aiff",
    ".aif",
    ".caf",
    ".au",
)
"""Suffixes of recordings for pickers of files; `decode` believes the content and not the name."""
_BLOCK_FRAMES = 1 << 16


def float_to_pcm16(samples: np.ndarray) -> bytes:
    """Return little-endian int16 bytes of float32 samples, clipped to [-1, 1]."""
    # 32767, so that +1 does not overflow; reading divides by 32768: as libsndfile writes and reads
    return (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()


def pcm16_to_float(data: bytes) -> np.ndarray:
    """Return little-endian int16 bytes as float32 samples in [-1, 1].

    Raises: BadAudio for an odd number of bytes.
    """
    if len(data) % 2:
        raise BadAudio(
            f"PCM audio must be whole 16-bit samples; this message has {len(data)} bytes, an odd number."
        )
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768.0


def float32_to_samples(data: bytes) -> np.ndarray:
    """Return little-endian float32 bytes as samples, unchecked: they may be out of range or no numbers.

    Raises: BadAudio when the number of bytes is no multiple of 4.
    """
    if len(data) % 4:
        raise BadAudio(
            f"Float audio must be whole 32-bit samples; this message has {len(data)} bytes, which is no"
            " multiple of 4."
        )
    return np.frombuffer(data, "<f4").astype(np.float32)


def checked(samples: np.ndarray) -> np.ndarray:
    """Return `samples` as float32, clipped to [-1, 1].

    Raises: BadAudio when a sample is NaN or infinite.
    """
    if not np.isfinite(samples).all():
        raise BadAudio(
            "The audio holds values that are not numbers (NaN or infinite); send finite samples between -1"
            " and 1."
        )
    return np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)


class Reframer:
    """Cuts a stream of chunks of any size into frames of 1920 samples; it buffers less than one frame."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> list[np.ndarray]:
        """Add samples; return the frames that they complete.

        Shapes: each frame is float32 [1920].
        """
        joined = np.concatenate([self._rest, samples.astype(np.float32, copy=False)])
        whole = len(joined) // FRAME_SAMPLES * FRAME_SAMPLES
        # a view would keep the whole array in memory
        self._rest = joined[whole:].copy()
        return list(joined[:whole].reshape(-1, FRAME_SAMPLES))


def level_db(samples: np.ndarray) -> float:
    """Return the root-mean-square level in dB of full scale, -120 for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(-120.0, 10.0 * np.log10(power + 1e-12))


def peaks(samples: np.ndarray, per_s: int, sample_rate_hz: int) -> np.ndarray:
    """Return the largest magnitude in each 1/per_s second, for drawing.

    Shapes: `samples` is float32 [N]; the result is float32 [ceil(N·per_s/rate)].
    """
    width = sample_rate_hz // per_s
    padded = np.pad(np.abs(samples), (0, -len(samples) % width))
    return (
        padded.reshape(-1, width).max(axis=1).astype(np.float32) if len(padded) else np.zeros(0, np.float32)
    )


def decode(data: bytes, limit_s: float) -> np.ndarray:
    """Decode a recording: wav, flac, ogg or mp3, and m4a, aac or webm, which phones and browsers record.

    Shapes: the result is float32 [N] at 24 kHz in [-1, 1], the mean of the channels.
    Raises: BadAudio when the file is none of these, empty, longer than `limit_s` seconds, or holds samples
    that are no numbers.
    """
    blocks: list[np.ndarray] = []
    frames = 0
    if container := _container(data):
        return _decode_container(data, container, limit_s)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate_hz = file.samplerate
            channels = file.channels
            if not (RATES_HZ[0] <= rate_hz <= RATES_HZ[1] and 1 <= channels <= MAX_CHANNELS):
                raise BadAudio(
                    f"The recording has {channels} channels at {rate_hz:,} Hz; give one or two channels at"
                    f" {RATES_HZ[0]:,} to {RATES_HZ[1]:,} Hz."
                )
            # a header may claim any length: only what was read counts
            while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
                frames += len(block)
                if frames > limit_s * rate_hz:
                    raise BadAudio(
                        f"The recording is longer than {limit_s:.0f} s, which is the limit; cut it and try"
                        " again."
                    )
                blocks.append(block.mean(axis=1))
    except (soundfile.LibsndfileError, OSError, RuntimeError, ValueError, TypeError) as error:
        raise BadAudio(
            "That cannot be read as a recording; give a wav, flac, ogg, mp3, m4a or webm file."
        ) from error
    if not frames:
        raise BadAudio("The recording holds no sound; record or choose another.")
    samples = checked(np.concatenate(blocks))
    return samples if rate_hz == SAMPLE_RATE_HZ else checked(soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ))


def _container(data: bytes) -> str | None:
    """Return the demultiplexer for a format that libsndfile cannot read, None for other files.

    FFmpeg must not choose it: its playlist formats would open addresses that the file names.
    """
    # by their magic numbers: MP4's box, EBML for webm, and the sync words of AAC
    if data[4:8] == b"ftyp":
        return "mp4"
    if data[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    return "aac" if data[:1] == b"\xff" and data[1:2] in (b"\xf0", b"\xf1", b"\xf8", b"\xf9") else None


def _decode_container(data: bytes, container: str, limit_s: float) -> np.ndarray:
    """Decode a file with FFmpeg, by the demultiplexer `container` and no other one."""
    import av  # comes with the recogniser; only these files need it
    import av.error

    blocks: list[np.ndarray] = []
    samples = 0
    try:
        with av.open(io.BytesIO(data), format=container) as file:
            if not file.streams.audio:
                raise BadAudio("That file has no sound in it; record or choose another.")
            resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE_HZ)
            # the None at the end flushes the resampler
            for frame in chain(file.decode(file.streams.audio[0]), [None]):
                for block in resampler.resample(frame):
                    samples += block.samples
                    if samples > limit_s * SAMPLE_RATE_HZ:
                        raise BadAudio(
                            f"The recording is longer than {limit_s:.0f} s, which is the limit; cut it and"
                            " try again."
                        )
                    blocks.append(block.to_ndarray().mean(axis=0))
    except (av.error.FFmpegError, OSError, RuntimeError, ValueError, TypeError) as error:
        raise BadAudio(
            "That cannot be read as a recording; give a wav, flac, ogg, mp3, m4a or webm file."
        ) from error
    if not samples:
        raise BadAudio("The recording holds no sound; record or choose another.")
    return checked(np.concatenate(blocks))


def at_loudness(samples: np.ndarray, loudness_lufs: float) -> np.ndarray:
    """Return samples scaled to an integrated loudness (ITU-R BS.1770).

    Shapes: float32 [N] at 24 kHz.
    Raises: BadAudio when they are silent.
    """
    import pyloudnorm  # only engines that clone need it, and it brings scipy

    found_lufs = pyloudnorm.Meter(SAMPLE_RATE_HZ).integrated_loudness(samples.astype(np.float64))
    if not np.isfinite(found_lufs):
        raise BadAudio("The voice recording is silent; record a few seconds of speech.")
    # computed in float64 and rounded once, as the reference does
    return (samples * np.float64(10.0 ** ((loudness_lufs - found_lufs) / 20.0))).astype(np.float32)
