"""Read yes and no, as people say them in a game."""

from __future__ import annotations

import re

from ..turn import Turn

_UNSURE = re.compile(
    r"\b(?:do not know|not sure|no idea|maybe|perhaps|sometimes|it depends|depends|hard to say|unsure"
    r"|cannot say|partly|both|could be|who knows)\b"
)
_NO = re.compile(
    r"^(?:well |um |uh |oh |hm |i think |, )*(?:no+|nope|nah|not|never|wrong|it (?:does|is|can|has"
    r"|was)(?: definitely)? not|it cannot|they (?:do|are) not|i do not think so|of course not|negative|false"
    r"|hardly|neither|na)\b"
)
_YES = re.compile(
    r"^(?:well |um |uh |oh |hm |i think |, )*(?:y(?:es|eah|ep|up|a)|correct|right|sure|of course|exactly"
    r"|it (?:does|is|can|has)|they (?:do|are|can)|definitely|absolutely|indeed|true|i think so|i guess"
    r"|probably|usually|mostly|kind of|sort of|a (?:bit|little)|uh huh|mm hm|that is (?:it|right|correct)"
    r"|you (?:got|guessed) it|bingo|affirmative|often)\b"
)


def yes_or_no(turn: Turn) -> str:
    """Return "yes", "no" or "unsure"; "" for something else."""
    text = turn.plain.strip(" .,!?")
    if _UNSURE.search(text):
        return "unsure"
    if _NO.match(text):
        return "no"
    return "yes" if _YES.match(text) else ""
