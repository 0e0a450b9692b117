"""What a way in grants its talks, and how talks end."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import CapacityError, EngineError, GpuUnavailable, PersonaplexError
from ..personas import Persona
from .channel import CLOSE_FAULT, CLOSE_NORMAL, CLOSE_POLICY, CLOSE_TOO_BIG, CLOSE_TRY_LATER, CLOSE_UNSUPPORTED
from .queues import OUTBOX_S

SILENT_CLIENT_S = 20.0
START_PATIENCE_S = 15.0


@dataclass(frozen=True)
class Terms:
    """What one way in grants its talks, within the house's limits: `wait_s` is how long a caller waits to begin, `silent_s` how long it
    may send nothing. A `persona` stands for one that is not in the catalogue; `face` names the way in for log and metrics.
    """

    talk_s: float = math.inf
    idle_s: float = math.inf
    wait_s: float = math.inf
    silent_s: float = SILENT_CLIENT_S
    persona: Persona | None = None
    face: str = "chat"


@dataclass(frozen=True)
class End:
    """How a talk ended: `reason` is a stable word, `text` the sentence, `code` the close code."""

    reason: str
    text: str
    code: int = CLOSE_NORMAL
    failed: bool = False


STOPPED = End("stopped", "The talk is over.")
LOST = End("lost", "The connection was lost.")
SLOW = End("slow_reader", f"More than {OUTBOX_S:g} s of audio waited to be read; the connection is too slow.", CLOSE_POLICY, failed=True)
SILENT = End("lost", f"Nothing came from the client for {SILENT_CLIENT_S:g} s.", CLOSE_POLICY, failed=True)
TIME_LIMIT = End("time_limit", "The time for this talk is over.")
DRAINED = End("draining", "The talk ended because the server is being stopped. In a minute it may be back.")
IDLE = End("idle", "The talk ended because nothing was said for a while.")
NO_START = End("no_start", f"No start message came within {START_PATIENCE_S:g} s.", CLOSE_POLICY, failed=True)
NOTHING_TO_STOP = End("stopped", "There was no talk to stop: none had been started.")
FAULT = End("fault", "The talk ended because of a fault in this program; please start again.", CLOSE_FAULT, failed=True)
TEXT = End("protocol", "This socket takes binary messages; a text message came.", CLOSE_UNSUPPORTED, failed=True)


def too_big(size_bytes: int, most_bytes: int) -> End:
    """Return the end of a talk whose client sent too large a message."""
    return End("protocol", f"A message of {size_bytes} bytes came; the limit is {most_bytes}.", CLOSE_TOO_BIG, failed=True)


def end_of(error: PersonaplexError) -> End:
    """Return the end that an error leads to."""
    if isinstance(error, (CapacityError, GpuUnavailable)):
        return End(error.code, str(error), CLOSE_TRY_LATER, failed=True)
    if isinstance(error, EngineError):
        return End("engine_error", str(error), CLOSE_FAULT, failed=True)
    return End(error.code, str(error), CLOSE_POLICY, failed=True)
