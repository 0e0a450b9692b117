"""A cache of computed prompt phases, for the next session with the same voice and role, limited in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol


class Sized(Protocol):
    """Anything that knows its size in bytes."""

    @property
    def bytes(self) -> int: ...


class Snapshots:
    """Keeps the most recently used snapshots; one that is larger than the whole limit is not kept."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[Hashable, Sized] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable) -> Sized | None:
        """Return the snapshot under `key`, None where there is none, and mark it as just used."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                self.misses += 1
                return None
            self._kept.move_to_end(key)
            self.hits += 1
            return found

    def put(self, key: Hashable, snapshot: Sized) -> None:
        """Keep a snapshot, dropping the least recently used ones where room is needed."""
        with self._lock:
            # else it would push out all others and then itself
            if snapshot.bytes > self._limit_bytes:
                return
            # two sessions may have computed the same prompt phase at once
            if key in self._kept:
                self.bytes -= self._kept.pop(key).bytes
            self._kept[key] = snapshot
            self.bytes += snapshot.bytes
            while self.bytes > self._limit_bytes:
                self.bytes -= self._kept.popitem(last=False)[1].bytes

    def drop(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Drop the snapshots for whose key `unwanted` returns True."""
        with self._lock:
            for key in [key for key in self._kept if unwanted(key)]:
                self.bytes -= self._kept.pop(key).bytes

    def clear(self) -> None:
        """Drop all snapshots."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0
