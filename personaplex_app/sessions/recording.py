"""A talk's sound on disk: int16 stereo at 24 kHz, the user left, the agent right.

It is written to `<id>.wav.part` and gets its name when it is whole. Wherever a .part was cut, `recover` makes
it playable.
"""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

import numpy as np

from ..atomic import sync_folder
from ..audio import float_to_pcm16
from ..errors import StorageError
from ..units import SAMPLE_RATE_HZ

HEADER_BYTES = 44
SAMPLE_BYTES = 4
BYTES_PER_S = SAMPLE_RATE_HZ * SAMPLE_BYTES
MAX_RECORDING_S = 6 * 3600  # well under the 4 GiB that a wav header can say


def wav_header(audio_bytes: int) -> bytes:
    """Return the 44 bytes that make `audio_bytes` of our stereo samples a wav file."""
    rate = struct.pack("<IHHIIHH", 16, 1, 2, SAMPLE_RATE_HZ, BYTES_PER_S, SAMPLE_BYTES, 16)
    return (
        struct.pack("<4sI4s4s", b"RIFF", 36 + audio_bytes, b"WAVE", b"fmt ")
        + rate
        + struct.pack("<4sI", b"data", audio_bytes)
    )


def part_path(path: Path) -> Path:
    """Return where the recording `path` grows until it is whole."""
    return path.with_name(path.name + ".part")


class Recorder:
    """Writes one talk's sound as it happens.

    `durable` makes every second survive a power cut, not only the end of the process.
    """

    def __init__(self, path: Path, limit_s: float, durable: bool = True) -> None:
        self._path = path
        self._limit_bytes = int(min(limit_s, MAX_RECORDING_S) * SAMPLE_RATE_HZ) * SAMPLE_BYTES
        self._durable = durable
        self._bytes = 0
        self._saved_bytes = 0
        self._broken = False
        self._lock = threading.Lock()
        try:
            self._fd = os.open(part_path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise _cannot("The recording cannot begin", error) from error
        try:
            self._write(wav_header(0), 0)
            self._sync()
            if durable:
                sync_folder(path.parent)
        except OSError as error:
            self.abandon()
            raise _cannot("The recording cannot begin", error) from error

    @property
    def saved_s(self) -> float:
        """How much of the talk is safely stored by now, in seconds from its beginning."""
        return self._saved_bytes / BYTES_PER_S

    def add(self, user: np.ndarray, agent: np.ndarray) -> None:
        """Append one frame of both sides; what is past the limit is dropped.

        Shapes: both float32 [N], the same N.
        Raises: StorageError once, when the disk takes no more; from then on nothing is recorded.
        """
        with self._lock:
            if self._fd < 0 or self._broken:
                return
            # int16 has no NaN
            both = np.nan_to_num(np.column_stack((user, agent)))
            data = float_to_pcm16(both)[: self._limit_bytes - self._bytes]
            try:
                self._write(data, HEADER_BYTES + self._bytes)
                self._bytes += len(data)
                # once a second: to sync every frame would keep the disk busy, and a loss of one second is
                # bearable
                if self._bytes - self._saved_bytes >= BYTES_PER_S:
                    self._sync()
            except OSError as error:
                # for good: frames after a gap would lie at wrong times
                self._broken = True
                raise _cannot(f"The recording stopped at {self._bytes / BYTES_PER_S:.0f} s", error) from error

    def finish(self) -> float:
        """Make the recording a wav file under its own name, return its length in seconds. A second call only
        returns the length.

        Raises: StorageError; the .part stays for `recover`.
        """
        with self._lock:
            if self._fd >= 0:
                try:
                    # a write that failed may have left part of a frame behind
                    os.ftruncate(self._fd, HEADER_BYTES + self._bytes)
                    self._sync()
                    os.replace(part_path(self._path), self._path)
                    if self._durable:
                        sync_folder(self._path.parent)
                except OSError as error:
                    raise _cannot("The recording cannot be completed", error) from error
                finally:
                    self._close()
            return self._bytes / BYTES_PER_S

    def abandon(self) -> None:
        """Remove what was recorded."""
        with self._lock:
            if self._fd >= 0:
                part_path(self._path).unlink(missing_ok=True)
                self._close()

    def _write(self, data: bytes, at: int) -> None:
        view = memoryview(data)
        while view:  # a disk that is filling up takes part of it first and refuses the rest
            # at an offset: the header is written again between the frames
            done = os.pwrite(self._fd, view, at)
            view = view[done:]
            at = at + done

    def _sync(self) -> None:
        # the header too: even a .part that nobody repairs plays up to here
        self._write(wav_header(self._bytes), 0)
        if self._durable:
            os.fsync(self._fd)
        self._saved_bytes = self._bytes

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1


def recover(part: Path) -> float:
    """Make the .part of a talk that was cut off a playable wav, return its length in seconds; without any
    sound, 0 and no file.

    Raises: StorageError when the file cannot be written.
    """
    try:
        audio_bytes = (part.stat().st_size - HEADER_BYTES) // SAMPLE_BYTES * SAMPLE_BYTES
        if audio_bytes <= 0:
            part.unlink()
            return 0.0
        with open(part, "r+b") as file:
            file.truncate(HEADER_BYTES + audio_bytes)
            file.write(wav_header(audio_bytes))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, part.with_suffix(""))
        sync_folder(part.parent)
    except OSError as error:
        raise _cannot("A recording that was cut off cannot be repaired", error) from error
    return audio_bytes / BYTES_PER_S


def _cannot(what: str, error: OSError) -> StorageError:
    return StorageError(
        f"{what}: {error.strerror or 'the disk refused it'}. What was recorded before is kept; "
        "make room in the data folder, or make it writable."
    )
