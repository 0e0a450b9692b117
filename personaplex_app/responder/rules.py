"""What the embedded engine says: rules, notes and memory of one talk, or a language model with these behind
it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from rapidfuzz import fuzz

from ..engine.contract import SessionConfig
from .answers import Answerer, told_about
from .contract import Notify, Responder
from .dialogue import Dialogue, Rule, RuleInput, take_turns
from .facts import read_brief
from .lexicon import Lexicon, kind_of
from .llm import LlmResponder, LlmSettings
from .memory import Memory, Said, begins_with
from .numbers import figures
from .retrieval import Index
from .template_slots import TemplateSlots

_SENTENCE = re.compile(r"(?<!\bDr\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<=[.!?])\s+(?=[\"“¿¡A-Z])")
_NO_SPEECH = re.compile(
    r"^\W*$|^[\[(*].*[\])*]\W*$|(?i:thanks for watching|subscribe to (my|the)"
    r" channel)|(?i:^(\w+)(\W+\2){5,}\W*$)"
)
_TELL_ME = re.compile(r"^(?:(?:can|could|would) you |please )*(?:tell me|explain|describe)\b")
MAX_HEARD_CHARS = 1_000
MAX_DRAFTS = 4


@dataclass
class Draft:
    """A reply that may yet be said.

    It becomes the talk's memory when it is heard; `after` is how many turns it was made after.
    """

    text: str
    after: int
    memory: Memory
    says: list[Said] = field(default_factory=list)

    @property
    def said(self) -> str:
        return " ".join(said.text for said in self.says)


def make_responder(
    config: SessionConfig, notify: Notify | None = None, llm: LlmSettings | None = None
) -> Responder:
    """Return what decides what to say in one talk; `notify` gets the sentence for the person when the
    language model fails.
    """
    rules = RuleResponder(config.prompt)
    return LlmResponder(config.prompt, llm, rules, notify) if llm else rules


class RuleResponder:
    """Answers from a role prompt, offline. One talk's; not to be called from two threads at once."""

    def __init__(self, prompt: str) -> None:
        self._lexicon = Lexicon.load()
        self._dialogue = Dialogue.load()
        self._brief = read_brief(prompt)
        self._index = Index(self._brief.facts, self._lexicon)
        self._style = self._dialogue.style_for(prompt)
        self._memory = Memory()
        self._drafts: deque[Draft] = deque(maxlen=MAX_DRAFTS)
        self._turns = 0

    @property
    def style(self) -> str:
        return self._style.name

    def greet(self) -> str:
        """Return the opening line in role."""
        draft = self._begin("")
        slots = self._slots(draft, RuleInput("", False))
        draft.says = self._sentences(slots, self._line(slots, "greet") or "Hello.")
        return draft.said

    def reply(self, user_text: str) -> Iterator[str]:
        """Yield the answer's sentences. Nothing is remembered until `heard`."""
        draft = self._begin(" ".join(user_text[:MAX_HEARD_CHARS].split()))
        draft.says = self._guarded(self._turn(draft, draft.text), draft)
        return (said.text for said in draft.says)

    def heard(self, agent_text: str, interrupted: bool) -> None:
        """Remember what was played of a reply, and the user's turn before it; the latest one that it can be
        of.
        """
        if not self._drafts:
            return
        draft = next((d for d in reversed(self._drafts) if begins_with(d.said, agent_text)), self._drafts[-1])
        if (
            draft.after != self._turns
        ):  # another turn was heard since this reply was made: make its memory anew, after that one
            draft.memory = self._memory.copy()
            self._turn(draft, draft.text)
        self._memory = draft.memory
        self._memory.heard(draft.says, agent_text, interrupted)
        self._turns += 1
        while self._drafts and self._drafts.popleft() is not draft:
            pass

    def answered(self, user_text: str, agent_text: str) -> None:
        """Remember a turn that somebody else answered."""
        self._memory.take_note(user_text)
        self._memory.asked = [*self._memory.asked, user_text][-40:]
        self._memory.heard([Said(s) for s in _SENTENCE.split(agent_text) if s], agent_text, False)
        self._turns += 1

    def close(self) -> None:
        """Forget the talk."""
        self._memory = Memory()
        self._drafts.clear()

    def _begin(self, text: str) -> Draft:
        self._drafts.append(Draft(text, self._turns, self._memory.copy()))
        return self._drafts[-1]

    def _turn(self, draft: Draft, text: str) -> list[Said]:
        memory = draft.memory
        plain = text.lower().replace("’", "'").strip()
        if _NO_SPEECH.search(text):
            return [Said(self._lead(draft, "unclear"))]
        named = memory.take_note(text)
        kind = kind_of(plain)
        asks = (
            kind not in (None, "open")
            or "?" in text
            or re.match(r"(what|which|how|tell me|explain|describe)\b", plain) is not None
        )
        matches = self._index.search(self._index.query(text), 1)
        turn = RuleInput(
            plain, asks, named, matches[0].covered if matches else 0.0, self._recalls(memory, plain)
        )
        slots = self._slots(draft, turn, text)
        says = self._decide(draft, turn, slots, text)
        if asks and not re.search(
            r"\b(did i|i just|my (last )?question|was i) (just )?(ask|say|asking)?", plain
        ):
            memory.asked = [*memory.asked, text][-40:]
        if not asks and turn.words >= 4:
            memory.answer = plain
        if named and memory.user_name and not any(memory.user_name in said.text for said in says):
            says = [Said(self._lead(draft, "greet_name")), *says]
        return says

    def _decide(self, draft: Draft, turn: RuleInput, slots: TemplateSlots, text: str) -> list[Said]:
        """Try in order: words about the talk itself, the role's own moves, the notes, general talk, small
        talk, and not knowing.
        """
        style = self._style
        memory = draft.memory
        says = self._fire(self._dialogue.first, turn, slots) or self._fire(style.first, turn, slots)
        if says:
            return says
        if style.facts != "none" or turn.question:
            answerer = Answerer(self._brief, self._index, lambda key, **more: self._lead(draft, key, **more))
            answer = answerer.answer(
                text, memory, style.hedge, style.facts == "all" or _TELL_ME.match(turn.text) is not None
            )
            if answer:
                memory.query = answer.query
                memory.query_facts = tuple(k for said in answer.says for k in said.facts)
                return list(answer.says)
        says = self._fire(self._dialogue.general, turn, slots)
        if says:
            return says
        statement = (
            told_about(text, memory.statements, lambda facts: Index(facts, self._lexicon))
            if turn.question
            else None
        )
        if statement:
            return [Said(self._lead(draft, "told", statement=statement))]
        topical = style.topics and not (turn.question and style.facts == "all")
        return (
            (self._fire(self._dialogue.topics, turn, slots) if topical else None)
            or self._fire(style.last, turn, slots)
            or self._sentences(slots, self._line(slots, "unknown") or "I'm sorry, that isn't in my notes.")
        )

    def _fire(self, rules: tuple[Rule, ...], turn: RuleInput, slots: TemplateSlots) -> list[Said] | None:
        """Return what the first rule says that fires and can be said, None when there is none."""
        memory = slots.memory
        for rule in rules:
            if not rule.fires(turn, memory.stage):
                continue
            slots.begin()
            said = take_turns(rule.id, rule.say, memory, slots.value)
            if said is None:
                slots.begin()
                said = take_turns(rule.id + ".else", rule.otherwise, memory, slots.value)
            if said is not None:
                memory.stage = rule.to or memory.stage
                slots.keep(rule.orders)
                return self._sentences(slots, said)
        return None

    def _sentences(self, slots: TemplateSlots, text: str) -> list[Said]:
        """Cut a line into sentences, each with the notes that it tells."""
        if slots.whole is not None:
            return slots.whole
        return [Said(s, slots.facts_in(s)) for s in _SENTENCE.split(text) if s]

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

    def _recalls(self, memory: Memory, text: str) -> float:
        """Return the share of the last note's words that the person just said."""
        if memory.last_fact is None:
            return 0.0
        known = set(self._lexicon.words(self._brief.facts[memory.last_fact].text)) - self._lexicon.empty
        if quoted := re.findall(r"[\"“]([^\"”]+)[\"”]", self._brief.facts[memory.last_fact].text):
            return fuzz.ratio(_letters_of(text), _letters_of(quoted[-1])) / 100
        return len(known & set(self._lexicon.words(text))) / max(1, len(known))

    def _guarded(self, says: list[Said], draft: Draft) -> list[Said]:
        """Let no sentence through whose figures are neither in the prompt nor in the person's own words."""
        known = self._brief.figures | draft.memory.figures
        sound = [said for said in says if figures(said.text) <= known]
        return sound or [Said("I'm sorry, I don't have that figure in my notes.")]


def _letters_of(text: str) -> str:
    """Return the letters of `text` without case, accents and marks."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if c.isalpha() or c == " ").strip()
