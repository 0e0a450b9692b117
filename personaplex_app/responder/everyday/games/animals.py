"""Two guessing games over one table of animals: the agent guesses yours, or you guess the agent's."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from rapidfuzz import fuzz

from ..contract import Talk
from ..state import Game
from ..turn import Turn
from .answers import yes_or_no

MAX_QUESTIONS = 20
# an animal may contradict so many answers and still be guessed: people err
_TOLERATED = 1
_READY = re.compile(
    r"\b(?:yes|yeah|ready|okay|ok|sure|go|start|begin|i have (?:one|it|an animal|my animal)|got (?:one|it)"
    r"|i am thinking|i think of|let us|again|please|done|ask|shoot)\b"
)
_GIVE_UP = re.compile(
    r"\b(?:give up|tell me(?: what it is| the answer)?$|what is it$|what was it$|i surrender|reveal"
    r"|no more ideas|i have no idea|what animal (?:is|was) it$)\b"
)
_HINT = re.compile(r"\b(?:hint|clue|tip|help me)\b")
_LEFT = re.compile(r"\bhow many (?:questions|guesses|tries|more)\b")
_ASKING = re.compile(
    r"\b(?:is|are|does|do|can|has|have|will|would|was)\b.*\b(?:it|they|this|that|your animal|the animal"
    r"|you)\b|^(?:an?|the) \w+"
)
_REPEAT = re.compile(
    r"^(?:what|pardon|again|repeat(?: that| it| the question)?|say (?:that|it) again|what was the question"
    r"|come again)$"
)
_NEAR = 86


class Animals:
    """The table. `attributes` are what can be asked; `traits` are what each animal is."""

    def __init__(self, attributes: dict[str, dict[str, str]], animals: dict[str, str]) -> None:
        self.attributes = attributes
        self.asks = {key: re.compile(entry["asks"]) for key, entry in attributes.items()}
        self.traits = {name: frozenset(words.split()) for name, words in animals.items()}

    def named(self, turn: Turn) -> str:
        """Return the animal that a turn names, "" for none."""
        words = re.findall(r"[a-z]+", turn.plain)
        pairs = [*(" ".join(pair) for pair in pairwise(words)), *words]
        names = sorted(self.traits, key=len, reverse=True)
        return next(
            (
                n
                for n in names
                for p in pairs
                if p in (n, n + "s") or (len(p) > 4 and fuzz.ratio(p, n) >= _NEAR)
            ),
            "",
        )


class AnimalGuesser:
    """The agent guesses the user's animal. `seen` holds the answers so far, as "fur=yes" and "fox=no"."""

    def __init__(self, attributes: dict[str, dict[str, str]], animals: dict[str, str]) -> None:
        self._table = Animals(attributes, animals)

    def invite(self, first: str) -> str:
        name = f"Hi, I'm {first}. " if first else ""
        return (
            f"{name}Think of an animal, and I'll guess it. Just answer yes, no, or I don't know. Say"
            f" ready when you have one."
        )

    def begin(self, talk: Talk) -> tuple[Game, str]:
        return self._next(Game("guesser"), "Good, here we go. ")

    def remind(self, game: Game) -> str:
        return f"Just say yes, no, or I don't know. {self._question(game.place)}"

    def move(self, game: Game, turn: Turn, talk: Talk) -> tuple[Game, str] | None:
        """Take an answer and ask on, guess, or give up."""
        if game.over:
            if yes_or_no(turn) == "yes" or (not turn.question and _READY.search(turn.plain)):
                return self.begin(talk)
            return (
                (game, "Then that was a good round. Thank you for playing.")
                if yes_or_no(turn) == "no"
                else None
            )
        if game.place == "reveal":
            named = re.sub(
                r"^(?:it (?:is|was) |i (?:was thinking of|thought of|meant) )?(?:an? |the )?", "", turn.ask
            )
            return replace(
                game, over=True
            ), f"Ah, {_article(named)}! I'd never have got there. Shall we play again?"
        if turn.search(_REPEAT):
            return game, self._question(game.place)
        answer = yes_or_no(turn)
        if not answer:
            return None
        if game.place.startswith("guess:"):
            if answer == "yes":
                return replace(
                    game, over=True
                ), f"I knew it! It took me {_count(game.score, 'question')}. Shall we play again?"
            return self._next(replace(game, seen=(*game.seen, f"{game.place[6:]}=no")), "Hm. ")
        return self._next(replace(game, seen=(*game.seen, f"{game.place}={answer}")), "")

    def _question(self, place: str) -> str:
        if place.startswith("guess:"):
            return f"Is it {_article(place[6:])}?"
        return "Which animal was it?" if place == "reveal" else self._table.attributes[place]["question"]

    def _next(self, game: Game, lead: str) -> tuple[Game, str]:
        asked = dict(each.split("=") for each in game.seen)
        wrong = {
            name: sum(
                (answer == "yes") != (key in traits)
                for key, answer in asked.items()
                if key in self._table.attributes and answer != "unsure"
            )
            for name, traits in self._table.traits.items()
            if asked.get(name) != "no"
        }
        fewest = min(wrong.values(), default=99)
        best = [name for name, count in wrong.items() if count == fewest]
        if fewest > _TOLERATED + 1 or game.score >= MAX_QUESTIONS or not best:
            return replace(game, place="reveal"), f"{lead}I give up, you have beaten me. Which animal was it?"
        choice = self._split(best, asked) if len(best) > 1 else ""
        place = choice or f"guess:{best[0]}"
        game = replace(game, place=place, score=game.score + 1)
        return game, f"{lead}{self._question(place)}"

    def _split(self, names: list[str], asked: dict[str, str]) -> str:
        """Return the attribute that divides these animals most evenly, "" when none does."""
        open_ones = [key for key in self._table.attributes if key not in asked]
        shares = {key: sum(key in self._table.traits[name] for name in names) for key in open_ones}
        best = min(open_ones, key=lambda key: abs(2 * shares[key] - len(names)), default="")
        return best if best and 0 < shares[best] < len(names) else ""


class TwentyQuestions:
    """The user guesses the agent's animal, which is `secret`; `score` counts the questions."""

    def __init__(self, attributes: dict[str, dict[str, str]], animals: dict[str, str]) -> None:
        self._table = Animals(attributes, animals)

    def invite(self, first: str) -> str:
        name = f"Hi, I'm {first}. " if first else ""
        return (
            f"{name}I'm thinking of an animal, and you have 20 questions that I answer with yes or no."
            f" Shall we start?"
        )

    def begin(self, talk: Talk) -> tuple[Game, str]:
        secret = talk.chance().choice(sorted(self._table.traits))
        return Game(
            "twenty", secret=secret
        ), "I have an animal in mind. Ask me anything that can be answered with yes or no."

    def remind(self, game: Game) -> str:
        return (
            "That I can't answer with yes or no. Ask where it lives, what it eats, how big it is, or"
            " whether it has fur."
        )

    def move(self, game: Game, turn: Turn, talk: Talk) -> tuple[Game, str] | None:
        """Answer a question or a guess."""
        if game.over:
            if yes_or_no(turn) == "yes" or (not turn.question and _READY.search(turn.plain)):
                return self.begin(talk)
            return (game, "All right. It was a pleasure.") if yes_or_no(turn) == "no" else None
        if _GIVE_UP.search(turn.ask):
            return replace(game, over=True), f"It was {_article(game.secret)}. Shall we play again?"
        if _LEFT.search(turn.plain):
            return game, f"You have {_count(MAX_QUESTIONS - game.score, 'question')} left."
        if _HINT.search(turn.plain):
            return self._hint(game)
        if re.match(r"(?:what|how|who|where|when|why)\b", turn.ask):
            return None
        named = self._table.named(turn)
        if (
            named
            and (turn.words <= 6 or _ASKING.search(turn.plain))
            and not turn.search(re.compile(r"\blike (?:an?|the)\b|\bbigger than\b|\bsmaller than\b"))
        ):
            if named == game.secret:
                return (
                    replace(game, over=True),
                    f"Yes, it's {_article(named)}! You needed {_count(game.score + 1, 'question')}. Shall we"
                    f" play again?",
                )
            return self._counted(game, f"No, it isn't {_article(named)}.")
        trait = next((key for key, asks in self._table.asks.items() if asks.search(turn.plain)), "")
        if trait and (turn.question or _ASKING.search(turn.ask) or turn.words <= 4):
            holds = trait in self._table.traits[game.secret]
            return self._counted(replace(game, seen=(*game.seen, trait)), "Yes." if holds else "No.")
        if not game.score and _READY.search(turn.plain) and turn.words <= 4:
            return game, "Go ahead: your first question?"
        return None

    def _hint(self, game: Game) -> tuple[Game, str]:
        traits = sorted(self._table.traits[game.secret] - set(game.seen))
        if not traits:
            return game, f"It begins with the letter {game.secret[0].upper()}."
        return replace(game, seen=(*game.seen, traits[0])), self._table.attributes[traits[0]]["hint"]

    def _counted(self, game: Game, text: str) -> tuple[Game, str]:
        game = replace(game, score=game.score + 1)
        left = MAX_QUESTIONS - game.score
        if left <= 0:
            return replace(
                game, over=True
            ), f"{text} That was the last question. It was {_article(game.secret)}. Shall we play again?"
        return game, f"{text} {_count(left, 'question')} left." if left in (10, 5, 3, 2, 1) else text


def _article(name: str) -> str:
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
