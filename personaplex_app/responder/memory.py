"""What the rule responder remembers of one talk. Of its replies only what was played counts."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from .everyday.state import EverydayState
from .numbers import figures, word_list
from .phrasing import second_person
from .retrieval import Query

# bounds, so that a talk of any length keeps a memory of fixed size
MAX_TURNS = 40
MAX_STATEMENTS = 30
MAX_FIGURES = 400
# "My name is Ada", "call me ada", "I'm Ada."; a lower-case name counts after the surest phrases only
_GIVEN_NAME = re.compile(
    r"(?:(?i:\bmy name(?: is|'s)|\bcall me|\bthis is|\bi am"
    r" called|\bname's|\bit's)\s+(?P<sure>[A-Z][\w'-]+)(?: [A-Z][\w'-]+)?(?! Inc\b))"
    r"|(?i:\bmy name is|\bmy name's|\bcall me)\s+(?P<low>[a-z][\w'-]+)"
    r"|(?:\b[Ii]'m|\b[Ii] am)\s+(?P<cased>[A-Z][\w'-]+)(?=[.,!?]|$| and\b| here\b| from\b)"
)
_NAME_ASKED = re.compile(r"(?i)\byour (?:first |full )?name(?:, please)?\?$|\bwhat is it\?$")
_BARE_NAME = re.compile(
    r"(?i)^(?:it's |it is |i'm |i am |this is |my name is |sure |yes |of course |hi |hello |[, "
    r"])*(?P<name>[a-z][\w'-]+(?: [a-z][\w'-]+)?)[.!]?$"
)
# words that follow "I'm" or "this is" and are no names
_NO_NAME = frozenset(
    word_list("""
    a an the not sorry here there just going looking calling fine good okay ok well tired happy sad back so
    very really trying monday tuesday wednesday thursday friday saturday sunday spanish english french german
    american italian it that this on at back under by when if what mission control customer your about for
    """)
)


_TO_NOTE = re.compile(
    r"(?i)^(?:please |can you |could you )*(?:remember|note(?: down)?|keep in mind)(?: that)?[,:]?"
    r" (?=(?:i|my|we|our)\b)"
)


@dataclass(frozen=True)
class Sentence:
    """One sentence to say, and the indices of the facts that it states.

    `opener`: the character's own way to begin, which says nothing.
    """

    text: str
    facts: tuple[int, ...] = ()
    opener: bool = False


@dataclass
class Memory:
    """The state of one talk.

    `replies` are the agent's texts that were played, `last_reply` the sentences of the last one, `unplayed`
    those that an interruption cut off. `refusals` counts the answers
    that were unknown. `told_facts` are facts that were played. `statements` are the user's
    sentences about themselves, in the second person. `line_uses` counts how often each set of lines was used.
    """

    user_name: str = ""
    questions: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    last_reply: list[Sentence] = field(default_factory=list)
    unplayed: list[Sentence] = field(default_factory=list)
    told_facts: set[int] = field(default_factory=set)
    last_fact: int | None = None
    statements: list[str] = field(default_factory=list)
    user_texts: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    figures: frozenset[int] = frozenset()
    query: Query | None = None
    query_facts: tuple[int, ...] = ()
    stage: str = "new"
    step: int = -1
    last_answer: str = ""
    refusals: int = 0
    line_uses: Counter[str] = field(default_factory=Counter)
    everyday: EverydayState = EverydayState()

    def copy(self) -> Memory:
        """Return a memory that can be changed without changing this one."""
        return replace(
            self,
            questions=[*self.questions],
            replies=[*self.replies],
            last_reply=[*self.last_reply],
            unplayed=[*self.unplayed],
            told_facts={*self.told_facts},
            statements=[*self.statements],
            user_texts=[*self.user_texts],
            orders=[*self.orders],
            line_uses=Counter(self.line_uses),
        )

    def take_note(self, text: str) -> bool:
        """Take note of a user turn; return whether the user has given a new name in it."""
        self.user_texts = [*self.user_texts, text.lower()][-MAX_TURNS:]
        self.figures = frozenset([*self.figures, *figures(text)][-MAX_FIGURES:])
        name = given_name(text) or self._answered_name(text)
        named = bool(name) and name != self.user_name
        self.user_name = name or self.user_name
        for part in re.split(r"(?<=[.!?])\s+", text):
            part = _TO_NOTE.sub("", part)
            if (
                re.match(
                    r"(?i)(?:(?:well|yes|hi|hello|hey|so|and|okay|oh|sorry|actually)[, ]+)*(?:i|i'm"
                    r"|i've|my|we|our)\b",
                    part.strip(),
                )
                and len(part.split()) >= 3
                and "?" not in part
            ):
                self.statements = [*self.statements, second_person(part)][-MAX_STATEMENTS:]
        return named

    def _answered_name(self, text: str) -> str:
        """Return the name that answers the question for it, "" where the user was not asked or says more."""
        asked = bool(self.last_reply) and _NAME_ASKED.search(self.last_reply[-1].text)
        answer = _BARE_NAME.match(text.strip()) if asked else None
        return answer["name"].title() if answer and answer["name"].lower() not in _NO_NAME else ""

    def record_played(self, sentences: list[Sentence], text: str, interrupted: bool) -> None:
        """Take note of a reply of which `text` was played, and so of which sentences were played whole."""
        # by number of words: synthesis may change marks, but not how many words there are
        left_words = len(re.findall(r"\w+", text))
        played = []
        for sentence in sentences:
            words = len(re.findall(r"\w+", sentence.text))
            # a reply that was not interrupted was played whole, however its words were counted
            if words > left_words and not (not interrupted and text):
                break
            left_words -= words
            played.append(sentence)
        self.last_reply = sentences
        if text:
            self.replies = [*self.replies, text][-MAX_TURNS:]
        self.told_facts |= {k for sentence in played for k in sentence.facts}
        self.last_fact = next((each.facts[-1] for each in reversed(played) if each.facts), self.last_fact)
        if interrupted and len(played) < len(sentences):
            self.unplayed = sentences[len(played) :]
        elif len(sentences) > 2 or sentences[-1:] == self.unplayed[-1:]:
            self.unplayed = []  # after a short remark in between, a story can still be continued


def begins_with(full: str, beginning: str) -> bool:
    """Return whether `full` begins with the words of `beginning`, whatever the case and the marks."""
    words, played = (re.findall(r"\w+", t.lower()) for t in (full, beginning))
    return words[: len(played)] == played


def given_name(text: str) -> str:
    """Return the name by which the user introduces themselves in `text`, "" for none."""
    for match in _GIVEN_NAME.finditer(text):
        name = match["sure"] or match["low"] or match["cased"]
        if (
            name
            and name.lower() not in _NO_NAME
            and not (match["sure"] and re.match(r"(?i)it's|this is", match[0]) and len(text.split()) > 8)
        ):
            return name[:1].upper() + name[1:]
    return ""
