"""The rule responder: answers from a role prompt by rules, facts and memory, offline.

With a language model that one answers, and these rules take over when it fails.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from rapidfuzz import fuzz

from ..engine.contract import SessionConfig
from ..languages import SPANISH_CODE
from ..speech.spoken_form import speakable
from .answers import Answerer, find_statement
from .contract import Notify, Responder
from .dialogue import Dialogue, Rule, RuleInput, take_turns
from .everyday.corrections import repaired
from .everyday.layer import Everyday
from .everyday.turn import Turn, questions_in, without_break_in
from .facts import read_brief
from .figure_guard import NO_FIGURE, states_only
from .language_model import LanguageModel
from .lexicon import Lexicon, kind_of
from .llm import ENGLISH_STYLE, SPANISH_STYLE, LlmResponder
from .manners import Manners
from .memory import Memory, Sentence, begins_with
from .retrieval import Index
from .role_text import plain_role, without_tags
from .sentence_encoder import SentenceEncoder
from .sentences import split_sentences
from .spanish.responder import SpanishResponder
from .template_slots import TemplateSlots

# what recognisers write for noise, music and silence
_NO_SPEECH = re.compile(
    r"^\W*$|^[\[(*].*[\])*]\W*$|(?i:thanks for watching|subscribe to (my|the)"
    r" channel)|(?i:^(\w+)(\W+\2){5,}\W*$)"
)
_TELL_ME = re.compile(r"^(?:(?:can|could|would) you |please )*(?:tell me|explain|describe)\b")
# patterns run over the whole text, so its length is bounded
MAX_USER_CHARS = 1_000
# asks for what the user told of themselves
_OF_MINE = re.compile(
    r"^(?!.*\byour?\b)(?:so |and )?(?:where|what|when|who|which|how)\b.*\b(?:(?:do|did|am|was|have) i"
    r"|is my|are my)\b"
)
# each third refusal offers what the role does know
_OFFERED_EVERY = 3
# a request that is less like every note is not about them
_NEAR_NOTE = 0.42
# a question that is about as near to a note as to an example is about the note
_AS_NEAR = 0.06
# how alike a turn of some words and a forbidden subject must be for the turn to be about it
_TABOO_ALIKE = 0.36
_TABOO_WORDS = 3
_POINTS_BACK = re.compile(r"\b(?:he|she|it|they|him|her|them|there|that)\b")
_OTHER_UNKNOWN = "About the other question I can't be sure."
# replies that may still be played: an older one was given up
MAX_DRAFTS = 4


@dataclass
class Draft:
    """A reply that may or may not be played.

    `memory` becomes the talk's once it is played; `turn` is the number of turns before it. `sure`: a rule, a
    fact or the talk answers; else it is small talk or a refusal.
    """

    user_text: str
    turn: int
    memory: Memory
    sentences: list[Sentence] = field(default_factory=list)
    sure: bool = True

    @property
    def reply_text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)


def make_responder(
    config: SessionConfig,
    notify: Notify | None = None,
    llm: LanguageModel | None = None,
    *,
    encoder: SentenceEncoder | None = None,
) -> Responder:
    """Return the responder of one talk; `notify` shows the user a sentence when the language model fails."""
    if config.language == SPANISH_CODE:
        rules, style = SpanishResponder(config.prompt), SPANISH_STYLE
    else:
        rules, style = RuleResponder(config.prompt, encoder), ENGLISH_STYLE
    if not llm:
        return rules
    return LlmResponder(without_tags(config.prompt), llm, rules, notify, config.realtime, style)


def prepare(encoder: SentenceEncoder | None) -> None:
    """Read and encode what all talks share, so that the first caller does not wait for it."""
    RuleResponder("", encoder).greet()


@dataclass(frozen=True)
class Part:
    """A turn, or one of two questions in it, with the answer to it. `sure` as in `Draft`."""

    turn: RuleInput
    sentences: list[Sentence]
    sure: bool


class RuleResponder:
    """Answers from a role prompt, offline, for one talk. Not thread-safe.

    With a sentence encoder it also finds what the prompt says in other words.
    """

    def __init__(self, prompt: str, encoder: SentenceEncoder | None = None) -> None:
        self._lexicon = Lexicon.load()
        self._dialogue = Dialogue.load()
        prompt = plain_role(prompt)
        self._brief = read_brief(prompt)
        self._index = Index(self._brief.facts, self._lexicon, encoder)
        self._manners = Manners.load()
        self._manner = self._manners.manner_for(self._brief, encoder)
        self._style = self._manner.styled(self._dialogue.style_for(prompt, encoder))
        self._encoder = encoder
        self._everyday = Everyday(self._brief, self._index, self._style.name, encoder)
        self._memory = Memory()
        self._drafts: deque[Draft] = deque(maxlen=MAX_DRAFTS)
        self._turns = 0
        self.pace = 1.0

    @property
    def style(self) -> str:
        return self._style.name

    def greet(self) -> str:
        """Return the greeting in role."""
        draft = self._begin("")
        slots = self._slots(draft, RuleInput("", False))
        game = self._everyday.greeting(draft.memory, slots.value)
        draft.sentences = self._manner.greeting(
            list(game.sentences) if game else self._sentences(slots, self._line(slots, "greet") or "Hello.")
        )
        return draft.reply_text

    def reply(self, user_text: str) -> Iterator[str]:
        """Yield the answer's sentences. Nothing is remembered until `record_played`."""
        draft = self._begin(_as_meant(user_text))
        draft.sentences = self._without_unknown_figures(self._turn(draft, draft.user_text), draft)
        self.pace = draft.memory.everyday.pace
        return (sentence.text for sentence in draft.sentences)

    def knows(self, user_text: str) -> bool:
        """Return whether more than small talk or a refusal answers a turn. Nothing is remembered."""
        text = _as_meant(user_text)
        draft = Draft(text, self._turns, self._memory.copy())
        self._turn(draft, text)
        return draft.sure

    def heed(self, user_text: str) -> None:
        """Take the wish for another pace from a turn that the language model is to answer."""
        self.pace = self._everyday.pace_after(user_text[:MAX_USER_CHARS], self._memory.everyday.pace)

    def record_played(self, agent_text: str, interrupted: bool) -> None:
        """Remember what was played of a reply and the user's turn before it.

        `agent_text` belongs to the latest draft that begins with it.
        """
        if not self._drafts:
            return
        draft = next(
            (d for d in reversed(self._drafts) if begins_with(d.reply_text, agent_text)), self._drafts[-1]
        )
        # another turn was recorded since this reply was made: its memory must build on that one's
        if draft.turn != self._turns:
            draft.memory = self._memory.copy()
            self._turn(draft, draft.user_text)
        # while a reply is played nobody waits for the next one
        self._index.prepare()
        self._memory = draft.memory
        self._memory.record_played(draft.sentences, agent_text, interrupted)
        self._turns += 1
        while self._drafts and self._drafts.popleft() is not draft:
            pass

    def record_answer(self, user_text: str, agent_text: str) -> None:
        """Remember a turn that the language model answered."""
        everyday = self._memory.everyday
        pace = self._everyday.pace_after(user_text[:MAX_USER_CHARS], everyday.pace)
        self._memory.everyday = replace(everyday, pace=pace)
        self._memory.take_note(user_text)
        self._memory.questions = [*self._memory.questions, user_text][-40:]
        self._memory.record_played([Sentence(s) for s in split_sentences(agent_text)], agent_text, False)
        self._turns += 1

    def close(self) -> None:
        """Forget the talk."""
        self._memory = Memory()
        self._drafts.clear()

    def _begin(self, text: str) -> Draft:
        self._drafts.append(Draft(text, self._turns, self._memory.copy()))
        return self._drafts[-1]

    def _turn(self, draft: Draft, text: str) -> list[Sentence]:
        memory = draft.memory
        plain = text.lower().replace("’", "'").strip()
        if _NO_SPEECH.search(text):
            return [Sentence(self._lead(draft, "unclear"))]
        # on the draft's copy of the memory, which becomes the talk's only if this reply is played
        named = memory.take_note(text)
        parts = [self._part(draft, part, named) for part in questions_in(text)]
        sentences = _joined(parts)
        draft.sure = any(part.sure for part in parts)
        asks = any(part.turn.question for part in parts)
        if asks and not re.search(
            r"\b(did i|i just|my (last )?question|was i) (just )?(ask|say|asking)?", plain
        ):
            memory.questions = [*memory.questions, text][-40:]
        if not asks and len(plain.split()) >= 4:
            memory.last_answer = plain
        if named and memory.user_name and not any(memory.user_name in each.text for each in sentences):
            sentences = [Sentence(self._lead(draft, "greet_name")), *sentences]
        # whoever grieves or fears is spoken to plainly
        grave = memory.everyday.feeling not in ("", "joy")
        return sentences if grave else self._manner.spoken(sentences, memory)

    def _part(self, draft: Draft, text: str, named: bool) -> Part:
        """Return a turn, or one of its two questions, as the rules see it, with the answer."""
        plain = text.lower().replace("’", "'").strip()
        asks = (
            kind_of(plain) not in (None, "open")
            or "?" in text
            or re.match(r"(what|which|how|tell me|explain|describe)\b", plain) is not None
        )
        matches = self._index.search(self._index.query(text), 1)
        fits = matches[0].coverage if matches else 0.0
        turn = RuleInput(plain, asks, named, fits, self._recalled_share(draft.memory, plain))
        draft.sure = True
        sentences = self._decide(draft, turn, self._slots(draft, turn, text), text)
        return Part(turn, sentences, draft.sure)

    def _decide(self, draft: Draft, turn: RuleInput, slots: TemplateSlots, text: str) -> list[Sentence]:
        """Return the first of these that applies.

        A rule about the talk itself, a rule of the role, a fact with the turn's words, a general rule, the
        user's own statement, a fact that means the like, small talk, and that the answer is unknown.
        """
        style = self._style
        memory = draft.memory
        said = Turn(text, turn.question, turn.fits)
        if taboo := self._taboo(text):
            return self._sentences(slots, self._lead(draft, "taboo", taboo=taboo))
        everyday = self._everyday.reply(said, memory, slots.value)
        if everyday:
            # what it took from the notes counts as told
            return [
                replace(each, facts=each.facts or slots.facts_in(each.text)) for each in everyday.sentences
            ]
        if _OF_MINE.search(turn.text) and (sentences := self._told(draft, turn, text)):
            return sentences
        # before the facts: "repeat that" must not be looked up in them
        sentences = self._fire(self._dialogue.first, turn, slots) or self._fire(style.first, turn, slots)
        if sentences:
            return sentences
        answerer = Answerer(
            self._brief,
            self._index,
            lambda key, **more: self._line(slots, key) or self._lead(draft, key, **more),
        )
        about_facts = style.facts != "none" or turn.question
        looked_up = style.facts == "all" or _TELL_ME.match(turn.text) is not None
        answer = answerer.answer(text, memory, style.hedge, looked_up) if about_facts else None
        if not answer:
            sentences = self._fire(self._dialogue.general, turn, slots) or self._told(draft, turn, text)
            if sentences:
                return sentences
            near = self._index.likeness(text, self._index.query("")) if about_facts else None
            least = 0.0 if near is None else float(near.max())
            nearer = least + _AS_NEAR if turn.question else least
            meant = self._everyday.reply_by_meaning(said, memory, slots.value, nearer)
            if meant:
                return list(meant.sentences)
            if least < _NEAR_NOTE and (able := self._everyday.able(said, memory, slots.value)):
                return list(able.sentences)
            answer = answerer.answer_by_meaning(text, memory, looked_up) if about_facts else None
            # an unsure one begins with how sure it is
            draft.sure = answer is not None and len(answer.sentences) == 1
        if answer:
            memory.query = answer.query
            memory.query_facts = tuple(k for sentence in answer.sentences for k in sentence.facts)
            return list(answer.sentences)
        draft.sure = False
        topical = style.topics and not (turn.question and style.facts == "all")
        return (
            self._fire(tuple(rule for rule in style.last if rule.when), turn, slots)
            or self._reflected(said, memory, slots)
            or (self._fire(self._dialogue.topics, turn, slots) if topical else None)
            or self._fire(style.last, turn, slots)
            or self._refusal(slots)
        )

    def _reflected(self, said: Turn, memory: Memory, slots: TemplateSlots) -> list[Sentence] | None:
        reflected = self._everyday.reflect(said, memory, slots.value)
        return list(reflected.sentences) if reflected else None

    def _taboo(self, text: str) -> str:
        """Return the subject that the prompt forbids and the user speaks of, "" for none."""
        taboos = self._manner.wishes.taboos
        said = set(self._lexicon.content(text))
        named = next((each for each in taboos if said & set(self._lexicon.content(each))), "")
        if named or not taboos or not self._encoder or len(text.split()) < _TABOO_WORDS:
            return named
        alike = self._encoder.encode(taboos) @ self._encoder.encode([text])[0]
        return taboos[int(alike.argmax())] if alike.max() >= _TABOO_ALIKE else ""

    def _refusal(self, slots: TemplateSlots) -> list[Sentence]:
        """Say that the answer is unknown: never as the last time, and each third time with what is known."""
        memory = slots.memory
        memory.refusals += 1
        own = self._style.lines.get("unknown", ())
        lines = own if "unknown" in self._manner.lines else (*own, *self._manners.refusals)
        known = {f"{self._style.name}.unknown": lines}
        if memory.refusals % _OFFERED_EVERY == 0:
            known = {"offer": self._manners.offers, "invitation": self._manners.invitations} | known
        slots.begin()
        filled = (take_turns(id_, each, memory, slots.value) for id_, each in known.items())
        line = next((each for each in filled if each), None)
        return self._sentences(slots, line or "I don't know that.")

    def _told(self, draft: Draft, turn: RuleInput, text: str) -> list[Sentence]:
        """Return what the user once said that answers their question, [] for nothing."""
        statements = draft.memory.statements if turn.question else []
        statement = find_statement(text, statements, lambda facts: Index(facts, self._lexicon))
        return [Sentence(self._lead(draft, "told", statement=statement))] if statement else []

    def _fire(self, rules: tuple[Rule, ...], turn: RuleInput, slots: TemplateSlots) -> list[Sentence] | None:
        """Return the sentences of the first rule that fires and whose slots can be filled, else None."""
        memory = slots.memory
        for rule in rules:
            if not rule.fires(turn, memory.stage):
                continue
            slots.begin()
            line = take_turns(rule.id, rule.say, memory, slots.value)
            if line is None:
                slots.begin()
                line = take_turns(rule.id + ".else", rule.otherwise, memory, slots.value)
            if line is not None:
                memory.stage = rule.to or memory.stage
                slots.keep(rule.orders)
                return self._sentences(slots, line)
        return None

    def _sentences(self, slots: TemplateSlots, text: str) -> list[Sentence]:
        """Split a line into sentences, each with the facts that it states."""
        if slots.fixed_sentences is not None:
            return slots.fixed_sentences
        return [Sentence(speakable(s), slots.facts_in(s)) for s in split_sentences(text)]

    def _line(self, slots: TemplateSlots, key: str) -> str | None:
        slots.begin()
        line = take_turns(
            f"{self._style.name}.{key}", self._style.lines.get(key, ()), slots.memory, slots.value
        )
        if line is not None:
            slots.keep(False)
        return line

    def _lead(self, draft: Draft, key: str, **more: str) -> str:
        slots = self._slots(draft, RuleInput("", False))
        return (
            take_turns(
                f"lead.{key}",
                self._dialogue.leads[key],
                draft.memory,
                lambda name: more.get(name) or slots.value(name),
            )
            or ""
        )

    def _slots(self, draft: Draft, turn: RuleInput, text: str = "") -> TemplateSlots:
        return TemplateSlots(self._brief, self._index, self._style, self._dialogue, draft.memory, turn, text)

    def _recalled_share(self, memory: Memory, text: str) -> float:
        """Return the share of the last fact's words that the user repeated, 0 to 1."""
        if memory.last_fact is None:
            return 0.0
        known = set(self._lexicon.words(self._brief.facts[memory.last_fact].text)) - self._lexicon.empty
        # of a fact that quotes a phrase, as a language lesson does, the phrase is what the user repeats
        if quoted := re.findall(r"[\"“]([^\"”]+)[\"”]", self._brief.facts[memory.last_fact].text):
            return fuzz.ratio(_letters_of(text), _letters_of(quoted[-1])) / 100
        return len(known & set(self._lexicon.words(text))) / max(1, len(known))

    def _without_unknown_figures(self, sentences: list[Sentence], draft: Draft) -> list[Sentence]:
        """Drop sentences with figures that are neither in the prompt nor in the user's own words."""
        known = self._brief.figures | draft.memory.figures
        known_only = [sentence for sentence in sentences if states_only(sentence.text, known)]
        return known_only or [Sentence(NO_FIGURE)]


def _joined(parts: list[Part]) -> list[Sentence]:
    """Return the answers to all parts, each sentence once; beside an answer no small talk and no refusal."""
    known = [part for part in parts if part.sure or any(each.facts for each in part.sentences)] or parts
    sentences: list[Sentence] = []
    for part in known:
        said = {each.text for each in sentences}
        new = [each for each in part.sentences if each.text not in said]
        # of an answer that was given already, what leads to it says nothing
        if any(each.facts for each in new) or not any(each.facts for each in part.sentences):
            sentences += new
    # "and where is she now?" asks more of the same, which the answer to the first may hold
    more = [part for part in parts if part not in known and not _POINTS_BACK.search(part.turn.text)]
    return [*sentences, Sentence(_OTHER_UNKNOWN)] if more else sentences


def _as_meant(user_text: str) -> str:
    """Return what somebody said without what they took back in the same breath, and how they broke in."""
    return without_break_in(repaired(" ".join(user_text[:MAX_USER_CHARS].split())))


def _letters_of(text: str) -> str:
    """Return the letters of `text` without case, accents and marks."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if c.isalpha() or c == " ").strip()
