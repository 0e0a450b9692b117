"""The games' table: which game a role is, or a user asks for, and whose move it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

from ....yaml_fields import load_yaml
from ..contract import Reply, Talk, reply
from ..knowledge import Knowledge
from ..state import Game
from ..turn import Turn
from .adventure import Adventure
from .animals import AnimalGuesser, TwentyQuestions
from .quiz import Quiz

GAMES_FILE = Path(__file__).with_name("games.yaml")
# a role is the game that its prompt names; a user starts one in these styles of roles
_CUES = {
    "guesser": re.compile(r"(?i)\byou guess (?:which |what |the )?(?:an )?animal|\bguess the animal\b"),
    "twenty": re.compile(r"(?i)\btwenty questions\b"),
    "quiz": re.compile(r"(?i)\bquiz ?(?:master|show|host|game)?\b"),
    "adventure": re.compile(
        r"(?i)\b(?:text |short |spoken |interactive )?adventure game\b|\bgame ?master\b|\bdungeon ?master\b"
        r"|\bdungeon adventure\b|\byou (?:run|lead|host|play"
        r"|narrate) .{0,30}adventure\b"
    ),
}
_OPEN_STYLES = frozenset(("assistant", "casual", "plain", "story", "teacher"))
_WISHES = {
    "guesser": re.compile(
        r"\b(?:guess my animal|guess (?:the|an|what|which) animal|(?:i (?:am thinking|think) of"
        r"|i have) an animal|animal game|guessing game)\b"
    ),
    "twenty": re.compile(
        r"\b(?:twenty questions|20 questions|i (?:want to |will )?guess\b.*\b(?:animal|yours)"
        r"|think of an animal)\b"
    ),
    "quiz": re.compile(
        r"\b(?:quiz(?: me)?|trivia|test my knowledge|ask me (?:some|a|another)? ?(?:quiz |trivia "
        r"|general knowledge )?questions?)\b"
    ),
    "adventure": re.compile(
        r"\b(?:play|start|an?|the|your)\b.{0,20}\badventure\b|\b(?:text|adventure) game\b"
    ),
}
_ANY = re.compile(
    r"\b(?:play|let us play|want|know|start) (?:a |any |some |another )?games?\b|^(?:a )?game$"
    r"|\bplay something\b|\bplay with me\b"
)
_RIDDLE = re.compile(r"\b(?:riddle|brain ?teaser|puzzle me)s?\b")
_SOLVE = re.compile(
    r"^(?:i (?:do not|cannot) (?:know|guess)|no idea|tell me|what is (?:it|the answer)|i give up|give up"
    r"|the answer|what)(?: please)?$"
)
_QUIT = re.compile(
    r"\b(?:stop|quit|end|leave|no more|finish|do not want to|stop playing|enough of|tired of) ?(?:the |this "
    r"|that |playing |to play )*(?:game|quiz|playing|play|adventure|guessing|it)?$|^(?:stop|quit|enough)$"
)


class Player(Protocol):
    """One game. Each method returns the game after the move and what is said, None for no move of it."""

    def invite(self, first: str) -> str: ...
    def begin(self, talk: Talk) -> tuple[Game, str]: ...
    def move(self, game: Game, turn: Turn, talk: Talk) -> tuple[Game, str] | None: ...
    def remind(self, game: Game) -> str: ...


@cache  # a player keeps nothing: where a game stands is in the talk's memory
def _players() -> Mapping[str, Player]:
    data = load_yaml(GAMES_FILE)
    return {
        "guesser": AnimalGuesser(data["attributes"], data["animals"]),
        "twenty": TwentyQuestions(data["attributes"], data["animals"]),
        "quiz": Quiz(data["quiz"]),
        "adventure": Adventure(data["adventure"]),
    }


class Games:
    """Plays the role's own game, or one that the user asks for."""

    def __init__(self, prompt: str, knowledge: Knowledge) -> None:
        self._players = _players()
        self._riddles = knowledge.riddles
        self.own = next((name for name, cue in _CUES.items() if cue.search(prompt)), "")

    def greeting(self, talk: Talk) -> Reply | None:
        """Return the invitation of a role that is a game."""
        return reply(self._players[self.own].invite(talk.slot("first") or ""), True) if self.own else None

    def reply(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a move, or begin the game that is asked for."""
        game = talk.state.game
        if game and game.name == "riddle":
            return self._riddle_solved(game, turn, talk)
        if game and turn.search(_QUIT) and turn.words <= 8:
            talk.note(game=None)
            return reply("All right, let's leave the game there. What would you like instead?")
        wish = self._wish(turn, talk)
        if wish == "any":
            return reply(
                "With pleasure. I can guess your animal, let you guess mine in twenty questions, hold a quiz,"
                " or lead you through a short adventure. Which one?",
                True,
            )
        if (
            game
            and not (wish and wish != game.name)
            and (move := self._players[game.name].move(game, turn, talk))
        ):
            # a round that is over and not wanted again ends the game
            return self._moved((None, move[1]) if game.over and move[0] == game else move, talk)
        if wish == "riddle":
            return self._riddle(talk)
        if wish:
            return self._moved(self._players[wish].begin(talk), talk)
        if (
            self.own
            and not game
            and re.search(
                r"\b(?:yes|yeah|ready|start|begin|go|okay|ok|sure|let us|i have one|i have it|play|got (?:one"
                r"|it)|again|first)\b",
                turn.plain,
            )
            and not turn.question
        ):
            return self._moved(self._players[self.own].begin(talk), talk)
        return None

    def remind(self, turn: Turn, talk: Talk) -> Reply | None:
        """Come back to the game that is being played, after a turn that nothing else answers."""
        game = talk.state.game
        if turn.question and not (game and game.name == "twenty"):
            return None
        if game and not game.over and game.name != "riddle":
            return reply(self._players[game.name].remind(game), True)
        return self.greeting(talk) if self.own and not game else None

    def _wish(self, turn: Turn, talk: Talk) -> str:
        """Return the game that the turn asks for, "any" for some game, "" for none."""
        if (not self.own and talk.role.style not in _OPEN_STYLES) or turn.words > 14:
            return ""
        named = next((name for name, wish in _WISHES.items() if turn.search(wish)), "")
        if named or turn.search(_RIDDLE):
            return named or "riddle"
        if self.own and turn.search(_ANY):
            return self.own
        return "any" if turn.search(_ANY) else ""

    def _moved(self, move: tuple[Game | None, str], talk: Talk) -> Reply | None:
        talk.note(game=move[0])
        return reply(move[1], True)

    def _riddle(self, talk: Talk) -> Reply | None:
        k = talk.chance().randrange(len(self._riddles))
        talk.note(game=Game("riddle", place=str(k)), repeatable="tell me a riddle")
        return reply(f"Here is one. {self._riddles[k][0]}")

    def _riddle_solved(self, game: Game, turn: Turn, talk: Talk) -> Reply | None:
        answer = self._riddles[int(game.place)][1]
        key = re.findall(r"\w+", answer.lower())[-1]
        if re.search(rf"\b{key}", turn.plain):
            talk.note(game=None)
            return reply(f"Right! {answer} Shall I give you another one?")
        if turn.search(_SOLVE) or (not turn.question and turn.words <= 4):
            talk.note(game=None)
            return reply(f"{'' if turn.search(_SOLVE) else 'A good try. '}It's this: {answer} Another one?")
        talk.note(game=None)
        return None
