"""A turn in another language is answered with what can be done."""

from __future__ import annotations

from ...languages import language_of_turn
from .contract import Reply, Talk, reply
from .turn import Turn

_LINES = (
    "That sounds like {language}. I'm sorry, I understand and speak English only. Is English all right?",
    "I can't follow {language}, I'm afraid. In English I can help you.",
)


def foreign(turn: Turn, talk: Talk) -> Reply | None:
    """Say that only English is understood, where a role does not teach another language."""
    language = "" if talk.role.style == "language" else language_of_turn(turn.text)
    return reply(talk.line("foreign", _LINES, language=language)) if language else None
