"""How much one connection may send: what comes faster costs the others their time."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import ProtocolError

MESSAGES_PER_S = 200
BYTES_PER_S = 512 << 10
"""Four times what the gateway's clients send, whose sound takes most: float32 in base64."""
BURST_S = 3.0
"""What a network held back comes at once."""


class TokenBucket:
    """So many of something a second, and `most` at once."""

    __slots__ = ("_at_s", "_left", "_most", "_now", "_per_s")  # there are thousands

    def __init__(self, per_s: float, most: float, now: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._left = self._most = most
        self._now = now
        self._at_s = now()

    def take(self, count: float = 1) -> bool:
        """Count some; False when there were too many."""
        if self.wait_s(count):
            return False
        self.owe(count)
        return True

    def wait_s(self, count: float = 1) -> float:
        """Return how long it takes until there are so many; 0 when there are."""
        now_s = self._now()
        self._left = min(self._most, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return max(0.0, (count - self._left) / self._per_s)

    def owe(self, count: float) -> None:
        """Count some, there or not: what is missing comes before anything else."""
        self._left -= count


class Allowance:
    """What one connection may send, in messages and bytes, whatever they are."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._messages = TokenBucket(MESSAGES_PER_S, MESSAGES_PER_S * BURST_S, now)
        self._bytes = TokenBucket(BYTES_PER_S, BYTES_PER_S * BURST_S, now)

    def take(self, data: bytes | str) -> None:
        """Count a message. Raises: ProtocolError when too many came, or too much."""
        if not self._messages.take():
            raise ProtocolError(
                f"More than {MESSAGES_PER_S} messages a second came; send audio in larger pieces."
            )
        if not self._bytes.take(len(data)):
            raise ProtocolError(
                f"More than {BYTES_PER_S >> 10} KiB a second came; send audio as it is recorded."
            )
