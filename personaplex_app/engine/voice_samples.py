"""How the voices of a checkpoint sound: each said once by the model itself when nobody talks, then kept on
the disk.
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
from ..errors import PersonaplexError
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ
from .contract import Session

log = logging.getLogger(__name__)

PROMPT = (
    "You enjoy having a good conversation. Greet the caller warmly and say in two sentences how your day has"
    " been."
)
SEED = 7
MAX_FRAMES = 75
SILENT_DB = -50.0
MAX_KEPT_FILES = 200
RETRY_S = 0.2
PATIENCE_S = 60.0
"""A machine that needs longer for one sample than this is too slow to be used for them."""


@dataclass(frozen=True)
class SampledVoice:
    """A voice to be heard.

    `content` is what it is made of; `open` begins a talk in it and returns None when there is no room.
    """

    content: bytes
    open: Callable[[], Session | None]


class VoiceSamples:
    """Makes the samples that were asked for, one at a time, on a thread of its own that lives while there is
    something to make.

    `free` says whether nobody talks; it is asked before every frame, and a sample is broken off as soon as
    somebody does.
    """

    def __init__(
        self, folder: Path, model: bytes, speaker: Callable[[str], SampledVoice], free: Callable[[], bool]
    ) -> None:
        self._folder = folder
        self._model = model
        self._speaker = speaker
        self._free = free
        self._made: dict[str, np.ndarray | None] = {}
        self._wanted: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._slow = False

    def get(self, voice: str) -> np.ndarray | None:
        """Return a voice's sample, float32 [N]; None where it is not made yet, which asks for it, or where it
        cannot be.
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
        """Break off what is being made. May be called twice."""
        self._closing.set()
        with self._lock:
            thread = self._thread
        if thread:
            thread.join()

    def _work(self) -> None:
        while (voice := self._next()) is not None:
            try:
                sample, done = self._make(self._speaker(voice))
            except PersonaplexError as error:
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
                self._thread = None
            return voice

    def _make(self, speaker: SampledVoice) -> tuple[np.ndarray | None, bool]:
        """Return a voice's sample, None where it cannot be had, and whether that is the last word."""
        path = self._folder / f"{self._key(speaker)}.wav"
        if (kept := _read(path)) is not None:
            return kept, True
        if self._slow:
            return None, True
        sample, done = self._say(speaker)
        if sample is not None:
            _write(path, sample)
        return sample, done

    def _say(self, speaker: SampledVoice) -> tuple[np.ndarray | None, bool]:
        """Return what was said, None for nothing audible, and whether it was said to the end."""
        session = speaker.open() if self._free() else None
        if session is None:
            return None, False
        frames: list[np.ndarray] = []
        began_s = time.monotonic()
        try:
            while len(frames) < MAX_FRAMES:
                if self._closing.is_set() or not self._free():
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

    def _key(self, speaker: SampledVoice) -> str:
        return hashlib.sha256(
            b"\0".join((self._model, speaker.content, PROMPT.encode(), str(SEED).encode()))
        ).hexdigest()[:32]


def _read(path: Path) -> np.ndarray | None:
    """Return a kept sample; None where there is none, or none of ours."""
    try:
        samples, rate_hz = sf.read(
            io.BytesIO(path.read_bytes()), frames=MAX_FRAMES * FRAME_SAMPLES, dtype="float32"
        )
    except (OSError, sf.LibsndfileError):
        return None
    return samples if rate_hz == SAMPLE_RATE_HZ and samples.ndim == 1 and len(samples) else None


def _write(path: Path, samples: np.ndarray) -> None:
    """Keep a sample, letting go of the oldest where there are many; a folder that cannot be written costs
    making it again.
    """
    wav = io.BytesIO()
    sf.write(wav, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, wav.getvalue())
        kept = sorted(path.parent.glob("*.wav"), key=lambda each: each.stat().st_mtime)
        for old in kept[:-MAX_KEPT_FILES]:
            old.unlink(missing_ok=True)
    except OSError:
        return
