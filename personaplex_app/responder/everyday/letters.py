"""Spelling, the alphabet and counting."""

from __future__ import annotations

import re

from .contract import Reply, Talk, reply
from .spoken_numbers import with_digits
from .turn import Turn

MAX_COUNT = 30
_SPELL = re.compile(
    r"\b(?:spell|how (?:do|does|would|can|should) (?:you|i|we|one) (?:spell|write)"
    r"|what is the spelling of)(?: out| me| for me)?(?: the (?:word"
    r"|name))? (?P<word>[a-z][a-z'-]*(?: [a-z][a-z'-]*)?)$"
    r"|\bhow is (?:the word )?(?P<passive>[a-z][a-z'-]*) (?:spelled|spelt|written)\b"
)
_LENGTH = re.compile(
    r"\bhow many letters (?:are |is |does "
    r"|has )?(?:there )?(?:in )?(?:the word )?(?P<word>[a-z'-]+)(?: have)?$"
)
_ALPHABET = re.compile(
    r"\b(?:say|recite|tell|do you know|what is|sing|give me|name)(?: me)? (?:the "
    r"|your )?(?:whole )?(?:alphabet|abc|a b c)s?\b"
)
_ALPHABET_SIZE = re.compile(
    r"\bhow many (?P<of>letters|vowels|consonants) (?:are |is "
    r"|does )?(?:there )?(?:in )?(?:the )?(?:english )?(?:alphabet|english)\b"
)
_NEIGHBOUR = re.compile(
    r"\b(?:what|which) (?:letter )?(?:comes|is|follows) (?P<side>after"
    r"|before)? ?(?:the letter )?(?P<letter>[a-z])$"
)
_COUNT = re.compile(
    r"\bcount\b(?: (?!down|back)\w+){0,4}?,?(?: from (?P<low>\d+))?(?: up)? to (?P<high>\d+)\b"
)
_DOWN = re.compile(
    r"\bcount (?:down|backwards?)(?: from)?(?: (?P<high>\d+))?(?: (?:down )?to (?P<low>\d+))?"
    r"|\bcount from (?P<high2>\d+) (?:down|backwards)"
)
_BACKWARDS = re.compile(r"\b(?:say|spell|what is) (?P<word>[a-z]+) backwards$")
_STEPS = re.compile(
    r"\bcount (?:up )?(?:by|in) (?P<step>\w+)(?: from (?P<low>\d+))? (?:up )?to (?P<high>\d+)"
)
_HOW_MANY_OF = re.compile(
    r"\bhow many (?:times (?:does|is) (?:the letter )?(?P<times>[a-z])(?: appear| there)? in"
    r"|(?P<letter>[a-z])(?:'?s| is)? (?:are |does )?(?:there )?(?:in|has)) (?:the word )?"
    r"(?P<word>[a-z]+)(?: have)?$"
)
_WITH = re.compile(
    r"\b(?:is|are|do you (?:spell|write)) (?:the word )?(?P<word>[a-z]+) (?:spelled |spelt |written )?with "
    r"(?P<count>an?|one|two|three|double|1|2|3) (?P<letter>[a-z])(?:'?s| is)?(?: or (?:two|one|three|1"
    r"|2|3))?$"
)
_EDGE = re.compile(
    r"\b(?:what|which) letter (?:does|is) (?:the word )?(?P<word>[a-z]+) (?P<edge>start|begin|end)s? with$"
    r"|\b(?:what|which) is the (?P<place>first|last) letter (?:of|in) (?:the word )?(?P<of>[a-z]+)$"
)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# what is asked to be spelt, but is no word
_NO_WORD = frozenset(("that", "it", "this", "your name", "my name", "the name", "out", "it out"))


def letters(turn: Turn, talk: Talk) -> Reply | None:
    """Spell a word, say the alphabet or count."""
    if (found := turn.search(_BACKWARDS)) and found["word"] not in _NO_WORD:
        return reply(f"{spelt(found['word'][::-1])}.")
    if found := turn.search(_SPELL):
        return _spell((found["word"] or found["passive"]).removesuffix(" for me"), talk)
    if found := turn.search(_HOW_MANY_OF):
        return _occurring(found["letter"] or found["times"], found["word"])
    if found := turn.search(_WITH):
        count = {"two": 2, "double": 2, "2": 2, "three": 3, "3": 3}.get(found["count"], 1)
        lead = "Yes" if found["word"].count(found["letter"]) == count else "No"
        return reply(f"{lead}, {found['word']} is spelt {spelt(found['word'])}.")
    if found := turn.search(_EDGE):
        word, first = found["word"] or found["of"], (found["edge"] or found["place"]) not in ("end", "last")
        edge = word[0] if first else word[-1]
        return reply(f"The word {word} {'begins' if first else 'ends'} with {edge.upper()}: {spelt(word)}.")
    if found := turn.search(_ALPHABET_SIZE):
        count = {"letters": 26, "vowels": 5, "consonants": 21}[found["of"]]
        return reply(f"The English alphabet has {count} {found['of']}.", True)
    if found := turn.search(_LENGTH):
        word = found["word"]
        return reply(f"The word {word} has {sum(map(str.isalpha, word))} letters: {spelt(word)}.", True)
    if turn.search(_ALPHABET):
        return reply(f"{', '.join(_LETTERS)}.")
    if found := turn.search(_NEIGHBOUR):
        place = _LETTERS.index(found["letter"].upper()) + (-1 if found["side"] == "before" else 1)
        return reply(f"{_LETTERS[place % 26]} comes {found['side'] or 'after'} {found['letter'].upper()}.")
    return _counted(with_digits(turn.do))


def _occurring(letter: str, word: str) -> Reply | None:
    count = word.count(letter)
    times = {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
    return reply(f"{letter.upper()} stands in {word} {times}: {spelt(word)}.", True)


def _counted(text: str) -> Reply | None:
    step = _STEPS.search(text)
    # "fives" is five, and "sixes" six
    names = (step["step"].removesuffix(end) for end in ("", "s", "es")) if step else ()
    width = next((int(n) for name in names if (n := with_digits(name)).isdigit()), 0)
    if step and width:
        numbers = range(int(step["low"] or width), int(step["high"]) + 1, width)
    elif down := _DOWN.search(text):
        high, low = int(down["high"] or down["high2"] or 10), int(down["low"] or 1)
        numbers = range(high, low - 1, -1)
    elif up := _COUNT.search(text):
        low, high = int(up["low"] or 1), int(up["high"])
        numbers = range(low, high + 1)
    else:
        return None
    if not 0 < len(numbers) <= MAX_COUNT:
        return reply("That would take us a long while. I count up to thirty numbers at a time.", True)
    return reply(f"{', '.join(map(str, numbers))}.", True)


def _spell(word: str, talk: Talk) -> Reply | None:
    own = {"your name": talk.slot("first"), "my name": talk.memory.user_name}
    word = own.get(word, word) or word
    if word in _NO_WORD:
        return reply("Which word shall I spell?")
    return reply(f"{word.capitalize()} is spelt {spelt(word)}.")


def spelt(word: str) -> str:
    """Return "C, A, T" for "cat"."""
    return ", ".join(c.upper() for c in word if c.isalpha())
