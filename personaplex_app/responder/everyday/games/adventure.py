"""A short adventure: scenes, choices, and things that open other choices."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ..contract import Talk
from ..state import Game
from ..turn import Turn
from .answers import yes_or_no

_LOOK = re.compile(
    r"\b(?:where am i|look around|what (?:do|can|should) i (?:see|do)|what now|what are my (?:choices"
    r"|options)|describe)\b|^(?:repeat(?: that| it)?|again|help(?: me)?|what)$"
)
_HAVE = re.compile(r"\b(?:what (?:do i have|have i got|am i carrying)|inventory|my (?:things|bag|pockets))\b")


class Adventure:
    """Leads through the scenes of the data. `place` is the scene, `seen` holds what the player carries."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._title: str = data["title"]
        self._start: str = data["start"]
        self._scenes: dict[str, Any] = data["scenes"]

    def invite(self, first: str) -> str:
        name = f"I'm {first}, and " if first else ""
        return (
            f"{name}I have an adventure for you: {self._title}. I tell you what you see, and you say what"
            f" you do. Shall we begin?"
        )

    def begin(self, talk: Talk) -> tuple[Game, str]:
        return Game("adventure", place=self._start), self._scenes[self._start]["text"]

    def remind(self, game: Game) -> str:
        last = re.split(r"(?<=[.!?]) ", self._scenes[game.place]["text"])[-1]
        return f"That leads nowhere here. {last}"

    def move(self, game: Game, turn: Turn, talk: Talk) -> tuple[Game, str] | None:
        """Follow the first choice that the turn names and that is open."""
        if game.over and yes_or_no(turn) == "no":
            return game, "Then sleep well, keeper. The light burns on."
        if _HAVE.search(turn.plain):
            things = " and ".join(f"the {thing}" for thing in game.seen)
            return game, f"You carry {things or 'nothing yet'}. What do you do?"
        if _LOOK.search(turn.plain) and turn.words <= 8:
            return game, self._scenes[game.place]["text"]
        for choice in self._scenes[game.place]["choices"]:
            if not re.search(rf"\b(?:{choice['when']})", turn.plain) or not self._open(choice, game):
                continue
            to: str = choice["to"]
            moved = to != game.place
            gives = (choice["gives"],) if "gives" in choice else ()
            # a new round begins with empty hands
            carried = () if self._scenes[game.place].get("over") else (*game.seen, *gives)
            game = replace(game, place=to, seen=carried, over=bool(self._scenes[to].get("over")))
            said = [choice["say"]] if "say" in choice else []
            return game, " ".join([*said, *([self._scenes[to]["text"]] if moved else [])])
        return None

    def _open(self, choice: dict[str, Any], game: Game) -> bool:
        needs, lacks = choice.get("needs"), choice.get("lacks")
        return (not needs or needs in game.seen) and (not lacks or lacks not in game.seen)
