"""Frames, samples and their checks. NumPy only: no I/O, no threads, no event loop."""

from __future__ import annotations

import numpy as np

from .errors import BadAudio
from .units import FRAME_SAMPLES


def float_to_pcm16(samples: np.ndarray) -> bytes:
    """Return little-endian int16 bytes of float32 samples, clipped to [-1, 1]."""
    return (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()


def pcm16_to_float(data: bytes) -> np.ndarray:
    """Return float32 samples in [-1, 1] of little-endian int16 bytes.

    Raises: BadAudio when a sample is cut in half.
    """
    if len(data) % 2:
        raise BadAudio(f"PCM audio must be whole 16-bit samples; this message has {len(data)} bytes, an odd number.")
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768.0


def checked(samples: np.ndarray) -> np.ndarray:
    """Return `samples` clipped to [-1, 1] as float32.

    Raises: BadAudio when one is NaN or infinite.
    """
    if not np.isfinite(samples).all():
        raise BadAudio("The audio holds values that are not numbers (NaN or infinite); send finite samples between -1 and 1.")
    return np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)


class Reframer:
    """Cuts a stream of any-sized chunks into frames of 1920 samples; holds less than one frame."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> list[np.ndarray]:
        """Add samples, return the frames that became whole, each float32 [1920]."""
        joined = np.concatenate([self._rest, samples.astype(np.float32, copy=False)])
        whole = len(joined) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = joined[whole:].copy()
        return list(joined[:whole].reshape(-1, FRAME_SAMPLES))


def level_db(samples: np.ndarray) -> float:
    """Return the root-mean-square level in dB below full scale, -120 for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(-120.0, 10.0 * np.log10(power + 1e-12))


def peaks(samples: np.ndarray, per_s: int, sample_rate_hz: int) -> np.ndarray:
    """Return the largest magnitude in each 1/per_s second, float32 [ceil(N·per_s/rate)], for drawing."""
    width = sample_rate_hz // per_s
    padded = np.pad(np.abs(samples), (0, -len(samples) % width))
    return padded.reshape(-1, width).max(axis=1).astype(np.float32) if len(padded) else np.zeros(0, np.float32)
