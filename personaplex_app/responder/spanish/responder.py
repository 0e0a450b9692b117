"""The rule responder in Spanish. Not thread-safe."""

from __future__ import annotations

import datetime
import random
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ...speech.spanish.figures import number_words
from ..memory import begins_with
from .facts import FactIndex
from .role import plain, read_role, split_sentences
from .rules import Form, Rule, SpanishRules, fill

# patterns run over the whole text, so its length is bounded
MAX_USER_CHARS = 1_000
# replies that may still be played: an older one was given up
_MAX_DRAFTS = 4
_MAX_HEARD = 6
_SURE = 0.55
_LIKELY = 0.34
# each third refusal offers what the role does know
_OFFERED_EVERY = 3
_MIN_STATEMENT_WORDS = 3
_MIN_ANSWER_WORDS = 6
_NAME = re.compile(r"(?i:\bme llamo|\bmi nombre es|\bsoy)\s+(?P<name>[A-ZÁÉÍÓÚÑ][a-záéíóúñ]+)(?=[\s.,!?]|$)")
_OPERATORS = {
    "mas": ("+", "más"), "menos": ("-", "menos"), "por": ("*", "por"), "multiplicado por": ("*", "por"),
    "entre": ("/", "entre"), "dividido entre": ("/", "entre"), "dividido por": ("/", "entre"),
}  # fmt: skip
_SUM = re.compile(
    rf"\b(?P<a>\d+|[a-z]+(?: y [a-z]+)?) (?P<op>{'|'.join(sorted(_OPERATORS, key=len, reverse=True))})"
    r" (?P<b>\d+|[a-z]+(?: y [a-z]+)?)$"
)
_ASKS_SUM = re.compile(r"\b(cuanto|cuantos) (es|son|da|hacen?)\b|\bcalcula\b")
_NUMBERS = {plain(number_words(number)): number for number in range(101)}
_ASKS = re.compile(
    r"^(y )?(que|cual|cuales|quien|como|cuando|donde|adonde|cuant[oa]s?|por que|a que|en que|de que|hay"
    r"|tienen?|puedo|puede|se puede|hacen?|aceptan|admiten|quiero|quisiera|necesito|busco|me gustaria"
    r"|dime|digame|hable?me|cuenteme sobre)\b"
)
_WEEKDAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
_MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
    "noviembre", "diciembre",
)  # fmt: skip
_YES = re.compile(r"^(si|claro|correcto|exacto|eso es|asi es|perfecto|vale|de acuerdo|muy bien)\b")
_NO = re.compile(r"^no\b")
_BEGINS = re.compile(r"\b(empe\w+|empiez\w+|comen\w+|vamos|list[oa]|adelante|siguiente)\b")
_STOPS_FORM = re.compile(r"\b(cancel\w+|dejalo|dejelo|olvidalo|olvidelo|ya no quiero)\b")
_OFFER_WORDS = 4
_MAX_BARE_WORDS = 3


@dataclass(frozen=True)
class _Memory:
    """What is known of the talk. A reply that is not played leaves none of it changed."""

    user: str = ""
    heard: tuple[str, ...] = ()
    last: str = ""
    uses: Mapping[str, int] = field(default_factory=dict)
    refusals: int = 0
    pace: float = 1.0
    step: int = 0
    told: frozenset[int] = frozenset()
    # of the form that is open: what was collected, and the slot that was asked for last
    form: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    asked: str = ""


@dataclass
class _Draft:
    text: str
    before: _Memory
    memory: _Memory
    reply: str = ""
    sure: bool = True


class SpanishResponder:
    """Answers from a Spanish role prompt by rules, facts and a form, for one talk."""

    def __init__(self, prompt: str) -> None:
        self._rules = SpanishRules.load()
        self._role = read_role(prompt)
        self._index = FactIndex(self._role.facts, self._rules.stop, self._rules.synonyms)
        role = plain(prompt)
        self._style = next(
            style for style in self._rules.styles if style.cues.search(role) or style.cues.pattern == "."
        )
        self._forms = [form for form in self._rules.forms if form.needs.search(role)]
        self._memory = _Memory()
        self._drafts: deque[_Draft] = deque(maxlen=_MAX_DRAFTS)

    @property
    def pace(self) -> float:
        """What multiplies the tempo of the next sentence."""
        return self._drafts[-1].memory.pace if self._drafts else self._memory.pace

    def greet(self) -> str:
        """Return the greeting in role."""
        draft = self._begin("")
        draft.reply = self._say(draft, "greet", self._rules.lines[self._style.greet])
        return draft.reply

    def reply(self, user_text: str) -> Iterator[str]:
        """Yield the answer's sentences. Nothing is remembered until `record_played`."""
        draft = self._begin(" ".join(user_text[:MAX_USER_CHARS].split()))
        self._answer(draft)
        return iter(split_sentences(draft.reply))

    def knows(self, user_text: str) -> bool:
        """Return whether more than small talk or a refusal answers a turn. Nothing is remembered."""
        draft = _Draft(" ".join(user_text[:MAX_USER_CHARS].split()), self._memory, self._memory)
        self._answer(draft)
        return draft.sure

    def heed(self, user_text: str) -> None:
        """Take the wish for another pace from a turn that the language model is to answer."""
        text = plain(user_text[:MAX_USER_CHARS])
        wished = next((rule for rule in self._rules.first if rule.pace and rule.when.search(text)), None)
        if wished:
            self._memory = replace(self._memory, pace=wished.pace)

    def record_played(self, agent_text: str, interrupted: bool) -> None:
        """Remember what was played of a reply and the user's turn before it.

        `agent_text` belongs to the latest draft that begins with it.
        """
        if not self._drafts:
            return
        draft = next(
            (each for each in reversed(self._drafts) if begins_with(each.reply, agent_text)), self._drafts[-1]
        )
        # another turn was recorded since this reply was made: its memory must build on that one's
        if draft.before is not self._memory:
            draft.memory = self._memory
            self._answer(draft)
        self._memory = replace(draft.memory, last=draft.reply if agent_text else self._memory.last)
        while self._drafts and self._drafts.popleft() is not draft:
            pass

    def record_answer(self, user_text: str, agent_text: str) -> None:
        """Remember a turn that a language model answered."""
        noted = self._noted(self._memory, user_text)
        self._memory = replace(noted, last=agent_text)

    def close(self) -> None:
        """Forget the talk."""
        self._memory = _Memory()
        self._drafts.clear()

    def _begin(self, text: str) -> _Draft:
        self._drafts.append(_Draft(text, self._memory, self._memory))
        return self._drafts[-1]

    # -- one turn ------------------------------------------------------------------------------

    def _answer(self, draft: _Draft) -> None:
        """Give a draft its reply: the first of these that applies.

        The talk itself, a form that is open, a feeling, what is computed, a form that begins, a fact of the
        role, an interview's next question, small talk, a fact that is near, the user's own statement, and
        that the answer is unknown.
        """
        text = plain(draft.text)
        if not text:
            draft.reply = self._say(draft, "unclear", self._rules.lines["unclear"])
            return
        before = draft.memory.user
        draft.memory = self._noted(draft.memory, draft.text)
        reply = self._decided(draft, text)
        if draft.memory.user != before and draft.memory.user not in reply:
            reply = f"{self._say(draft, 'greet_name', self._rules.lines['greet_name'])} {reply}"
        draft.reply = reply

    def _decided(self, draft: _Draft, text: str) -> str:
        asks = "?" in draft.text or _ASKS.search(text) is not None
        match = self._index.search(text)
        coverage = match.coverage if match else 0.0
        begun = [] if draft.memory.form else [form for form in self._forms if form.when.search(text)]
        reply = self._fired(draft, self._rules.first, text)
        if not reply and draft.memory.form:
            reply = self._filled(draft, text, asks)
        reply = (
            reply
            or self._fired(draft, self._rules.feelings, text, coverage)
            or self._computed(draft, text)
            or (self._opened(draft, begun[0], text) if begun and not (asks and coverage >= 1) else "")
            or (
                self._told(draft, match.fact) if match and coverage >= _SURE and not self._style.steps else ""
            )
            or self._next_step(draft, text, asks)
        )
        if reply:
            return reply
        draft.sure = False
        return (
            self._fired(draft, self._rules.topics, text)
            or (self._near(draft, match.fact) if match and asks and coverage >= _LIKELY else "")
            or self._small(draft, text, asks)
        )

    def _fired(self, draft: _Draft, rules: tuple[Rule, ...], text: str, coverage: float = 0.0) -> str:
        for rule in rules:
            if (rule.unless_facts and coverage >= _SURE) or not rule.when.search(text):
                continue
            if rule.pace:
                draft.memory = replace(draft.memory, pace=rule.pace)
            own = self._style.lines.get(rule.id, rule.say)
            if line := self._say(draft, rule.id, own) or self._say(draft, f"{rule.id}.", rule.otherwise):
                return line
        return ""

    def _told(self, draft: _Draft, fact: int) -> str:
        draft.memory = replace(draft.memory, told=draft.memory.told | {fact})
        return self._index.facts[fact]

    def _near(self, draft: _Draft, fact: int) -> str:
        text = self._told(draft, fact)
        return self._say(draft, "closest", self._rules.lines["closest"], fact=text)

    def _small(self, draft: _Draft, text: str, asks: bool) -> str:
        if not asks and len(text.split()) >= _MIN_STATEMENT_WORDS:
            return self._say(draft, "statements", self._rules.lines["statements"])
        refusals = draft.memory.refusals + 1
        draft.memory = replace(draft.memory, refusals=refusals)
        offered = self._rules.lines["offers"] if refusals % _OFFERED_EVERY == 0 else ()
        return self._say(draft, "offers", offered) or self._say(
            draft, "unknown", self._rules.lines["unknown"]
        )

    def _computed(self, draft: _Draft, text: str) -> str:
        lines = self._rules.skill_lines
        problem = _SUM.search(text)
        if problem and (_ASKS_SUM.search(text) or text == problem[0]):
            a, b = (_number(problem[name]) for name in "ab")
            if a is not None and b is not None:
                operator, spoken = _OPERATORS[problem["op"]]
                if operator == "/" and b == 0:
                    return self._say(draft, "zero", lines["zero"])
                result = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else 0}[operator]
                said = f"{result:.2f}".rstrip("0").rstrip(".").replace(".", ",")
                return self._say(draft, "sum", lines["sum"], problem=f"{a} {spoken} {b}", result=said)
        for name, pattern in self._rules.skills.items():
            if pattern.search(text):
                # a toss is the same however often the reply is made
                chance = random.Random(f"{len(draft.memory.heard)} {text}")  # noqa: S311
                result = {"coin": chance.choice(("cara", "cruz")), "die": str(chance.randint(1, 6))}
                return self._say(draft, name, lines[name], result=result.get(name, ""))
        return ""

    def _next_step(self, draft: _Draft, text: str, asks: bool) -> str:
        steps = self._style.steps
        if not steps or asks:
            return ""
        memory = draft.memory
        if _BEGINS.search(text) and len(text.split()) < _MIN_ANSWER_WORDS:
            return self._say(draft, "begin", self._style.lines["begin"])
        if len(text.split()) < _MIN_ANSWER_WORDS:
            return self._say(draft, "short", self._style.lines["short"])
        if memory.step + 1 >= len(steps):
            draft.memory = replace(memory, step=0)
            return self._say(draft, "over", self._style.lines["over"])
        draft.memory = replace(memory, step=memory.step + 1)
        return f"{self._say(draft, 'good', self._style.lines['good'])} {steps[memory.step + 1]}"

    # -- forms ---------------------------------------------------------------------------------

    def _opened(self, draft: _Draft, form: Form, text: str) -> str:
        draft.memory = replace(draft.memory, form=form.id, values={}, asked="")
        return self._filled(draft, text, False)

    def _filled(self, draft: _Draft, text: str, asks: bool) -> str:
        """Take what a turn says for the open form; ask for what is missing, or read it back.

        "" where the turn asks for something else: whoever does so in the middle of a form gets an answer.
        """
        memory = draft.memory
        form = next(each for each in self._forms if each.id == memory.form)
        if _STOPS_FORM.search(text):
            draft.memory = replace(memory, form="", values={}, asked="")
            return self._say(draft, "cancelled", form.lines["cancelled"])
        if memory.asked == "done" and (_YES.search(text) or _NO.search(text)):
            return self._closed_form(draft, form, bool(_YES.search(text)))
        found = self._slots_in(form, draft.text, memory.asked)
        if asks and not found:
            return ""
        values = {**memory.values, **found}
        missing = next((slot for slot in form.slots if slot.name not in values), None)
        draft.memory = replace(memory, values=values, asked=missing.name if missing else "done")
        if missing:
            return self._say(draft, f"ask.{missing.name}", missing.ask)
        return self._say(draft, "done", form.lines["done"], **values)

    def _closed_form(self, draft: _Draft, form: Form, agreed: bool) -> str:
        values = draft.memory.values
        changed = {} if agreed else self._slots_in(form, draft.text, "")
        if changed:
            draft.memory = replace(draft.memory, values={**values, **changed})
            return self._say(draft, "done", form.lines["done"], **draft.memory.values)
        draft.memory = replace(
            draft.memory,
            form="" if agreed else form.id,
            values={},
            asked="" if agreed else form.slots[0].name,
        )
        return self._say(
            draft, "agreed" if agreed else "again", form.lines["agreed" if agreed else "again"], **values
        )

    def _slots_in(self, form: Form, said: str, asked: str) -> dict[str, str]:
        """Return what a turn gives of a form's slots, as it was said."""
        words = re.findall(r"[^\s.,;!?¿¡]+", said)
        text = " ".join(map(plain, words))
        found: dict[str, str] = {}
        for slot in form.slots:
            match = slot.pattern.search(text)
            group = "value" if match and "value" in match.groupdict() else 0
            if match:
                first = text[: match.start(group)].count(" ")
                value = " ".join(words[first : first + 1 + match[group].count(" ")])
                # what began the turn stands in the middle of a sentence later
                found[slot.name] = value if slot.bare else value[0].lower() + value[1:]
            elif (
                slot.bare
                and asked == slot.name
                and len(words) <= _MAX_BARE_WORDS
                and not (_YES.search(text) or _NO.search(text))
            ):
                found[slot.name] = " ".join(words)
        return found

    # -- lines ---------------------------------------------------------------------------------

    def _noted(self, memory: _Memory, text: str) -> _Memory:
        named = _NAME.search(text)
        name = named["name"] if named and plain(named["name"]) not in self._rules.stop else memory.user
        return replace(memory, user=name, heard=(*memory.heard, text.rstrip(".?!"))[-_MAX_HEARD:])

    def _say(self, draft: _Draft, id_: str, lines: tuple[str, ...], **more: str) -> str:
        """Return the next line of those whose slots are filled, "" for none."""
        filled = [
            line
            for each in lines
            if (line := fill(each, lambda name: more.get(name) or self._slot(draft, name)))
        ]
        if not filled:
            return ""
        times = draft.memory.uses.get(id_, 0)
        draft.memory = replace(draft.memory, uses={**draft.memory.uses, id_: times + 1})
        # the fullest first, then in turn
        return filled[times % len(filled)]

    def _slot(self, draft: _Draft, name: str) -> str:
        memory = draft.memory
        now = datetime.datetime.now().astimezone()
        match name:
            case "name":
                return self._role.name
            case "company":
                return self._role.company
            case "user":
                return memory.user
            case "last":
                return memory.last
            case "heard":
                return "; ".join(memory.heard[:-1])
            case "time":
                return f"{now:%H:%M}"
            case "date":
                return f"{now.day} de {_MONTHS[now.month - 1]}"
            case "weekday":
                return _WEEKDAYS[now.weekday()]
            case "step":
                return self._style.steps[memory.step] if self._style.steps else ""
            case "offer":
                return self._offer(memory)
        return ""

    def _offer(self, memory: _Memory) -> str:
        """Return the beginning of two facts that were not told yet, as what can be asked for."""
        left = [fact for k, fact in enumerate(self._index.facts) if k not in memory.told]
        heads = (re.split(r"[,:;.]| (?:cuesta|es|son|está|abre|dura)\w* ", fact)[0] for fact in left)
        short = [head[0].lower() + head[1:] for head in heads if head and len(head.split()) <= _OFFER_WORDS]
        first = short[:1]
        apart = [
            head for head in short[1:] if not set(head.split()) & (set(first[0].split()) - self._rules.stop)
        ]
        return " o ".join(f"«{head}»" for head in (*first, *apart[:1]))


def _number(written: str) -> int | None:
    return int(written) if written.isdigit() else _NUMBERS.get(written)
