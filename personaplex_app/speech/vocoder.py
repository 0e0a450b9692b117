"""Move the pitch of a voice apart from its formants, by the WORLD vocoder.

Resampling moves both together; a man's pitch lies an octave below a woman's, his formants only a sixth.
Source: Morise et al., "WORLD: A Vocoder-Based High-Quality Speech Synthesis System for Real-Time
Applications".
"""

from __future__ import annotations

import numpy as np

from ..units import SAMPLE_RATE_HZ

_LOWEST_HZ, _HIGHEST_HZ = 80.0, 500.0
# the shortest that holds three periods of the lowest pitch that the envelope is found for
_FFT_SAMPLES = 1024
_FRAME_MS = 5.0


def with_pitch(samples: np.ndarray, pitch: float, tilt_db: float = 0.0) -> np.ndarray:
    """Return speech whose fundamental is multiplied by `pitch`, with the formants and the times it had.

    `tilt_db` is added to the spectrum for each octave above 1 kHz, and taken away for each below.
    Shapes: both are float32 [N] at 24 kHz, of about the same length.
    """
    import pyworld

    sound = samples.astype(np.float64)
    rough_hz, times_s = pyworld.dio(
        sound, SAMPLE_RATE_HZ, f0_floor=_LOWEST_HZ, f0_ceil=_HIGHEST_HZ, frame_period=_FRAME_MS
    )
    f0_hz = pyworld.stonemask(sound, rough_hz, times_s, SAMPLE_RATE_HZ)
    envelope = pyworld.cheaptrick(sound, f0_hz, times_s, SAMPLE_RATE_HZ, fft_size=_FFT_SAMPLES)
    noise = pyworld.d4c(sound, f0_hz, times_s, SAMPLE_RATE_HZ, fft_size=_FFT_SAMPLES)
    if tilt_db:
        bins_hz = np.maximum(np.arange(envelope.shape[1]) * SAMPLE_RATE_HZ / _FFT_SAMPLES, _TILT_FROM_HZ)
        envelope = envelope * 10 ** (tilt_db * np.log2(bins_hz / 1000) / 10)
    made = pyworld.synthesize(f0_hz * pitch, envelope, noise, SAMPLE_RATE_HZ, _FRAME_MS)
    return made.astype(np.float32)


_TILT_FROM_HZ = 300.0
