"""Dice, coins and random picks, drawn from the talk's own seed."""

from __future__ import annotations

import re

from .contract import Reply, Talk, listed, reply
from .spoken_numbers import with_digits
from .turn import Turn

MAX_DICE = 6
_DICE = re.compile(
    r"\b(?:roll|throw|cast)(?: me)? (?:(?P<count>\d+) )?(?:the |a |an |some "
    r"|another )?(?:(?P<sides>\d+)[- ]sided )?(?:die|dice|d(?P<d>\d+))\b"
    r"|^(?P<bare>dice|die)$"
)
_COIN = re.compile(
    r"\b(?:flip|toss|throw)(?: me)?(?: a| the| another)? coin\b|^(?:heads or tails|coin(?: flip| toss))$"
)
_NUMBER = re.compile(
    r"\b(?:pick|choose|give me|think of|say|tell me)(?: me)? (?:a |any "
    r"|another )?(?:random )?number(?: (?:between|from) (?P<low>\d+) (?:and|to) (?P<high>\d+))?"
    r"|^(?:a )?random number(?: (?:between|from) (?P<low2>\d+) (?:and|to) (?P<high2>\d+))?"
)
_CARD = re.compile(r"\b(?:pick|draw|choose)(?: me)? (?:a|another|any) card\b")
_EITHER = re.compile(
    r"^(?:pick|choose|decide(?: for me)?)(?: one)?(?: between)?[:,]? (?P<one>[\w' ]{2,30}?),? (?:or"
    r"|and) (?P<two>[\w' ]{2,30})$"
)
_THROW = re.compile(r"\brock,? paper,? (?:and |or )?scissors\b")


def chance(turn: Turn, talk: Talk) -> Reply | None:
    """Throw dice or a coin, or pick something."""
    for form in turn.forms:
        text = with_digits(form)
        for pattern, act in (
            (_DICE, _dice),
            (_COIN, _coin),
            (_NUMBER, _number),
            (_CARD, _card),
            (_EITHER, _either),
        ):
            if found := pattern.search(text):
                talk.note(repeatable=form)
                return act(found, talk)
    if turn.search(_THROW):
        talk.note(repeatable="rock paper scissors")
        return reply(
            f"On three: one, two, three. I say {talk.chance().choice(('rock', 'paper', 'scissors'))}!", True
        )
    return None


def _dice(found: re.Match[str], talk: Talk) -> Reply | None:
    plural = "dice" in found[0] and not re.search(r"\b(?:a|the|another) (?:\d+[- ]sided )?dice", found[0])
    count = int(found["count"] or (2 if plural and not found["bare"] else 1))
    sides = int(found["sides"] or found["d"] or 6)
    if not 1 <= count <= MAX_DICE or not 2 <= sides <= 1000:
        return reply("I can roll up to six dice at once. How many shall it be?", True)
    draw = talk.chance()
    rolled = [draw.randint(1, sides) for _ in range(count)]
    total = f", {sum(rolled)} in all" if count > 1 else ""
    return reply(
        f"I rolled {'a ' if count == 1 else ''}{listed([str(n) for n in rolled])}{total}.".replace(
            "a 8", "an 8"
        ),
        True,
    )


def _coin(_: re.Match[str], talk: Talk) -> Reply | None:
    return reply(f"It's {talk.chance().choice(('heads', 'tails'))}.")


def _number(found: re.Match[str], talk: Talk) -> Reply | None:
    low, high = found["low"] or found["low2"], found["high"] or found["high2"]
    ends = sorted((int(low or 1), int(high or 100)))
    drawn = talk.chance().randint(ends[0], ends[1])
    return reply(f"{drawn}." if low else f"{drawn}, out of one to a hundred.", True)


def _card(_: re.Match[str], talk: Talk) -> Reply | None:
    draw = talk.chance()
    rank = draw.choice(
        [
            "ace",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "jack",
            "queen",
            "king",
        ]
    )
    return reply(f"The {rank} of {draw.choice(('hearts', 'diamonds', 'clubs', 'spades'))}.", True)


def _either(found: re.Match[str], talk: Talk) -> Reply | None:
    return reply(f"Left to chance: {talk.chance().choice((found['one'], found['two']))}.")
