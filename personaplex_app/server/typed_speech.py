"""Reads typed lines aloud to engines that only hear, by the embedded synthesiser where it is installed."""

from __future__ import annotations

import threading

import numpy as np

from ..errors import WeightsError
from ..sessions.typed_lines import nobody_speaks
from ..speech.synthesiser import TIMBRES, Synthesiser


class TypedSpeech:
    """One synthesiser for all talks, loaded with the first line that anybody types."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._synthesiser: Synthesiser | None = None

    def speak(self, text: str) -> np.ndarray:
        """Return a line as speech; blocks while it is made.

        Shapes: float32 [N] at 24 kHz.
        Raises: BadInput where the synthesiser is not installed.
        """
        with self._lock:
            try:
                self._synthesiser = self._synthesiser or Synthesiser()
            except (ImportError, WeightsError):
                return nobody_speaks(text)
            return self._synthesiser.speak(text, TIMBRES[0]).samples
