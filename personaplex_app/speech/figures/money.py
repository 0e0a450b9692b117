"""Amounts of money, with the sign or code before or behind."""

from __future__ import annotations

import re

from .figure import AMOUNT, DASH, NUMBER, SCALE, SIGN, SPACE, SPACED, UNIT, Figure, Rule, any_of, rule, signed
from .number_words import MAX_DIGITS, cardinal, number
from .numbers import decimal
from .tables import CURRENCIES, SCALE_LETTERS, UNITS

_SYMBOL = any_of(CURRENCIES)
_CODE = any_of(name for name in CURRENCIES if len(name) == 3 and name.isalpha() and name.isupper())
_LETTER = any_of(SCALE_LETTERS)
_PER = (
    r"(?:\s?(?P<person>pp\b|p/p\b|ea\b)"
    rf"|(?:\s?/\s?|\sper\s)(?:(?P<some>\d+)(?=\s[a-z])|(?P<per>{UNIT}|[a-z]+)(?![\w/])))?"
)


def _money(match: re.Match[str]) -> Figure | None:
    # "$10 CAD"
    names = CURRENCIES[match.groupdict().get("code") or match["symbol"]]
    scale = match["scale"] or SCALE_LETTERS.get(match["letter"] or "", "")
    amount = decimal(match["amount"], "," if re.search("[$£]", match["symbol"]) else ",.")
    whole, _, rest = amount.partition(".")
    behind = "-" in match[0][len(match["sign"]) : match.start("amount") - match.start()]
    minus = signed("-" if behind else match["sign"])
    per = _per(match)
    kind = f"money {names.many}"
    if len(whole) > MAX_DIGITS:
        return None
    if scale:
        return Figure(minus + number(amount), f"{scale} {names.many}{per}", "", kind, True)
    if not rest.strip("0") or len(rest) > 2 or not names.cents:
        words = number(amount) if rest.strip("0") else cardinal(int(whole or 0))
        unit = names.one if words == "one" else names.many
        return Figure(minus + words, unit + per, names.many + per, kind, True)
    cents = int((rest + "0")[:2])
    if not int(whole or 0):
        coins = names.cent if cents == 1 else names.cents
        return Figure(minus + cardinal(cents), coins + per, names.cents + per, f"money {names.cents}", True)
    coins = f"and {cardinal(cents)} {names.cent if cents == 1 else names.cents}"
    unit = names.one if int(whole) == 1 else names.many
    tail = cardinal(cents) if cents >= 10 else coins
    return Figure(f"{minus}{cardinal(int(whole))} {unit} {tail}{per}", "", "", kind, True)


def _coins(match: re.Match[str]) -> Figure:
    many = "pence" if match["mark"] == "p" else "cents"
    one = "penny" if match["mark"] == "p" else "cent"
    return Figure(
        number(decimal(match["number"], ",")), one if match["number"] == "1" else many, many, many, True
    )


def _per(match: re.Match[str]) -> str:
    """Return what follows an amount: "$5/hour" is five dollars "an hour"."""
    if match["person"]:
        return " each" if match["person"] == "ea" else " per person"
    if match["some"]:
        return f" for {cardinal(int(match['some']))}"
    if not match["per"]:
        return ""
    unit = UNITS[match["per"]][0] if match["per"] in UNITS else match["per"]
    return f" {'an' if re.match(r'(?i)[aeio]|hour|honou?r', unit) else 'a'} {unit}"


def _scaled(match: re.Match[str]) -> str:
    """Return "$1.5-2 million" as one range: the scale is that of both ends."""
    scale = match["scale"] or SCALE_LETTERS[match["letter"]]
    ends = (number(decimal(match[end], ",")) for end in ("a", "b"))
    return f"{' to '.join(ends)} {scale} {CURRENCIES[match['symbol']].many}"


def _rate(match: re.Match[str]) -> Figure:
    return Figure(number(decimal(match["number"], ",")), _per(match).strip(), kind="rate", ranges=True)


MONEY: tuple[Rule, ...] = (
    rule(
        rf"(?P<symbol>{_SYMBOL})(?P<a>{AMOUNT}){DASH}(?P<b>{AMOUNT})"
        rf"(?:[\s-]?(?P<scale>{SCALE})\b|(?P<letter>{_LETTER})\b)",
        _scaled,
    ),
    rule(
        rf"(?P<sign>{SIGN})(?P<symbol>{_SYMBOL}){SPACE}?-?(?P<amount>{AMOUNT})(?:[,.][-–])?"
        rf"(?:[\s-]?(?P<scale>{SCALE})\b|(?P<letter>{_LETTER})\b)?(?:\s(?P<code>{_CODE})(?!\w))?{_PER}",
        _money,
    ),
    rule(
        rf"(?P<sign>{SIGN})(?P<amount>{SPACED}|{AMOUNT})(?:[\s-]?(?P<scale>{SCALE})|(?P<letter>{_LETTER}))?"
        rf"\s?(?P<symbol>{_SYMBOL})(?![\w]){_PER}",
        _money,
    ),
    rule(rf"(?P<number>{NUMBER})\s?(?P<mark>¢)", _coins),
    rule(r"(?P<number>\d{1,2})(?P<mark>p)\b", _coins),
    # the end of a range: "$10-15/hr"
    rule(
        rf"(?<=\d[-–—−])(?P<person>)(?P<some>)(?P<number>{NUMBER})\s?/\s?(?P<per>{UNIT}|[a-z]+)(?![\w/])",
        _rate,
    ),
)
