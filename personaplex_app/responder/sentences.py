"""Cut text into sentences, at once or while it streams in.

Own code, since what libraries offer (pysbd, last released in 2021) needs the whole text, and a reply is
spoken sentence by sentence while the rest of it is being made.
"""

from __future__ import annotations

import re

# a name follows these, so that their full stop ends no sentence
_TITLES = frozenset(
    (
        "mr", "mrs", "ms", "mx", "dr", "prof", "rev", "fr", "hon", "capt", "cpt", "gen", "col", "lt", "sgt",
        "maj", "gov", "sen", "rep", "pres", "messrs", "mme", "mlle", "vs", "e.g", "i.e", "cf", "approx",
        "incl", "mt", "ft",
    )
)  # fmt: skip
# after these a sentence may end: the next word tells
ABBREVIATIONS = frozenset(
    (
        "st", "ave", "av", "rd", "blvd", "ln", "hwy", "pkwy", "apt", "bldg", "fl", "ste", "sq", "ct", "pl",
        "inc", "ltd", "co", "corp", "bros", "llc", "jr", "sr", "etc", "al", "est", "dept", "univ", "assn",
        "govt", "ext", "tel", "min", "max", "hr", "hrs", "mins", "sec", "oz", "lb", "lbs", "vol", "ed", "p",
        "pp", "fig", "ch", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov",
        "dec", "mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri", "sat", "sun", "no", "nos", "nr",
        "avg", "dist", "misc", "tbsp", "tsp", "esq", "phd", "ph.d", "m.d", "b.a", "b.sc",
    )
)  # fmt: skip
_BEGINS_A_SENTENCE = frozenset(
    (
        "the", "it", "it's", "its", "we", "we're", "we'll", "you", "you'll", "you're", "i", "i'm", "i'll",
        "i've", "he", "she", "they", "this", "that", "that's", "these", "those", "there", "there's", "in",
        "if", "is", "are", "do", "does", "did", "our", "your", "my", "for", "and", "but", "so", "or",
        "what", "how", "when", "where", "who", "why", "which", "can", "could", "would", "will", "please",
        "let", "also", "after", "before", "yes", "ask", "call", "then", "thank", "thanks", "a", "an", "as",
        "at", "on", "to", "with", "just", "feel", "not", "visits", "information", "check", "all", "each",
        "every", "some", "any", "by", "from", "have", "has",
    )
)  # fmt: skip
_BOUNDARY = re.compile(r"(?<=[.!?…])(?P<closed>[\"')\]”’*_]*)\s+|\n+")
# not within an address or after an abbreviation: "No. 5, St. Mary's Rd., …"
_CLAUSE_END = re.compile(r"(?<![\d.][,;:])(?<=[,;:—–])\s+")
# a shorter one is not worth a pause
_MIN_CLAUSE_WORDS = 3
_LAST_WORD = re.compile(r"[\w'’]+(?:\.[\w'’]+)*(?=\.$)")
_NEXT_WORD = re.compile(r"[\"'(“‘*_]*(?P<word>[\w'’]+)(?P<after>[^\w'’])?")


class SentenceCutter:
    """Collects a text that comes in pieces and gives its sentences, each as soon as it is whole."""

    def __init__(self) -> None:
        self._waiting = ""

    @property
    def waiting(self) -> str:
        """What has come after the last whole sentence."""
        return self._waiting

    def push(self, piece: str) -> list[str]:
        """Take the next piece; return the sentences that are whole by now."""
        self._waiting += piece
        return self._cut(final=False)

    def take_clause(self) -> str:
        """Take the first clause of a sentence that is not whole yet, "" while there is none to speak."""
        for match in _CLAUSE_END.finditer(self._waiting):
            clause = self._waiting[: match.start()]
            # what is in brackets, quotes or stars is read as a whole
            whole = clause.count("(") == clause.count(")") and not any(clause.count(m) % 2 for m in '"*_`')
            if len(clause.split()) >= _MIN_CLAUSE_WORDS and whole:
                self._waiting = self._waiting[match.end() :]
                return clause.strip()
        return ""

    def finish(self) -> list[str]:
        """Return what is left: the text has ended."""
        whole = self._cut(final=True)
        rest = self._waiting.strip()
        self._waiting = ""
        return [*whole, rest] if rest else whole

    def _cut(self, final: bool) -> list[str]:
        text = self._waiting
        whole: list[str] = []
        at = 0
        for match in _BOUNDARY.finditer(text):
            end = match.end("closed") if match["closed"] is not None else match.start()
            ends = "\n" in match[0] or _ends(text[at : match.start()], text[match.end() :], final)
            if ends is None:
                break  # the next word, which decides, is not there yet
            if ends:
                whole.append(text[at:end].strip())
                at = match.end()
        self._waiting = text[at:]
        return [sentence for sentence in whole if sentence]


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a whole text."""
    cutter = SentenceCutter()
    return [*cutter.push(text), *cutter.finish()]


def _ends(before: str, after: str, final: bool) -> bool | None:
    """Return whether a sentence ends between two texts; None while that depends on what is to come."""
    last = _LAST_WORD.search(before)
    word = last[0] if last else ""
    if before.strip() == f"{word}." and word.isdigit() and len(word) < 3:
        return False  # the number of a list's item
    plain = word.lower()
    short = len(word) == 1 and word.isupper() and word != "I"
    dotted = re.fullmatch(r"(?:[A-Za-z]\.)+[A-Za-z]", word)
    if plain in _TITLES:
        return False
    if not (plain in ABBREVIATIONS or short or dotted):
        return True
    following = _NEXT_WORD.match(after)
    if not following or (following["after"] is None and not final):
        return True if final else None
    if plain in ("no", "nos", "nr"):
        return not following["word"][0].isdigit()
    return (
        following["word"][0].isupper() and following["word"].lower().replace("’", "'") in _BEGINS_A_SENTENCE
    )
