"""The neural networks that measure the agent's sound: voice activity, DNSMOS, voice similarity.

Those that are not installed are listed with a sentence on how to install them, and their metrics are left
out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from ..errors import EngineError
from ..speech.quality import Dnsmos, clipping_share, silence_share
from ..speech.sound import Sound, Span
from ..speech.speech_finder import SpeechFinder, align_to_sound
from ..units import SAMPLE_RATE_HZ
from .measures import AgentSide, Values, spoken_part
from .similarity import VoiceEncoder, similarity

PART_S = 10.0
MIN_DRIFT_S = 2 * PART_S
DNSMOS_LEFT_OUT = "DNSMOS was left out, as asked."

T = TypeVar("T")


class Instruments:
    """The networks, loaded once. May be shared by threads; calls run one at a time."""

    def __init__(self, dnsmos: bool = True) -> None:
        """Load the networks that are installed; `absent` gets a sentence for each of the others."""
        self.absent: dict[str, str] = {}
        # the networks take one call at a time
        self._lock = threading.Lock()
        self._finder = SpeechFinder()
        self._dnsmos = self._optional("dnsmos", Dnsmos) if dnsmos else None
        if not dnsmos:
            self.absent["dnsmos"] = DNSMOS_LEFT_OUT
        self._encoder = self._optional("similarity", VoiceEncoder)

    def _optional(self, name: str, load: Callable[[], T]) -> T | None:
        try:
            return load()
        except EngineError as error:  # the package or its weights are not there
            self.absent[name] = str(error)
            return None

    def speech(self, samples: np.ndarray) -> list[Span]:
        """Return the spans of speech in float32 [N] at 24 kHz, in seconds, from first to last audible
        sample.
        """
        sound = Sound(samples, SAMPLE_RATE_HZ, 1)
        with self._lock:
            return align_to_sound(self._finder.segments(sound), sound)

    def sound(self, agent: AgentSide, speech: list[Span]) -> tuple[Values, np.ndarray | None]:
        """Return the metrics of the agent's sound, and its voice embedding, float32 [256], where it can be
        measured.
        """
        values: Values = {
            "clipping_share": [clipping_share(agent.samples)],
            "silence_share": [silence_share(agent.samples, SAMPLE_RATE_HZ)],
        }
        voice = None
        with self._lock:
            if (
                self._dnsmos
                and speech
                and (mos := self._dnsmos.score(spoken_part(agent.samples, speech), SAMPLE_RATE_HZ))
            ):
                values |= {"dnsmos_overall": [mos.overall], "dnsmos_signal": [mos.signal]}
            if self._encoder:
                voice = self._embed(agent.samples)
                if len(agent.samples) >= MIN_DRIFT_S * SAMPLE_RATE_HZ:
                    part = int(PART_S * SAMPLE_RATE_HZ)
                    first = self._embed(agent.samples[:part])
                    last = self._embed(agent.samples[-part:])
                    if first is not None and last is not None:
                        values["voice_drift"] = [similarity(first, last)]
        return {key: [round(float(value), 6) for value in each] for key, each in values.items()}, voice

    def _embed(self, samples: np.ndarray) -> np.ndarray | None:
        assert self._encoder
        return self._encoder.embed(Sound(samples, SAMPLE_RATE_HZ, 1))
