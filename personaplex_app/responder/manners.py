"""Read `manners.yaml`: how a character speaks, taken from the way a role prompt describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..yaml_fields import load_yaml
from .dialogue import Style
from .facts import Brief
from .memory import Memory, Sentence
from .sentence_encoder import SentenceEncoder
from .sentences import split_sentences
from .wishes import Wishes, read_wishes

MANNERS_FILE = Path(__file__).with_name("manners.yaml")

# similarity from which a description means a manner that it does not name
_ALIKE = 0.5
# each second reply begins with an opener, each third one calls the user by the name that the role wants
_OPENED_EVERY = 2
_ADDRESSED_EVERY = 3
_LINES = ("greet", "ask_on", "and_you", "more", "offer", "unknown", "closest", "react")
# "You are a jolly old pirate", "Talk like a cowboy", "Act as a butler"
_DESCRIBES = re.compile(
    r"(?i)^(?:you are|you're|i am|i'm|act|pretend|play|be)\b"
    r"|\b(?:talk|speak|sound|behave|act)s? (?:like|as|with|in)\b|^(?:stay|sound|you (?:always "
    r")?(?:doubt|rhyme|complain))\b"
)
# where somebody works says nothing of how they speak
_WORKPLACE = re.compile(r"(?i)\b(?:at|for|of) (?:the )?[A-Z][^,.;]*")
# before what is sad nobody exclaims, and what is opened already needs no opener
_GRAVE = re.compile(r"(?i)^(?:i'm |i am |so |very )*sorry\b|\bcondolences\b")


@dataclass(frozen=True)
class Manner:
    """How a character speaks.

    `lines` stand in place of the lines of the role's style. `openers` are sentences said before
    a reply; `words` are said in place of others; `wishes` are the prompt's own.
    """

    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    openers: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    wishes: Wishes = Wishes()

    def styled(self, style: Style) -> Style:
        """Return a style with the lines of this manner."""
        return replace(style, lines={**style.lines, **self.lines})

    def greeting(self, sentences: list[Sentence]) -> list[Sentence]:
        """Return a greeting as the character says it."""
        return self._addressed(self.wishes.greeted(self._worded(sentences)))

    def spoken(self, sentences: list[Sentence], memory: Memory) -> list[Sentence]:
        """Return a reply as the character says it; `memory` counts replies, so that openers take turns."""
        sentences = self.wishes.kept(self._worded(sentences))
        turn = memory.line_uses["manner"]
        memory.line_uses["manner"] += 1
        if self.wishes.address and turn % _ADDRESSED_EVERY == 0:
            sentences = self._addressed(sentences)
        if self.openers and turn % _OPENED_EVERY == 0 and not _GRAVE.search(sentences[0].text):
            opener = self.openers[turn // _OPENED_EVERY % len(self.openers)]
            if not sentences[0].text.startswith(opener.rstrip(".!")):
                sentences = [Sentence(opener, opener=True), *sentences]
        closing = self.wishes.closing
        return [*sentences, Sentence(closing)] if closing not in ("", sentences[-1].text) else sentences

    def _worded(self, sentences: list[Sentence]) -> list[Sentence]:
        if not self.words:
            return sentences
        pattern = re.compile(rf"(?i)(?<![\w'])(?:{'|'.join(map(re.escape, self.words))})(?![\w'])")
        return [replace(each, text=pattern.sub(self._word, each.text)) for each in sentences]

    def _word(self, match: re.Match[str]) -> str:
        other = self.words[match[0].lower()]
        begins = match.start() == 0 or match.string[: match.start()].rstrip()[-1:] in (".", "!", "?")
        return other[:1].upper() + other[1:] if begins and match[0][:1].isupper() else other

    def _addressed(self, sentences: list[Sentence]) -> list[Sentence]:
        *others, last = sentences
        address = self.wishes.address
        if not address or address.lower() in last.text.lower() or last.text[-1:] not in (".", "!", "?"):
            return sentences
        return [*others, replace(last, text=f"{last.text[:-1]}, {address}{last.text[-1]}")]


@dataclass(frozen=True)
class Manners:
    """The content of the file.

    `refusals` are lines for roles without a manner of their own; `offers` name what a role knows, and
    `invitations` are for one that knows nothing in particular.
    """

    known: tuple[tuple[re.Pattern[str], str, Manner], ...]
    refusals: tuple[str, ...]
    offers: tuple[str, ...]
    invitations: tuple[str, ...]

    @classmethod
    @cache
    def load(cls, path: Path = MANNERS_FILE) -> Manners:
        """Load the file. Raises: SettingsError when it cannot be read."""
        raw = load_yaml(path)
        known = tuple(
            (re.compile(rf"(?i)\b(?:{'|'.join(entry['cues'])})\b"), str(entry["like"]), _manner(entry))
            for entry in raw["manners"].values()
        )
        return cls(known, *(tuple(raw[key]) for key in ("refusals", "offers", "invitations")))

    def manner_for(self, brief: Brief, encoder: SentenceEncoder | None) -> Manner:
        """Return the manner that a role prompt describes, with what it asks for in so many words.

        That may be a greeting, a catchphrase, a last sentence, or how to call the user.
        """
        prompt = brief.prompt
        described = " ".join(each for each in split_sentences(prompt) if _DESCRIBES.search(each))
        described = _WORKPLACE.sub("", described)
        manner = next((manner for cues, _, manner in self.known if cues.search(described)), None)
        # a company's desk speaks as one, whoever it may be like
        if not manner and encoder and brief.identity.role and not brief.identity.company:
            alike = (
                encoder.encode([like for _, like, _ in self.known]) @ encoder.encode([brief.identity.role])[0]
            )
            manner = self.known[int(alike.argmax())][2] if alike.max() >= _ALIKE else None
        return _with_wishes(manner or Manner(), read_wishes(prompt))


def _manner(entry: dict[str, Any]) -> Manner:
    lines = {key: tuple(entry[key]) for key in _LINES if key in entry}
    return Manner(lines, tuple(entry["openers"]), words=dict(entry["words"]))


def _with_wishes(manner: Manner, wishes: Wishes) -> Manner:
    """Return a manner with what the prompt asks for in so many words."""
    lines = {**manner.lines, "greet": (wishes.greeting,)} if wishes.greeting else manner.lines
    openers = (wishes.often,) if wishes.often else manner.openers
    return replace(manner, lines=lines, openers=openers, wishes=wishes)
