"""Where the sound stands in a wav, whose chunks come in more orders than decoders read."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from .errors import BadAudio

# a wav has a handful; more of them are there to cost time
_MOST_CHUNKS = 1_000
_MOST_FORM_BYTES = 4_096
_MOST_JOINED_BYTES = 256 << 20
_SILENCE = -1
_CHUNK = struct.Struct("<4sI")


@dataclass
class WavLayout:
    """The chunks of a wav: its format, and each part of its sound as place and length in bytes.

    `unfinished`: more sound follows than the header promises, as recorders that lost power and programs that
    write to a pipe leave it. `scattered`: the sound is in several parts, or where a decoder does not look.
    """

    form: bytes = b""
    parts: list[tuple[int, int]] = field(default_factory=list)
    unfinished: bool = False
    scattered: bool = False

    @classmethod
    def of(cls, file: BinaryIO) -> WavLayout:
        """Return the layout of a file that begins as a wav does."""
        layout = cls()
        length = file.seek(0, io.SEEK_END)
        file.seek(0)
        if (head := file.read(36)).startswith((b"RF64", b"BW64")):
            layout.unfinished = head[28:36] == bytes(8) and length > len(head)
            return layout
        at = 12
        for _ in range(_MOST_CHUNKS):
            if at + _CHUNK.size > length:
                break
            name, size = _chunk(file, at)
            first_sound = name == b"data" and not layout.parts
            if not (first_sound or _is_chunk(name, at, size, length)):
                # after an odd length the byte that makes it even may be left out
                if at > 12 and _is_chunk(*_before(file, at), length):
                    at -= 1
                    layout.scattered = True
                    continue
                # no chunk follows the sound
                promised = layout.parts[0][1] if layout.parts else length
                layout.unfinished = length - at > max(promised, 8)
                break
            if name == b"LIST" and file.read(4) == b"wavl":
                at += 12  # its chunks are parts of the sound and silences between them
                layout.scattered = True
                continue
            if name == b"fmt " and size <= _MOST_FORM_BYTES:
                file.seek(at + _CHUNK.size)
                layout.form = file.read(size)
            elif name == b"data":
                layout.parts.append((at + _CHUNK.size, min(size, length - at - _CHUNK.size)))
            elif name == b"slnt":
                layout.parts.append((_SILENCE, int.from_bytes(file.read(4), "little")))
            at += _CHUNK.size + size + size % 2
        layout.scattered = len(layout.form) >= 16 and (layout.scattered or len(layout.parts) > 1)
        return layout

    def joined(self, file: BinaryIO, what: str) -> bytes:
        """Return the wav with its sound in one part. Raises: BadAudio when it is too long for that."""
        frame_bytes = int.from_bytes(self.form[12:14], "little")
        # silence is zero but for 8 bits, where it is the middle
        zero = b"\x80" if self.form[14:16] == b"\x08\0" else b"\0"
        sizes = [size * frame_bytes if at == _SILENCE else size for at, size in self.parts]
        if sum(sizes) > _MOST_JOINED_BYTES:
            raise BadAudio(f"{what} has its sound in parts, and too much of it to join; save it again.")
        sound = bytearray()
        for (at, _), size in zip(self.parts, sizes, strict=True):
            if at == _SILENCE:
                sound += zero * size
            else:
                file.seek(at)
                sound += file.read(size)
        body = b"WAVE" + _CHUNK.pack(b"fmt ", len(self.form)) + self.form + _CHUNK.pack(b"data", len(sound))
        return _CHUNK.pack(b"RIFF", len(body) + len(sound)) + body + bytes(sound)


def _chunk(file: BinaryIO, at: int) -> tuple[bytes, int]:
    file.seek(at)
    return _CHUNK.unpack(file.read(_CHUNK.size))


def _before(file: BinaryIO, at: int) -> tuple[bytes, int, int]:
    name, size = _chunk(file, at - 1)
    return name, at - 1, size


def _is_chunk(name: bytes, at: int, size: int, length: int) -> bool:
    plausible = name.isascii() and name.strip(b"\0 ").isalnum()
    return plausible and at + _CHUNK.size + size <= length + 1
