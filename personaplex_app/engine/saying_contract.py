"""What a session offers that can be told what to say, word for word, and when to hold its tongue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from ..errors import BadInput, CapacityError, shorten
from .contract import Session

MAX_LINES = 8
"""How many lines may wait, the one that is spoken included."""


@dataclass(frozen=True)
class Line:
    """Something the agent is to say.

    `last` is False while more of it comes (`SayingSession.more`). It is said when nobody speaks ("idle"), in
    place of what the agent says ("now"), or as the answer to what the user says next ("reply"). `then`:
    "hold" keeps the agent from speaking of its own afterwards, "free" leaves that as it is. One that is not
    `interruptible` is spoken to its end whatever the user says.
    """

    id: str
    text: str
    last: bool = True
    when: Literal["idle", "now", "reply"] = "idle"
    then: Literal["free", "hold"] = "free"
    interruptible: bool = True


@runtime_checkable
class SayingSession(Session, Protocol):
    """A session of an engine that declares `saying`. `protocol_events.Said` tells how each line fares.

    Each call is in force from the next frame on and may be made while a step runs.
    """

    def say(self, line: Line) -> None:
        """Take a line; lines are said one after the other.

        Raises: BadInput for a line that cannot be spoken, CapacityError when too many wait.
        """
        ...

    def more(self, line_id: str, text: str, last: bool) -> None:
        """Go on with a line that is not finished.

        Raises: BadInput when there is no such line, or what comes cannot be spoken.
        """
        ...

    def unsay(self, line_id: str) -> None:
        """Take a line back, at the next word where it is being spoken; "" takes all of them back.

        One that is unknown or over is no error: it may have ended this moment.
        """
        ...

    def hold(self, on: bool) -> None:
        """Keep the agent from speaking of its own, but for small signs of listening; or let it again."""
        ...


def check_room(line: Line, waiting: Sequence[Line]) -> None:
    """Check that a line can wait beside others.

    Raises: CapacityError when too many wait, BadInput when one of them has its id.
    """
    if len(waiting) >= MAX_LINES:
        raise CapacityError(f"{MAX_LINES} lines wait to be said already; take one back or wait.")
    if any(each.id == line.id for each in waiting):
        raise BadInput(f"A line {shorten(line.id)} is being said already; give each its own id.")


def no_such_line(line_id: str) -> BadInput:
    """Return the error of going on with a line that is not there, or is whole."""
    return BadInput(f"There is no line {shorten(line_id)} that goes on.")
