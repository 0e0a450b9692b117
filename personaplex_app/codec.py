"""Audio codecs of the entry points: PCM for the page, Ogg-Opus for moshi clients, float for the gateway."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import sphn

from . import audio
from .errors import BadAudio
from .units import SAMPLE_RATE_HZ


class Codec(Protocol):
    """The encoder and decoder of one talk.

    Shapes: samples are float32 [N], mono, at 24 kHz.
    """

    def decode(self, payload: bytes) -> np.ndarray:
        """Return the samples that `payload` completes. Raises: BadAudio."""
        ...

    def encode(self, samples: np.ndarray) -> bytes:
        """Return the bytes that `samples` complete, which may be none."""
        ...


class Pcm16:
    """`codec=pcm`: little-endian int16."""

    def decode(self, payload: bytes) -> np.ndarray:
        """Return the samples. Raises: BadAudio for half a sample."""
        return audio.pcm16_to_float(payload)

    def encode(self, samples: np.ndarray) -> bytes:
        """Return the bytes of the samples."""
        return audio.float_to_pcm16(samples)


class Float32:
    """Little-endian float32 without any checks: the receiver checks samples with `audio.checked`."""

    def decode(self, payload: bytes) -> np.ndarray:
        """Return the samples. Raises: BadAudio for part of a sample."""
        return audio.float32_to_samples(payload)

    def encode(self, samples: np.ndarray) -> bytes:
        """Return the bytes of the samples."""
        return samples.astype("<f4", copy=False).tobytes()


class Opus:
    """An Ogg-Opus stream each way. A decoder belongs to one stream, since it keeps its state."""

    def __init__(self) -> None:
        self._reader = sphn.OpusStreamReader(SAMPLE_RATE_HZ)
        self._writer = sphn.OpusStreamWriter(SAMPLE_RATE_HZ)

    def decode(self, payload: bytes) -> np.ndarray:
        """Return the samples. Raises: BadAudio when the bytes are no Ogg-Opus stream."""
        try:
            # a lossy codec may overshoot full scale
            return audio.checked(self._reader.append_bytes(payload))
        except ValueError as error:
            raise BadAudio(
                f"The audio is not an Ogg-Opus stream ({error}); send 24 kHz mono Opus in Ogg pages, or ask"
                " for codec=pcm."
            ) from None

    def encode(self, samples: np.ndarray) -> bytes:
        """Return the Ogg pages that the samples complete, which may be none."""
        return self._writer.append_pcm(samples)


def make_codec(name: Literal["opus", "pcm"]) -> Codec:
    """Return a new codec for one talk in the moshi protocol."""
    return {"opus": Opus, "pcm": Pcm16}[name]()
