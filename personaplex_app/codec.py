"""Audio codecs of the entry points: PCM for the page, Ogg-Opus for moshi clients, float for the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
import sphn

from . import audio
from .errors import BadAudio
from .units import SAMPLE_RATE_HZ

MAX_BYTES_WITHOUT_AUDIO = 256 * 1024
"""A stream that has brought so many bytes without any sound is given up."""
MAX_PAYLOAD_S = 5.0
"""The most sound in one message: a packet of one byte can stand for 10 ms."""
MAX_PACKET_BYTES = 64 * 1024
"""The longest packet of Opus has 61,440 bytes (RFC 7845, section 6)."""
_CAPTURE = b"OggS"
_SERIAL = slice(14, 18)
_CONTINUED = 0x01
_HEADER_BYTES = 27


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


class _OggPages:
    """Checks a stream page by page, without decoding it.

    A page is one of the stream that came first, and goes on with a packet only up to `MAX_PACKET_BYTES`: a
    decoder keeps what is unfinished, for each stream that it sees.
    Source: RFC 3533, section 6.
    """

    def __init__(self) -> None:
        self._header = b""
        self._body_left = 0
        self._serial = b""
        self._packet_bytes = 0

    def split(self, data: bytes) -> Iterator[bytes]:
        """Yield `data` in pieces of at most one page; the first goes on with the page before.

        Raises: ValueError where it is no Ogg, another stream, or a packet that is too long.
        """
        at = 0
        while at < len(data):
            begun = at
            if not self._body_left:
                at += self._take_header(data[at : at + _HEADER_BYTES + 255])
            body = min(self._body_left, len(data) - at)
            self._body_left -= body
            at += body
            yield data[begun:at]

    def _take_header(self, data: bytes) -> int:
        """Take what `data` has of a page's header; return how many bytes that are."""
        before = len(self._header)
        header = self._header + data
        segments = header[_HEADER_BYTES - 1] if len(header) >= _HEADER_BYTES else 0
        self._header = header = header[: _HEADER_BYTES + segments]
        if header[:4] != _CAPTURE[: len(header)]:
            raise ValueError("no Ogg page where one must begin")
        if len(header) >= _HEADER_BYTES and len(header) == _HEADER_BYTES + segments:
            self._header = b""
            self._begin(header)
        return len(header) - before

    def _begin(self, header: bytes) -> None:
        self._serial = self._serial or header[_SERIAL]
        if header[_SERIAL] != self._serial:
            raise ValueError("a page of another stream")
        if not header[5] & _CONTINUED:
            self._packet_bytes = 0
        lacing = header[_HEADER_BYTES:]
        self._body_left = sum(lacing)
        for segment in lacing:
            self._packet_bytes += segment
            if self._packet_bytes > MAX_PACKET_BYTES:
                raise ValueError(f"a packet of more than {MAX_PACKET_BYTES:,} bytes")
            # a segment of 255 bytes says that its packet goes on
            if segment < 255:
                self._packet_bytes = 0


class Opus:
    """An Ogg-Opus stream each way. A decoder belongs to one stream, since it keeps its state.

    Whatever comes, it holds at most an unfinished page and an unfinished packet (`_OggPages`), and decodes a
    page at a time.
    """

    def __init__(self) -> None:
        self._reader = sphn.OpusStreamReader(SAMPLE_RATE_HZ)
        self._writer = sphn.OpusStreamWriter(SAMPLE_RATE_HZ)
        self._pages = _OggPages()
        self._bytes_without_audio = 0

    def decode(self, payload: bytes) -> np.ndarray:
        """Return the samples.

        Raises: BadAudio when the bytes are no Ogg-Opus stream, go on without a sound, or hold too much of it.
        """
        try:
            pieces: list[np.ndarray] = []
            samples = 0
            for piece in self._pages.split(payload):
                pieces.append(self._decoded(piece))
                samples += len(pieces[-1])
                if samples > MAX_PAYLOAD_S * SAMPLE_RATE_HZ:
                    raise BadAudio(
                        f"One message holds more than {MAX_PAYLOAD_S:g} s of sound; send it as it is"
                        " recorded."
                    )
        except ValueError as error:
            raise BadAudio(
                f"The audio is not an Ogg-Opus stream ({error}); send 24 kHz mono Opus in Ogg pages, or ask"
                " for codec=pcm."
            ) from None
        self._bytes_without_audio = 0 if samples else self._bytes_without_audio + len(payload)
        if self._bytes_without_audio > MAX_BYTES_WITHOUT_AUDIO:
            raise BadAudio(
                f"{self._bytes_without_audio:,} bytes came without a sound in them; the limit is"
                f" {MAX_BYTES_WITHOUT_AUDIO:,}."
            )
        # a lossy codec may overshoot full scale
        return audio.checked(np.concatenate(pieces)) if pieces else np.zeros(0, np.float32)

    def _decoded(self, piece: bytes) -> np.ndarray:
        """Return the samples of whole pages. Raises: ValueError that says what is wrong with them."""
        try:
            return self._reader.append_bytes(piece)
        except ValueError:  # whose text is the library's own
            raise ValueError("a packet that is no Opus") from None

    def encode(self, samples: np.ndarray) -> bytes:
        """Return the Ogg pages that the samples complete, which may be none."""
        return self._writer.append_pcm(samples)


def make_codec(name: Literal["opus", "pcm"]) -> Codec:
    """Return a new codec for one talk in the moshi protocol."""
    return {"opus": Opus, "pcm": Pcm16}[name]()
