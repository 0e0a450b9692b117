"""Store cloned voices: in memory for a while, or on disk where their owner chose to keep them.

A voice belongs to whoever has its owner key; for everybody else it does not exist. Kept voices are stored as
`<owner>/<id>.safetensors`, with their name and sha256 in `<id>.json`. All of them are read at the start,
since each has only a few kilobytes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..atomic import sync_folder, write_atomically
from ..errors import BadInput, NotFound, StorageError, StorageFull, shorten
from ..principal import Principal, Sharers
from ..sessions.shares import has_room, least_missed
from ..voices import CLONE_PREFIX, MAX_CLONE_BYTES

log = logging.getLogger(__name__)

# bounds what one key can store; the limits below bound all of them together
MAX_OF_OWNER = 12
MAX_TEMPORARY = 512
MAX_KEPT = 2_000
TEMPORARY_AGE_S = 60 * 60
"""How long a voice that is not kept stays after its last use."""
MAX_NAME_CHARS = 40
# files are read with limits: a damaged or foreign one must not fill the memory
MAX_INDEX_BYTES = 4_096
NO_FOLDER = "Voices are not kept here: this program was started without a data folder."


@dataclass(frozen=True)
class ClonedVoice:
    """One cloned voice. `data` is the engine's safetensors file."""

    id: str
    name: str
    data: bytes = field(repr=False)
    made_at_s: float
    kept: bool = False

    @property
    def wire_name(self) -> str:
        """The name by which a talk requests the voice."""
        return CLONE_PREFIX + self.id


@dataclass
class _Entry:
    owner: str
    voice: ClonedVoice
    used_at_s: float
    # who made it, since the program was started
    sharers: Sharers = ()


class ClonedVoices:
    """All cloned voices of a running program.

    Every method may be called from any thread; those that keep or delete a voice wait for the disk. `forget`
    is called with the content of every voice that is dropped.
    """

    def __init__(
        self,
        folder: Path | None,
        forget: Callable[[bytes], None],
        clock: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._forget = forget
        self._clock = clock
        # ages are told by a clock that is never set
        self._now = now
        # guards the entries; never held during disk access, because `get` is called on the event loop
        self._lock = threading.Lock()
        # orders everything that writes or deletes; taken before `_lock`, never after it
        self._disk = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        for owner, voice in _read_all(folder) if folder else ():
            self._entries[voice.id] = _Entry(owner, voice, now())

    def add(self, caller: Principal, name: str, data: bytes, keep: bool) -> ClonedVoice:
        """Add a voice for its owner.

        Raises: BadInput for an invalid name or owner key, or where the owner has too many voices;
        StorageFull, StorageError.
        """
        owner = caller.required_owner
        voice = ClonedVoice(secrets.token_hex(8), checked_name(name), data, self._clock(), keep)
        with self._disk:
            with self._lock:
                if len(self._of(owner)) >= MAX_OF_OWNER:
                    raise BadInput(
                        f"You have {MAX_OF_OWNER} cloned voices, which is the most; delete one first."
                    )
            if keep:
                self._write(owner, voice, caller)
            with self._lock:
                self._entries[voice.id] = _Entry(owner, voice, self._now(), caller.sharers)
        self.purge()
        return voice

    def all(self, caller: Principal) -> list[ClonedVoice]:
        """Return an owner's voices, oldest first.

        Raises: BadInput for an invalid owner key.
        """
        self.purge()
        with self._lock:
            return [entry.voice for entry in self._of(caller.required_owner)]

    def get(self, caller: Principal, voice_id: str) -> ClonedVoice:
        """Return an owner's voice and mark it as used.

        Raises: BadInput, NotFound for a voice that is absent, expired or another owner's.
        """
        self.purge()
        with self._lock:
            entry = self._entry(caller, voice_id)
            entry.used_at_s = self._now()
            return entry.voice

    def keep(self, caller: Principal, voice_id: str) -> None:
        """Write a voice to disk, where it is kept until it is deleted.

        Raises: BadInput, NotFound, StorageFull, StorageError.
        """
        with self._disk:
            # marks it as used, so that it does not expire while it is written
            self.get(caller, voice_id)
            with self._lock:
                entry = self._entry(caller, voice_id)
            if not entry.voice.kept:
                self._write(entry.owner, entry.voice, caller)
                with self._lock:
                    entry.voice = replace(entry.voice, kept=True)
                    self._entries[voice_id] = entry  # it may have expired while the disk was slow

    def delete(self, caller: Principal, voice_id: str) -> None:
        """Delete a voice for good.

        Raises: BadInput, NotFound, StorageError.
        """
        with self._disk:
            with self._lock:
                entry = self._entry(caller, voice_id)
            if entry.voice.kept and self._folder:
                _erase(self._folder / entry.owner, voice_id)
            with self._lock:
                self._entries.pop(voice_id, None)
        self._forget(entry.voice.data)

    def purge(self) -> None:
        """Drop voices that are not kept and were unused for too long; of too many those of whoever has most.

        It must be called from time to time.
        """
        with self._lock:
            temporary = sorted(
                (entry for entry in self._entries.values() if not entry.voice.kept),
                key=lambda entry: entry.used_at_s,
            )
            oldest_s = self._now() - TEMPORARY_AGE_S
            gone = [entry for entry in temporary if entry.used_at_s < oldest_s]
            left = temporary[len(gone) :]
            while len(left) > MAX_TEMPORARY:
                gone.append(least_missed(left, lambda entry: entry.sharers))
                left.remove(gone[-1])
            for entry in gone:
                del self._entries[entry.voice.id]
        # not under the lock: the engine takes locks of its own
        for entry in gone:
            self._forget(entry.voice.data)

    def _of(self, owner: str) -> list[_Entry]:
        return sorted(
            (entry for entry in self._entries.values() if entry.owner == owner),
            key=lambda entry: entry.voice.made_at_s,
        )

    def _entry(self, caller: Principal, voice_id: str) -> _Entry:
        owner = caller.required_owner
        entry = self._entries.get(voice_id)
        if entry is None or entry.owner != owner:
            raise NotFound(
                "There is no such cloned voice among yours. It may have been deleted, or not kept; choose"
                " another or make it again."
            )
        return entry

    def _write(self, owner: str, voice: ClonedVoice, caller: Principal) -> None:
        if self._folder is None:
            raise StorageError(NO_FOLDER)
        with self._lock:
            kept = [entry for entry in self._entries.values() if entry.voice.kept]
        held = Counter(key for entry in kept for key in entry.sharers)
        if not has_room(caller, held, MAX_KEPT - len(kept)):
            raise StorageFull(
                f"{len(kept):,} of {MAX_KEPT:,} voices are kept here, and there is no room for more of yours;"
                " this one was not kept. Export it instead."
            )
        folder = self._folder / owner
        index = {
            "name": voice.name,
            "made_at_s": voice.made_at_s,
            "sha256": hashlib.sha256(voice.data).hexdigest(),
        }
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(folder / f"{voice.id}.safetensors", voice.data, private=True, durable=True)
            # the index last: without it a voice does not exist, so that a crash leaves none half written
            about = json.dumps(index).encode()
            write_atomically(folder / f"{voice.id}.json", about, private=True, durable=True)
            sync_folder(folder)
        except OSError as error:
            raise StorageError(
                f"The voice cannot be kept: {error.strerror}. Make the data folder writable, or go on without"
                " keeping it."
            ) from error


def checked_name(name: str) -> str:
    """Return a voice's name as it can be shown.

    Raises: BadInput when it is empty, too long, or has unprintable characters.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise BadInput(
            f"The voice's name is {shorten(name)}; give one of 1 to {MAX_NAME_CHARS} printable characters."
        )
    return name


def _read_all(folder: Path) -> Iterator[tuple[str, ClonedVoice]]:
    """Yield the kept voices with their owners.

    Altered ones are skipped; files that were half written or half deleted are erased.
    """
    for path in [*folder.glob("*/*.safetensors"), *folder.glob("*/*.part")]:
        if not path.with_suffix(".json").exists():
            with suppress(OSError):
                path.unlink()
    for path in sorted(folder.glob("*/*.json"))[:MAX_KEPT]:
        owner = path.parent.name
        id_ = path.stem
        if not (re.fullmatch(r"[0-9a-f]{64}", owner) and re.fullmatch(r"[0-9a-f]{16}", id_)):
            continue
        try:
            index = json.loads(_read_file(path, MAX_INDEX_BYTES))
            data = _read_file(path.with_suffix(".safetensors"), MAX_CLONE_BYTES)
            if hashlib.sha256(data).hexdigest() != index["sha256"]:
                raise ValueError("altered")
            yield (
                owner,
                ClonedVoice(id_, checked_name(index["name"]), data, float(index["made_at_s"]), kept=True),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, BadInput) as error:
            log.warning("the kept voice %s cannot be used (%s)", id_, type(error).__name__)


def _read_file(path: Path, limit_bytes: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise ValueError("too large")
    return data


def _erase(folder: Path, voice_id: str) -> None:
    try:
        # the index first: a file without one is deleted at the next start, if this is cut off
        (folder / f"{voice_id}.json").unlink(missing_ok=True)
        for path in folder.glob(f"{voice_id}.*"):
            path.unlink(missing_ok=True)
        sync_folder(folder)
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise StorageError(
            f"The voice cannot be deleted: {error.strerror}. Make the data folder writable and try again."
        ) from error
