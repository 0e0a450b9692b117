"""What a way in grants its talks, and how talks end."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import CapacityError, EngineError, GpuUnavailable, PersonaplexError
from ..personas import Persona
from .channel import (
    CLOSE_FAULT,
    CLOSE_NORMAL,
    CLOSE_POLICY,
    CLOSE_TOO_BIG,
    CLOSE_TRY_LATER,
    CLOSE_UNSUPPORTED,
)
from .queues import SEND_QUEUE_S

SILENT_CLIENT_S = 20.0
START_PATIENCE_S = 15.0


@dataclass(frozen=True)
class EntryPolicy:
    """What one way in grants its talks, within the app's limits: `wait_s` is how long a caller waits to
    begin, `silent_s` how long it may send nothing. A `persona` stands for one that is not in the catalogue;
    `transport` names the way in for log and metrics.
    """

    talk_s: float = math.inf
    idle_s: float = math.inf
    wait_s: float = math.inf
    silent_s: float = SILENT_CLIENT_S
    persona: Persona | None = None
    transport: str = "chat"


@dataclass(frozen=True)
class EndReason:
    """How a talk ended: `reason` is a stable word, `text` the sentence, `code` the close code."""

    reason: str
    text: str
    code: int = CLOSE_NORMAL
    failed: bool = False


STOPPED = EndReason("stopped", "The talk is over.")
LOST = EndReason("lost", "The connection was lost.")
SLOW = EndReason(
    "slow_reader",
    f"More than {SEND_QUEUE_S:g} s of audio waited to be read; the connection is too slow.",
    CLOSE_POLICY,
    failed=True,
)
SILENT = EndReason(
    "lost", f"Nothing came from the client for {SILENT_CLIENT_S:g} s.", CLOSE_POLICY, failed=True
)
TIME_LIMIT = EndReason("time_limit", "The time for this talk is over.")
DRAINED = EndReason(
    "draining", "The talk ended because the server is being stopped. In a minute it may be back."
)
IDLE = EndReason("idle", "The talk ended because nothing was said for a while.")
NO_START = EndReason(
    "no_start", f"No start message came within {START_PATIENCE_S:g} s.", CLOSE_POLICY, failed=True
)
NOTHING_TO_STOP = EndReason("stopped", "There was no talk to stop: none had been started.")
FAULT = EndReason(
    "fault",
    "The talk ended because of a fault in this program; please start again.",
    CLOSE_FAULT,
    failed=True,
)
TEXT = EndReason(
    "protocol", "This socket takes binary messages; a text message came.", CLOSE_UNSUPPORTED, failed=True
)


def too_big(size_bytes: int, most_bytes: int) -> EndReason:
    """Return the end of a talk whose client sent too large a message."""
    return EndReason(
        "protocol",
        f"A message of {size_bytes} bytes came; the limit is {most_bytes}.",
        CLOSE_TOO_BIG,
        failed=True,
    )


def end_of(error: PersonaplexError) -> EndReason:
    """Return the end that an error leads to."""
    if isinstance(error, (CapacityError, GpuUnavailable)):
        return EndReason(error.code, str(error), CLOSE_TRY_LATER, failed=True)
    if isinstance(error, EngineError):
        return EndReason("engine_error", str(error), CLOSE_FAULT, failed=True)
    return EndReason(error.code, str(error), CLOSE_POLICY, failed=True)
