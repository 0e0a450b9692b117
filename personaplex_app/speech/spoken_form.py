"""Turn written English into the words to speak: amounts, dates, times, phone numbers, codes, addresses.

This is the one place that decides how a figure is said, for sentences that rules make, for a language model's
and for what the recogniser writes. Each rule matches a whole figure or does not match; a figure that no rule
knows is left as it is, for the synthesiser's own reading, and is never taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from .figures import dates, designators, money, names, numbers, sums
from .figures.figure import DASH, ISO_DATE, SPACE, Figure, Rule
from .figures.tables import MONTHS, TITLES, VULGAR, WEEKDAYS

# the longest and most particular first: each takes a whole figure
_RULES: tuple[Rule, ...] = (
    *sums.SUMS,
    *names.ADDRESSES,
    *designators.NETWORK,
    *dates.DATES,
    *names.PHONES,
    *designators.NAMED,
    *names.VERSIONS,
    *dates.TIMES,
    *money.MONEY,
    *names.CODES,
    *numbers.MEASURES,
    *dates.YEARS,
    *dates.FRACTIONS,
    *numbers.NUMBERS,
    *names.NAMES,
)
_BEGIN_WITH_LETTERS = (
    "a@b.com", "www.b.com", "b.com", "May 5", "May 2025", "Mon-Fri", "Mon 9", "Jan-Mar", "v2", "USD 5",
    "code 123", "call 123", "CA 12345", "in 1998", "No. 5", "A12", "Louis XIV", "Ave.",
    "noon-3", "M-F 9", "Fig. 2-1", "DE89 3704 0044", "ends in 4242", "dial *67",
    "GMT-5", "MAY 5", "FY2026", "a4:83:e7:0b:12:ff", "fe80::1", "RFC 2616", "HTTP/2", "H.264", "IPv4",
    "PM2.5", "M8x1", "Python 3.10", "S/N 5", "odds 5/1", "AB-12/C",
)  # fmt: skip
# the rules for figures that may begin with a letter; most words need no more than these
_WORD_RULES = tuple(rule for rule in _RULES if any(rule[0].match(each) for each in _BEGIN_WITH_LETTERS))
# what hangs before a figure by a hyphen: "mid-1990s", and "-for-" in "2-for-1"
_PREFIX = re.compile(r"(?!noon|midnight)-?(?:[a-z]{2,}-)+(?=\d)")
# a quantity and its value: "e = 2.7"
_NAMED = re.compile(r"(?P<name>[A-Za-z])\s?=\s?(?=[-−]?[\d.])")
# what stands before a figure and is said in words
_BEFORE = re.compile(r"(?P<mark>[<>]=?|[≤≥≈§])\s?")
_SAID_BEFORE = {
    "<": "less than", ">": "more than", "≤": "at most", "<=": "at most", "≥": "at least", ">=": "at least",
    "≈": "about", "§": "section",
}  # fmt: skip
_SECRET = re.compile(
    r"(?P<lead>(?i:pass ?(?:word|code|phrase)|wi-?fi (?:key|code))(?: is|:| =)?:?\s[\"'`]?)"
    r"(?=[^\s\"'`]*\d)(?P<word>[^\s\"'`,;]*[^\s\"'`,;.!?)])"
)
# what may follow a figure: neither a part of a longer figure nor of a code
_END = re.compile(r"(?![\w@/\\%°€$£^*=])(?![.,:'+–-]\d)(?!-[A-Z])(?!-\w*\d)(?!::)")
_RANGE = re.compile(rf"{DASH}(?=[\d.$€£¥A-Z])")
_WIDE_RANGE = re.compile(rf"{SPACE}{DASH}{SPACE}")
_STROKE = re.compile(r"/(?=[\d$€£¥])")
_SAME_MARKS = str.maketrans("’₀₁₂₃₄₅₆₇₈₉\u03bc", "'0123456789\u00b5")
_SEPARATOR = re.compile(r"\s+|,(?=[<>≤≥])|[(\[{\"“”‘'—]")
_CHUNK = re.compile(r"(?:(?!,[<>≤≥])[^\s(\[{\"“”—])+")
_MAY_HOLD_FIGURES = re.compile(
    rf"[\d{''.join(VULGAR)}@]|www|\w\.[a-z]|\b[IVXL]+\b"
    rf"|\b(?:{'|'.join(name[:3] for name in (*WEEKDAYS, *MONTHS))})"
)


@lru_cache(maxsize=1_000)  # a talk asks for its role's sentences again and again
def speakable(text: str) -> str:
    """Return `text` with its figures spelt out as they are spoken; a password stays as it is written."""
    return _rewritten(text, aloud=False)


def spoken_form(text: str) -> str:
    """Return what the synthesiser is to read for `text`: figures spelt out, passwords too."""
    words = _rewritten(text, aloud=True)
    # it reads AM as the verb
    return re.sub(r"\b([AP])M\b\.?(?!\w)", r"\1.M.", words)


def _rewritten(text: str, aloud: bool) -> str:
    # the same figure may be written with different marks
    text = text.translate(_SAME_MARKS)
    if not _MAY_HOLD_FIGURES.search(text):
        return _with_marks_said(text)
    out: list[str] = []
    at = 0
    while at < len(text):
        figure, end = _figure_at(text, at, aloud)
        if figure is None:
            # a separator, or what is written up to the next one
            match = _SEPARATOR.match(text, at) or _CHUNK.match(text, at)
            end = match.end() if match else at + 1
            figure = text[at:end]
        out.append(figure)
        at = end
    return _with_marks_said("".join(out))


def _with_marks_said(text: str) -> str:
    for pattern, instead in _MARKS:
        text = re.sub(pattern, instead, text)
    return re.sub(r"\s{2,}", " ", text).strip().lstrip(", ")


# words and marks that are no figures
_MARKS = (
    (r"\s*\(([^()]*)\)", r", \1,"),
    (r",+(?=\s*[.,;:!?])|,+\s*$", ""),
    (r"(?<=\w)\s?&\s?(?=\w)|\s&\s", " and "),
    (r"\s?÷\s?", " divided by "),
    (r"(?<=[a-z])/(?=(?:hour|day|night|week|month|year|person)\b)", " a "),
    (r"\bNos\.\s(?=[a-z])", "numbers "),
    (r"\bpp\.\s(?=[a-z])|\bp\.\s(?=[a-z-]+(?: [a-z-]+)? to [a-z])", "pages "),
    (r"\bp\.\s(?=[a-z])", "page "),
    (r"\bext\.\s(?=[a-z])", "extension "),
    (r"(?<=\s)vs\.(?=\s)", "versus"),
    (r"(?<=\b[A-Za-z])²(?!\w)", " squared"),
    (r"(?<=\b[A-Za-z])³(?!\w)", " cubed"),
    (r"(?<=\w)\s\+\s(?=\w)", " plus "),
    (r"(?<=\w)\s=\s(?=\w)", " equals "),
    (r",(?=(?:less than|more than|at most|at least)\b)", ", "),
    (r"\bvol\.\s(?=[a-z])", "volume "),
    (r"\s@\s", " at "),
    (r"\be\.g\.", "for example"),
    (r"\bi\.e\.", "that is"),
    (rf"\b({'|'.join(TITLES)})\.\s(?=[A-Z])", lambda match: f"{TITLES[match[1]]} "),
    # a saint, unless it ends the name of a street
    (r"(?P<before>(?:^|[^\w\s]|\b[a-z]+|^\w+)\s?)\bSt\.\s(?=[A-Z])", r"\g<before>Saint "),
)


def _figure_at(text: str, at: int, aloud: bool) -> tuple[str | None, int]:
    """Return the words of the figure that begins at `at`, or None, and where it ends."""
    if secret := _SECRET.match(text, at):
        kept = names.spelt(secret["word"]) if aloud else secret["word"]
        return secret["lead"] + kept, secret.end()
    if prefix := _PREFIX.match(text, at):
        found = _whole(text, prefix.end(), aloud)
        return (prefix[0] + found[0].words, found[1]) if found else (None, at)
    if named := _NAMED.match(text, at):
        found = _whole(text, named.end(), aloud)
        return (f"{named['name']} equals {found[0].words}", found[1]) if found else (None, at)
    if before := _BEFORE.match(text, at):
        found = _whole(text, before.end(), aloud)
        return (f"{_SAID_BEFORE[before['mark']]} {found[0].words}", found[1]) if found else (None, at)
    found = _whole(text, at, aloud)
    return (found[0].words, found[1]) if found else (None, at)


def _whole(text: str, at: int, aloud: bool) -> tuple[Figure, int] | None:
    """Return the figure or the range at `at`, and where it ends."""
    for figure, end in _candidates(text, at, aloud):
        gap = _RANGE.match(text, end) or _WIDE_RANGE.match(text, end) or _STROKE.match(text, end)
        if gap and figure.ranges:
            for other, last in _candidates(text, gap.end(), aloud):
                if _END.match(text, last) and (joined := _joined(figure, other, gap[0])):
                    return joined, last
        if _END.match(text, end):
            return figure, end
    return None


def _joined(first: Figure, second: Figure, mark: str) -> Figure | None:
    """Return two figures as a range, or as two beside each other; None where they are neither."""
    wide = mark not in "-–—−"
    if second.kind == "rate":
        # "$10-15/hr"
        unit = f"{first.many} {second.unit}"
        return Figure(f"{first.head} to {second.head}", unit) if first.unit else None
    # grams and kilograms are measures
    kinds = {
        figure.kind if figure.kind.startswith("money") else figure.kind.partition(" ")[0]
        for figure in (first, second)
    }
    if not second.ranges or (wide and (len(kinds) > 1 or "" in kinds)) or len(kinds - {""}) > 1:
        return None
    if mark == "/" and not first.kind == second.kind == ISO_DATE:
        return Figure(f"{first.words}, {second.words}")
    if first == second and not first.unit:
        return Figure(f"{first.head} {second.head}")
    if first.unit and second.unit and first.kind.partition(" ")[0] == second.kind.partition(" ")[0]:
        return Figure(f"{first.words} to {second.words}")
    if second.unit and first.unit.startswith(second.unit):
        return Figure(f"{first.head} to {second.head}", first.unit)
    unit = " ".join(filter(None, (second.many or second.unit, first.many or first.unit)))
    return Figure(f"{first.head} to {second.head}", unit)


def _candidates(text: str, at: int, aloud: bool) -> Iterator[tuple[Figure, int]]:
    for pattern, say in _WORD_RULES if text[at].isalpha() else _RULES:
        match = pattern.match(text, at)
        figure = say(match) if match else None
        if match and figure is not None:
            if isinstance(figure, str):
                figure = Figure(figure)
            if aloud and say in (names.say_code, names.say_marks, names.say_stroke):
                figure = Figure(re.sub(r"\bA\b", "ay", figure.head))
            yield figure, match.end()
