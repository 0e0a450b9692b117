"""Bring clips that are compared to equal loudness, by EBU R 128 (pyloudnorm) with a limit for the true
peak.
"""

from __future__ import annotations

import numpy as np
import soxr

from ..units import SAMPLE_RATE_HZ

TARGET_LUFS = -23.0
MAX_PEAK_DB = -1.0
_OVERSAMPLED = 4
_FLOOR = 1e-9


def gain_db(samples: np.ndarray) -> float:
    """Return the gain that brings a clip to −23 LUFS, or as near as a true peak of −1 dB allows.

    0 for a clip that is too short or too quiet to measure.
    Shapes: float32 [N] at 24 kHz.
    """
    import pyloudnorm  # here, because it imports scipy, which would add a second to the program's start

    meter = pyloudnorm.Meter(SAMPLE_RATE_HZ)
    block = int(meter.block_size * SAMPLE_RATE_HZ)
    whole = samples[: len(samples) // block * block].reshape(-1, block)
    # with every block below the absolute gate of −70 LUFS, pyloudnorm takes the logarithm of an empty mean
    if (
        not len(whole)
        or 10 * np.log10(np.square(whole, dtype=np.float64).mean(axis=1).max() + _FLOOR) < -60.0
    ):
        return 0.0
    loudness_lufs = meter.integrated_loudness(samples.astype(np.float64))
    if not np.isfinite(loudness_lufs):
        return 0.0
    return round(min(TARGET_LUFS - float(loudness_lufs), MAX_PEAK_DB - true_peak_db(samples)), 2)


def true_peak_db(samples: np.ndarray) -> float:
    """Return the true peak, with four-fold oversampling, in dB relative to full scale."""
    between = soxr.resample(samples, SAMPLE_RATE_HZ, _OVERSAMPLED * SAMPLE_RATE_HZ)
    return 20.0 * float(
        np.log10(max(np.abs(between).max(initial=0.0), np.abs(samples).max(initial=0.0), _FLOOR))
    )


def amplified(samples: np.ndarray, by_db: float) -> np.ndarray:
    """Apply a gain; return float32 [N] in [-1, 1]."""
    return np.clip(samples * np.float32(10.0 ** (by_db / 20.0)), -1.0, 1.0).astype(np.float32)
