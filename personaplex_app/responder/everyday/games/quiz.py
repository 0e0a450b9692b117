"""A quiz of a few questions a round."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from rapidfuzz import fuzz

from ..contract import Talk
from ..spoken_numbers import with_digits
from ..state import Game
from ..turn import Turn
from .answers import yes_or_no

ROUND = 5
_NEAR = 82
_PASS = re.compile(
    r"\b(?:do not know|no idea|pass|skip|next|not sure|give up|tell me|what is (?:it|the answer)"
    r"|cannot (?:say|remember)|do not remember)\b"
)
_REPEAT = re.compile(r"\b(?:repeat|again|what was the question|say (?:that|it) again|pardon)\b")
_SCORE = re.compile(r"\b(?:score|points|how (?:am i|did i)|how many (?:did|have) i)\b")
_HINT = re.compile(r"\b(?:hint|clue|tip)\b")
_ASKS = re.compile(r"(?:what|how|who|where|when|why|can|are|do) ")
_LEAD = re.compile(
    r"^(?:(?:what is|who is|is it|it is|i think|i believe|i guess|i would say|that is|maybe|is that"
    r"|that would be|it was|the answer is|my answer is|um|uh|well|it|the|an?|in|of)\b[, ]*)+"
)


class Quiz:
    """Asks a round of questions. `place` is the open question's number, `seen` those that were asked."""

    def __init__(self, questions: list[list[Any]]) -> None:
        self._questions = questions

    def invite(self, first: str) -> str:
        name = f"Welcome, I'm {first}. " if first else ""
        return f"{name}A round of my quiz has {ROUND} questions. Are you ready?"

    def begin(self, talk: Talk) -> tuple[Game, str]:
        return self._ask(Game("quiz"), talk, "Here is the first question. ")

    def remind(self, game: Game) -> str:
        return f"Let's get back to the question. {self._questions[int(game.place)][0]}"

    def move(self, game: Game, turn: Turn, talk: Talk) -> tuple[Game, str] | None:
        """Judge an answer and ask on, or give the score."""
        if game.over:
            if yes_or_no(turn) == "yes" or re.search(r"\b(?:again|another|ready|go|next)\b", turn.plain):
                seen = game.seen if len(game.seen) + ROUND <= len(self._questions) else ()
                return self._ask(Game("quiz", seen=seen), talk, "Here comes the next round. ")
            return (game, "Then thank you for playing.") if yes_or_no(turn) == "no" else None
        question, answers, more = self._questions[int(game.place)]
        if _SCORE.search(turn.plain):
            return game, f"You have {game.score} right so far. {question}"
        if _REPEAT.search(turn.plain) and turn.words <= 8:
            return game, question
        if _HINT.search(turn.plain):
            word = answers[0].removeprefix("the ")
            return game, f"It begins with {word[0].upper()}. {question}"
        if self.is_right(answers, turn):
            return self._ask(replace(game, score=game.score + 1), talk, f"That's right! {more} ")
        if _PASS.search(turn.plain):
            return self._ask(game, talk, f"It's {answers[0]}. {more} ")
        # a question about something else, or a long remark, is no answer
        if turn.words <= 5 and not _ASKS.match(turn.ask):
            return self._ask(game, talk, f"Not quite: it's {answers[0]}. {more} ")
        return None

    def is_right(self, answers: list[str], turn: Turn) -> bool:
        """Return whether a turn holds one of the answers, also when it is spelt almost right.

        A question is an answer only where it asks for nothing else ("Is it a spider?", "What is Paris?"):
        "What's seven times eight?" does not say eight.
        """
        said = _LEAD.sub("", turn.ask).strip()
        if _ASKS.match(turn.ask):
            heard = [said, with_digits(said)]
            return any(
                each == answer.removeprefix("the ") for each in heard for answer in map(str.lower, answers)
            )
        number = with_digits(said)
        for answer in map(str.lower, answers):
            if re.search(rf"\b{re.escape(answer)}\b", f"{turn.bare} {number}"):
                return True
            if len(said) > 3 and fuzz.ratio(said, answer) >= _NEAR:
                return True
        return False

    def _ask(self, game: Game, talk: Talk, lead: str) -> tuple[Game, str]:
        asked = len(game.seen) % ROUND
        if game.place and not asked:
            return replace(
                game, over=True
            ), f"{lead}That was the round: you had {game.score} of {ROUND} right. Another round?"
        fresh = [k for k in range(len(self._questions)) if str(k) not in game.seen]
        k = talk.chance().choice(fresh)
        game = replace(game, place=str(k), seen=(*game.seen, str(k)))
        return game, f"{lead}{self._questions[k][0]}"
