"""Voice activity detection (VAD): silero VAD on a stream, and a gate that finds bursts of speech."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import soxr

from ..units import SAMPLE_RATE_HZ
from . import weights

RATE_HZ = 16_000
CHUNK_SAMPLES = 512
CHUNK_S = CHUNK_SAMPLES / RATE_HZ
_CONTEXT_SAMPLES = 64
_STATE_WIDTH = 128

ON = 0.5
# While the agent speaks, its voice may come back through the microphone; a person who means to interrupt is
# louder than that.
ON_WHILE_SPEAKING = 0.6
# once open, the gate closes only this far below the threshold: a word has weak moments
_HYSTERESIS = 0.15
# 64 ms of speech open the gate, so that one click does not
_OPEN_CHUNKS = 2
# The model notices a soft consonant some 200 ms late; loudness leads back to where it began.
_LOOK_BACK_CHUNKS = 8
# powers relative to the background's and to the loudest chunk's, above which a chunk belongs to the speech
_ABOVE_FLOOR = 8.0
_BELOW_PEAK = 1e-3
# the estimate of the background follows a louder room by 2 % a chunk, a quieter one at once
_FLOOR_RISE = 1.02
_EDGE_BLOCK_SAMPLES = 240
_EDGE_DB = -32.0
_EDGE_LOOK_S = 0.24


@dataclass(frozen=True)
class Chunk:
    """The probability that 32 ms of the user stream hold speech, and their power (mean square)."""

    start_s: float
    probability: float
    power: float = 0.0

    @property
    def end_s(self) -> float:
        return self.start_s + CHUNK_S


class VadModel:
    """Silero VAD v6 without its state: one instance serves all sessions, from any thread."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # one thread: the network is too small to gain from more
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # a thread that spins while it waits takes a core from the other talks
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(weights.VAD.verified()), options, providers=["CPUExecutionProvider"]
        )

    def run(self, chunk: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the speech probability of one chunk and the model's next state.

        Shapes: `chunk` is float32 [1, 576], 64 samples of context and 512 new ones at 16 kHz; `h` and `c` are
        [1, 1, 128].
        """
        probability, h, c = (
            np.asarray(out) for out in self._session.run(None, {"input": chunk, "h": h, "c": c})
        )
        return float(probability[0]), h, c


class VadStream:
    """The voice activity of one user stream; it buffers less than one chunk of audio."""

    def __init__(self, model: VadModel) -> None:
        self._model = model
        # the quickest quality, since it delays by a single sample
        self._resampler = soxr.ResampleStream(SAMPLE_RATE_HZ, RATE_HZ, 1, dtype="float32", quality="QQ")
        self._h = np.zeros((1, 1, _STATE_WIDTH), np.float32)
        self._c = np.zeros((1, 1, _STATE_WIDTH), np.float32)
        self._rest = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._chunks = 0

    def push(self, user: np.ndarray) -> list[Chunk]:
        """Add samples; return the chunks that they complete.

        Shapes: `user` is float32 [N] at 24 kHz.
        """
        joined = np.concatenate([self._rest, self._resampler.resample_chunk(user)])
        done: list[Chunk] = []
        while len(joined) >= _CONTEXT_SAMPLES + CHUNK_SAMPLES:
            chunk = np.ascontiguousarray(joined[None, : _CONTEXT_SAMPLES + CHUNK_SAMPLES])
            probability, self._h, self._c = self._model.run(chunk, self._h, self._c)
            done.append(
                Chunk(
                    self._chunks * CHUNK_S,
                    probability,
                    float(np.mean(np.square(chunk[0, _CONTEXT_SAMPLES:]))),
                )
            )
            self._chunks += 1
            joined = joined[CHUNK_SAMPLES:]
        # a view would keep the whole array in memory
        self._rest = joined.copy()
        return done


@dataclass
class SpeechGate:
    """Turns speech probabilities into bursts of speech. Times are seconds on the session's clock.

    `open` says whether the last chunk was speech. Of the latest burst, `onset_s` is its beginning,
    `voice_end_s` the end of its last speech chunk and `voiced_s` the length of its speech chunks. `bursts`
    counts them; a gap shorter than `gap_s` does not end a burst.
    """

    threshold: float = ON
    open: bool = False
    onset_s: float = 0.0
    voice_end_s: float = 0.0
    voiced_s: float = 0.0
    bursts: int = 0
    gap_s: float = 0.16
    _run: int = 0
    _floor: float = 1e-2
    _before: deque[Chunk] = field(default_factory=lambda: deque(maxlen=_LOOK_BACK_CHUNKS + _OPEN_CHUNKS))

    def push(self, chunk: Chunk) -> None:
        """Add one chunk; chunks must follow each other without gaps."""
        loud = chunk.probability >= (self.threshold - _HYSTERESIS if self.open else self.threshold)
        self._run = self._run + 1 if loud else 0
        self._before.append(chunk)
        if self.open and not loud:
            self.open = False
        elif not self.open and self._run >= _OPEN_CHUNKS:
            self.open = True
            began_s = chunk.end_s - self._run * CHUNK_S
            # after a shorter gap it is the same burst, which keeps its onset
            if not self.bursts or began_s - self.voice_end_s >= self.gap_s:
                self.bursts += 1
                self.onset_s = self._look_back(began_s)
                self.voiced_s = 0.0
            self.voiced_s += (self._run - 1) * CHUNK_S
        if self.open:
            self.voiced_s += CHUNK_S
            self.voice_end_s = chunk.end_s
        # only what is not speech counts as background
        elif not loud:
            self._floor = max(1e-9, min(self._floor * _FLOOR_RISE, chunk.power))

    def _look_back(self, began_s: float) -> float:
        """Return where the sound began that the model noticed at `began_s`."""
        peak = max(chunk.power for chunk in self._before)
        for chunk in reversed(self._before):
            if chunk.end_s > began_s + CHUNK_S / 2:
                continue
            if chunk.power < max(self._floor * _ABOVE_FLOOR, peak * _BELOW_PEAK):
                break
            began_s = chunk.start_s
        return float(began_s)


def speech_end(samples: np.ndarray) -> int:
    """Return the index after the last audible sample of `samples`, which end where the VAD put the end.

    The VAD reports speech for some tens of milliseconds after the voice; near the end, loudness is exacter.
    Shapes: `samples` is float32 [N] at 24 kHz.
    """
    blocks = len(samples) // _EDGE_BLOCK_SAMPLES
    if not blocks:
        return len(samples)
    rest = len(samples) - blocks * _EDGE_BLOCK_SAMPLES
    power = np.square(samples[rest:]).reshape(blocks, -1).mean(axis=1)
    floor = power.max() * 10 ** (_EDGE_DB / 10)
    look = min(blocks, int(_EDGE_LOOK_S * SAMPLE_RATE_HZ / _EDGE_BLOCK_SAMPLES))
    loud = np.flatnonzero(power[-look:] > floor)
    last = blocks - look + (loud[-1] + 1 if len(loud) else 0)
    return int(rest + last * _EDGE_BLOCK_SAMPLES)
