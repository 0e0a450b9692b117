"""Find the fact that a question asks for, tolerant of recognition errors.

Facts and questions are compared by word stems, weighted by how rare a stem is (inverse document frequency),
and, with a sentence encoder, by what they mean.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from rapidfuzz import fuzz

from ..speech.figures.number_words import cardinal
from .facts import Fact
from .lexicon import Lexicon, days_in, hours_in, is_day, kind_of
from .numbers import figures
from .sentence_encoder import SentenceEncoder

# coverage from which a fact answers the question, and from which it may
SURE = 0.62
LIKELY = 0.42
# the same of similarity in meaning, -1 to 1; tests/test_paraphrases.py shows what they achieve
SURE_ALIKE = 0.5
LIKELY_ALIKE = 0.15
# whoever has notes to look up is asked about them; others are asked about anything
LIKELY_ALIKE_IN_TALK = 0.25
_SHARED_WORDS = 0.25
_RIGHT_VALUE = 0.08
# what states something is less often meant to be looked up than what asks
SURE_ALIKE_STATED = 0.6
_OF_ITSELF = 0.05
LIKELY_ALIKE_STATED = 0.4
# similarity of spelling, 0 to 100, from which a word is taken for a misheard one of the facts
_FUZZY_RATIO = 79
_FUZZY_RATIO_SHORT = 86
# weights of a question's stems that are not in the facts: unknown ones count most against a match
_UNKNOWN_WEIGHT = 3.0
_LIGHT_WEIGHT = 0.3
_SYNONYM_WEIGHT = 1.5
# letters that sound alike become one, and vowels go: what is left survives a mishearing
_SOUNDS = (
    (r"ph", "f"),
    (r"th|d", "t"),
    (r"ck|[cqg]", "k"),
    (r"b", "p"),
    (r"v", "f"),
    (r"z", "s"),
    (r"x", "ks"),
    (r"[aeiouhwy']", ""),
    (r"(.)\1+", r"\1"),
)
# what a fact must contain to answer a question of that kind
_VALUES = {
    "price": re.compile(
        r"(?i)\b(dollars?|euros?|pounds?|cents?|percent|free|half price|price|no charge|money)\b"
    ),
    "count": re.compile(
        r"(?i)\b(two|three|four|five|six|seven|eight|nine|ten|\w+teen|\w+ty|\w+ty-\w+|hundred|thousand|"
        r"eleven|twelve|one|zero)\b"
    ),
    "duration": re.compile(
        r"(?i)\b(minutes?|hours?|days?|nights?|weeks?|months?|years?|until)\b|-(day|hour|week|month|year)\b"
    ),
    "when": re.compile(
        r"(?i)\b(mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?|weekdays?|weekends?|"
        r"daily|every|AM|PM|noon|midnight|hours?|days?|"
        r"january|february|march|april|may|june|july|august|september|october|november|december|until|today|"
        r"tomorrow|times|"
        r"morning|evening|after|before|orders over|"
        r"first|quarter|week|o'clock)\b"
    ),
    "where": re.compile(
        r"(?i)\b(at|on|behind|next to|near|by"
        r" the|opposite|level|floor|street|road|avenue|square|lane|under|(?:in|from) the)\b"
    ),
    "phone": re.compile(
        r"(?i)\b(?:zero|one|two|three|four|five|six|seven|eight|nine)(?: \w+){2}, \w+ \w+ \w+"
    ),
    "why": re.compile(r"(?i)\b(because|so|therefore|due to|since|when|as)\b"),
}
# a fact on where the company itself is, and not on where something lies
_PLACE = re.compile(
    r"(?i)^(?:we|our|the"
    r" (?:shop|store|office|clinic|restaurant|garage|depot|kitchen|address|company|hotel|studio|library|"
    r"museum|school"
    r"|place|building|\w+ (?:shop|store)))"
    r"\b.*\b(?:street|road|avenue|lane|square|boulevard|drive|floor|level|station|behind|next"
    r" to|opposite|corner|at \w+ \w+ \w+)\b"
)
_UNIT = re.compile(r"\b(hour|day|week|month|year|item|person|night|session)\b")
# a question that is complete by itself, and takes no kind from the one before
_ASKS_ITSELF = re.compile(
    r"(?i)^(?:and |so |but |well |ok(?:ay)?,? )*(?:how (?!about)|what (?!about)|which|who|tell)"
)
_NEGATIVE = re.compile(
    r"(?i)\b(not|no|never|cannot|can't|don't|doesn't|out of stock|sold out|unavailable|closed|stopped)\b"
)


@dataclass(frozen=True)
class Query:
    """One question.

    `stems` are what it asks about, `context_stems` those of the rest of the user's turn, `adjective` is the
    stem of the word after "how" ("how high").
    """

    text: str
    kind: str | None
    stems: tuple[str, ...]
    context_stems: tuple[str, ...] = ()
    days: frozenset[int] = frozenset()
    hours: tuple[float, ...] = ()
    numbers: frozenset[str] = frozenset()
    adjective: str = ""


@dataclass(frozen=True)
class Match:
    """A fact and how well it fits a question.

    `score` ranks facts, 0 to about 1.3; `coverage` is the share of the question that the fact speaks about,
    0 to 1. `has_value`: it has a value of the kind asked for, such as a price. `contradicts`: it says the
    opposite of one of the question's words.
    """

    index: int
    score: float
    coverage: float
    has_value: bool
    contradicts: bool = False


class Index:
    """The facts of one role prompt, looked up by words, and by meaning where there is an encoder.

    It holds a few thousand words at most.
    """

    def __init__(
        self, facts: tuple[Fact, ...], lexicon: Lexicon, encoder: SentenceEncoder | None = None
    ) -> None:
        self.facts = facts
        self._lexicon = lexicon
        self._encoder = encoder
        self._stems = [lexicon.content(f"{f.context} {f.subject} {f.text}") for f in facts]
        self._subjects = [frozenset(lexicon.content(f.subject)) for f in facts]
        self._numbers = [frozenset(number_words(f.text)) for f in facts]
        self.vocabulary = frozenset(stem for stems in self._stems for stem in stems)
        self._meanings = frozenset(lexicon.meaning.get(stem, stem) for stem in self.vocabulary)
        self._listed = frozenset(f.whole for f in facts if f.whole is not None)
        self._stems_by_sound = self._pairs_by_sound(facts)
        # a list's parts repeat its words, which would make them look common
        wholes = [stems for stems, f in zip(self._stems, facts, strict=True) if f.whole is None]
        self._idf = {
            s: 1.0 + math.log((1 + len(wholes)) / (1 + sum(s in stems for stems in wholes)))
            for s in self.vocabulary
        }

    def query(self, text: str) -> Query:
        """Return the question in `text`, taken first of all from the clause that asks it."""
        kind = kind_of(text)
        clause = asking_clause(text) if kind else text
        stems = self._stems_heard(clause)
        rest = self._stems_heard(text.replace(clause, " ")) if clause != text else ()
        # a clause that names nothing ("how much is it?") takes its subject from the rest of the text
        if all(stem in self._lexicon.light for stem in stems):
            stems = (*rest, *stems)
            rest = ()
        kind = kind_of(clause) or kind
        adjective = re.search(r"(?i)\bhow (high|tall|big|heavy|wide|deep|large|fast|far|spicy|hot)\b", clause)
        return Query(
            text,
            kind,
            stems,
            tuple(s for s in rest if s in self.vocabulary),
            days_in(clause),
            tuple(hours_in(clause)),
            number_words(clause),
            self._lexicon.stem(adjective[1].lower()) if adjective else "",
        )

    def search(self, query: Query, limit: int = 5) -> list[Match]:
        """Return the best matches for a query, best first."""
        matches = (self._match(query, index) for index in range(len(self.facts)))
        return sorted((m for m in matches if m.score > 0), key=lambda m: -m.score)[:limit]

    @property
    def has_meanings(self) -> bool:
        return self._encoder is not None

    def prepare(self) -> None:
        """Compute the facts' vectors, which otherwise the first search by meaning does."""
        if self._encoder:
            _ = self._vectors

    def likeness(self, text: str, query: Query) -> np.ndarray | None:
        """Return how alike in meaning `text` and each fact are, None without an encoder.

        It is raised where a fact has the query's words, or a value of the kind asked for. What says who the
        agent is, or how it should behave, is like no question. Shapes: float32 [facts], -1 to 1.33.
        """
        if not self._encoder or not self.facts:
            return None
        noted = np.array([fact.noted for fact in self.facts])
        alike = np.where(noted, self._vectors @ self._encoder.encode([text])[0], np.float32(-1))
        names_something = not all(self.is_light(stem) for stem in query.stems)
        for index, fact in enumerate(self.facts):
            coverage = self._match(query, index).coverage if names_something else 0.0
            alike[index] += _SHARED_WORDS * coverage if coverage >= LIKELY else 0.0
            # what names the role itself is seldom an answer
            alike[index] -= _OF_ITSELF if fact.names_role else 0.0
            alike[index] += (
                _RIGHT_VALUE if query.kind in _VALUES and _VALUES[query.kind].search(fact.text) else 0.0
            )
        return alike

    @cached_property
    def _vectors(self) -> np.ndarray:
        assert self._encoder
        return self._encoder.encode([fact.text for fact in self.facts])

    def stems(self, index: int) -> list[str]:
        """Return the stems of fact `index`."""
        return self._stems[index]

    def stems_of(self, text: str) -> list[str]:
        return self._lexicon.content(text)

    def numbers(self, index: int) -> frozenset[str]:
        return self._numbers[index]

    def is_light(self, stem: str) -> bool:
        return stem in self._lexicon.light

    def is_content_word(self, word: str) -> bool:
        """Return whether a question's word names something to look up, and is no function word or number."""
        word = word.lower()
        return (
            word not in self._lexicon.empty
            and self._lexicon.stem(word) not in self._lexicon.light
            and not is_day(word)
            and not number_words(word)
        )

    def mentions(self, stem: str) -> bool:
        """Return whether any fact uses this stem or a synonym of it."""
        return self._lexicon.meaning.get(stem, stem) in self._meanings

    def _stems_heard(self, text: str) -> tuple[str, ...]:
        """Return the content stems of `text`, misheard ones replaced by similar words of the facts."""
        lexicon = self._lexicon
        words = [w for w in lexicon.words(text) if not is_day(w)]
        heard: list[str] = []
        k = 0
        while k < len(words):
            word = words[k]
            after = words[k + 1] if k + 1 < len(words) else ""
            stem = lexicon.stem(word)
            if after and (meant := self._join_words(word, after)):
                heard += meant
                k += 1
            elif word not in lexicon.empty and not number_words(word):
                heard.append(
                    stem if self.mentions(stem) or stem in lexicon.light else self._closest_stem(stem)
                )
            k += 1
        return tuple(dict.fromkeys(heard))

    def _join_words(self, word: str, after: str) -> tuple[str, ...]:
        """Return the stems of the facts that two heard words stand for together, () for none.

        A recogniser writes unknown words as known ones: "sour dough", "come post", "pat tie" for "pad thai".
        """
        joined = self._lexicon.stem(word + after)
        if len(joined) > 5 and joined in self.vocabulary:
            return (joined,)
        known = [self.mentions(self._lexicon.stem(w)) for w in (word, after)]
        if all(known) or (word in self._lexicon.empty and after in self._lexicon.empty):
            return ()
        if not any(known) and (meant := self._stems_by_sound.get((_consonants(word), _consonants(after)))):
            return meant
        return next(
            ((v,) for v in self.vocabulary if len(joined) > 6 and len(v) > 5 and fuzz.ratio(joined, v) > 85),
            (),
        )

    def _closest_stem(self, stem: str) -> str:
        """Return the facts' stem that is spelt or sounds most like `stem`, or `stem` where none is close."""
        best = stem
        ratio = float(_FUZZY_RATIO if len(stem) > 4 else _FUZZY_RATIO_SHORT)
        for known in self.vocabulary:
            if len(stem) > 3 and len(known) > 3 and abs(len(known) - len(stem)) <= 2:
                # a word's first sound is misheard less often than the others
                score = fuzz.ratio(stem, known) + (4 if known[0] == stem[0] else -4)
                if (
                    len(_consonants(stem)) > 2
                    and _consonants(stem) == _consonants(known)
                    and score > (70 if len(_consonants(stem)) == 3 else 50)
                ):
                    score = max(score, 90.0)
                if score > ratio:
                    best = known
                    ratio = score
        return best

    def _pairs_by_sound(self, facts: tuple[Fact, ...]) -> dict[tuple[str, str], tuple[str, str]]:
        """Return the stems of neighbouring words in the facts' subjects, by the words' consonants."""
        stem = self._lexicon.stem
        pairs = {}
        for fact in facts:
            words = self._lexicon.words(fact.subject)
            pairs.update(
                {
                    (_consonants(a), _consonants(b)): (stem(a), stem(b))
                    for a, b in pairwise(words)
                    if a not in self._lexicon.empty
                }
            )
        return pairs

    def _match(self, query: Query, index: int) -> Match:
        fact = self.facts[index]
        found = total = 0.0
        contradicts = False
        for stem in query.stems:
            share, against = self._match_stem(stem, index)
            weight = self._idf.get(stem, _SYNONYM_WEIGHT if self.mentions(stem) else _UNKNOWN_WEIGHT)
            if stem in self._lexicon.light and not share:
                weight = _LIGHT_WEIGHT
            # "how high" asks for the height: the adjective decides
            weight *= 2 if stem == query.adjective else 1
            contradicts |= against
            total += weight
            found += weight * share
        covered = found / total if total else 0.0
        typed = query.kind not in _VALUES or _VALUES[query.kind].search(fact.text) is not None
        return Match(
            index,
            covered + self._bonus(query, index, typed, covered) if covered else 0.0,
            covered,
            typed,
            contradicts,
        )

    def _bonus(self, query: Query, index: int, typed: bool, coverage: float) -> float:
        """Return what to add to the score: for a value of the kind asked for, numbers and days in common.

        Long facts get a little less, so that of two that fit the shorter one wins.
        """
        fact = self.facts[index]
        # tests/test_responder_facts.py shows what these weights achieve
        extra = 0.0
        if query.kind in _VALUES:
            extra += 0.25 if typed else -0.2
        if query.numbers:
            extra += 0.3 * len(query.numbers & self._numbers[index]) / len(query.numbers)
        if query.days and days_in(fact.text):
            extra += 0.2
        if query.kind in ("yesno", "open"):
            extra += (
                (0.12 if coverage >= 0.9 else -0.12)
                if index in self._listed
                else -0.12
                if fact.whole is not None
                else 0.0
            )
        extra += (
            0.1 * sum(s in self._stems[index] for s in query.context_stems) / max(1, len(query.context_stems))
        )
        extra -= 0.015 * len(self._subjects[index].difference(query.stems)) + 0.004 * len(self._stems[index])
        # how the agent should behave is seldom an answer
        return extra if fact.noted else extra - 0.3

    def _match_stem(self, stem: str, index: int) -> tuple[float, bool]:
        """Return how well the fact matches one stem, 0 to 1, and whether it has its opposite instead."""
        stems = self._stems[index]
        meaning = self._lexicon.meaning
        if stem in stems:
            return (1.0 if stem in self._subjects[index] else 0.93), False
        meant = meaning.get(stem, stem)
        if any(meaning.get(s, s) == meant for s in stems):
            return 0.85, False
        if any((stem, s) in self._lexicon.opposites for s in stems):
            return 0.8, True
        if stem in self.vocabulary and re.match(r"(?i)(every|all|any|everything)\b", self.facts[index].text):
            return 0.4, False
        return 0.0, False

    def facts_with_value(self, kind: str | None, text: str) -> list[int]:
        """Return the facts with a value of the kind, and of the unit, that a question asks for."""
        pattern = _PLACE if kind == "where" else _VALUES.get(kind or "")
        fitting = [
            k
            for k, f in enumerate(self.facts)
            if f.noted and f.whole is None and pattern and pattern.search(f.text)
        ]
        units = _UNIT.findall(" ".join(self._lexicon.words(text)))
        return [
            k for k in fitting if all(unit in self._lexicon.words(self.facts[k].text) for unit in units)
        ] or ([] if units else fitting)


@lru_cache(maxsize=10_000)  # each word that is heard is compared with all words of the role
def _consonants(word: str) -> str:
    """Return a word's consonants, similar ones made equal: "thai" and "tie" are both "t"."""
    for pattern, sound in _SOUNDS:
        word = re.sub(pattern, sound, word)
    return word


def asking_clause(text: str) -> str:
    """Return the last sentence or clause of `text` that asks something, or the whole text."""
    parts = [
        p
        for p in re.split(
            r"(?<=[.?!])\s+|,\s+(?=(?:how|what|when|where|who|which|can|do|does|is|are)\b)", text
        )
        if p.strip()
    ]
    asking = [p for p in parts if kind_of(p)]
    clause = asking[-1] if asking else text
    inner = re.search(
        r"(?i)\b(?:how (?:much|many|long|often|old|high)|what time|what day|where|when|what)\b.+$", clause
    )
    return inner[0] if inner and len(clause.split()) > 7 and len(inner[0].split()) >= 3 else clause


def number_words(text: str) -> frozenset[str]:
    """Return the numbers in `text`, each in words; also a lone "one", as in "line one"."""
    lone = {"one"} if re.search(r"(?i)\b(?:1|one)\b", text) else set()
    return frozenset({cardinal(value) for value in figures(text)} | lone)


def is_negative(text: str) -> bool:
    return _NEGATIVE.search(text) is not None


def completed(query: Query, previous: Query) -> Query:
    """Return a follow-up ("and how much is that?", "what about Tuesday?") completed by the previous query."""
    kind = (
        previous.kind
        if query.kind is None or (query.kind == "open" and not _ASKS_ITSELF.search(query.text))
        else query.kind
    )
    stems = query.stems or previous.stems
    side = (
        tuple(dict.fromkeys((*query.context_stems, *previous.stems))) if query.stems else query.context_stems
    )
    return replace(
        query,
        kind=kind,
        stems=stems,
        context_stems=side,
        days=query.days,
        numbers=query.numbers or (previous.numbers if not query.stems else frozenset()),
    )
