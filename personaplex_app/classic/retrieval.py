"""Finding the fact that a question asks for, forgiving what a recogniser mishears."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from rapidfuzz import fuzz

from .facts import Fact
from .words import Lexicon, days_in, hours_in, is_day, kind_of

SURE, LIKELY = 0.62, 0.42
_FUZZY_RATIO = 78
_UNHEARD = 3.0
_VALUES = {
    "price": re.compile(r"(?i)\b(dollars?|euros?|pounds?|cents?|percent|free|half price|price|no charge|money)\b"),
    "count": re.compile(r"(?i)\b(two|three|four|five|six|seven|eight|nine|ten|\w+teen|\w+ty|\w+ty-\w+|hundred|thousand|eleven|twelve|one|zero)\b"),
    "duration": re.compile(r"(?i)\b(minutes?|hours?|days?|weeks?|months?|years?|until)\b|-(day|hour|week|month|year)\b"),
    "when": re.compile(
        r"(?i)\b(mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?|weekdays?|weekends?|daily|every|AM|PM|noon|midnight|hours?|days?|"
        r"january|february|march|april|may|june|july|august|september|october|november|december|until|today|tomorrow|morning|evening|after|before|orders over|"
        r"first|quarter|week|o'clock)\b"
    ),
    "where": re.compile(r"(?i)\b(at|on|in|behind|next|near|by|opposite|level|street|road|avenue|square|lane|sea)\b"),
    "phone": re.compile(r"(?i)\b(\w+ \w+ \w+, \w+ \w+ \w+)\b"),
}
_NEGATIVE = re.compile(r"(?i)\b(not|no|never|cannot|can't|don't|doesn't|out of stock|sold out|unavailable|closed|stopped)\b")


@dataclass(frozen=True)
class Query:
    """One question. `stems` are what it asks about, `side` what else was said around it."""

    text: str
    kind: str | None
    stems: tuple[str, ...]
    side: tuple[str, ...] = ()
    days: frozenset[int] = frozenset()
    hours: tuple[float, ...] = ()
    numbers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Match:
    """A fact and how well it fits: `score` 0 to about 1.3, `covered` the share of the question it speaks about."""

    index: int
    score: float
    covered: float
    typed: bool
    opposed: bool = False


class Index:
    """The facts of one talk, looked up by words. Holds a few thousand words at most."""

    def __init__(self, facts: tuple[Fact, ...], lexicon: Lexicon) -> None:
        self.facts = facts
        self._lexicon = lexicon
        self._stems = [lexicon.content(f"{f.subject} {f.text}") for f in facts]
        self._subjects = [frozenset(lexicon.content(f.subject)) for f in facts]
        self._numbers = [frozenset(number_words(f.text)) for f in facts]
        self.vocabulary = frozenset(stem for stems in self._stems for stem in stems)
        self._meanings = frozenset(lexicon.meaning.get(stem, stem) for stem in self.vocabulary)
        wholes = [stems for stems, f in zip(self._stems, facts, strict=True) if f.whole is None]
        self._idf = {s: 1.0 + math.log((1 + len(wholes)) / (1 + sum(s in stems for stems in wholes))) for s in self.vocabulary}

    def query(self, text: str) -> Query:
        """Return what `text` asks, looking first at the clause that asks it."""
        kind = kind_of(text)
        clause = asking_clause(text) if kind else text
        stems = self._heard(clause)
        rest = self._heard(text.replace(clause, " ")) if clause != text else ()
        if not stems:
            stems, rest = rest, ()
        kind = kind_of(clause) or kind
        return Query(text, kind, stems, tuple(s for s in rest if s in self.vocabulary), days_in(clause), tuple(hours_in(clause)), number_words(clause))

    def search(self, query: Query, limit: int = 5) -> list[Match]:
        """Return the best facts for a query, best first."""
        matches = (self._match(query, index) for index in range(len(self.facts)))
        return sorted((m for m in matches if m.score > 0), key=lambda m: -m.score)[:limit]

    def speaks_of(self, stem: str) -> bool:
        """Return whether any fact uses this word or one that means the same."""
        return self._lexicon.meaning.get(stem, stem) in self._meanings

    def _heard(self, text: str) -> tuple[str, ...]:
        """Return the content stems of `text`, each misheard one replaced by the word of the notes that it sounds like."""
        lexicon = self._lexicon
        words = [w for w in lexicon.words(text) if not is_day(w)]
        heard: list[str] = []
        skip = False
        for k, word in enumerate(words):
            if skip:
                skip = False
                continue
            stem = lexicon.stem(word)
            joined = word + words[k + 1] if k + 1 < len(words) else ""
            if joined and len(joined) > 5 and lexicon.stem(joined) in self.vocabulary:
                heard.append(lexicon.stem(joined))
                skip = True
            elif word not in lexicon.empty and not number_words(word):
                heard.append(stem if self.speaks_of(stem) else self._alike(stem, joined))
        return tuple(dict.fromkeys(heard))

    def _alike(self, stem: str, joined: str) -> str:
        best, ratio = stem, float(_FUZZY_RATIO)
        for known in self.vocabulary:
            if len(stem) > 3 and len(known) > 3 and abs(len(known) - len(stem)) <= 2:
                score = fuzz.ratio(stem, known) + (4 if known[0] == stem[0] else -4)
                if score > ratio:
                    best, ratio = known, score
            if len(joined) > 6 and len(known) > 5 and fuzz.ratio(joined, known) > 85:
                return known
        return best

    def _match(self, query: Query, index: int) -> Match:
        fact = self.facts[index]
        found = total = 0.0
        opposed = False
        for stem in query.stems:
            weight = self._idf.get(stem, _UNHEARD if not self.speaks_of(stem) else 1.5)
            share, against = self._share(stem, index)
            opposed |= against
            total += weight
            found += weight * share
        covered = found / total if total else 0.0
        typed = query.kind not in _VALUES or _VALUES[query.kind].search(fact.text) is not None
        score = covered
        if not query.stems:
            return Match(index, 0.0, 0.0, typed)
        if query.kind in _VALUES:
            score += 0.25 if typed else -0.2
        if query.numbers and covered:
            score += 0.3 * len(query.numbers & self._numbers[index]) / len(query.numbers)
        if query.days and covered and days_in(fact.text):
            score += 0.2
        score += 0.1 * sum(s in self._stems[index] for s in query.side) / max(1, len(query.side))
        score -= 0.015 * len(self._subjects[index].difference(query.stems)) + 0.004 * len(self._stems[index])
        score -= 0.0 if fact.noted else 0.06
        return Match(index, score if covered else 0.0, covered, typed, opposed)

    def _share(self, stem: str, index: int) -> tuple[float, bool]:
        """Return how much of one asked word the fact holds (more in its subject), and whether it says the opposite."""
        stems, meaning = self._stems[index], self._lexicon.meaning
        if stem in stems:
            return (1.0 if stem in self._subjects[index] else 0.93), False
        meant = meaning.get(stem, stem)
        if any(meaning.get(s, s) == meant for s in stems):
            return 0.85, False
        if any((stem, s) in self._lexicon.opposites for s in stems):
            return 0.8, True
        return 0.0, False


def asking_clause(text: str) -> str:
    """Return the last sentence or clause of `text` that asks something, the whole text when none stands out."""
    parts = [p for p in re.split(r"(?<=[.?!])\s+|,\s+(?=(?:how|what|when|where|who|which|can|do|does|is|are)\b)", text) if p.strip()]
    asking = [p for p in parts if kind_of(p)]
    clause = asking[-1] if asking else text
    inner = re.search(r"(?i)\b(?:how (?:much|many|long|often|old|high)|what time|what day|where|when|what)\b.+$", clause)
    return inner[0] if inner and len(clause.split()) > 7 and len(inner[0].split()) >= 3 else clause


def number_words(text: str) -> frozenset[str]:
    """Return the figures of `text`, each as its words."""
    from .spoken import cardinal, figures

    return frozenset(cardinal(value) for value in figures(text))


def is_negative(text: str) -> bool:
    return _NEGATIVE.search(text) is not None


def merged(query: Query, previous: Query) -> Query:
    """Return a follow-up ("and how much is that?", "what about Tuesday?") completed by what was asked before."""
    kind = query.kind if query.kind not in (None, "open") else previous.kind
    stems = query.stems or previous.stems
    side = tuple(dict.fromkeys((*query.side, *previous.stems))) if query.stems else query.side
    return replace(query, kind=kind, stems=stems, side=side, days=query.days, numbers=query.numbers or (previous.numbers if not query.stems else frozenset()))
