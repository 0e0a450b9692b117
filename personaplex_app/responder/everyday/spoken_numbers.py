"""Write number words as digits: "seventeen times twenty-three" becomes "17 times 23". Pure functions."""

from __future__ import annotations

import re

from ...speech.figures.number_words import ONES, SCALES, TENS

_SMALL = {word: value for value, word in enumerate(ONES)} | {
    word: 10 * k for k, word in enumerate(TENS) if k > 1
}
_SCALES = {word: size for size, word in SCALES} | {"hundreds": 100, "thousands": 1000}
_WORD = "|".join(sorted((*_SMALL, *_SCALES), key=len, reverse=True))
# "and" joins two words of one number after a scale only: "a hundred and five", but "five and seven"
_RUN = re.compile(rf"\b(?:{_WORD})(?:(?:[ -]|(?<=dred) and |(?<=sand) and |(?<=lion) and )(?:{_WORD}))*\b")
_ARTICLES = re.compile(rf"\b(?:a|an) (?=(?:{'|'.join(_SCALES)})\b)")
_COMMAS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_DOZENS = re.compile(r"\b(?:(half) )?(?:a|(\d+)) dozen\b")
_POINT = re.compile(r"(\d+) point ((?:\d )*\d+)\b|\bpoint (\d+)\b")
_HALVES = re.compile(r"\b(\d+) and (?:a (half|quarter)|three (quarters))\b")
_PARTS = {"half": ".5", "quarter": ".25", "quarters": ".75"}


def with_digits(text: str) -> str:
    """Return a lower-case text with its numbers in digits, decimals and thousands included."""
    text = _ARTICLES.sub("one ", _COMMAS.sub("", text))
    text = re.sub(r"\b(\d+(?:\.\d+)?) (hundred|thousand|million|billion|trillion)\b", _scaled, text)
    text = _RUN.sub(lambda m: " ".join(_numbers(m[0])), text)
    text = _DOZENS.sub(lambda m: str((6 if m[1] else 12) * int(m[2] or 1)), text)
    text = _POINT.sub(_decimal, text)
    return _HALVES.sub(lambda m: m[1] + _PARTS[m[2] or m[3]], text)


def _scaled(match: re.Match[str]) -> str:
    return f"{float(match[1]) * _SCALES[match[2]]:.0f}"


def _decimal(match: re.Match[str]) -> str:
    return f"{match[1] or 0}.{(match[2] or match[3]).replace(' ', '')}"


def _numbers(words: str) -> list[str]:
    """Return the numbers that a run of number words says: "two five" is two numbers, "twenty-five" is one."""
    found: list[int] = []
    total = part = 0
    bound = 0
    for word in re.split(r" and |[ -]", words):
        value = _SMALL.get(word)
        if value is None and word:
            size = _SCALES[word]
            part = max(part, 1) * size if size == 100 else part
            if size > 100:
                total += max(part, 1) * size
                part = 0
            bound = size
        elif value is not None:
            if (bound and value >= bound) or (not bound and (total or part)):
                found.append(total + part)
                total = part = 0
            part += value
            bound = 10 if value >= 20 else 0
            if value == 0:
                bound = 0
    # a lone zero is a number too
    found.append(total + part)
    return [str(each) for each in found]
