"""Find the numbers in a text, in figures or in words. Pure functions of text."""

from __future__ import annotations

import re
from functools import lru_cache

from ..speech.figures.number_words import IRREGULAR, ONES, SCALES, TENS
from ..speech.spoken_form import speakable


def word_list(text: str) -> list[str]:
    """Return the words of a constant that is written over several lines."""
    return text.split()


_CARDINALS = {word: value for value, word in enumerate(ONES)} | {
    word: 10 * k for k, word in enumerate(TENS) if k > 1
}
# in a number of four digits or more, said digit by digit, "oh" is a zero; "seven oh five" is a time
_DIGIT = rf"(?:{'|'.join(ONES[:10])}|\d|oh)"
_DIGITS = re.compile(rf"(?i)\b(?:{_DIGIT}[ ,-]+){{3,}}{_DIGIT}\b")
_UNITS = frozenset(
    word_list("""dollar euro pound cent percent hour minute second day week month year degree mile
    meter metre AM PM am pm""")
)


@lru_cache(maxsize=1_000)
def figures(text: str) -> frozenset[int]:
    """Return the numbers in `text`, in digits or words: "2:30", "two thirty" and "$2.30" are all {2, 30}.

    A lone "one", "first" or "second" counts only before a unit, since it is seldom meant as a number.
    """
    text = _DIGITS.sub(lambda run: re.sub(r"(?i)\boh\b", "zero", run[0]), text)
    words = re.findall(r"[A-Za-z]+", speakable(text))
    found: set[int] = set()
    total = 0
    part = 0
    last = 10**15
    begun = False
    # `last` is what the next word must be below to belong to the same number: 10 after "twenty". Words of 100
    # and more multiply what was read so far. The empty word at the end closes the last number.
    for k, word in enumerate([*words, ""]):
        value = _value(word.lower())
        lone = (
            value == 1
            and not begun
            and (words[k + 1].rstrip("s") if k + 1 < len(words) else "") not in _UNITS
        )
        if value is not None and not lone and not (begun and value >= last and value < 100):
            total, part, last = _joined(total, part, value)
            begun = True
        elif (
            word == "and"
            and begun
            and last == 100
            and k + 1 < len(words)
            and _value(words[k + 1].lower()) is not None
        ):
            continue
        else:
            if begun:
                found.add(total + part)
            total = 0
            part = 0
            last = 10**15
            begun = False
            if value is not None and not lone:
                total, part, last = _joined(0, 0, value)
                begun = True
    return frozenset(found)


def is_figure_word(word: str) -> bool:
    """Return whether a word is a number in words, or a unit."""
    return _value(word) is not None or word.rstrip("s") in _UNITS


def _joined(total: int, part: int, value: int) -> tuple[int, int, int]:
    """Return total, part below the next scale, and the bound of the next word, after one more number word."""
    if value == 100:
        return total, max(part, 1) * 100, 100
    if value >= 1000:
        return total + max(part, 1) * value, 0, 1000
    return total, part + value, 10 if value >= 20 and value % 10 == 0 else 0


def _value(word: str) -> int | None:
    if word in _CARDINALS:
        return _CARDINALS[word]
    if word in ("first", "second"):
        return 1
    for size, name in SCALES:
        if word in (name, name + "s", name + "th"):
            return size
    for cut, add in (("ieth", "y"), ("th", ""), ("d", "")):
        if word.endswith(cut) and (word[: -len(cut)] + add) in _CARDINALS:
            return _CARDINALS[word[: -len(cut)] + add]
    return next((_CARDINALS[c] for c, o in IRREGULAR.items() if o == word), None)
