"""Sums that are told in words: prices of several, what is left, shares, comparisons, sequences, years."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import isqrt

from .arithmetic import spoken
from .contract import Reply, Talk, reply
from .fractions_said import NAMES, PART
from .spoken_numbers import with_digits
from .turn import Turn

_N = r"(?:[$€£] ?)?(-?\d+(?:\.\d+)?)"
_COIN = r"(?: ?(dollars?|euros?|pounds?|bucks|cents?))?"
_ASKS_TOTAL = r"(?=.*\b(?:how much|what (?:do|does|is|will|would)|total|altogether|pay|cost|come to)\b).*?"
_MAX_SHOWN = 10**15


def told_sum(turn: Turn, talk: Talk) -> Reply | None:
    """Answer a sum that is told in words, None for any other turn."""
    form = re.sub(r"(?<=\d),(?= ?(?:how|what|then|and i)\b)", "", with_digits(turn.ask))
    form = PART.sub(lambda m: f"{m[3] or m[1] or 1}/{m[4] or NAMES[m[2]]}", form)
    for pattern, answer in _SUMS:
        if (found := pattern.search(form)) and (text := answer(found, talk)):
            return reply(text, True)
    return None


def _told(value: Fraction, coin: str = "") -> str:
    said, exact = spoken(value, 2)
    return f"{'' if exact else 'about '}{said}{coin and ' ' + coin}"


def _each(found: re.Match[str], talk: Talk) -> str:
    return f"That comes to {_told(Fraction(found[1]) * Fraction(found[2]), found[3] or '')}."


def _left(found: re.Match[str], talk: Talk) -> str:
    left = Fraction(found[1]) - Fraction(found[3])
    return (
        f"{_told(left, found[2] or '')} {'is' if left == 1 else 'are'} left."
        if left >= 0
        else "That is more than you have."
    )


def _shared(found: re.Match[str], talk: Talk) -> str:
    heads = Fraction(found[3])
    return f"That is {_told(Fraction(found[1]) / heads, found[2] or '')} each." if heads else ""


def _share(found: re.Match[str], talk: Talk) -> str:
    whole, part = Fraction(found[3]), Fraction(found[1]) * Fraction(found[3]) / 100
    coin = found[4] or ""
    return f"The {found[2]} is {_told(part, coin)}, so {_told(whole + part, coin)} in all."


def _off(found: re.Match[str], talk: Talk) -> str:
    price = Fraction(found[2]) * (100 - Fraction(found[1])) / 100
    return f"With {_told(Fraction(found[1]))} percent off, it is {_told(price, found[3] or '')}."


def _compared(found: re.Match[str], talk: Talk) -> str:
    one, two = Fraction(found[1]), Fraction(found[3])
    right = one < two if found[2] in ("less", "smaller", "lower", "fewer") else one > two
    than = "as much as" if one == two else "less than" if one < two else "more than"
    return f"{'Yes' if right else 'No'}, {_told(one)} is {than} {_told(two)}."


def _chosen(found: re.Match[str], talk: Talk) -> str:
    one, two = (Fraction(found[k]) for k in (2, 3))
    if one == two:
        return "Both are the same."
    less = found[1] in ("smaller", "less", "lower", "smallest")
    best, other = (found[2], found[3]) if (one < two) is less else (found[3], found[2])
    return f"{_part(best)} is {'less' if less else 'more'} than {_part(other)}."


def _part(text: str) -> str:
    above, _, below = text.partition("/")
    return f"{above} over {below}" if below else text


def _prime(found: re.Match[str], talk: Talk) -> str:
    number = int(found[1])
    if number >= _MAX_SHOWN // 1000:
        return ""
    divisor = next((k for k in range(2, isqrt(number) + 1) if number % k == 0), 0)
    if divisor:
        return f"No, {number} is {divisor} times {number // divisor}, so it is no prime number."
    return f"Yes, {number} is a prime number." if number > 1 else f"No, {number} is no prime number."


def _parity(found: re.Match[str], talk: Talk) -> str:
    kind = "odd" if int(found[1]) % 2 else "even"
    return f"{'Yes' if kind == found[2] else 'No'}, {found[1]} is {kind}."


def _rounded(found: re.Match[str], talk: Talk) -> str:
    value = Fraction(found[1])
    digits = {
        "1 decimal": 1,
        "2 decimal": 2,
        "tenth": 1,
        "hundredth": 2,
        "10": -1,
        "ten": -1,
        "100": -2,
        "hundred": -2,
    }
    digits |= {"1000": -3, "thousand": -3}
    rounded = Fraction(round(value, digits.get(found[2], 0)))
    return f"{_told(value)} is about {spoken(rounded, 3)[0]} when it is rounded."


def _next(found: re.Match[str], talk: Talk) -> str:
    row = [Fraction(each) for each in re.findall(r"-?\d+(?:\.\d+)?", found[1])]
    steps = {b - a for a, b in pairwise(row)}
    factors = {b / a for a, b in pairwise(row) if a}
    if len(row) < 3 or (len(steps) > 1 and len(factors) > 1):
        return ""
    step = next(iter(steps))
    if len(steps) == 1:
        how = "more" if step >= 0 else "less"
        return f"{_told(row[-1] + step)} comes next: each time {_told(abs(step))} {how}."
    factor = next(iter(factors))
    return f"{_told(row[-1] * factor)} comes next: each time {_told(factor)} times as much."


def _born(found: re.Match[str], talk: Talk) -> str:
    age = talk.clock().year - int(found[1])
    return (
        f"By the computer's calendar, {age} or {age - 1}, depending on the birthday." if 0 < age < 130 else ""
    )


def _year(found: re.Match[str], talk: Talk) -> str:
    ago = found[2] in ("ago", "before")
    return (
        f"{'That was' if ago else 'That will be'} {talk.clock().year + (-1 if ago else 1) * int(found[1])}."
    )


def _itself(found: re.Match[str], talk: Talk) -> str:
    one, two = Fraction(found[1]), found[2]
    value = one * one if two == "times" else one + one
    return f"{_told(one)} {two} itself is {_told(value)}."


def _count(found: re.Match[str], talk: Talk) -> str:
    # "three dozen" is a number already when it comes here
    return f"That is {found[1]}." if re.search(r"\bdozen\b", talk.memory.user_texts[-1]) else ""


def _dozen(found: re.Match[str], talk: Talk) -> str:
    # "a dozen" is a number already when it comes here
    return "A dozen is 12, and half a dozen 6."


_LEFT = r"(?:left|remain\w*|still have|over|change)"
_SPENT = r"(?:spend|spent|pay|paid|give|gave|eat|ate|lose|lost|use|used|sell|sold|take|took|cost\w*)"
# what is asked, and how it is answered, the first that fits
_SUMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Talk], str]], ...] = tuple(
    (re.compile(pattern), answer)
    for pattern, answer in (
        (rf"{_ASKS_TOTAL}\b{_N} [a-z ]{{2,30}}? (?:at|for|cost\w*|are) {_N}{_COIN} (?:each|apiece|an?"
        rf" \w+|per \w+)\b", _each),
        (rf"\b{_N} hours? at {_N}{_COIN} (?:an|per) hour\b", _each),
        (rf"\b{_N}{_COIN}[^?]*?\b{_SPENT}\b[a-z ]*? {_N}.*\bhow (?:much|many)\b.*\b{_LEFT}\b", _left),
        (rf"\bhow much change\b.*?\bfrom {_N}{_COIN}.*?\b(?:costs?|is|for) {_N}", _left),
        (rf"\b(?!divide \S+ by)(?:split|share|divide)\w* (?:a |the )?(?:bill of )?{_N}{_COIN} (?:\w+ )?"
        rf"(?:between|among|amongst|by|with|for|into) {_N}", _shared),
        (rf"\b{_N} ?(?:%|percent|per cent) (?:off|discount on|less than|reduction on) {_N}{_COIN}", _off),
        (
            rf"\b{_N} ?(?:%|percent|per cent) (tip|service|tax|sales tax|interest) (?:on|of|for|to"
            rf"|from) {_N}{_COIN}",
            _share,
        ),
        (rf"^is {_N} (more|less|bigger|greater|larger|higher|smaller|lower|fewer) than {_N}$", _compared),
        (
            r"\b(?:which|what) (?:is|one is|number is) (?:the )?(bigger|larger|more|greater|higher"
            r"|smaller|less|lower)[,:]? "
            r"(\d+(?:[./]\d+)?) or (\d+(?:[./]\d+)?)$",
            _chosen,
        ),
        (r"\bis (\d+) (?:a )?prime\b", _prime),
        (r"\bis (\d+) (?:an )?(odd|even)\b", _parity),
        (
            rf"\bround(?: up| down| off)? {_N} to (?:the (?:nearest|next) |an? )?(1 decimal|2 decimal"
            rf"|tenth|hundredth|whole|integer"
            r"|full|10|ten|100|hundred|1000|thousand)",
            _rounded,
        ),
        (r"\b(?:comes? next|next (?:number|one)|continue|goes on|missing)\b[^\d]*((?:-?\d+(?:\.\d+)?"
        r"(?:,? (?:and )?|$)){3,})", _next),
        (r"^((?:-?\d+(?:\.\d+)?,? (?:and )?){3,})[^\d]*\b(?:comes? next|next|continue)\b", _next),
        (r"\bhow old\b.*\bborn in (\d{4})\b", _born),
        (r"\b(?:what|which) year (?:was it|is it|will it be|was|will that be) (?:in )?(\d+) years? (ago"
        r"|before|from now)?$", _year),
        (rf"\b{_N} (times|plus) itself$", _itself),
        (r"^(?:how (?:much|many) (?:is|are|are in|is in)|what is) (?:12|6)$", _dozen),
        (r"^how many(?: \w+)? (?:is|are|are in|in|make) (\d+)$", _count),
    )
)  # fmt: skip
