"""Answer a question from the facts of the role prompt, when one of them answers it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from rapidfuzz import fuzz

from ..speech.spoken_form import speakable
from .facts import Brief, Fact
from .lexicon import days_in, hours_in
from .memory import Memory, Sentence
from .phrasing import lower_first, sentence
from .retrieval import (
    LIKELY,
    LIKELY_ALIKE,
    LIKELY_ALIKE_IN_TALK,
    LIKELY_ALIKE_STATED,
    SURE,
    SURE_ALIKE,
    SURE_ALIKE_STATED,
    Index,
    Match,
    Query,
    completed,
    is_negative,
    number_words,
)

# "And on Sunday?", "What about the large one?"
_FOLLOW_UP = re.compile(
    r"(?i)^(?:(?:ok(?:ay)?|so|oh|well|right|thanks|alright|great)[, ]+)*"
    r"(?:and\b|what about|how about|or\b|but\b|then\b|also\b|for\b|on\b|in\b|at\b)"
)
# words that point to something said before; not "there is a …"
_POINTING = re.compile(
    r"(?i)\b(it|that|this|those|these|they|them|one|(?<!is )(?<!are )there|then)\b(?! (?:is|are) (?:a|an"
    r"|any)\b)"
)
# "No, I meant Tuesday."
_CORRECTION = re.compile(
    r"(?i)^(?:no|nope|sorry|wait|actually|oh)?[, ]*(?:no[, ]+)?"
    r"(?:i (?:meant|mean|said|was asking about)|not that[, ]|rather|actually[, ])\s*"
)
# "Can you guarantee that it arrives?"
_PROMISE = re.compile(
    r"(?i)\b(?:can|could|will|do) you (?:really )?(?:guarantee|promise|assure|swear)\b|\bguaranteed\?"
)
# questions to which days and hours give a yes or no
_OPENNESS = re.compile(
    r"(?i)\b(open|closed?|come|visit|deliver|collect|pickup|available|possible|work|there)\b|^(?:and |or"
    r" |what about |how about )"
)
# a fact that is one entry of a phrase book: "hola" means "hello"
_QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”] (?:is|means) [\"“]([^\"”]+)[\"”]")
# "How do you say hello in Spanish?"
_SAYING = re.compile(
    r"(?i)(?:how (?:do|would|can|should) (?:i|you|we|one) (?:say|ask(?: for)?|order|greet|translate|express)"
    r"|what(?:'s| is| does| do)|(?:the )?word for|translate|say"
    r"|ask(?: for)?|order)\s+(?P<what>.+?)"
    r"(?:\s+(?:mean|in (?:spanish|french|german|italian|english|portuguese|japanese|chinese))\b.*)?[?.! ]*$"
)
# asks for the agent's own place or number
_YOURS = re.compile(r"(?i)\b(you|your|pickup|pick|come|collect|find|go)\b")
# what comes after these words is likely what the question is about
_NAMING = re.compile(
    r"(?i)\b(?:a|an|the|any|your|my|some|have|sell|offer|rent|repair|fix|serve|about|for|of|with|do)\s+"
)
# kinds of question that ask for a figure
_VALUES_ASKED = ("price", "count", "when", "duration")
# by how much another fact must be closer in meaning than the one that has the question's words
_FARTHER = 0.25
# facts that are nearly as close as the closest one are told with it where it is unsure which is meant
_AS_CLOSE = 0.12
# "is it expensive?" is for the user to judge
_JUDGES = re.compile(r"(?i)\b(?:expensive|cheap|dear|far|long|big|good|nice|busy|hard|difficult|worth)\b")
# what is less alike is told as what comes closest, after saying plainly that the answer is not known
_FAR = 0.2
# asks for what happened once; what a role is told is what always holds
_EVENT = re.compile(
    r"(?i)^(?!.*\b(?:i|my|we|our)\b)(?:.*\b(?:did|was|were) (?!you\b)"
    r"(?:they|he|she|it|there|the|your|\w+ \w+)\b"
    r"|.*\bdid you\b.*\b(?:this|so far|yesterday|today)\b"
    r"|.*\blast (?:year|month|week|night|summer|season)\b)"
)
_HAPPENED = re.compile(r"(?i)\b(?:was|were|did|had|since|founded|built|born|came|went|won|used to)\b")
_AMOUNT = re.compile(r"(?i)\b(?:dollars?|euros?|pounds?|percent)\b|[$€£%]")


@dataclass(frozen=True)
class Answer:
    """The sentences to say, and the query that they answer, for a follow-up question."""

    sentences: tuple[Sentence, ...]
    query: Query


class Answerer:
    """Answers from the facts of one role prompt.

    `lead` returns an introductory line of the dialogue by its key, such as a hedge or a correction.
    """

    def __init__(self, brief: Brief, index: Index, lead: Callable[..., str]) -> None:
        self._brief = brief
        self._index = index
        self._lead = lead
        self._glossary = [(m[1], m[2], k) for k, f in enumerate(brief.facts) if (m := _QUOTED.search(f.text))]

    def answer(self, text: str, memory: Memory, hedge: bool, statements: bool) -> Answer | None:
        """Return the answer to a user turn, None when no fact answers it.

        `hedge` allows an answer that is only likely; `statements` allows answers to turns that ask nothing.
        """
        corrected = _CORRECTION.match(text)
        question = text[corrected.end() :] if corrected and corrected.end() < len(text) else text
        # "can you guarantee that …" asks the same as "is it that …"; the answer then begins with a disclaimer
        query = self._index.query(_PROMISE.sub("is it", question))
        query = replace(query, text=question)
        follows = bool(memory.query) and self._follows(query, question, bool(corrected))
        if follows and memory.query:
            query = self._with_context(query, memory.query, memory.query_facts)
        if query.kind is None and not (statements or follows):
            return None
        if found := self._translation(question):
            return Answer((self._quote(found),), query)
        matches = self._index.search(query)
        if _EVENT.search(question):
            matches = [m for m in matches if _HAPPENED.search(self._index.facts[m.index].text)]
        sentences = (
            self._from_matches(query, matches, memory, hedge)
            if query.kind or follows or (matches and matches[0].coverage >= SURE)
            else None
        )
        if sentences and corrected:
            sentences = (Sentence(self._lead("corrected")), *sentences)
        return Answer(sentences, query) if sentences else None

    def answer_by_meaning(self, text: str, memory: Memory, statements: bool) -> Answer | None:
        """Return the facts closest in meaning to a user turn, None when none is close.

        `statements` allows answers to turns that ask nothing.
        """
        query = self._index.query(text)
        follows = bool(memory.query) and self._follows(query, text, False)
        if query.kind is None and not (statements or follows):
            return None
        # what "and for two of them?" means, the question before it says
        asked = f"{memory.query.text} {text}" if follows and memory.query else text
        # a statement shares a word with a fact by chance: "my order hasn't come", "free for orders over …"
        likeness = self._index.likeness(asked, query if query.kind else replace(query, stems=()))
        if likeness is None:
            return None
        best, *rest = (int(k) for k in np.argsort(-likeness))
        if _EVENT.search(text) and not _HAPPENED.search(self._index.facts[best].text):
            return None
        names_something = query.kind and (query.stems or query.days or number_words(text))
        likely = LIKELY_ALIKE if statements or self._brief.has_notes else LIKELY_ALIKE_IN_TALK
        if likeness[best] < (likely if names_something else LIKELY_ALIKE_STATED):
            return None
        quote = self._quote(best)
        # a figure of something else would mislead
        of_another = query.kind in _VALUES_ASKED and self._unknown(query)
        if likeness[best] >= (SURE_ALIKE if query.kind else SURE_ALIKE_STATED) and not of_another:
            return Answer((quote,), query)
        # where it is unsure which price is meant, the list of them helps
        whole = self._index.facts[best].whole
        quote = quote if whole is None else self._quote(whole)
        also = [
            self._quote(k)
            for k in rest[:1]
            if likeness[best] - likeness[k] < _AS_CLOSE
            and not {k, best} & {*quote.facts[1:], *self._quote(k).facts[1:]}
        ]
        lead = "closest" if likeness[best] >= _FAR else "far"
        return Answer((Sentence(self._lead(lead)), quote, *also), query)

    def _is_meant(self, query: Query, best: Match) -> bool:
        """Return whether the fact with the question's words is meant, where those words say little.

        "How many people work tonight?" is not about the line that works at ninety percent.
        """
        if query.kind and not all(self._index.is_light(stem) for stem in query.stems):
            return True
        likeness = self._index.likeness(query.text, query if query.kind else replace(query, stems=()))
        if likeness is not None and query.kind is None:
            return bool(likeness[best.index] >= LIKELY_ALIKE_STATED)
        return likeness is None or float(likeness.max() - likeness[best.index]) < _FARTHER

    def _with_context(self, query: Query, previous: Query, previous_facts: tuple[int, ...]) -> Query:
        """Return a follow-up completed by the previous question and by the facts that answered it."""
        about = tuple(dict.fromkeys(s for k in previous_facts for s in self._index.stems(k)))
        query = completed(query, replace(previous, stems=previous.stems or about))
        return replace(query, context_stems=tuple(dict.fromkeys((*query.context_stems, *about))))

    def _follows(self, query: Query, text: str, corrected: bool) -> bool:
        """Return whether a question continues the previous one, such as "and on Sunday?"."""
        if corrected or _FOLLOW_UP.match(text):
            return True
        if not query.stems:
            return bool(query.days or query.numbers or query.hours) or bool(
                _POINTING.search(text) and query.kind not in (None, "open", "yesno")
            )
        return _POINTING.search(text) is not None and query.kind is not None and len(query.stems) <= 2

    def _from_matches(
        self, query: Query, matches: list[Match], memory: Memory, hedge: bool
    ) -> tuple[Sentence, ...] | None:
        """Return the answer by the best match, None when none fits well enough."""
        best = matches[0] if matches else None
        if without_subject := self._without_subject(query, best):
            return without_subject[0]
        if (
            best is None
            or best.coverage < LIKELY
            or (best.coverage < SURE and not (hedge and not self._index.has_meanings))
            or not self._is_about_subject(query, best)
            or not self._is_meant(query, best)
        ):
            return None
        if self._is_introduced(query, best):
            return self._introduced(query, best)
        return self._decided(query, matches, memory)

    def _without_subject(self, query: Query, best: Match | None) -> tuple[tuple[Sentence, ...] | None] | None:
        """Return a one-tuple of the answer when the question names nothing to look up, else None."""
        names_nothing = all(self._index.is_light(s) or s == "phone" for s in query.stems)
        if names_nothing and (best is None or query.kind == "price"):
            return (self._answer_without_subject(query),)
        # "where do I find you?" has words to look up, but asks for the agent's own address
        asks_address = query.kind == "where" and best and not best.has_value and _YOURS.search(query.text)
        if asks_address and (place := self._answer_without_subject(query)):
            return (place,)
        return None

    def _is_introduced(self, query: Query, best: Match) -> bool:
        """Return whether the fact cannot be given as the answer itself, only after an introductory line."""
        promised = _PROMISE.search(query.text) and not self._refuses_promise(best)
        lacks_value = query.kind in ("price", "phone", "when", "duration", "count") and not best.has_value
        return bool(promised) or lacks_value or best.coverage < SURE

    def _introduced(self, query: Query, best: Match) -> tuple[Sentence, ...] | None:
        """Return the fact after a line that says how it relates to the question."""
        quote = self._quote(best.index)
        if _PROMISE.search(query.text) and not self._refuses_promise(best):
            return (Sentence(self._lead("promise")), quote, *self._next_in_sentence(best.index))
        if query.kind in ("price", "phone") and not best.has_value:
            return (Sentence(self._lead(query.kind)), quote)
        if query.kind in ("when", "duration", "count") and not best.has_value:
            return (Sentence(self._lead(query.kind)), quote) if best.coverage >= SURE else None
        return (Sentence(self._lead("hedge")), quote)

    def _refuses_promise(self, best: Match) -> bool:
        return re.match(r"(?i)i can't promise", self._index.facts[best.index].text) is not None

    def _decided(self, query: Query, matches: list[Match], memory: Memory) -> tuple[Sentence, ...]:
        """Return the best fact as the answer, after a yes or no where it decides the question."""
        best = matches[0]
        fact = self._index.facts[best.index]
        quote = self._quote(best.index)
        sentences = [quote]
        verdict = self._verdict(query, best, fact)
        if verdict:
            sentences = [Sentence(f"{verdict}, {lower_first(quote.text)}", quote.facts)]
        elif self._was_told(query, best, memory):
            sentences = [Sentence(self._lead("again", fact=lower_first(quote.text)), quote.facts)]
        if verdict == "No" or is_negative(fact.text):
            # "… is out of stock" is of more use with what follows, such as when it arrives
            return (*sentences, *self._next_in_sentence(best.index))
        # another fact of the same sentence of the prompt that fits as well is a part of the answer
        also = next(
            (
                m.index
                for m in matches[1:3]
                if m.coverage >= 0.85 and m.has_value and self._in_same_sentence(m.index, best.index)
            ),
            None,
        )
        if also is not None and query.kind not in ("yesno", "price"):
            return tuple(self._quote(k) for k in sorted((best.index, also)))
        return tuple(sentences)

    def _was_told(self, query: Query, best: Match, memory: Memory) -> bool:
        """Return whether the same question was answered by the same fact just before."""
        return (
            best.index in memory.told_facts
            and memory.query is not None
            and set(memory.query.stems) == set(query.stems)
            and memory.query.kind == query.kind
        )

    def _in_same_sentence(self, a: int, b: int) -> bool:
        facts = self._index.facts
        return a != b and facts[a].line == facts[b].line and facts[a].whole is None and facts[b].whole is None

    def _is_about_subject(self, query: Query, best: Match) -> bool:
        """Return whether the match is about what the question names.

        A figure must be of that very thing: when half of the question's words are unknown, it is another one.
        """
        unknown = self._unknown(query)
        return not unknown or query.kind not in _VALUES_ASKED or len(unknown) * 2 < len(query.stems)

    def _unknown(self, query: Query) -> list[str]:
        """Return the question's stems that name something of which no fact speaks."""
        return [s for s in query.stems if not self._index.mentions(s) and not self._index.is_light(s)]

    def _answer_without_subject(self, query: Query) -> tuple[Sentence, ...] | None:
        """Answer a question that names nothing ("how much is it?", "what's your number?").

        None when no fact, or no kind of question, can be meant.
        """
        fitting = self._index.facts_with_value(query.kind, query.text)
        if query.days or query.hours:
            fitting = [k for k, f in enumerate(self._index.facts) if days_in(f.source) and f.whole is None]
        if not fitting or (
            query.kind in (None, "open", "yesno", "why", "who") and not (query.days or query.hours)
        ):
            return None
        likeness = self._index.likeness(query.text, query)
        if query.kind == "price" and len(fitting) > 2:
            if likeness is None or likeness.max() < SURE_ALIKE_STATED:
                return (Sentence(self._lead("which")),)
            return (self._quote(int(likeness.argmax())),)
        best = fitting[0]
        if likeness is not None and likeness[fitting].max() - likeness[best] >= _FARTHER:
            best = max(fitting, key=lambda k: likeness[k])
        verdict = self._verdict(query, Match(best, 1.0, 1.0, True), self._index.facts[best])
        quote = self._quote(best)
        return (Sentence(f"{verdict}, {lower_first(quote.text)}", quote.facts) if verdict else quote,)

    def _next_in_sentence(self, index: int) -> list[Sentence]:
        """Return the next fact of the same sentence: "… is out of stock; an alternative arrives …"."""
        facts = self._index.facts
        after = index + 1
        return (
            [self._quote(after)]
            if after < len(facts) and facts[after].line == facts[index].line and facts[after].whole is None
            else []
        )

    def _quote(self, index: int) -> Sentence:
        """Return a fact as a sentence; a part of a list counts as its whole too."""
        fact = self._index.facts[index]
        return Sentence(fact.text, (index,) if fact.whole is None else (index, fact.whole))

    def _verdict(self, query: Query, best: Match, fact: Fact) -> str:
        """Return "Yes" or "No" where the fact decides the question beyond doubt, else ""."""
        by_time = _verdict_by_time(query, fact)
        if by_time is not None:
            return by_time
        if _AMOUNT.search(query.text) and query.numbers:
            return "Yes" if query.numbers <= self._index.numbers(best.index) else "No"
        by_wording = _verdict_by_wording(query, best, fact)
        if by_wording is not None:
            return by_wording
        if best.contradicts:
            return "No"
        if _JUDGES.search(query.text):
            return ""
        return "Yes" if best.coverage >= 0.9 and not query.numbers - self._index.numbers(best.index) else ""

    def _translation(self, text: str) -> int | None:
        """Return the fact that translates the phrase asked for, None when the prompt has none like it."""
        question = _SAYING.search(text) if self._glossary else None
        if not question:
            return None
        what = re.sub(r"[^\w\s]", "", question["what"].lower()).strip()
        # a part of a phrase counts a little less than the same phrase
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
        # the recogniser, which knows English alone, spells foreign phrases its own way
        return index if score >= 70 else None


def unknown_subject(text: str, index: Index) -> str:
    """Return what a question names, such as "the garden waste bin", for a reply that it is unknown.

    "" where that is not clear.
    """
    for start in reversed([0, *(m.end() for m in _NAMING.finditer(text))]):
        words = re.findall(r"[\w'-]+", text[start:])
        length = next((k for k, word in enumerate(words) if not index.is_content_word(word)), len(words))
        if start and 1 <= length <= 3 and words[length : length + 1] not in (["one"], ["ones"]):
            article = re.search(r"(?i)\b(the|any|an?)\s+$", text[:start])
            return speakable(" ".join([*([article[1].lower()] if article else []), *words[:length]]))
    return ""


def _without_marks(text: str) -> str:
    return re.sub(r"[^\w\s]", "", text.lower())


def _verdict_by_time(query: Query, fact: Fact) -> str | None:
    """Return "Yes", "No" or "" where days and hours settle the question, None where they do not."""
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
    # one time of day in the fact may begin something or end it
    return "" if query.hours and len(hours) == 1 and query.hours[0] != hours[0] else None


def _verdict_by_wording(query: Query, best: Match, fact: Fact) -> str | None:
    """Return "Yes", "No" or "" where a negation settles the question, None where there is none."""
    if re.match(r"(?i)(i can't|no |we do not|we don't|there (is|are) no)", fact.text):
        return "No" if re.match(r"(?i)(there|we)", fact.text) else ""
    # "isn't it …?" and "only …" turn yes and no round
    if re.search(r"(?i)n't\b|\bnot\b", query.text) or re.search(r"(?i)\b(except|only|unless)\b", fact.text):
        return ""
    if is_negative(fact.text):
        return "No" if best.coverage >= 0.8 else ""
    return None


def find_statement(
    question: str, statements: list[str], lexicon_index: Callable[[tuple[Fact, ...]], Index]
) -> str | None:
    """Return the user's own statement that answers their `question` ("what's my dog's name?"), or None."""
    if not statements or not re.search(r"(?i)\b(my|i|me|our|we)\b", question):
        return None
    index = lexicon_index(tuple(Fact(sentence(s), s) for s in statements))
    query = index.query(question)
    matches = index.search(replace(query, kind="open")) if query.stems else []
    return statements[matches[0].index] if matches and matches[0].coverage >= SURE else None
