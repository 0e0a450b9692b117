"""What words mean, and their opposites and synonyms, from WordNet.

`words.tsv.gz` has a line for each word: the word, its part of speech, what it means, words like it and
opposites. `scripts/make_words.py` makes it of WordNet's files; its licence is in `words.LICENSE.txt`.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .contract import Reply, Talk, listed, reply
from .price_list import plural
from .turn import Turn

WORDS_FILE = Path(__file__).with_name("words.tsv.gz")
_WORD = r"(?:the word |the term |an? |to |being )?(?P<word>[a-z-]+)"
_MEANING = (
    re.compile(rf"^what (?:does|do|is meant by) {_WORD} (?:actually |really )?mean$"),
    re.compile(rf"^(?:what is )?(?:the )?(?:meaning|definition) of {_WORD}$"),
    re.compile(rf"^(?:define|explain|please define|what is meant by) {_WORD}$"),
    re.compile(rf"^what is the meaning of {_WORD}$"),
)
_OPPOSITE = re.compile(rf"\b(?:opposite|contrary|antonym|reverse) (?:of|for|to) {_WORD}$")
_SYNONYM = re.compile(
    rf"\b(?:(?:another|other|a different|different|a better|similar) words? (?:for|to|like)"
    rf"|synonyms? (?:of|for|to)) {_WORD}$"
)
_PLURAL = re.compile(rf"\bplural (?:form )?(?:of|for) {_WORD}$")
_ENDINGS = (
    ("ies", "y"),
    ("es", ""),
    ("s", ""),
    ("ied", "y"),
    ("ed", ""),
    ("ed", "e"),
    ("ing", ""),
    ("ing", "e"),
)
_IRREGULAR = {
    "mouse": "mice",
    "goose": "geese",
    "child": "children",
    "man": "men",
    "woman": "women",
    "tooth": "teeth",
    "foot": "feet",
    "ox": "oxen",
    "person": "people",
    "leaf": "leaves",
    "knife": "knives",
    "life": "lives",
    "wolf": "wolves",
    "sheep": "sheep",
    "fish": "fish",
    "deer": "deer",
    "cactus": "cacti",
    "half": "halves",
    "shelf": "shelves",
    "wife": "wives",
    "die": "dice",
    "series": "series",
    "species": "species",
    "crisis": "crises",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "hero": "heroes",
}


@dataclass(frozen=True)
class Word:
    """A word of the file. `kind` is noun, verb, adj or adv."""

    name: str
    kind: str
    meaning: str
    alike: tuple[str, ...]
    opposites: tuple[str, ...]


def words(turn: Turn, talk: Talk) -> Reply | None:
    """Say what a word means, or its opposite, another word for it, or its plural."""
    form = turn.ask.replace("'s ", " is ")
    if found := _PLURAL.search(form):
        many = _IRREGULAR.get(found["word"]) or plural(found["word"])
        return reply(f"One {found['word']}, many {many}.")
    if found := _OPPOSITE.search(form):
        word = look_up(found["word"])
        return (
            reply(f"The opposite of {word.name} is {listed([*word.opposites[:2]], 'or')}.")
            if word and word.opposites
            else None
        )
    if found := _SYNONYM.search(form):
        word = look_up(found["word"])
        return (
            reply(f"Other words for {word.name} are {listed([*word.alike])}.")
            if word and word.alike
            else None
        )
    found = next((m for pattern in _MEANING if (m := pattern.search(form))), None)
    word = look_up(found["word"]) if found else None
    return reply(_told(word)) if word else None


def look_up(name: str) -> Word | None:
    """Return the word of the file that a word is, or is a form of, None for none."""
    stems = (name, *(name.removesuffix(end) + rest for end, rest in _ENDINGS if name.endswith(end)))
    return next((found for stem in stems if len(stem) > 1 and (found := _line(stem))), None)


def _line(name: str) -> Word | None:
    text = _text()
    at = text.find(f"\n{name}\t")
    if at < 0:
        return None
    _, *about = text[at + 1 : text.index("\n", at + 1)].split("\t")
    kind, meaning, *lists = about
    alike, opposites = (tuple(filter(None, each.split(", "))) for each in [*lists, "", ""][:2])
    return Word(name, kind, meaning, alike, opposites)


@cache
def _text() -> str:
    return "\n" + gzip.decompress(WORDS_FILE.read_bytes()).decode()


def _told(word: Word) -> str:
    name = word.name.capitalize()
    if word.kind == "verb":
        return f"To {word.name} means to {word.meaning}."
    return (
        f"{name} is {word.meaning}."
        if word.kind == "noun" and re.match(r"(?:an?|the) ", word.meaning)
        else f"{name} means {word.meaning}."
    )
