"""Words as the retrieval compares them: stems and synonyms (from `lexicon.yaml`), days, kinds of question."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import snowballstemmer

from ..speech.spoken_form import speakable
from ..yaml_fields import load_yaml

LEXICON_FILE = Path(__file__).with_name("lexicon.yaml")

WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = r"(mon|tues|wednes|thurs|fri|satur|sun)days?"
_KINDS = (
    ("duration", r"how long|how fast|how quickly|how much (time|longer)|how soon|battery life"),
    ("price", r"how much(?= (?:is|are|was|were|for|would|will|to|it|per|do you (?:charge|take|pay|want))\b"
     r"(?!.*\b(?:under|in the|left)\b)| do(?:es)? .*\b(?:cost|charge|pay|be)|\W*$)"
     r"|how much did|what(?:'s| is| are| does| do| would).*\b(?:cost|price|fee|charge|rate)s?\b|\bprices?\b|"
     r"\bcosts?\b|\bcharge\b"
     r"|hourly rate|how expensive|most i pay|budget"),
    ("count", r"how many|how old|how high|how tall|how big|number of|what percentage|temperature|how much"),
    ("when", r"\bwhen\b|what (time|day|date|hour)|which (day|date)|how often|opening hours|until when|"
             r"\bhours\b"),
    ("where", r"\bwhere\b|address|location|located"),
    ("phone", r"phone|number to call|telephone"),
    ("who", r"^who\b|\bwho(?:'s| is| are| has| do)\b"),
    ("why", r"\bwhy\b|how come"),
    ("yesno", r"^(?:(?:and|so|but|well|okay|ok|hi|hello|sorry|then)[, ]+)*"
     r"(?:is|are|do|does|did|can|could|will|would|have|has|may|must|should|isn't|aren't|don't|doesn't|am|was|"
     r"were)\b"),
    ("open", r"\b(?:what|which|how|tell me|explain|describe)\b|\?"),
)  # fmt: skip
# A longer text is a question by its mark, its first word, or an indirect "do you know when …".
_ASKING = re.compile(
    r"\?|^(?:\W*(?:and|so|but|well|okay|ok|hi|hello|hey|sorry|then|now|please|thanks|thank you|yes|no|great|"
    r"right|oh|um|uh|because)\b)*\W*"
    r"(?:how|what|what's|when|where|who|who's|which|why|whose|is|are|do|does|did|can|could|will|would|have "
    r"you|has|may|must|should|am i"
    r"|was|were|tell|explain|describe"
    r"|isn't|aren't|don't you)\b"
    r"|\b(?:know|tell me|wonder(?:ing)?|ask(?:ing)?|see|understand|explain) (?:if|how|what|when|where|who|"
    r"which|why)\b"
    r"|[,.;] (?:how|what|where|who|which|why|when (?:is|are|do|does|did|can|will|would))\b"
    r"|\band (?:how (?:much|many|long)|what (?:is|about))\b"
)  # fmt: skip


@dataclass(frozen=True)
class Lexicon:
    """The vocabulary, which all talks share.

    `phrases` are fixed phrases and the one word that stands for each. `meaning` maps a stem to the first stem
    of its synonyms; `opposites` are pairs of stems. `empty` words are never looked up; a `light` stem counts
    for a fact that has it and hardly against one that has not.
    """

    phrases: tuple[tuple[str, str], ...]
    meaning: dict[str, str]
    opposites: frozenset[tuple[str, str]]
    empty: frozenset[str]
    light: frozenset[str]

    @classmethod
    @cache
    def load(cls, path: Path = LEXICON_FILE) -> Lexicon:
        """Load the lexicon from a file. Raises: SettingsError when it cannot be read."""
        raw = load_yaml(path)
        meaning: dict[str, str] = {}
        for group in raw["synonyms"]:
            stems = [_stemmed(word) for word in group]
            for one in stems:
                meaning.setdefault(one, stems[0])
        opposites = {(_stemmed(a), _stemmed(b)) for a, b in raw["opposites"]}
        # longest first: a phrase may contain a shorter one
        phrases = sorted(raw["phrases"].items(), key=lambda pair: -len(pair[0]))
        light = frozenset(_stemmed(word) for word in raw["light"].split())
        return cls(tuple(phrases), meaning, frozenset(opposites), frozenset(raw["empty"].split()), light)

    def stem(self, word: str) -> str:
        # the stemmer needs a vowel: without one it leaves the plural's s
        return _stemmed(word) if re.search("[aeiouy]", word) else word.removesuffix("s")

    def words(self, text: str) -> list[str]:
        """Return the words of `text` in lower case, figures in words, fixed phrases as one word."""
        text = " ".join(re.findall(r"[\w']+(?:-[\w']+)*", speakable(text).lower()))
        for phrase, one in self.phrases:
            if phrase in text:
                text = re.sub(rf"\b{re.escape(phrase)}\b", one, text)
        return [word.removesuffix("'s") for word in re.split(r"[\s-]+", text) if word]

    def content(self, text: str) -> list[str]:
        """Return the stems worth looking up, each once, in order."""
        return list(
            dict.fromkeys(
                self.stem(word) for word in self.words(text) if word not in self.empty and not is_day(word)
            )
        )


_STEMMER = snowballstemmer.stemmer("english")
_STEMMING = threading.Lock()


@lru_cache(maxsize=10_000)
def _stemmed(word: str) -> str:
    with _STEMMING:  # the stemmer keeps the word it is at
        return _STEMMER.stemWord(word)


def is_day(word: str) -> bool:
    return re.fullmatch(_DAY + r"|weekends?|weekdays?|tomorrow|tonight", word) is not None


def kind_of(text: str) -> str | None:
    """Return the kind of question that `text` is, such as "price" or "yesno"; None when it is none."""
    text = re.sub(r"[^\w\s'?]", " ", text.lower()).strip()
    if not _ASKING.search(text) and len(text.split()) > 5:
        return None
    # in the order of the table: the more specific kinds come first
    found = [kind for kind, pattern in _KINDS if re.search(pattern, text)]
    if (
        found[:1] in (["price"], ["count"])
        and "yesno" in found
        and not re.search(r"how (?:much|many)|what", text)
    ):
        return "yesno"
    if "yesno" in found and not re.search(r"\b(when|where|who|why|how|what|which)\b", text):
        return "yesno"
    return found[0] if found else None


def days_in(text: str) -> frozenset[int]:
    """Return the days of the week on which the statement `text` holds, 0 for Monday to 6.

    It understands ranges and exceptions: "every day except Sunday", "closed on Monday".
    """
    text = text.lower()
    barred: set[int] = set()
    for match in re.finditer(
        r"(?:except(?: on| for)?|closed(?: on)?|not (?:open )?on|no \w+ on)"
        rf" ((?:(?:{_DAY}|weekends?|and|or|,|to|through|until)[\s,]*)+)",
        text,
    ):
        barred |= _named(match[1])
        # removed, so that these days do not count among the named ones below
        text = text.replace(match[0], " ")
    named = _named(text)
    if re.search(r"every day|daily|seven days|24/7|twenty-four seven|all week", text):
        named |= set(range(7))
    if barred and not named:
        named = set(range(7))
    return frozenset(named - barred)


def _named(text: str) -> set[int]:
    days: set[int] = set()
    for match in re.finditer(rf"{_DAY}\s*(?:to|through|until|till|-)\s*{_DAY}", text):
        first, last = (next(k for k, day in enumerate(WEEK) if day.startswith(match[g])) for g in (1, 2))
        # a range may go over the end of the week, from Friday to Monday
        days |= {(first + k) % 7 for k in range((last - first) % 7 + 1)}
    days |= {
        next(k for k, day in enumerate(WEEK) if day.startswith(match[1]))
        for match in re.finditer(rf"\b{_DAY}\b", text)
    }
    if re.search(r"\bweekends?\b", text):
        days |= {5, 6}
    if re.search(r"\bweek ?days?\b", text):
        days |= set(range(5))
    return days


def hours_in(text: str) -> list[float]:
    """Return the times of day in `text`, in hours from midnight."""
    found = []
    for match in re.finditer(r"(?i)\b(\d{1,2})(?::(\d{2}))?\s?([ap])\.?\s?m\b", text):
        # 12 AM is midnight and 12 PM noon
        found.append(int(match[1]) % 12 + int(match[2] or 0) / 60 + (12 if match[3].lower() == "p" else 0))
    return found + [12.0] * len(re.findall(r"\b(?:noon|midday)\b", text.lower()))
