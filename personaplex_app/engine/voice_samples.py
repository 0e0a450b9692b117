"""Samples of a checkpoint's voices: made once by the model itself when no talk is running, then kept on
disk.
"""

from __future__ import annotations

import hashlib
import io
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from ..atomic import write_atomically
from ..audio import level_db
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ
from .contract import Session

log = logging.getLogger(__name__)

PROMPT = (
    "You enjoy having a good conversation. Greet the caller warmly and say in two sentences how your day has"
    " been."
)
# fixed, so that a sample sounds the same wherever it is made
SEED = 7
# six seconds
MAX_FRAMES = 75
SILENT_DB = -50.0
MAX_KEPT_FILES = 200
RETRY_S = 0.2
PATIENCE_S = 60.0
"""A machine that needs longer for one sample is too slow, and makes none."""


@dataclass(frozen=True)
class SampledVoice:
    """A voice to make a sample of.

    `content` identifies it in the sample's key; `open` opens a session in it, or returns None when no row is
    free.
    """

    content: bytes
    open: Callable[[], Session | None]


class VoiceSamples:
    """Makes the requested samples one at a time, on a thread that lives only while there is something to
    make.

    `is_idle` returns whether no talk is running. It is called before every frame, and a sample is abandoned
    as soon as a talk begins.
    """

    def __init__(
        self, folder: Path, model: bytes, source: Callable[[str], SampledVoice], is_idle: Callable[[], bool]
    ) -> None:
        self._folder = folder
        self._model = model
        self._source = source
        self._is_idle = is_idle
        self._made: dict[str, np.ndarray | None] = {}
        self._wanted: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._slow = False

    def get(self, voice: str) -> np.ndarray | None:
        """Return a voice's sample, float32 [N]; None where it cannot be made or is not made yet.

        Asking for one that is not made yet requests it.
        """
        with self._lock:
            if voice in self._made or self._closing.is_set():
                return self._made.get(voice)
            self._wanted[voice] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="voice-samples", daemon=True)
                self._thread.start()
        return None

    def close(self) -> None:
        """Abandon the sample that is being made. May be called twice."""
        self._closing.set()
        with self._lock:
            # not joined under the lock, which the thread itself takes
            thread = self._thread
        if thread:
            thread.join()

    def _work(self) -> None:
        while (voice := self._next()) is not None:
            try:
                sample, done = self._make(self._source(voice))
            except Exception as error:
                log.warning("no sample of the voice %s: %s", voice, type(error).__name__)
                sample = None
                done = True
            if not done:
                self._closing.wait(RETRY_S)
                continue
            with self._lock:
                self._made[voice] = sample
                self._wanted.pop(voice, None)

    def _next(self) -> str | None:
        with self._lock:
            voice = None if self._closing.is_set() else next(iter(self._wanted), None)
            if voice is None:
                # under the lock that `get` takes: a voice requested from now on starts a new thread
                self._thread = None
            return voice

    def _make(self, source: SampledVoice) -> tuple[np.ndarray | None, bool]:
        """Return a voice's sample or None, and whether that is final or to be tried again later."""
        path = self._folder / f"{self._key(source)}.wav"
        if (kept := _read(path)) is not None:
            return kept, True
        if self._slow:
            return None, True
        sample, done = self._synthesise(source)
        if sample is not None:
            _write(path, sample)
        return sample, done

    def _synthesise(self, source: SampledVoice) -> tuple[np.ndarray | None, bool]:
        """Return the spoken sample, None for nothing audible, and whether it was finished rather than
        abandoned.
        """
        session = source.open() if self._is_idle() else None
        if session is None:
            return None, False
        frames: list[np.ndarray] = []
        began_s = time.monotonic()
        try:
            while len(frames) < MAX_FRAMES:
                if self._closing.is_set() or not self._is_idle():
                    return None, False
                if time.monotonic() - began_s > PATIENCE_S:
                    self._slow = True
                    log.info("this machine is too slow to make samples of the voices")
                    return None, True
                frames.append(session.step(np.zeros(FRAME_SAMPLES, np.float32)).agent)
        finally:
            session.close()
        loud = [k for k, frame in enumerate(frames) if level_db(frame) > SILENT_DB]
        return (np.concatenate(frames[loud[0] : loud[-1] + 1]) if loud else None), True

    def _key(self, source: SampledVoice) -> str:
        # all that the sample depends on: a changed one gets a new file
        return hashlib.sha256(
            b"\0".join((self._model, source.content, PROMPT.encode(), str(SEED).encode()))
        ).hexdigest()[:32]


def _read(path: Path) -> np.ndarray | None:
    """Return a sample from disk; None where there is none or the file is not a valid one."""
    try:
        samples, rate_hz = sf.read(
            io.BytesIO(path.read_bytes()), frames=MAX_FRAMES * FRAME_SAMPLES, dtype="float32"
        )
    except (OSError, sf.LibsndfileError):
        return None
    return samples if rate_hz == SAMPLE_RATE_HZ and samples.ndim == 1 and len(samples) else None


def _write(path: Path, samples: np.ndarray) -> None:
    """Write a sample to disk and delete the oldest beyond `MAX_KEPT_FILES`.

    If the folder cannot be written, the sample is made again at the next start.
    """
    wav = io.BytesIO()
    sf.write(wav, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, wav.getvalue())
        # samples of earlier checkpoints are never asked for again, and nothing else deletes them
        kept = sorted(path.parent.glob("*.wav"), key=lambda each: each.stat().st_mtime)
        for old in kept[:-MAX_KEPT_FILES]:
            old.unlink(missing_ok=True)
    except OSError:
        return
