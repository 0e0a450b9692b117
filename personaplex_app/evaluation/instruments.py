"""What listens to the agent's sound.

What is not installed is named, with the sentence that says how to get it, and measured nothing.
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
    """The networks, loaded once. May be shared by threads; one at a time is served."""

    def __init__(self, dnsmos: bool = True) -> None:
        """Load what is there. `absent` has a sentence for each that is not."""
        self.absent: dict[str, str] = {}
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
        """Return where somebody speaks in float32 [N] at 24 kHz, from sound to sound."""
        sound = Sound(samples, SAMPLE_RATE_HZ, 1)
        with self._lock:
            return align_to_sound(self._finder.segments(sound), sound)

    def sound(self, heard: AgentSide, speech: list[Span]) -> tuple[Values, np.ndarray | None]:
        """Return the figures of the agent's sound, and its voice as float32 [256] where that can be told."""
        values: Values = {
            "clipping_share": [clipping_share(heard.samples)],
            "silence_share": [silence_share(heard.samples, SAMPLE_RATE_HZ)],
        }
        voice = None
        with self._lock:
            if (
                self._dnsmos
                and speech
                and (mos := self._dnsmos.score(spoken_part(heard.samples, speech), SAMPLE_RATE_HZ))
            ):
                values |= {"dnsmos_overall": [mos.overall], "dnsmos_signal": [mos.signal]}
            if self._encoder:
                voice = self._embed(heard.samples)
                if len(heard.samples) >= MIN_DRIFT_S * SAMPLE_RATE_HZ:
                    part = int(PART_S * SAMPLE_RATE_HZ)
                    first = self._embed(heard.samples[:part])
                    last = self._embed(heard.samples[-part:])
                    if first is not None and last is not None:
                        values["voice_drift"] = [similarity(first, last)]
        return {key: [round(float(value), 6) for value in each] for key, each in values.items()}, voice

    def _embed(self, samples: np.ndarray) -> np.ndarray | None:
        assert self._encoder
        return self._encoder.embed(Sound(samples, SAMPLE_RATE_HZ, 1))
