"""How a recording sounds, without a reference: clipping and silence."""

from __future__ import annotations

import numpy as np

FULL_SCALE = 0.999
SILENT_DB = -50.0
_BLOCK_S = 0.02
_FLOOR = 1e-12


def clipping_share(samples: np.ndarray) -> float:
    """Return the share of samples at full scale. Shapes: float32 [N]."""
    return float(np.mean(np.abs(samples) >= FULL_SCALE)) if len(samples) else 0.0


def silence_share(samples: np.ndarray, rate_hz: int) -> float:
    """Return the share of 20 ms blocks below -50 dB of full scale. Shapes: float32 [N]."""
    levels = blocks_db(samples, int(_BLOCK_S * rate_hz))
    return float(np.mean(levels <= SILENT_DB)) if len(levels) else 1.0


def blocks_db(samples: np.ndarray, block_samples: int) -> np.ndarray:
    """Return each whole block's root-mean-square level in dB of full scale. Shapes: float32 [N] to [N / block_samples]."""
    whole = samples[: len(samples) // block_samples * block_samples].reshape(-1, block_samples)
    return 10.0 * np.log10(np.square(whole, dtype=np.float64).mean(axis=1) + _FLOOR)
