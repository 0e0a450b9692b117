"""Measure whether two recordings have the same voice, with the GE2E encoder of the Resemblyzer package.

Only the package's weights are used: its own code imports libraries that nothing else here needs.
"""

from __future__ import annotations

import numpy as np
import soxr

from ..errors import EngineUnavailable
from ..speech.sound import Sound
from ..speech.speech_finder import SpeechFinder
from ..speech.weights import PackagedWeights

ENCODER = PackagedWeights(
    "resemblyzer",
    "pretrained.pt",
    "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
    "--no-deps Resemblyzer==0.1.4",
)
RATE_HZ = 16_000
MIN_SPEECH_S = 1.0
# the network was trained on these: 25 ms windows every 10 ms, parts of 1.6 s
_FFT_SAMPLES = 400
_HOP_SAMPLES = 160
_MELS = 40
_WIDTH = 256
_LAYERS = 3
_PART_FRAMES = 160
_STEP_FRAMES = 77  # 1.3 parts a second
_MIN_COVERAGE = 0.75
_QUIETEST_DB = -30.0


class VoiceEncoder:
    """Computes speaker embeddings of 256 numbers. One thread at a time."""

    def __init__(self) -> None:
        """Load the network.

        Raises: WeightsError without the package, EngineUnavailable without torch.
        """
        path = ENCODER.verified()
        try:
            import torch
        except ImportError as error:
            raise EngineUnavailable(
                "Voices are compared with torch; run: pip install -r requirements-personaplex.txt"
            ) from error

        self._torch = torch
        self._finder = SpeechFinder()
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        # built here from the package's weights, as its `VoiceEncoder` is
        self._lstm = torch.nn.LSTM(_MELS, _WIDTH, _LAYERS, batch_first=True)
        self._linear = torch.nn.Linear(_WIDTH, _WIDTH)
        for name, module in (("lstm.", self._lstm), ("linear.", self._linear)):
            module.load_state_dict(
                {key.removeprefix(name): value for key, value in state.items() if key.startswith(name)}
            )
        self._filters = mel_filters()

    def embed(self, sound: Sound) -> np.ndarray | None:
        """Return the speaker embedding, a unit vector float32 [256]; None with less than a second of
        speech.
        """
        samples = (
            sound.samples
            if sound.rate_hz == RATE_HZ
            else soxr.resample(sound.samples, sound.rate_hz, RATE_HZ)
        )
        spans = self._finder.segments(Sound(samples, RATE_HZ, 1))
        spoken = [samples[int(start_s * RATE_HZ) : int(end_s * RATE_HZ)] for start_s, end_s in spans]
        if sum(map(len, spoken)) < MIN_SPEECH_S * RATE_HZ:
            return None
        return self.embed_speech(np.concatenate(spoken))

    def embed_speech(self, speech: np.ndarray) -> np.ndarray:
        """Return the speaker embedding of float32 [N] at 16 kHz that contains nothing but speech."""
        level_db = 10 * np.log10(np.mean(np.square(speech, dtype=np.float64)) + 1e-12)
        # quiet recordings are raised to −30 dB, as the package does; loud ones stay as they are
        speech = speech * 10 ** (max(0.0, _QUIETEST_DB - level_db) / 20)
        frames = -(-(len(speech) + 1) // _HOP_SAMPLES)
        starts = list(range(0, max(1, frames - _PART_FRAMES + _STEP_FRAMES + 1), _STEP_FRAMES))
        if len(starts) > 1 and len(speech) / _HOP_SAMPLES - starts[-1] < _MIN_COVERAGE * _PART_FRAMES:
            starts.pop()  # a part that would be mostly padding
        mels = self._mels(
            np.pad(speech, (0, max(0, (starts[-1] + _PART_FRAMES) * _HOP_SAMPLES - len(speech))))
        )
        parts = np.stack([mels[start : start + _PART_FRAMES] for start in starts])
        with self._torch.inference_mode():
            _, (hidden, _) = self._lstm(self._torch.from_numpy(parts))
            raw = self._torch.relu(self._linear(hidden[-1])).numpy()
        return _unit((raw / np.linalg.norm(raw, axis=1, keepdims=True)).mean(axis=0))

    def _mels(self, speech: np.ndarray) -> np.ndarray:
        """Return the mel power spectrogram, float32 [T, 40]."""
        padded = np.pad(speech, _FFT_SAMPLES // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT_SAMPLES)[::_HOP_SAMPLES]
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT_SAMPLES) / _FFT_SAMPLES)
        return (np.abs(np.fft.rfft(frames * window)) ** 2 @ self._filters).astype(np.float32)


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine similarity of two embeddings, from 0 to 1.

    It is about 0.9 and more for one voice, 0.75 and less for two.
    """
    return float(a @ b)


def mel_filters() -> np.ndarray:
    """Return 40 triangular filters of equal area on Slaney's mel scale, which is linear below 1 kHz.

    Shapes: float [201, 40].
    """
    log_step = np.log(6.4) / 27
    bend_mel = 15.0
    top_mel = bend_mel + np.log(RATE_HZ / 2 / 1000) / log_step
    mel = np.linspace(0, top_mel, _MELS + 2)
    edges_hz = np.where(mel < bend_mel, mel * 200 / 3, 1000 * np.exp(log_step * (mel - bend_mel)))
    bins_hz = np.linspace(0, RATE_HZ / 2, _FFT_SAMPLES // 2 + 1)[:, None]
    rising = (bins_hz - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz) / np.diff(edges_hz)[1:]
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (edges_hz[2:] - edges_hz[:-2])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
