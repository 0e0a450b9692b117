"""Fill the {slots} of the dialogue's lines, for one turn of one talk."""

from __future__ import annotations

import re

from .answers import unknown_subject
from .dialogue import Dialogue, RuleInput, Style, take_turns
from .facts import Brief
from .memory import Memory, Sentence
from .numbers import figures
from .phrasing import lower_first, second_person
from .retrieval import LIKELY, Index

# "… the course History of Art …"
_COURSE = re.compile(
    r"\b[Cc]ourse ((?:[A-Z][\w'-]*|of|and|the|for|in)(?: (?:[A-Z][\w'-]*|of|and|the|for|in|to))*)"
)
# "… a lesson on The Roman Empire …"
_LESSON = re.compile(
    r"\b[Ll]esson (?:on |about )?((?:[A-Z][\w'-]*)(?: (?:[A-Z][\w'-]*|of|and|the|for|in|to))*)"
)
_TOPIC_WORDS = 4


class TemplateSlots:
    """Fills slots, and records which facts and orders the filled line has used.

    `fixed_sentences` replace the line where it repeats earlier sentences, which must not be split anew.
    """

    def __init__(
        self,
        brief: Brief,
        index: Index,
        style: Style,
        dialogue: Dialogue,
        memory: Memory,
        turn: RuleInput,
        text: str,
    ) -> None:
        self._brief = brief
        self._index = index
        self._style = style
        self._dialogue = dialogue
        self.memory = memory
        self._turn = turn
        self._text = text
        self.fixed_sentences: list[Sentence] | None = None
        self.begin()

    def begin(self) -> None:
        """Begin a new line and forget what the last one used."""
        self._used_facts: list[int] = []
        self._step = self.memory.step
        self._order_text = ""
        self.fixed_sentences = None

    def keep(self, orders: bool) -> None:
        """Take over into the memory what the filled line used; `orders` adds it to the user's order."""
        self.memory.step = self._step
        if orders and self._order_text:
            self.memory.orders = [*self.memory.orders, self._order_text][-20:]

    def facts_in(self, sentence: str) -> tuple[int, ...]:
        """Return the facts that a sentence of the line states."""
        return tuple(
            k for k in self._used_facts if self._brief.facts[k].text.rstrip(".").lower() in sentence.lower()
        )

    # A slot {name} without a fixed value is filled by the method `_make_name`, or else by the style's line
    # of that name.

    def value(self, name: str) -> str | None:
        """Return the text of a slot, None or "" when it cannot be filled."""
        identity = self._brief.identity
        if name.startswith("note:"):
            return self._note(name[5:])
        known = {
            "name": identity.name,
            "first": identity.first,
            "company": identity.company,
            "kind": identity.kind,
            "role": identity.role,
            "who": identity.name or identity.role or "whoever my notes describe",
            "user": self.memory.user_name,
            "asks_for": (
                f"Could you give me the {self._brief.asks_for}, please?" if self._brief.asks_for else ""
            ),
            "asked_before": (
                lower_first(
                    re.sub(r"(?i)^(?:and|so|but|ok|okay|well),? ", "", self.memory.questions[-1]).rstrip(
                        " ?.!"
                    )
                )
                if self.memory.questions
                else ""
            ),
            "said_before": self.memory.replies[-1] if self.memory.replies else "",
            "last_fact": (
                self._brief.facts[self.memory.last_fact].text if self.memory.last_fact is not None else ""
            ),
            "order": _listed(self.memory.orders),
        }
        if name in known:
            return known[name]
        made = getattr(self, f"_make_{name}", None)
        return made() if made else self._phrase(name)

    def _phrase(self, name: str) -> str | None:
        lines = ("What about you?", "And you?") if name == "and_turn" else self._style.lines.get(name, ())
        return take_turns(f"{self._style.name}.{name}", lines, self.memory, self.value)

    def _make_topics(self) -> str:
        """Return the subjects of the first few facts."""
        found: list[str] = []
        for fact in self._brief.facts:
            subject = fact.subject
            plain = (
                fact.noted
                and 0 < len(subject.split()) <= _TOPIC_WORDS
                and not re.search(r"(?i)^(you|we|i|they|it|there|today|the next)\b|\d", subject)
            )
            if (
                plain
                and fact.whole is None
                and not figures(subject)
                and subject.lower() not in " ".join(found).lower()
            ):
                subject = re.sub(r"^(?:The|An?|Our)\b", lambda m: m[0].lower(), lower_first(subject))
                found.append(re.sub(r"(?i)^your\b", "my", subject))
        return _listed(found[:3])

    def _make_asked(self) -> str:
        return unknown_subject(self._text, self._index)

    def _make_echo(self) -> str:
        spoken = re.split(r"(?<=[.!?])\s", self._text)[-1]
        spoken = re.sub(
            r"^(?i:well|oh|yes|no|so|and|but|actually|i think|please|remember that|note that|remind me"
            r" to|keep in mind that)[, ]+",
            "",
            spoken,
        )
        return lower_first(second_person(spoken)) if 2 <= len(spoken.split()) <= 10 else ""

    def _make_next_fact(self) -> str:
        """Return the first fact that the agent has not stated yet."""
        for k, fact in enumerate(self._brief.facts):
            if (
                fact.noted
                and fact.whole is None
                and self._is_taught(k)
                and k not in self.memory.told_facts
                and k not in self._used_facts
            ):
                return self._use(k)
        return ""

    def _make_match_fact(self) -> str:
        """Return the fact that fits the user's text best."""
        found = self._index.search(self._index.query(self._text), 5)
        best = next((m for m in found if m.coverage >= LIKELY and self._is_taught(m.index)), None)
        return self._use(best.index) if best else ""

    def _is_taught(self, index: int) -> bool:
        """Return whether a fact is told unasked.

        Of a language lesson only its quoted phrases are, of an assistant nothing that is about itself.
        """
        if self._style.name == "assistant" and self._brief.facts[index].subject.lower() in ("you", "i", ""):
            return False
        phrases = [fact for fact in self._brief.facts if '"' in fact.text]
        return self._style.name != "language" or not phrases or self._brief.facts[index] in phrases

    def _make_ordered_fact(self) -> str:
        """Return the prices of what the user orders, "" when they name anything else too."""
        asked = set(self._index.query(self._text).stems)
        parts = {
            k: set(self._index.stems_of(f.subject))
            for k, f in enumerate(self._brief.facts)
            if f.whole is not None
        }
        # reversed, so that of several facts on one subject the first one stays
        ordered = {
            self._brief.facts[k].subject: k
            for k, stems in reversed(parts.items())
            if stems and stems <= asked
        }
        left = {
            s
            for s in asked.difference(*(parts[k] for k in ordered.values()))
            if self._index.mentions(s) and not self._index.is_light(s)
        }
        if left or not ordered:
            return ""
        self._order_text = _listed([f"the {subject}" for subject in reversed(ordered)])
        return " ".join(self._use(k) for k in reversed(ordered.values()))

    def _note(self, pattern: str) -> str:
        """Return the first fact that matches, preferably one that the agent has not stated."""
        facts = [k for k, f in enumerate(self._brief.facts) if f.noted and k not in self._used_facts]
        fitting = [
            k
            for word in pattern.split("|")
            for k in facts
            if re.search(rf"(?i)\b{word}", self._brief.facts[k].text)
        ]
        # False sorts before True, and `min` returns the first of equals
        return self._use(min(fitting, key=lambda k: k in self.memory.told_facts)) if fitting else ""

    def _use(self, index: int) -> str:
        self._used_facts.append(index)
        return self._brief.facts[index].text

    def _make_step(self) -> str:
        """Return the next of the role's questions that the user has not answered yet."""
        for number in range(self._step + 1, len(self._style.steps)):
            ask, known = self._style.steps[number]
            if not (known and any(known.search(text) for text in self.memory.user_texts)):
                self._step = number
                return ask
        return ""

    def _make_this_step(self) -> str:
        return (
            self._style.steps[self.memory.step][0] if 0 <= self.memory.step < len(self._style.steps) else ""
        )

    def _make_feedback(self) -> str | None:
        """Return the role's comment on the user's last full answer."""
        answer = (
            self._turn.text
            if not self._turn.question or self._style.name == "sales"
            else self.memory.last_answer
        )
        about = RuleInput(answer, False)
        rule = next((r for r in self._style.feedback if answer and r.fires(about, self.memory.stage)), None)
        return take_turns(rule.id, rule.say, self.memory, self.value) if rule else ""

    def _make_course(self) -> str:
        found = _COURSE.search(self._brief.prompt)
        return found[1] if found else ""

    def _make_lesson(self) -> str:
        found = _LESSON.search(self._brief.prompt)
        return found[1] if found else ""

    def _make_rest(self) -> str:
        """Return the sentences that the last interruption cut off."""
        self.fixed_sentences = [*self.memory.unplayed] or None
        return " ".join(sentence.text for sentence in self.memory.unplayed)

    def _make_repeat(self) -> str:
        self.fixed_sentences = [*self.memory.last_reply] or None
        return " ".join(sentence.text for sentence in self.memory.last_reply)


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else ""
