"""From a question to the sentence that answers it, when the notes hold one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from rapidfuzz import fuzz

from .facts import Brief, Fact
from .lexicon import days_in, hours_in
from .memory import Memory, Said
from .numbers import speakable
from .phrasing import lower_first, sentence
from .retrieval import LIKELY, SURE, Index, Match, Query, is_negative, merged

_FOLLOW_UP = re.compile(
    r"(?i)^(?:(?:ok(?:ay)?|so|oh|well|right|thanks|alright|great)[, ]+)*"
    r"(?:and\b|what about|how about|or\b|but\b|then\b|also\b|for\b|on\b|in\b|at\b)"
)
_POINTING = re.compile(
    r"(?i)\b(it|that|this|those|these|they|them|one|there|then)\b(?! (?:is|are) (?:a|an|any)\b)"
)
_CORRECTION = re.compile(
    r"(?i)^(?:no|nope|sorry|wait|actually|oh)?[, ]*(?:no[, ]+)?"
    r"(?:i (?:meant|mean|said|was asking about)|not that[, ]|rather|actually[, ])\s*"
)
_PROMISE = re.compile(
    r"(?i)\b(?:can|could|will|do) you (?:really )?(?:guarantee|promise|assure|swear)\b|\bguaranteed\?"
)
_OPENNESS = re.compile(
    r"(?i)\b(open|closed?|come|visit|deliver|collect|pickup|available|possible|work|there)\b|^(?:and |or"
    r" |what about |how about )"
)
_QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”] (?:is|means) [\"“]([^\"”]+)[\"”]")
_SAYING = re.compile(
    r"(?i)(?:how (?:do|would|can|should) (?:i|you|we|one) (?:say|ask(?: for)?|order|greet|translate|express)"
    r"|what(?:'s| is| does| do)|(?:the )?word for|translate|say"
    r"|ask(?: for)?|order)\s+(?P<what>.+?)"
    r"(?:\s+(?:mean|in (?:spanish|french|german|italian|english|portuguese|japanese|chinese))\b.*)?[?.! ]*$"
)
_YOURS = re.compile(r"(?i)\b(you|your|pickup|pick|come|collect|find|go)\b")
_NAMING = re.compile(
    r"(?i)\b(?:a|an|the|any|your|my|some|have|sell|offer|rent|repair|fix|serve|about|for|of|with|do)\s+"
)
_AMOUNT = re.compile(r"(?i)\b(?:dollars?|euros?|pounds?|percent)\b|[$€£%]")


@dataclass(frozen=True)
class Answer:
    """What to say; `query` is what was understood, for the next follow-up."""

    says: tuple[Said, ...]
    query: Query


class Answerer:
    """Answers from the notes of one talk."""

    def __init__(self, brief: Brief, index: Index, lead: Callable[..., str]) -> None:
        self._brief = brief
        self._index = index
        self._lead = lead
        self._glossary = [(m[1], m[2], k) for k, f in enumerate(brief.facts) if (m := _QUOTED.search(f.text))]

    def answer(self, text: str, memory: Memory, hedge: bool, statements: bool) -> Answer | None:
        """Return the notes' answer to a turn, None when they hold none."""
        corrected = _CORRECTION.match(text)
        asked = text[corrected.end() :] if corrected and corrected.end() < len(text) else text
        query = self._index.query(_PROMISE.sub("is it", asked))
        query = replace(query, text=asked)
        follows = bool(memory.query) and self._follows(query, asked, bool(corrected))
        if follows and memory.query:
            about = tuple(dict.fromkeys(s for k in memory.query_facts for s in self._index.stems(k)))
            query = merged(query, replace(memory.query, stems=memory.query.stems or about))
            query = replace(query, side=tuple(dict.fromkeys((*query.side, *about))))
        if query.kind is None and not (statements or follows):
            return None
        if found := self._phrase(asked):
            return Answer((self._said(found),), query)
        matches = self._index.search(query)
        says = (
            self._from(query, matches, memory, hedge)
            if query.kind or follows or (matches and matches[0].covered >= SURE)
            else None
        )
        if says and corrected:
            says = (Said(self._lead("corrected")), *says)
        return Answer(says, query) if says else None

    def _follows(self, query: Query, text: str, corrected: bool) -> bool:
        if corrected or _FOLLOW_UP.match(text):
            return True
        if not query.stems:
            return bool(query.days or query.numbers or query.hours) or bool(
                _POINTING.search(text) and query.kind not in (None, "open", "yesno")
            )
        return _POINTING.search(text) is not None and query.kind is not None and len(query.stems) <= 2

    def _from(
        self, query: Query, matches: list[Match], memory: Memory, hedge: bool
    ) -> tuple[Said, ...] | None:
        best = matches[0] if matches else None
        if all(self._index.is_light(s) or s == "phone" for s in query.stems) and (
            best is None or query.kind == "price"
        ):
            return self._unnamed(query)
        if (
            query.kind == "where"
            and best
            and not best.typed
            and _YOURS.search(query.text)
            and (place := self._unnamed(query))
        ):
            return place
        if (
            best is None
            or best.covered < LIKELY
            or (best.covered < SURE and not hedge)
            or not self._names(query, best)
        ):
            return None
        fact = self._index.facts[best.index]
        says = [self._said(best.index)]
        if _PROMISE.search(query.text) and not re.match(r"(?i)i can't promise", fact.text):
            return (Said(self._lead("promise")), *says, *self._beside(best.index))
        if query.kind in ("price", "phone") and not best.typed and best.covered >= LIKELY:
            return (Said(self._lead(query.kind)), *says)
        if query.kind in ("when", "duration", "count") and not best.typed:
            return (Said(self._lead(query.kind)), *says) if best.covered >= SURE else None
        if best.covered < SURE:
            return (Said(self._lead("hedge")), *says)
        verdict = self._verdict(query, best, fact)
        if verdict:
            says[0] = Said(f"{verdict}, {lower_first(says[0].text)}", says[0].facts)
        elif (
            best.index in memory.told
            and memory.query
            and set(memory.query.stems) == set(query.stems)
            and memory.query.kind == query.kind
        ):
            says[0] = Said(self._lead("again", fact=lower_first(says[0].text)), says[0].facts)
        if verdict == "No" or is_negative(fact.text):
            says += self._beside(best.index)
        else:
            also = next(
                (
                    m.index
                    for m in matches[1:3]
                    if m.covered >= 0.85 and m.typed and self._same_line(m.index, best.index)
                ),
                None,
            )
            says = (
                [self._said(k) for k in sorted((best.index, also))]
                if also is not None and query.kind not in ("yesno", "price")
                else says
            )
        return tuple(says)

    def _same_line(self, a: int, b: int) -> bool:
        facts = self._index.facts
        return a != b and facts[a].line == facts[b].line and facts[a].whole is None and facts[b].whole is None

    def _names(self, query: Query, best: Match) -> bool:
        """A price must be of the very thing: one unknown word of two makes it another thing."""
        unknown = [s for s in query.stems if not self._index.speaks_of(s) and not self._index.is_light(s)]
        return (
            not unknown
            or query.kind not in ("price", "count", "when", "duration")
            or len(unknown) * 2 < len(query.stems)
        )

    def _unnamed(self, query: Query) -> tuple[Said, ...] | None:
        """A question that names nothing ("how much is it?", "what's your number?"): answered when only one
        note can be meant.
        """
        fitting = self._index.typed(query.kind, query.text)
        if query.days or query.hours:
            fitting = [k for k, f in enumerate(self._index.facts) if days_in(f.source) and f.whole is None]
        if not fitting or (
            query.kind in (None, "open", "yesno", "why", "who") and not (query.days or query.hours)
        ):
            return None
        if query.kind == "price" and len(fitting) > 2:
            return (Said(self._lead("which")),)
        fact = self._index.facts[fitting[0]]
        verdict = self._verdict(query, Match(fitting[0], 1.0, 1.0, True), fact)
        said = self._said(fitting[0])
        return (Said(f"{verdict}, {lower_first(said.text)}", said.facts) if verdict else said,)

    def _beside(self, index: int) -> list[Said]:
        """Return the next note of the same sentence: "… is out of stock; an alternative arrives …"."""
        facts = self._index.facts
        after = index + 1
        return (
            [self._said(after)]
            if after < len(facts) and facts[after].line == facts[index].line and facts[after].whole is None
            else []
        )

    def _said(self, index: int) -> Said:
        fact = self._index.facts[index]
        return Said(fact.text, (index,) if fact.whole is None else (index, fact.whole))

    def _verdict(self, query: Query, best: Match, fact: Fact) -> str:
        """Return "Yes" or "No" where the note decides it beyond doubt, "" where it is better only quoted."""
        days = days_in(fact.source)
        hours = hours_in(fact.source)
        if query.kind in ("yesno", "open", "when") and query.days and days:
            if not query.days <= days:
                return "No"
            return "Yes" if query.kind != "when" else ""
        if query.kind != "yesno" or (days and not query.hours and _OPENNESS.search(query.text)):
            return ""
        if query.hours and len(hours) == 2 and _OPENNESS.search(query.text):
            return "Yes" if hours[0] <= query.hours[0] < hours[1] else "No"
        if query.hours and len(hours) == 1 and query.hours[0] != hours[0]:
            return ""
        if _AMOUNT.search(query.text) and query.numbers:
            return "Yes" if query.numbers <= self._index.numbers(best.index) else "No"
        if re.match(r"(?i)(i can't|no |we do not|we don't|there (is|are) no)", fact.text):
            return "No" if re.match(r"(?i)(there|we)", fact.text) else ""
        if re.search(r"(?i)n't\b|\bnot\b", query.text) or re.search(
            r"(?i)\b(except|only|unless)\b", fact.text
        ):
            return ""
        if is_negative(fact.text):
            return "No" if best.covered >= 0.8 else ""
        if best.opposed:
            return "No"
        return "Yes" if best.covered >= 0.9 and not query.numbers - self._index.numbers(best.index) else ""

    def _phrase(self, text: str) -> int | None:
        """Return the note that translates what is asked for, None when nothing like it is in the notes."""
        asked = _SAYING.search(text) if self._glossary else None
        if not asked:
            return None
        what = re.sub(r"[^\w\s]", "", asked["what"].lower()).strip()
        scored = [
            (
                max(
                    fuzz.ratio(what, _without_marks(a)),
                    fuzz.ratio(what, _without_marks(b)),
                    fuzz.token_set_ratio(what, _without_marks(a)) - 12,
                ),
                k,
            )
            for a, b, k in self._glossary
        ]
        score, index = max(scored)
        return index if score >= 70 else None


def asked_phrase(text: str, index: Index) -> str:
    """Return the words of a question that name what the notes do not have: "the garden waste bin"; "" where
    that is not clear.
    """
    for start in reversed([0, *(m.end() for m in _NAMING.finditer(text))]):
        words = re.findall(r"[\w'-]+", text[start:])
        length = next((k for k, word in enumerate(words) if not index.carries(word)), len(words))
        if start and 1 <= length <= 3 and words[length : length + 1] not in (["one"], ["ones"]):
            article = re.search(r"(?i)\b(the|any|an?)\s+$", text[:start])
            return speakable(" ".join([*([article[1].lower()] if article else []), *words[:length]]))
    return ""


def _without_marks(text: str) -> str:
    return re.sub(r"[^\w\s]", "", text.lower())


def told_about(
    question: str, statements: list[str], lexicon_index: Callable[[tuple[Fact, ...]], Index]
) -> str | None:
    """Return what the person told about themselves that answers `question` ("what's my dog's name?"), None
    for nothing.
    """
    if not statements or not re.search(r"(?i)\b(my|i|me|our|we)\b", question):
        return None
    index = lexicon_index(tuple(Fact(sentence(s), s) for s in statements))
    query = index.query(question)
    matches = index.search(replace(query, kind="open")) if query.stems else []
    return statements[matches[0].index] if matches and matches[0].covered >= SURE else None
