"""Read `intents.yaml`: what everybody says whatever the role, with the lines that answer it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...errors import SettingsError, shorten
from ...yaml_fields import load_yaml
from .contract import Reply, Talk, reply
from .control import ABOUT_THE_TALK
from .statements import reflected
from .turn import Turn

INTENTS_FILE = Path(__file__).with_name("intents.yaml")
# the tempo that each request for another pace multiplies, and its bounds
PACES = {"slower": 0.8, "faster": 1.2}
PACE_MIN = 0.6
PACE_MAX = 1.4


@dataclass(frozen=True)
class Intent:
    """One thing that people say. `pace` is the wish for another pace, "" for none.

    `do` names the function of control.py that answers it in place of the lines.
    """

    name: str
    when: tuple[re.Pattern[str], ...]
    say: tuple[str, ...]
    otherwise: tuple[str, ...]
    examples: tuple[str, ...]
    lacks: re.Pattern[str] | None
    max_words: int
    not_in: frozenset[str]
    repeatable: bool
    pace: str
    do: str

    def meets(self, turn: Turn, style: str) -> bool:
        """Return whether the turn says this, to a role of that style."""
        return (
            style not in self.not_in
            and turn.words <= self.max_words
            and any(turn.search(pattern) for pattern in self.when)
            and not (self.lacks and self.lacks.search(turn.plain))
        )


@cache
def load_intents(path: Path = INTENTS_FILE) -> tuple[Intent, ...]:
    """Load the intents. Raises: SettingsError naming the intent whose pattern cannot be used."""
    intents = []
    for entry in load_yaml(path):
        try:
            when = tuple(re.compile(each) for each in entry["when"])
            lacks = re.compile(entry["lacks"]) if "lacks" in entry else None
        except re.error as error:
            raise SettingsError(
                f"The intent {shorten(entry['name'])} has a pattern that cannot be used: {error}."
            ) from error
        intents.append(
            Intent(
                entry["name"],
                when,
                tuple(entry.get("say", ())),
                tuple(entry.get("else", ())),
                tuple(entry["examples"]),
                lacks,
                entry.get("max_words", 24),
                frozenset(entry.get("not_in", ())),
                entry.get("repeatable", False),
                entry.get("pace", ""),
                entry.get("do", ""),
            )
        )
    return tuple(intents)


def answered(intent: Intent, turn: Turn, talk: Talk) -> Reply | None:
    """Return the intent's next line, and take note of what it changes."""
    if intent.do:
        return ABOUT_THE_TALK[intent.do](turn, talk)
    said = reflected(turn)
    lines = ((intent.name, intent.say), (f"{intent.name}.else", intent.otherwise))
    text = next((line for key, each in lines if (line := talk.line(key, each, said=said))), "")
    if not text:
        return None
    if intent.repeatable:
        talk.note(repeatable=turn.ask)
    if intent.pace:
        talk.note(pace=changed_pace(intent, talk.state.pace))
    return reply(text)


def changed_pace(intent: Intent, pace: float) -> float:
    """Return the pace of speech after the intent's wish for another one."""
    if intent.pace == "normal":
        return 1.0
    return min(PACE_MAX, max(PACE_MIN, pace * PACES[intent.pace]))
