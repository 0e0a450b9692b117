"""What the program is asked to do: that it can, or that it cannot here, and what it can instead."""

from __future__ import annotations

import re

from ..phrasing import second_person
from .contract import Reply, Talk, reply
from .turn import Turn

_ASKED = re.compile(
    r"^(?:can|could|would|will) you (?:please |maybe |also |even |actually |just |really "
    r"|still )*(?P<do>(?!(?:tell|explain|say|repeat|help|recommend|suggest|describe|give me "
    r"the|hold|wait|be|hear|come|(?:take|have) a look|look at)\b)[a-z][\w' -]+)$"
    r"|^(?:are you (?:able|allowed) to|do you know how to) (?:please |also |even )*(?P<able>[\w' -]+)$"
)
_CAN = re.compile(
    r"^(?:do|help me with|help with|solve|work out)? ?(?:(?:some |my |simple )?(?:math\w*"
    r"|arithmetic|sums?|calculations?)|calculate|count|multiply|add|spell\b.*|convert\b.*|tell "
    r"the time|roll (?:a )?(?:dice|die)|flip a coin|play (?:a )?games?|hold a quiz)$"
)
_CANNOT = (
    "I can't {do} here: all I have is this talk. {can}",
    "No, that is beyond me: I can't {do}. {can}",
    "I'm only a voice in this talk and can't {do}. {can}",
)
_INSTEAD = (
    "What I can do is tell you about {topics}.",
    "But do ask me about {topics}.",
    "What I can: answer questions, do sums, spell, tell the time or a joke.",
)


def able(turn: Turn, talk: Talk) -> Reply | None:
    """Say whether the program can do what it is asked to, None for any other turn."""
    found = _ASKED.match(turn.bare)
    if not found or turn.words > 14:
        return None
    do = re.sub(r"(?: for me| please| now| right now| today)+$", "", (found["do"] or found["able"]).strip())
    if _CAN.match(do):
        return reply(talk.line("able", ("Yes, gladly. Just ask.", "Yes, I can. Go ahead.")))
    can = talk.line("instead", _INSTEAD)
    # "lend me money" is "lend you money" here, and "your own" stays the program's
    return reply(talk.line("unable", _CANNOT, do=second_person(do), can=can))
