"""The ways in which talks end: reason, sentence and close code of each."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import CapacityError, CloseCode, EngineError, EngineHung, GpuUnavailable, PersonaplexError
from .queues import SEND_QUEUE_S
from .resumption import RESUME_S

SILENT_CLIENT_S = 20.0
START_PATIENCE_S = 15.0


@dataclass(frozen=True)
class EndReason:
    """How a talk ended: `reason` is a stable word, `text` the sentence, `code` the close code.

    `retry_after_s` tells when trying again can succeed, where that is known.
    """

    reason: str
    text: str
    code: CloseCode = CloseCode.NORMAL
    failed: bool = False
    retry_after_s: int | None = None


STOPPED = EndReason("stopped", "The talk is over.")
LOST = EndReason("lost", "The connection was lost.")
SLOW = EndReason(
    "slow_reader",
    f"More than {SEND_QUEUE_S:g} s of audio waited to be read; the connection is too slow.",
    CloseCode.POLICY,
    failed=True,
)
SILENT = EndReason(
    "lost", f"Nothing came from the client for {SILENT_CLIENT_S:g} s.", CloseCode.POLICY, failed=True
)
GIVEN_UP = EndReason(
    "lost",
    f"The connection was lost, and its client did not come back within {RESUME_S:g} s.",
    CloseCode.POLICY,
    failed=True,
)
TIME_LIMIT = EndReason("time_limit", "The time for this talk is over.")
DRAINED = EndReason(
    "draining", "The talk ended because the server is being stopped. In a minute it may be back."
)
IDLE = EndReason("idle", "The talk ended because nothing was said for a while.")
NO_START = EndReason(
    "no_start", f"No start message came within {START_PATIENCE_S:g} s.", CloseCode.POLICY, failed=True
)
NOTHING_TO_STOP = EndReason("stopped", "There was no talk to stop: none had been started.")
FAULT = EndReason(
    "fault",
    "The talk ended because of a fault in this program; please start again.",
    CloseCode.FAULT,
    failed=True,
)


def end_of(error: PersonaplexError) -> EndReason:
    """Return the end that an error leads to."""
    match error:
        case GpuUnavailable():
            reason = error.code
        case EngineHung():
            reason = LOST.reason
        case EngineError():
            reason = "engine_error"
        case _:
            reason = error.code
    retry_after_s = error.retry_after_s if isinstance(error, CapacityError) else None
    return EndReason(reason, str(error), error.close_code, failed=True, retry_after_s=retry_after_s)
