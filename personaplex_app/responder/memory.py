"""What one talk remembers. Only what was really heard counts as said."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from .numbers import figures, word_list
from .phrasing import second_person
from .retrieval import Query

MAX_TURNS = 40
MAX_STATEMENTS = 30
MAX_FIGURES = 400
_GIVEN_NAME = re.compile(
    r"(?:(?i:\bmy name(?: is|'s)|\bcall me|\bthis is|\bi am"
    r" called|\bname's|\bit's)\s+(?P<sure>[A-Z][\w'-]+)(?: [A-Z][\w'-]+)?(?! Inc\b))"
    r"|(?i:\bmy name is|\bmy name's|\bcall me)\s+(?P<low>[a-z][\w'-]+)"
    r"|(?:\bI'm|\bI am)\s+(?P<cased>[A-Z][\w'-]+)(?=[.,!?]|$| and\b| here\b| from\b)"
)
_NO_NAME = frozenset(
    word_list("""
    a an the not sorry here there just going looking calling fine good okay ok well tired happy sad back so
    very really trying monday tuesday wednesday thursday friday saturday sunday spanish english french german
    american italian it that this what mission control customer your about for
    """)
)


@dataclass(frozen=True)
class Said:
    """One sentence to say, and the notes it tells."""

    text: str
    facts: tuple[int, ...] = ()


@dataclass
class Memory:
    """One talk so far.

    `told` are notes that were heard, `rest` what an interruption cut off, `used` how often each line was
    taken.
    """

    user_name: str = ""
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    last: list[Said] = field(default_factory=list)
    rest: list[Said] = field(default_factory=list)
    told: set[int] = field(default_factory=set)
    last_fact: int | None = None
    statements: list[str] = field(default_factory=list)
    recent: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    figures: frozenset[int] = frozenset()
    query: Query | None = None
    query_facts: tuple[int, ...] = ()
    stage: str = "new"
    step: int = -1
    answer: str = ""
    stories: tuple[str, ...] = ()
    used: Counter[str] = field(default_factory=Counter)

    def copy(self) -> Memory:
        """Return a memory that can be changed without changing this one."""
        return replace(
            self,
            asked=[*self.asked],
            said=[*self.said],
            last=[*self.last],
            rest=[*self.rest],
            told={*self.told},
            statements=[*self.statements],
            recent=[*self.recent],
            orders=[*self.orders],
            used=Counter(self.used),
        )

    def take_note(self, text: str) -> bool:
        """Note what a person's turn tells about them; return whether they just gave a new name."""
        self.recent = [*self.recent, text.lower()][-MAX_TURNS:]
        self.figures = frozenset([*self.figures, *figures(text)][-MAX_FIGURES:])
        name = given_name(text)
        named = bool(name) and name != self.user_name
        self.user_name = name or self.user_name
        for part in re.split(r"(?<=[.!?])\s+", text):
            if (
                re.match(
                    r"(?i)(?:well |yes |hi |hello |so |and )?,? ?(?:i|i'm|i've|my|we|our)\b", part.strip()
                )
                and len(part.split()) >= 3
                and "?" not in part
            ):
                self.statements = [*self.statements, second_person(part)][-MAX_STATEMENTS:]
        return named

    def heard(self, says: list[Said], text: str, interrupted: bool) -> None:
        """Note which of the sentences `says` were played when `text` was what could be heard."""
        left = len(re.findall(r"\w+", text))
        whole = []
        for said in says:
            words = len(re.findall(r"\w+", said.text))
            if words > left and not (not interrupted and text):
                break
            left -= words
            whole.append(said)
        self.last = says
        if text:
            self.said = [*self.said, text][-MAX_TURNS:]
        self.told |= {k for said in whole for k in said.facts}
        self.last_fact = next((said.facts[-1] for said in reversed(whole) if said.facts), self.last_fact)
        if interrupted and len(whole) < len(says):
            self.rest = says[len(whole) :]
        elif len(says) > 2 or says[-1:] == self.rest[-1:]:
            self.rest = []  # a short remark in between leaves the rest of a story to be continued


def begins_with(full: str, heard: str) -> bool:
    """Return whether `heard` is `full` or its beginning, whatever the marks between the words."""
    words, played = (re.findall(r"\w+", t.lower()) for t in (full, heard))
    return words[: len(played)] == played


def given_name(text: str) -> str:
    """Return the name a person gives as theirs in `text`, "" for none."""
    for match in _GIVEN_NAME.finditer(text):
        name = match["sure"] or match["low"] or match["cased"]
        if (
            name
            and name.lower() not in _NO_NAME
            and not (match["sure"] and re.match(r"(?i)it's|this is", match[0]) and len(text.split()) > 8)
        ):
            return name[:1].upper() + name[1:]
    return ""
