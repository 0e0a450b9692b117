"""A voice from a recording: brought to the loudness the model was trained with, then to codes."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import torch
from torch import Tensor

from ..errors import BadAudio
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ
from .mimi import Mimi

LOUDNESS_LUFS = -24.0
MIN_VOICE_S = 0.5
MAX_VOICE_S = 60.0


def voice_codes(mimi: Mimi, samples: np.ndarray) -> Tensor:
    """Return a recording's codes at −24 LUFS, its last frame padded.

    Shapes: `samples` float32 [N] at 24 kHz → int64 [8, frames].
    Raises: BadAudio when it is too short, too long, or silent.
    """
    seconds = len(samples) / SAMPLE_RATE_HZ
    if not MIN_VOICE_S <= seconds <= MAX_VOICE_S:
        raise BadAudio(f"The voice recording is {seconds:.1f} s long; it must be between {MIN_VOICE_S} and {MAX_VOICE_S:.0f} s.")
    loudness_lufs = pyloudnorm.Meter(SAMPLE_RATE_HZ).integrated_loudness(samples.astype(np.float64))
    if not np.isfinite(loudness_lufs):
        raise BadAudio("The voice recording is silent; record a few seconds of speech.")
    # computed in float64 and rounded once, as the reference does
    scaled = (samples * np.float64(10.0 ** ((LOUDNESS_LUFS - loudness_lufs) / 20.0))).astype(np.float32)
    pcm = torch.from_numpy(np.pad(scaled, (0, -len(scaled) % FRAME_SAMPLES))).to(mimi.device)
    one = torch.ones(1, dtype=torch.bool, device=mimi.device)
    with torch.inference_mode():
        return mimi.encode(pcm[None], mimi.empty_encoder_state(1), one)[0]
