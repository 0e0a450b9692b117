"""A teacher's lesson: explanations, exercises, hints and answers, at the learner's level."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from ...yaml_fields import load_yaml
from .contract import Reply, Talk, reply
from .fractions_said import NAMES, PART, claims, said
from .spoken_numbers import with_digits
from .state import Exercise
from .turn import Turn

LESSONS_FILE = Path(__file__).with_name("lessons.yaml")
MAX_LEVEL = 3
# so many wrong answers, or wishes for help, before the solution is told
_TRIES = 2
_WISH = re.compile(
    r"\b(?:exercises?|problems?|tasks?|quiz|quizzes|test me|examine me|practi[sc]e|drills?|homework question"
    r"|(?:ask|give|set|try)(?: me| us)? (?:a|another|one|some|more|the next|an easy|a hard|an "
    r"easier|a harder|something)?"
    r" ?(?:questions?|one|ones|sums?|more|easier|harder|easy|hard|equations?|fractions?)"
    r"|next (?:one|question|exercise)|another one|one more|something (?:to solve|to calculate"
    r"|harder|easier))\b"
    r"|^(?:next|another|again|more|harder|easier|a harder one|an easier one|too easy|too hard"
    r"|start|begin|let us (?:start|begin|go))$"
)
_YES = re.compile(
    r"^(?:yes|yeah|yep|sure|okay|ok|please|of course|go on|go ahead|ready|i am ready|why not"
    r"|gladly|absolutely|let us do it)(?: please| sure)*$"
)
_OFFERED = re.compile(r"(?:exercise|another one|one more|try one|harder one)[^?]*\?$")
_HARDER = re.compile(r"\b(?:harder|more difficult|too easy|tougher|challenge)\b")
_EASIER = re.compile(r"\b(?:easier|simpler|too hard|too difficult|easy one|an easy)\b")
_HELP = re.compile(
    r"\b(?:hint|help|how do (?:i|you|we) (?:do|solve|start|begin)|i am stuck|do not know|no "
    r"idea|do not understand|not sure|no clue|cannot do)\b"
)
_GIVE_UP = re.compile(
    r"\b(?:give up|(?:tell|show) me the (?:answer|solution)|what is (?:it|the (?:right "
    r")?(?:answer|solution))(?: then)?$|^the (?:answer|solution)|solve it|pass|skip)\b"
)
_REPEAT = re.compile(
    r"\b(?:repeat|what was (?:the|it)|say that|the (?:question|exercise|problem)|read it)\b|^(?:once )?again$"
)
_LOST = re.compile(
    r"\b(?:do not (?:understand|get)|did not (?:understand|get)|i am (?:lost|confused)|too "
    r"(?:hard|fast|difficult)|explain (?:it|that)(?: again| once more| more simply)?|not clear"
    r"|example|show me how|in simple(?:r)? words|more simply|simpler)\b"
)
_EXPLAIN = re.compile(
    r"\b(?:explain|what (?:is|are|does|do)|how (?:do|does|can|to)|teach|show|help|tell|learn"
    r"|understand|about|with|remind|go over|revise|difference)\b"
)
_RIGHT = re.compile(
    r"\b(?:(?:was|is) (?:it|that|my answer) (?:right|correct|wrong|true)|did i get (?:it"
    r"|that)(?: right)?|am i right)\b"
)
# "I think it's twelve", but not "count to twelve"
_BARE_NUMBER = re.compile(
    r"(?:(?:i think|i guess|i say|i get|i got|i mean|i meant|maybe|perhaps|um+|uh+|hm+|well|so|then|okay"
    r"|ok|oh|ah|no|yes|sorry|wait|it is|that is|is it|is that|it would be|would it be|that makes"
    r"|that would be|the answer is|my answer is|x is|x equals"
    r"|equals|is|could it be|and|it must be|about) )*(?P<number>-?\d+(?:\.\d+)?)"
    r"(?: (?:square )?(?:meters?|metres?|percent|right|i think|i guess|maybe|is it|is that right|or))*$"
)
_ASKS = re.compile(r"(?:what|who|when|where|why|how|which|whose)\b")
_NAMES_ONE = re.compile(r"\b(?:exercise|problem|question|task|homework)s?\b")
# a sum is computed, and not explained
_COMPUTES = re.compile(rf"\d|\b(?:{'|'.join(NAMES)})s? (?:as|plus|minus|times|and|of|divided)\b")
_PRAISE = ("Right! {told}", "Exactly. {told}", "Correct, well done. {told}", "Yes, that's it. {told}")
_WRONG = ("Not quite. {hint} Try once more.", "Almost, but no. {hint} What do you get now?")
_NEXT = ("Shall we do another one?", "Shall I give you a harder one?", "Would you like one more exercise?")


@dataclass(frozen=True)
class _Made:
    """An exercise: how it is asked, and its answer."""

    ask: str
    answer: Fraction


Make = Callable[[random.Random, int], _Made]


class Exercises:
    """Teaches the subject that a role's prompt names."""

    def __init__(self, prompt: str, style: str) -> None:
        data = _load()
        self._subject = ""
        if style == "tutor":
            cues = {name: re.search(rf"(?i)\b(?:{cue})\b", prompt) for name, cue in data["cues"].items()}
            self._subject = next((name for name, found in cues.items() if found), "science")
        self._topics: dict[str, dict[str, Any]] = data["topics"]
        self._questions: list[list[Any]] = data["subjects"].get(self._subject, [])

    def reply(self, turn: Turn, talk: Talk) -> Reply | None:
        """Take an answer, set an exercise or explain, None for what is none of these."""
        if not self._subject or turn.words > 24 or claims(turn):
            return None
        text = self._said(turn, talk)
        return reply(text, computed=True) if text else None

    def _said(self, turn: Turn, talk: Talk) -> str:
        open_ = talk.state.exercise
        topic = self._topic(turn)
        if open_ and not open_.done and (answered := self._on_open(turn, open_, talk)):
            return answered
        if open_ and open_.done and open_.solution and turn.search(_GIVE_UP):
            return f"It was this: {open_.solution} Shall we do another one?"
        if turn.search(_RIGHT) and open_ and not open_.done:
            return f"You haven't answered it yet. {open_.ask}"
        if turn.search(_RIGHT) and open_:
            return (
                "Yes, your last answer was right."
                if open_.right
                else f"No. The answer is this: {open_.solution}"
            )
        # "one more thing, who was Newton?" is another question
        elsewhere = _ASKS.match(turn.ask) and not _NAMES_ONE.search(turn.ask)
        wants = (turn.search(_WISH) and not elsewhere) or (turn.search(_YES) and _OFFERED.search(_last(talk)))
        if wants and not (topic and turn.search(re.compile(r"\b(?:explain|understand)\b"))):
            return self._set(turn, topic, talk)
        if topic and turn.search(_EXPLAIN) and not _COMPUTES.search(with_digits(turn.ask)):
            talk.note(exercise=Exercise(topic, done=True, level=_level(talk)))
            return f"{self._topics[topic]['explain']} Shall I give you an exercise on that?"
        if turn.search(_LOST):
            return self._again(talk)
        return ""

    def _topic(self, turn: Turn) -> str:
        if self._subject != "mathematics":
            return ""
        text = f" {turn.bare} "
        named = [
            (len(name), topic)
            for topic, about in self._topics.items()
            for name in about["names"]
            if f" {name} " in text
        ]
        return max(named)[1] if named else ""

    def _again(self, talk: Talk) -> str:
        """Explain the last topic by an example."""
        last = talk.state.exercise
        if last and last.topic in self._topics:
            about = self._topics[last.topic]
            return f"No problem, let's look at an example. {about['example']} Shall we try one together?"
        return ""

    def _set(self, turn: Turn, topic: str, talk: Talk) -> str:
        level = _level(talk)
        level += (
            1
            if turn.search(_HARDER) and level < MAX_LEVEL
            else -1
            if turn.search(_EASIER) and level > 1
            else 0
        )
        last = talk.state.exercise
        chance = talk.chance()
        if self._subject != "mathematics":
            return self._quiz(last, talk)
        topic = (
            topic or (last.topic if last and last.topic in _MAKERS else "") or chance.choice(_FIRST_TOPICS)
        )
        made = _MAKERS[topic](chance, level)
        about = self._topics[topic]
        talk.note(
            exercise=Exercise(
                topic, made.ask, str(made.answer), f"{_spoken(made.answer)}.", about["hint"], level=level
            )
        )
        return talk.line(
            "exercise", ("Here is one. {ask}", "Try this. {ask}", "All right. {ask}"), ask=made.ask
        )

    def _quiz(self, last: Exercise | None, talk: Talk) -> str:
        asked = last.seen if last else ()
        fresh = [k for k in range(len(self._questions)) if k not in asked] or list(
            range(len(self._questions))
        )
        if not fresh:
            return ""
        number = talk.chance().choice(fresh)
        question, told, words = self._questions[number]
        hint = f"It begins with {words[0][:1].upper()}."
        talk.note(exercise=Exercise("", question, "|".join(words), told, hint, seen=(*asked, number)[-8:]))
        return talk.line("exercise", ("Here is a question. {ask}", "Let's see. {ask}"), ask=question)

    def _on_open(self, turn: Turn, exercise: Exercise, talk: Talk) -> str:
        """Answer a turn while an exercise waits for its answer, "" for a turn about something else."""
        right = self._judged(turn, exercise)
        if right is not None and not (turn.search(_WISH) and right is False):
            return self._answered(right, exercise, talk)
        if turn.search(_GIVE_UP):
            return self._solved(exercise, talk)
        if turn.search(_HELP):
            return self._helped(exercise, talk)
        if turn.search(_REPEAT) and not turn.search(_WISH) and turn.words <= 8:
            return exercise.ask
        return ""

    def _judged(self, turn: Turn, exercise: Exercise) -> bool | None:
        """Return whether a turn is the right answer, None where it is none."""
        if exercise.topic:
            given = None if _ASKS.match(turn.ask) else _number(turn)
            return None if given is None else given == Fraction(exercise.answer)
        asks = turn.question and re.match(
            r"(?:what|where|when|why|how|who|which|do|does|can|could|explain|tell)\b", turn.ask
        )
        if asks:
            return None
        if any(
            re.search(rf"\b{re.escape(word)}", f"{turn.plain} {with_digits(turn.plain)}")
            for word in exercise.answer.split("|")
        ):
            return True
        # a few words that ask for nothing are an answer
        help_ = turn.search(_HELP) or turn.search(_GIVE_UP) or turn.search(_WISH) or turn.search(_LOST)
        return False if turn.words <= 6 and not help_ else None

    def _answered(self, right: bool, exercise: Exercise, talk: Talk) -> str:
        if right:
            level = min(MAX_LEVEL, exercise.level + (1 if exercise.tries == 0 else 0))
            talk.note(exercise=replace(exercise, done=True, right=True, level=level))
            return f"{talk.line('praise', _PRAISE, told=exercise.solution)} {talk.line('next', _NEXT)}"
        if exercise.tries + 1 >= _TRIES:
            return f"Not yet. {self._solved(exercise, talk)}"
        talk.note(exercise=replace(exercise, tries=exercise.tries + 1))
        return talk.line("wrong", _WRONG, hint=exercise.hint)

    def _helped(self, exercise: Exercise, talk: Talk) -> str:
        if exercise.tries + 1 >= _TRIES:
            return self._solved(exercise, talk)
        talk.note(exercise=replace(exercise, tries=exercise.tries + 1))
        return f"No problem, here is a hint. {exercise.hint} {exercise.ask}"

    def _solved(self, exercise: Exercise, talk: Talk) -> str:
        talk.note(exercise=replace(exercise, done=True, right=False, level=max(1, exercise.level - 1)))
        return f"The answer is this: {exercise.solution} Shall we do another one?"


def _last(talk: Talk) -> str:
    return talk.memory.last_reply[-1].text if talk.memory.last_reply else ""


def _level(talk: Talk) -> int:
    return talk.state.exercise.level if talk.state.exercise else 1


def _number(turn: Turn) -> Fraction | None:
    """Return the number that a turn gives as an answer, None where it gives none."""
    text = re.sub(r"\bminus (?=\d)|\bnegative (?=\d)", "-", with_digits(turn.plain))
    if turn.words <= 8 and (part := PART.search(text)):
        above = int(part[3] or part[1] or 1)
        below = int(part[4]) if part[4] else NAMES[part[2]]
        return Fraction(above, below) if below else None
    found = _BARE_NUMBER.match(" ".join(re.sub(r"[,.!?]+(?=\s|$)", " ", text).split()))
    return Fraction(found["number"]) if found else None


def _spoken(value: Fraction) -> str:
    short = value.denominator in (2, 4, 5, 10, 20, 100) and value > 1
    return f"{float(value):g}" if short else said(value)


def _addition(chance: random.Random, level: int) -> _Made:
    a, b = (chance.randint(10**level // 2, 10 ** (level + 1) // 2) for _ in "ab")
    return _Made(f"What is {a} plus {b}?", Fraction(a + b))


def _subtraction(chance: random.Random, level: int) -> _Made:
    b = chance.randint(3, 15 * level)
    a = b + chance.randint(5, 30 * level)
    return _Made(f"What is {a} minus {b}?", Fraction(a - b))


def _multiplication(chance: random.Random, level: int) -> _Made:
    a, b = chance.randint(3, 9), chance.randint(3, (9, 15, 25)[level - 1])
    return _Made(f"What is {a} times {b}?", Fraction(a * b))


def _division(chance: random.Random, level: int) -> _Made:
    a, b = chance.randint(3, 9), chance.randint(4, (10, 15, 25)[level - 1])
    return _Made(f"What is {a * b} divided by {a}?", Fraction(b))


def _fractions(chance: random.Random, level: int) -> _Made:
    parts = ((2, "half"), (3, "third"), (4, "quarter"), (5, "fifth"), (6, "sixth"))
    if level == 1:
        below, name = chance.choice(parts)
        whole = below * chance.randint(3, 9)
        return _Made(f"How much is one {name} of {whole}?", Fraction(whole, below))
    first, second = chance.sample(parts[: 3 + level], 2)
    return _Made(
        f"How much is one {first[1]} plus one {second[1]}?", Fraction(1, first[0]) + Fraction(1, second[0])
    )


def _percentages(chance: random.Random, level: int) -> _Made:
    share = chance.choice(((10, 50), (20, 25, 75), (5, 15, 35))[level - 1])
    whole = 20 * chance.randint(2, 10)
    return _Made(f"How much is {share} percent of {whole}?", Fraction(share * whole, 100))


def _equations(chance: random.Random, level: int) -> _Made:
    x, factor, plus = chance.randint(2, 9), chance.randint(2, 2 + 2 * level), chance.randint(1, 12)
    left = f"x plus {plus}" if level == 1 else f"{factor} x plus {plus}"
    total = x + plus if level == 1 else factor * x + plus
    return _Made(f"{left} is {total}. How much is x?", Fraction(x))


def _squares(chance: random.Random, level: int) -> _Made:
    a = chance.randint(3, 6 + 3 * level)
    return (
        _Made(f"What is {a} squared?", Fraction(a * a))
        if chance.random() < 0.5
        else _Made(f"What is the square root of {a * a}?", Fraction(a))
    )


def _areas(chance: random.Random, level: int) -> _Made:
    a, b = chance.randint(3, 9), chance.randint(4, 8 + 4 * level)
    if level > 1 and chance.random() < 0.5:
        return _Made(
            f"A rectangle is {a} meters wide and {b} meters long. How many meters is it around?",
            Fraction(2 * (a + b)),
        )
    return _Made(
        f"A rectangle is {a} meters wide and {b} meters long. How many square meters is its area?",
        Fraction(a * b),
    )


def _decimals(chance: random.Random, level: int) -> _Made:
    places = 10 if level == 1 else 100
    a, b = (Fraction(chance.randint(11, 9 * places), places) for _ in "ab")
    return _Made(f"What is {float(a):g} plus {float(b):g}?", a + b)


def _negatives(chance: random.Random, level: int) -> _Made:
    a = chance.randint(1, 6 * level)
    b = a + chance.randint(1, 9 * level)
    return _Made(f"What is {a} minus {b}?", Fraction(a - b))


def _averages(chance: random.Random, level: int) -> _Made:
    mean = chance.randint(4, 8 * level)
    away = chance.randint(1, 3)
    return _Made(f"What is the average of {mean - away}, {mean} and {mean + away}?", Fraction(mean))


_MAKERS: dict[str, Make] = {
    "addition": _addition,
    "subtraction": _subtraction,
    "multiplication": _multiplication,
    "division": _division,
    "fractions": _fractions,
    "percentages": _percentages,
    "equations": _equations,
    "squares": _squares,
    "areas": _areas,
    "decimals": _decimals,
    "negatives": _negatives,
    "averages": _averages,
}
_FIRST_TOPICS = ("addition", "multiplication", "division", "percentages", "equations")


@cache
def _load() -> dict[str, Any]:
    return load_yaml(LESSONS_FILE)
