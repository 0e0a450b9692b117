"""The layer above every persona: what everybody says first and in between, in a fixed order of skills."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import datetime
from functools import cache

from ..facts import Brief
from ..lexicon import days_in
from ..memory import Memory
from ..phrasing import second_person
from ..retrieval import Index
from ..sentence_encoder import SentenceEncoder
from .abilities import able
from .arithmetic import arithmetic
from .bookings import Bookings, read_booking
from .calendar_clock import calendar_facts, clock
from .chance import chance
from .contract import Clock, Reply, Role, Skill, Talk
from .control import repeats, unfinished, weigh
from .corrections import correct, takes_back
from .exercises import Exercises
from .feelings import Feelings
from .foreign import foreign
from .fractions_said import fractions_said
from .games.table import Games
from .intents import Intent, answered, changed_pace, load_intents
from .knowledge import Knowledge
from .letters import letters
from .measures import Measures
from .opening_hours import OpeningHours
from .orders import make_orders
from .price_list import read_prices
from .price_questions import PriceQuestions
from .questions import Questions
from .router import NEAR, NEAR_TOLD, SURE, TOPIC, routers
from .state import EverydayState
from .statements import is_wish, recall, reflect, take_up
from .tales import Tales
from .told_sums import told_sum
from .turn import Turn
from .words import words

# so much of a question must its best note cover for the note to go before general knowledge
_NOTE_FITS = 0.6
# what calls for help or ends the talk goes before everything, a game too
_FIRST_INTENTS = frozenset(
    ("emergency", "goodbye", "hearing", "hear_you_not", "thanks", "turn_taking")
)  # what is said as a statement, and is none
_TOLD = frozenset(
    ("goodbye", "thanks", "complaint", "trouble", "told_already", "shorter", "repeat", "rephrase")
)


def server_clock() -> datetime:
    """Return the time of the machine that runs the app, with its time zone."""
    return datetime.now().astimezone()


@cache  # what they know is the same for all talks, and takes long to read
def _knowledge() -> Knowledge:
    return Knowledge()


@cache
def _measures() -> Measures:
    return Measures()


@cache  # the encoder is the process's own, and reading the questions takes long
def _questions(encoder: SentenceEncoder | None) -> Questions:
    return Questions(_knowledge().names, encoder)


class Everyday:
    """Answers what everybody says, for one role. All that it remembers is in the talk's memory."""

    def __init__(
        self,
        brief: Brief,
        index: Index,
        style: str,
        encoder: SentenceEncoder | None = None,
        *,
        now: Clock = server_clock,
        seed: int | None = None,
    ) -> None:
        """With an `encoder`, what no rule knows is routed by meaning.

        `seed` makes what is left to chance repeatable; by default each talk has its own.
        """
        self._role = Role(brief, index, style, secrets.randbits(32) if seed is None else seed, now())
        self._now = now
        self._intents = load_intents()
        self._feelings = Feelings()
        self._routers = routers(encoder) if encoder else None
        self._knowledge = _knowledge()
        self._measures = _measures()
        # a teacher who asks quiz questions holds no quiz
        self._games = Games("" if style == "tutor" else brief.prompt, self._knowledge)
        prices = read_prices(brief)
        hours = OpeningHours(brief)
        self._bookings = Bookings(brief.prompt, style, hours, prices)
        self._encoder = encoder
        acts = self._routers.orders.route if self._routers else None
        self._orders = make_orders(brief.prompt, prices, style, acts)
        # the first that answers; orders and bookings know their own "no" and "that's all"
        self._skills: tuple[Skill, ...] = (
            self._first_intents,
            foreign,
            unfinished,
            self._feelings.reply,
            Exercises(brief.prompt, style).reply,
            Tales(brief.prompt, style).reply,
            self._games.reply,
            hours.answer,
            PriceQuestions(read_prices(brief)).answer,
            self._bookings.reply,
            hours.refuse,
            self._orders.reply,
            self._surely_meant,
            correct,
            take_up,
            weigh,
            clock,
            self._other_intents,
            self._general,
            self._feelings.follow,
            self._games.remind,
        )
        self._general_skills: tuple[Skill, ...] = (
            calendar_facts,
            fractions_said,
            told_sum,
            arithmetic,
            self._measures.convert,
            chance,
            letters,
            _questions(encoder).answer,
            self._knowledge.answer,
            words,
        )

    def greeting(self, memory: Memory, slot: Callable[[str], str | None]) -> Reply | None:
        """Return the greeting of a role that is a game, None for the role's own."""
        return self._games.greeting(self._talk(memory, slot))

    def reply(self, turn: Turn, memory: Memory, slot: Callable[[str], str | None]) -> Reply | None:
        """Answer a turn before the role does, None for what is the role's to answer.

        Only `memory` is changed, which is the draft's.
        """
        talk = self._talk(memory, slot)
        again = repeats(turn, talk)
        if again:
            turn = Turn(again, turn.question, turn.fits)
        before = talk.state.feeling
        found: Reply | None = None
        for skill in self._skills:
            found = skill(turn, talk)
            if found:
                break
        if not found:
            _note_plan(turn, memory)
        # a feeling is followed up in the next turns only
        if talk.state.feeling == before and (not found or not talk.state.feeling_turns):
            talk.note(feeling="", feeling_turns=0)
        return self._known(found, memory)

    def pace_after(self, text: str, pace: float) -> float:
        """Return the pace of speech after a turn, which may wish for another one."""
        turn = Turn(text)
        wished = next((i for i in self._intents if i.pace and i.meets(turn, self._role.style)), None)
        if not wished and self._routers and turn.words > 1:
            name = self._routers.meant.route(text, SURE)
            wished = next((i for i in self._intents if i.pace and i.name == name), None)
        return changed_pace(wished, pace) if wished else pace

    def reflect(self, turn: Turn, memory: Memory, slot: Callable[[str], str | None]) -> Reply | None:
        """Reflect a statement that neither rules nor notes answer."""
        topics = self._routers.topics if self._routers else None
        find_topic = (lambda text: topics.route(text, TOPIC, 0.0)) if topics else None
        return self._known(reflect(turn, self._talk(memory, slot), find_topic), memory)

    def able(self, turn: Turn, memory: Memory, slot: Callable[[str], str | None]) -> Reply | None:
        """Say of a request that no rule and no note answers whether the program can do it."""
        return self._known(able(turn, self._talk(memory, slot)), memory)

    def reply_by_meaning(
        self, turn: Turn, memory: Memory, slot: Callable[[str], str | None], least: float = 0.0
    ) -> Reply | None:
        """Answer by the nearest example what no words of a rule answer.

        None without an encoder, or where no example is nearer than `least`, as a fact of the role is.
        """
        talk = self._talk(memory, slot)
        found = self._meant(turn, talk, max(NEAR, least)) if turn.words > 1 else None
        return self._known(found or recall(turn, talk), memory)

    def _surely_meant(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer by an example that is almost the turn itself, unless a note of the role fits it well."""
        if turn.words < 2 or (turn.question and turn.fits >= _NOTE_FITS):
            return None
        # what the words of a rule tell is left to the rule
        if any(intent.meets(turn, self._role.style) for intent in self._intents):
            return None
        near = self._role.index.likeness(turn.text, self._role.index.query("")) if turn.question else None
        return self._meant(turn, talk, SURE if near is None else max(SURE, float(near.max())))

    def _meant(self, turn: Turn, talk: Talk, least: float) -> Reply | None:
        name = self._routers.meant.route(turn.text, least) if self._routers else ""
        # what is told is less often a feeling or a wish than it is like one
        if least < NEAR_TOLD and name not in _TOLD and not turn.question and not is_wish(turn):
            name = self._routers.meant.route(turn.text, NEAR_TOLD) if self._routers else ""
        # who asks something, names a day or takes something back does not leave
        if name == "goodbye" and (turn.question or takes_back(turn) or days_in(turn.plain)):
            return None
        # "and if it breaks?" is no complaint yet
        # a fact of any kind is wished for, and not asked about
        if name == "fun_fact" and turn.question and not is_wish(Turn(turn.do)):
            return None
        if name in ("complaint", "trouble") and turn.question and re.search(r"\bif\b", turn.plain):
            return None
        intent = next((i for i in self._intents if i.name == name and self._role.style not in i.not_in), None)
        return answered(intent, turn, talk) if intent else self._feelings.named(name, turn, talk)

    def _talk(self, memory: Memory, slot: Callable[[str], str | None]) -> Talk:
        return Talk(
            self._role, memory, slot, self._now, self._encoder, lambda: self._taken_down(memory.everyday)
        )

    def _taken_down(self, state: EverydayState) -> list[str]:
        booked = [read_booking(state.booking)] if state.booking else []
        return booked + ([self._orders.read(state.order)] if state.order.lines else [])

    def _known(self, found: Reply | None, memory: Memory) -> Reply | None:
        if found and found.computed:
            memory.figures = memory.figures | found.computed
        return found

    def _general(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer by general skills and knowledge, unless a note of the role fits the question well."""
        # a teacher's notes name what sums are about
        if turn.question and turn.fits >= _NOTE_FITS and self._role.style != "tutor":
            return None
        return next((found for skill in self._general_skills if (found := skill(turn, talk))), None)

    def _first_intents(self, turn: Turn, talk: Talk) -> Reply | None:
        return self._answered([i for i in self._intents if i.name in _FIRST_INTENTS], turn, talk)

    def _other_intents(self, turn: Turn, talk: Talk) -> Reply | None:
        return self._answered([i for i in self._intents if i.name not in _FIRST_INTENTS], turn, talk)

    def _answered(self, intents: list[Intent], turn: Turn, talk: Talk) -> Reply | None:
        met = (intent for intent in intents if intent.meets(turn, self._role.style))
        return next((said for intent in met if (said := answered(intent, turn, talk))), None)


def _note_plan(turn: Turn, memory: Memory) -> None:
    """Take note of a line of a plan, which needs no "I" to be one."""
    if memory.stage == "planning" and not turn.question and 1 < turn.words <= 16:
        said = second_person(re.sub(r"(?i)^(?:and|then|also|after that)[, ]+", "", turn.text))
        if said not in memory.statements:
            memory.statements = [*memory.statements, said][-30:]
