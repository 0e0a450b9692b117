"""Recordings as wav files in a folder, `<id>.wav` each.

`<id>.wav.part` is one that is being written, `<id>.wav.arriving` a copy whose talk is not stored yet.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..atomic import sync_folder
from ..errors import NoRecording, StorageError, StorageFull
from .recording import BYTES_PER_S, Recorder, part_path, recover

MAX_FOLDER_BYTES = 2 << 30


class WavFolder:
    """An AudioStore in a folder, which only this process uses and which holds at most `max_bytes`.

    Whatever else lies in the folder counts too. Where it is not `durable`, nothing waits for the disk.

    Raises: StorageError when the folder cannot be made.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_FOLDER_BYTES, durable: bool = True) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._durable = durable
        self._reserved_s: dict[str, float] = {}
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The folder {folder} for kept talks cannot be made: {error.strerror}. Choose another data"
                " folder."
            ) from error

    def reserve(self, talk_id: str, limit_s: float) -> None:
        with self._lock:
            # check and reservation under one lock, so that two talks do not take the same room
            self._check_room(int(limit_s * BYTES_PER_S))
            self._reserved_s[talk_id] = limit_s

    def recorder(self, talk_id: str) -> Recorder:
        return Recorder(self._wav(talk_id), self._reserved_s[talk_id], self._durable)

    def release(self, talk_id: str) -> None:
        self._reserved_s.pop(talk_id, None)

    def has(self, talk_id: str) -> bool:
        return self._wav(talk_id).exists()

    def length_s(self, talk_id: str) -> float:
        return self._wav(talk_id).stat().st_size / BYTES_PER_S if self.has(talk_id) else 0.0

    def open(self, talk_id: str) -> BinaryIO:
        try:
            return open(self._wav(talk_id), "rb")
        except FileNotFoundError:
            raise NoRecording("This talk has no recording, only its transcript.") from None
        except OSError as error:
            raise StorageError(
                f"The recording cannot be read: {error.strerror}. Make the data folder readable, then try"
                " again."
            ) from error

    @contextmanager
    def arriving(self, talk_id: str, wav: BinaryIO) -> Iterator[None]:
        arriving = self._arriving(talk_id)
        try:
            self._copy(wav, arriving)
            yield
        except BaseException:
            arriving.unlink(missing_ok=True)
            raise
        self._arrive(arriving)

    def recover(self, known: Callable[[str], bool]) -> None:
        for path in self._folder.glob("*.wav.arriving"):
            if known(path.name.partition(".")[0]):
                self._arrive(path)
            else:
                self._unlink([path])
        for part in self._folder.glob("*.wav.part"):
            recover(part)

    def fits(self, wanted_bytes: int) -> bool:
        return self._used_bytes() + wanted_bytes <= self._max_bytes

    def delete(self, talk_ids: list[str]) -> None:
        # a talk that was cut off may have a .part only
        wavs = [self._wav(talk_id) for talk_id in talk_ids]
        self._unlink([*wavs, *map(part_path, wavs)])

    def _unlink(self, paths: list[Path]) -> None:
        try:
            for path in paths:
                path.unlink(missing_ok=True)
            if self._durable:
                sync_folder(self._folder)
        except OSError as error:
            raise StorageError(
                f"The recording cannot be deleted: {error.strerror}. Make the data folder writable, then"
                " delete again."
            ) from error

    def _copy(self, wav: BinaryIO, to: Path) -> None:
        try:
            self._check_room(wav.seek(0, os.SEEK_END))
            wav.seek(0)
            with open(to, "wb") as file:
                shutil.copyfileobj(wav, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _not_kept(error) from error

    def _arrive(self, arriving: Path) -> None:
        try:
            os.replace(arriving, arriving.with_suffix(""))
            sync_folder(self._folder)
        except OSError as error:
            raise _not_kept(error) from error

    def _check_room(self, wanted_bytes: int) -> None:
        if not self.fits(wanted_bytes):
            raise StorageFull(
                f"The folder for talks is full: {self._used_bytes() >> 20} of {self._max_bytes >> 20} MiB are"
                f" used, and this one may need {wanted_bytes >> 20} MiB. Delete talks you no longer need."
            )

    def _used_bytes(self) -> int:
        reserved_s = dict(self._reserved_s)
        used_bytes = sum(int(limit_s * BYTES_PER_S) for limit_s in reserved_s.values())
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    # a recording in progress counts as what was reserved for it
                    if entry.name.partition(".")[0] not in reserved_s:
                        with suppress(FileNotFoundError):  # deleted meanwhile
                            used_bytes += entry.stat().st_size
        except OSError as error:
            raise StorageError(
                f"The folder for talks cannot be read any more: {error.strerror}. Restart to create it again."
            ) from error
        return used_bytes

    def _wav(self, talk_id: str) -> Path:
        return self._folder / f"{talk_id}.wav"

    def _arriving(self, talk_id: str) -> Path:
        return self._folder / f"{talk_id}.wav.arriving"


def _not_kept(error: OSError) -> StorageError:
    return StorageError(
        f"The talk cannot be kept: {error.strerror}. Make room in the data folder, then keep it again."
    )
