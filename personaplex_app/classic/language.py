"""The language of a talk: the words that tell whether a turn is over, and what the engine says by itself.

English stands here; another language is a file of data beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..languages import SPANISH_CODE, language_of_turn
from ..yaml_fields import load_yaml
from .phrases import ENGLISH_WORDS, TurnWords

SPANISH_FILE = Path(__file__).with_name("spanish.yaml")


@dataclass(frozen=True)
class EngineLines:
    """What the engine says, or shows in a notice, by itself.

    `only` is said to what it cannot understand; `heard_another`, `not_understood`, `too_loud_here`,
    `loud_room` and `not_speakable` are notices, the first with the language's name in braces.
    """

    backchannel: str
    only: str
    heard_another: str
    not_understood: str
    too_loud: str
    too_loud_here: str
    loud_room: str
    not_speakable: str


@dataclass(frozen=True)
class TalkLanguage:
    """A language that talks are held in. `other_in` names another language that a turn is in, "" for none."""

    code: str
    words: TurnWords
    lines: EngineLines
    other_in: Callable[[str], str]


ENGLISH_TALK = TalkLanguage(
    "",
    ENGLISH_WORDS,
    EngineLines(
        backchannel="Mm-hm.",
        only="I'm sorry, I understand and speak English only.",
        heard_another=(
            "That sounded like {}. This engine understands and speaks English only: say it in English, or ask"
            " whoever runs this app for an engine that speaks your language."
        ),
        not_understood=(
            "Speech was heard, but no English word in it. This engine understands and speaks English only; if"
            " you do speak English, come closer to the microphone."
        ),
        too_loud="It is too loud here to make out what you say. Please come closer to the microphone.",
        too_loud_here=(
            "It is loud around you: other voices or noise drown your words. A headset, a quieter place, or"
            " coming closer to the microphone helps."
        ),
        loud_room=(
            "Your microphone hears the loudspeakers, so interrupting takes a little longer; headphones would"
            " help."
        ),
        not_speakable=(
            "The answer is in a script that this engine cannot speak: it understands and speaks English only."
        ),
    ),
    language_of_turn,
)


@cache
def spanish_talk() -> TalkLanguage:
    """Return Spanish; its file is read once."""
    data: Mapping[str, Any] = load_yaml(SPANISH_FILE)
    words = {name: frozenset(str(text).split()) for name, text in data["words"].items()}
    return TalkLanguage(
        SPANISH_CODE,
        TurnWords(
            **words,
            verb_endings=tuple(data["verb_endings"].split()),
            announces=re.compile(data["announces"]),
            before_last=re.compile(data["before_last"]),
        ),
        EngineLines(**data["lines"]),
        # its recogniser writes Spanish words whatever is said
        lambda text: "",
    )
