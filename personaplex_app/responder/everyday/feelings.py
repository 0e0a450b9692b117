"""Feelings, taken up before any topic and followed up in the turns after."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...yaml_fields import load_yaml
from .contract import Reply, Talk, reply
from .statements import reflected
from .turn import Turn

FEELINGS_FILE = Path(__file__).with_name("feelings.yaml")
MAX_FOLLOWED_TURNS = 3
# roles that a practice partner or a machine plays: what is said to them is said to the part
UNFEELING_STYLES = frozenset(("angry", "demo", "sales", "interview", "mission"))
# an anger that is about the company's own service is a complaint, which the role answers
_COMPLAINT = re.compile(
    r"\b(?:order|delivery|parcel|package|bin|refund|bill|invoice|service|product|machine|appointment"
    r"|you (?:missed|lost|forgot|sent"
    r"|promised)|(?:with|at) you(?: people| guys)?$|you people|your (?:company|service|driver|people|shop))\b"
)
_TALE = re.compile(r"\b(?:story|stories|tale|joke|book|film|movie|novel|poem)\b")
# what the user said is said back where it is as short as this
_SAID_WORDS = 12
_REFERS = re.compile(
    r"\b(?:he|she|it|they|him|her|them|his|their|that|this|there|because|since|still|alone"
    r"|hard)\b"
)
_YES = re.compile(
    r"^(?:yes|yeah|yes please|sure|i would|please|okay|ok|maybe|i think so|not really|no|i do not know)$"
)


@dataclass(frozen=True)
class Feeling:
    """One feeling of the file. A `heavy` one bears no cheer beside it."""

    name: str
    when: tuple[re.Pattern[str], ...]
    lacks: re.Pattern[str] | None
    say: tuple[str, ...]
    follow: tuple[str, ...]
    heavy: bool
    examples: tuple[str, ...]

    def shows(self, turn: Turn) -> bool:
        """Return whether the turn shows this feeling."""
        return any(p.search(turn.bare) for p in self.when) and not (
            self.lacks and self.lacks.search(turn.bare)
        )


@cache
def load_feelings(path: Path = FEELINGS_FILE) -> tuple[Feeling, ...]:
    """Load the feelings, the gravest first."""
    return tuple(
        Feeling(
            entry["name"],
            tuple(re.compile(each) for each in entry["when"]),
            re.compile(entry["lacks"]) if "lacks" in entry else None,
            tuple(entry["say"]),
            tuple(entry["follow"]),
            entry.get("heavy", False),
            tuple(entry["examples"]),
        )
        for entry in load_yaml(path)
    )


class Feelings:
    """Takes up what the user feels."""

    def __init__(self) -> None:
        self._feelings = load_feelings()

    def reply(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a feeling that the turn shows, None when it shows none that is ours to answer."""
        return self._taken_up(next((f for f in self._feelings if f.shows(turn)), None), turn, talk)

    def named(self, name: str, turn: Turn, talk: Talk) -> Reply | None:
        """Answer the feeling of that name."""
        return self._taken_up(next((f for f in self._feelings if f.name == name), None), turn, talk)

    def _taken_up(self, feeling: Feeling | None, turn: Turn, talk: Talk) -> Reply | None:
        style = talk.role.style
        if feeling is None or (style in UNFEELING_STYLES and feeling.name != "crisis"):
            return None
        # "a story about a dog that died" is no grief
        if _TALE.search(turn.plain) and feeling.name != "crisis":
            return None
        serving = style in ("service", "briefing")
        if serving and (
            feeling.name in ("anger", "sadness", "stress", "joy", "tired") and _COMPLAINT.search(turn.plain)
        ):
            return None
        # a question is about something: the role's notes and the knowledge have their turn
        if turn.question and feeling.name not in ("crisis", "illness", "death", "fear", "loneliness"):
            return None
        again = talk.state.feeling == feeling.name
        talk.note(feeling=feeling.name, feeling_turns=0)
        lines, key = (feeling.follow, "follow") if again else (feeling.say, "say")
        said = reflected(turn, _SAID_WORDS)
        own = said if said.startswith(("you ", "you're ", "you've ", "your ")) else ""
        filled = {"said": own, "Said": own[:1].upper() + own[1:]}
        return reply(talk.line(f"feeling.{feeling.name}.{key}", lines, **filled))

    def follow(self, turn: Turn, talk: Talk) -> Reply | None:
        """Stay with the feeling of the turn before, where this one goes on telling about it."""
        state = talk.state
        feeling = next((f for f in self._feelings if f.name == state.feeling), None)
        if feeling is None or turn.question or state.feeling_turns >= MAX_FOLLOWED_TURNS:
            return None
        # a turn stays with it only where it refers back
        if not (_REFERS.search(turn.bare) or turn.words <= 4):
            return None
        talk.note(feeling_turns=state.feeling_turns + 1)
        if _YES.match(turn.bare):
            return reply(
                talk.line(
                    "feeling.go_on", ("I'm listening. Tell me as much as you like.", "Go on, I'm here.")
                )
            )
        return reply(talk.line(f"feeling.{feeling.name}.follow", feeling.follow))
