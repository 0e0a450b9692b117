"""Prompt phases already computed, kept for the next caller with the same voice and role, within a limit of
bytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol


class Sized(Protocol):
    @property
    def bytes(self) -> int: ...


class Snapshots:
    """Keeps the most recently used; what alone is larger than the limit is not kept at all."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[Hashable, Sized] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable) -> Sized | None:
        """Return what is kept under `key`, and make it the last to go."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                self.misses += 1
                return None
            self._kept.move_to_end(key)
            self.hits += 1
            return found

    def put(self, key: Hashable, snapshot: Sized) -> None:
        """Keep a snapshot, letting go of the least recently used where room is needed."""
        with self._lock:
            if snapshot.bytes > self._limit_bytes:
                return
            if key in self._kept:
                self.bytes -= self._kept.pop(key).bytes
            self._kept[key] = snapshot
            self.bytes += snapshot.bytes
            while self.bytes > self._limit_bytes:
                self.bytes -= self._kept.popitem(last=False)[1].bytes

    def drop(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Let go of the snapshots whose key is unwanted."""
        with self._lock:
            for key in [key for key in self._kept if unwanted(key)]:
                self.bytes -= self._kept.pop(key).bytes

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0
