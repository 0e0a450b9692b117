"""The contracts of the stores: `TalkStore` for the records of talks, `AudioStore` for their recordings.

The rest of the program knows stores through these two alone. tests/test_talk_stores.py checks
implementations of `TalkStore`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

import numpy as np

from ..engine.contract import Mark, TurnLatency, Utterance
from .records import Status, TalkMeta, TalkRecord

StoredEvent = Utterance | Mark | TurnLatency


class Busy(Exception):
    """The store is in use by others, and the caller did not want to wait any longer."""


class TalkStore(Protocol):
    """Stores the records of talks: transcripts, events and metadata. An AudioStore has their recordings.

    When a method returns, what it wrote is stored, whatever happens to the program afterwards. A talk belongs
    to whoever has its owner's hash; for everybody else it does not exist. Methods may be called from any
    thread, and every one raises StorageError when the store fails.
    """

    def begin(self, talk_id: str, owner: str, started_at_s: float, meta: TalkMeta) -> None:
        """Open a talk, whose status is "live" until it is finished."""
        ...

    def add(self, talk_id: str, events: Iterable[StoredEvent], wait_s: float = -1) -> None:
        """Store what happened in a talk, all or none; an utterance replaces the one with its speaker and id.

        Raises: Busy when the store is used by others for longer than `wait_s` seconds (-1: waits).
        """
        ...

    def finish(
        self, talk_id: str, ended_at_s: float, duration_s: float, status: Status, reason: str | None
    ) -> None:
        """Close a talk."""
        ...

    def insert(self, owner: str, talk: TalkRecord) -> None:
        """Store a whole talk that comes from another store, all or none."""
        ...

    def talks(self, owner: str) -> list[TalkRecord]:
        """Return the owner's latest talks, newest first, without what happened in them."""
        ...

    def get(self, owner: str, talk_id: str) -> TalkRecord:
        """Return one talk with its utterances, marks and turn latencies in order of time.

        Raises: NotFound for an absent talk and for another's.
        """
        ...

    def has(self, owner: str, talk_id: str) -> bool:
        """Return whether `owner` has this talk here."""
        ...

    def exists(self, talk_id: str) -> bool:
        """Return whether anybody has this talk here."""
        ...

    def ids(self, owner: str) -> list[str]:
        """Return the ids of all of an owner's talks."""
        ...

    def oldest_first(self) -> list[TalkRecord]:
        """Return everybody's talks without what happened in them, those that ended first at the front."""
        ...

    def unfinished(self) -> list[TalkRecord]:
        """Return everybody's talks that are still "live", with what happened in them."""
        ...

    def rate(self, owner: str, talk_id: str, stars: int, comment: str) -> None:
        """Store a rating in place of an earlier one, of which nothing is left.

        Raises: NotFound.
        """
        ...

    def delete(self, talk_ids: list[str]) -> None:
        """Delete talks with everything that belongs to them, so that no byte of it can be found."""
        ...

    def close(self) -> None:
        """Close the store. May be called twice."""
        ...


class AudioRecorder(Protocol):
    """Writes one talk's sound as it happens. May be called from any thread."""

    @property
    def saved_s(self) -> float:
        """How much of the talk is safely stored by now, in seconds from its beginning."""
        ...

    def add(self, user: np.ndarray, agent: np.ndarray) -> None:
        """Append one frame of both sides. Shapes: both float32 [N], the same N. Raises: StorageError once."""
        ...

    def finish(self) -> float:
        """Complete the recording, return its length in seconds. Raises: StorageError."""
        ...

    def abandon(self) -> None:
        """Remove what was recorded."""
        ...


class AudioStore(Protocol):
    """The recordings of talks, by the talk's id: wav files of int16 stereo at 24 kHz, the user left.

    Every method raises StorageError when the store fails.
    """

    def reserve(self, talk_id: str, limit_s: float) -> None:
        """Reserve room for a recording of at most `limit_s` seconds, until `release`.

        Raises: StorageFull.
        """
        ...

    def recorder(self, talk_id: str) -> AudioRecorder:
        """Begin the recording that room was reserved for."""
        ...

    def release(self, talk_id: str) -> None:
        """End the reservation: from now on the recording counts by its size."""
        ...

    def has(self, talk_id: str) -> bool:
        """Return whether there is a complete recording of the talk."""
        ...

    def length_s(self, talk_id: str) -> float:
        """Return how long the recording is, 0 where there is none."""
        ...

    def open(self, talk_id: str) -> BinaryIO:
        """Open the wav; deleting it afterwards does not disturb the reader.

        Raises: NoRecording.
        """
        ...

    def arriving(self, talk_id: str, wav: BinaryIO) -> AbstractContextManager[None]:
        """Copy a recording in; it is there once the block is left, and gone when the block fails.

        Where the program ends in between, `recover` decides by what became of the talk.
        Raises: StorageFull.
        """
        ...

    def recover(self, known: Callable[[str], bool]) -> None:
        """Complete what the end of an earlier program cut off: recordings are made playable up to there, and
        copies that were arriving are kept when their talk is `known`.
        """
        ...

    def fits(self, wanted_bytes: int) -> bool:
        """Return whether there is room for so much more."""
        ...

    def delete(self, talk_ids: list[str]) -> None:
        """Delete recordings for good; a talk without one is ignored."""
        ...
