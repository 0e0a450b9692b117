"""Audio quality without a reference: clipping, silence, and DNSMOS's estimated opinion scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from .weights import PackagedWeights

FULL_SCALE = 0.999
SILENT_DB = -50.0
DNSMOS = PackagedWeights(
    "speechmos",
    "dnsmos_models/sig_bak_ovr.onnx",
    "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
    "speechmos==0.0.1.1",
)
_BLOCK_S = 0.02
# added to the power before the logarithm, so that digital silence is -120 dB and not minus infinity
_FLOOR = 1e-12
_RATE_HZ = 16_000
# the network's fixed input: 9.01 s at 16 kHz
_WINDOW_SAMPLES = 144_160
# Polynomials that map the network's outputs to the scale of 1 to 5, as DNSMOS P.835 publishes them: signal,
# background, overall.
_TO_MOS = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)


def clipping_share(samples: np.ndarray) -> float:
    """Return the share of samples at full scale, 0 to 1.

    Shapes: `samples` is float32 [N].
    """
    return float(np.mean(np.abs(samples) >= FULL_SCALE)) if len(samples) else 0.0


def silence_share(samples: np.ndarray, rate_hz: int) -> float:
    """Return the share of 20 ms blocks at or below -50 dB of full scale, 0 to 1.

    Shapes: `samples` is float32 [N].
    """
    levels = blocks_db(samples, int(_BLOCK_S * rate_hz))
    return float(np.mean(levels <= SILENT_DB)) if len(levels) else 1.0


def blocks_db(samples: np.ndarray, block_samples: int) -> np.ndarray:
    """Return the root-mean-square level of each whole block, in dB of full scale.

    Shapes: `samples` is float32 [N]; the result is float64 [N // block_samples].
    """
    whole = samples[: len(samples) // block_samples * block_samples].reshape(-1, block_samples)
    return 10.0 * np.log10(np.square(whole, dtype=np.float64).mean(axis=1) + _FLOOR)


@dataclass(frozen=True)
class Mos:
    """Estimated mean opinion scores (MOS) from 1 to 5."""

    signal: float
    background: float
    overall: float


class Dnsmos:
    """The DNSMOS P.835 network, from the speechmos package.

    Raises: WeightsError when the package is not installed or its file is another one.
    """

    def __init__(self) -> None:
        import onnxruntime  # takes a while, and most programs score nothing

        options = onnxruntime.SessionOptions()
        # one core: talks that run meanwhile need the others
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(DNSMOS.verified()), options, providers=["CPUExecutionProvider"]
        )

    def score(self, samples: np.ndarray, rate_hz: int) -> Mos | None:
        """Return the mean score over windows of 9 s that begin every second, None for silence.

        A clip shorter than a window is repeated until it fills one.
        Shapes: `samples` is float32 [N].
        """
        clip = np.clip(
            samples if rate_hz == _RATE_HZ else soxr.resample(samples, rate_hz, _RATE_HZ), -1.0, 1.0
        ).astype(np.float32)
        if silence_share(clip, _RATE_HZ) == 1.0:
            return None
        while len(clip) < _WINDOW_SAMPLES:
            clip = np.concatenate([clip, clip])
        # as the speechmos package counts windows: what lies past the last whole second is left out
        count = int(len(clip) // _RATE_HZ - _WINDOW_SAMPLES / _RATE_HZ) + 1
        windows = (
            clip[None, start * _RATE_HZ : start * _RATE_HZ + _WINDOW_SAMPLES] for start in range(count)
        )
        raw = np.array([np.asarray(self._session.run(None, {"input_1": window})[0])[0] for window in windows])
        signal, background, overall = (
            float(np.polyval(curve, raw[:, i]).mean()) for i, curve in enumerate(_TO_MOS)
        )
        return Mos(signal, background, overall)
