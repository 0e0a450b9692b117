"""Finding the fact that a question asks for, forgiving what a recogniser mishears."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from itertools import pairwise

from rapidfuzz import fuzz

from .facts import Fact
from .lexicon import Lexicon, days_in, hours_in, is_day, kind_of
from .numbers import cardinal, figures

SURE = 0.62
LIKELY = 0.42
_FUZZY_RATIO = 79
_FUZZY_RATIO_SHORT = 86
_UNHEARD = 3.0
_LIGHT = 0.3
_MEANT = 1.5
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
_VALUES = {
    "price": re.compile(
        r"(?i)\b(dollars?|euros?|pounds?|cents?|percent|free|half price|price|no charge|money)\b"
    ),
    "count": re.compile(
        r"(?i)\b(two|three|four|five|six|seven|eight|nine|ten|\w+teen|\w+ty|\w+ty-\w+|hundred|thousand|"
        r"eleven|twelve|one|zero)\b"
    ),
    "duration": re.compile(
        r"(?i)\b(minutes?|hours?|days?|weeks?|months?|years?|until)\b|-(day|hour|week|month|year)\b"
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
_PLACE = re.compile(
    r"(?i)^(?:we|our|the"
    r" (?:shop|store|office|clinic|restaurant|garage|depot|kitchen|address|company|hotel|studio|library|"
    r"museum|school"
    r"|place|building|\w+ (?:shop|store)))"
    r"\b.*\b(?:street|road|avenue|lane|square|boulevard|drive|floor|level|station|behind|next"
    r" to|opposite|corner|at \w+ \w+ \w+)\b"
)
_UNIT = re.compile(r"\b(hour|day|week|month|year|item|person|night|session)\b")
_ASKS_ITSELF = re.compile(
    r"(?i)^(?:and |so |but |well |ok(?:ay)?,? )*(?:how (?!about)|what (?!about)|which|who|tell)"
)
_NEGATIVE = re.compile(
    r"(?i)\b(not|no|never|cannot|can't|don't|doesn't|out of stock|sold out|unavailable|closed|stopped)\b"
)


@dataclass(frozen=True)
class Query:
    """One question.

    `stems` are what it asks about, `side` what else was said around it, `head` the word after "how".
    """

    text: str
    kind: str | None
    stems: tuple[str, ...]
    side: tuple[str, ...] = ()
    days: frozenset[int] = frozenset()
    hours: tuple[float, ...] = ()
    numbers: frozenset[str] = frozenset()
    head: str = ""


@dataclass(frozen=True)
class Match:
    """A fact and how well it fits: `score` 0 to about 1.3, `covered` the share of the question it speaks
    about.
    """

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
        self._stems = [lexicon.content(f"{f.context} {f.subject} {f.text}") for f in facts]
        self._subjects = [frozenset(lexicon.content(f.subject)) for f in facts]
        self._numbers = [frozenset(number_words(f.text)) for f in facts]
        self.vocabulary = frozenset(stem for stems in self._stems for stem in stems)
        self._meanings = frozenset(lexicon.meaning.get(stem, stem) for stem in self.vocabulary)
        self._listed = frozenset(f.whole for f in facts if f.whole is not None)
        self._sounds = self._sounds_of(facts)
        wholes = [stems for stems, f in zip(self._stems, facts, strict=True) if f.whole is None]
        self._idf = {
            s: 1.0 + math.log((1 + len(wholes)) / (1 + sum(s in stems for stems in wholes)))
            for s in self.vocabulary
        }

    def query(self, text: str) -> Query:
        """Return what `text` asks, looking first at the clause that asks it."""
        kind = kind_of(text)
        clause = asking_clause(text) if kind else text
        stems = self._heard(clause)
        rest = self._heard(text.replace(clause, " ")) if clause != text else ()
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
        """Return the best facts for a query, best first."""
        matches = (self._match(query, index) for index in range(len(self.facts)))
        return sorted((m for m in matches if m.score > 0), key=lambda m: -m.score)[:limit]

    def stems(self, index: int) -> list[str]:
        """Return what fact `index` speaks about."""
        return self._stems[index]

    def stems_of(self, text: str) -> list[str]:
        return self._lexicon.content(text)

    def numbers(self, index: int) -> frozenset[str]:
        return self._numbers[index]

    def is_light(self, stem: str) -> bool:
        return stem in self._lexicon.light

    def carries(self, word: str) -> bool:
        """Return whether a word of a question names something, rather than help to ask."""
        word = word.lower()
        return (
            word not in self._lexicon.empty
            and self._lexicon.stem(word) not in self._lexicon.light
            and not is_day(word)
            and not number_words(word)
        )

    def speaks_of(self, stem: str) -> bool:
        """Return whether any fact uses this word or one that means the same."""
        return self._lexicon.meaning.get(stem, stem) in self._meanings

    def _heard(self, text: str) -> tuple[str, ...]:
        """Return the content stems of `text`, each misheard one replaced by the word of the notes that it
        sounds like.
        """
        lexicon = self._lexicon
        words = [w for w in lexicon.words(text) if not is_day(w)]
        heard: list[str] = []
        k = 0
        while k < len(words):
            word = words[k]
            after = words[k + 1] if k + 1 < len(words) else ""
            stem = lexicon.stem(word)
            if after and (meant := self._pair(word, after)):
                heard += meant
                k += 1
            elif word not in lexicon.empty and not number_words(word):
                heard.append(stem if self.speaks_of(stem) or stem in lexicon.light else self._alike(stem))
            k += 1
        return tuple(dict.fromkeys(heard))

    def _pair(self, word: str, after: str) -> tuple[str, ...]:
        """Return the words of the notes that two heard words together are: "sour dough", "come post", "pat
        tie".
        """
        joined = self._lexicon.stem(word + after)
        if len(joined) > 5 and joined in self.vocabulary:
            return (joined,)
        known = [self.speaks_of(self._lexicon.stem(w)) for w in (word, after)]
        if all(known) or (word in self._lexicon.empty and after in self._lexicon.empty):
            return ()
        if not any(known) and (meant := self._sounds.get((_sound(word), _sound(after)))):
            return meant
        return next(
            ((v,) for v in self.vocabulary if len(joined) > 6 and len(v) > 5 and fuzz.ratio(joined, v) > 85),
            (),
        )

    def _alike(self, stem: str) -> str:
        best = stem
        ratio = float(_FUZZY_RATIO if len(stem) > 4 else _FUZZY_RATIO_SHORT)
        for known in self.vocabulary:
            if len(stem) > 3 and len(known) > 3 and abs(len(known) - len(stem)) <= 2:
                score = fuzz.ratio(stem, known) + (4 if known[0] == stem[0] else -4)
                if (
                    len(_sound(stem)) > 2
                    and _sound(stem) == _sound(known)
                    and score > (70 if len(_sound(stem)) == 3 else 50)
                ):
                    score = max(score, 90.0)
                if score > ratio:
                    best = known
                    ratio = score
        return best

    def _sounds_of(self, facts: tuple[Fact, ...]) -> dict[tuple[str, str], tuple[str, str]]:
        """Return the pairs of words in what facts are about, by how they sound."""
        stem = self._lexicon.stem
        pairs = {}
        for fact in facts:
            words = self._lexicon.words(fact.subject)
            pairs.update(
                {
                    (_sound(a), _sound(b)): (stem(a), stem(b))
                    for a, b in pairwise(words)
                    if a not in self._lexicon.empty
                }
            )
        return pairs

    def _match(self, query: Query, index: int) -> Match:
        fact = self.facts[index]
        found = total = 0.0
        opposed = False
        for stem in query.stems:
            share, against = self._share(stem, index)
            weight = self._idf.get(stem, _MEANT if self.speaks_of(stem) else _UNHEARD)
            if stem in self._lexicon.light and not share:
                weight = _LIGHT
            weight *= 2 if stem == query.head else 1
            opposed |= against
            total += weight
            found += weight * share
        covered = found / total if total else 0.0
        typed = query.kind not in _VALUES or _VALUES[query.kind].search(fact.text) is not None
        return Match(
            index,
            covered + self._extra(query, index, typed, covered) if covered else 0.0,
            covered,
            typed,
            opposed,
        )

    def _extra(self, query: Query, index: int, typed: bool, covered: float) -> float:
        """Return what else speaks for a fact: the kind of value asked for, figures, days; and against it:
        that it says more.
        """
        fact = self.facts[index]
        extra = 0.0
        if query.kind in _VALUES:
            extra += 0.25 if typed else -0.2
        if query.numbers:
            extra += 0.3 * len(query.numbers & self._numbers[index]) / len(query.numbers)
        if query.days and days_in(fact.text):
            extra += 0.2
        if query.kind in ("yesno", "open"):
            extra += (
                (0.12 if covered >= 0.9 else -0.12)
                if index in self._listed
                else -0.12
                if fact.whole is not None
                else 0.0
            )
        extra += 0.1 * sum(s in self._stems[index] for s in query.side) / max(1, len(query.side))
        extra -= 0.015 * len(self._subjects[index].difference(query.stems)) + 0.004 * len(self._stems[index])
        return extra if fact.noted else extra - 0.3

    def _share(self, stem: str, index: int) -> tuple[float, bool]:
        """Return how much of one asked word the fact holds (more in its subject), and whether it says the
        opposite.
        """
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

    def typed(self, kind: str | None, text: str) -> list[int]:
        """Return the facts that hold a value of the kind asked for, of the unit asked for, for a question
        that names nothing else.
        """
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


def _sound(word: str) -> str:
    """Return the consonants of a word as a careless ear hears them: "thai" and "tie" are both "t"."""
    for pattern, heard in _SOUNDS:
        word = re.sub(pattern, heard, word)
    return word


def asking_clause(text: str) -> str:
    """Return the last sentence or clause of `text` that asks something, the whole text when none
    stands out.
    """
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
    """Return the figures of `text`, each as its words; a lone "one" too, as in "line one"."""
    lone = {"one"} if re.search(r"(?i)\b(?:1|one)\b", text) else set()
    return frozenset({cardinal(value) for value in figures(text)} | lone)


def is_negative(text: str) -> bool:
    return _NEGATIVE.search(text) is not None


def merged(query: Query, previous: Query) -> Query:
    """Return a follow-up ("and how much is that?", "what about Tuesday?") completed by what was asked
    before.
    """
    kind = (
        previous.kind
        if query.kind is None or (query.kind == "open" and not _ASKS_ITSELF.search(query.text))
        else query.kind
    )
    stems = query.stems or previous.stems
    side = tuple(dict.fromkeys((*query.side, *previous.stems))) if query.stems else query.side
    return replace(
        query,
        kind=kind,
        stems=stems,
        side=side,
        days=query.days,
        numbers=query.numbers or (previous.numbers if not query.stems else frozenset()),
    )
