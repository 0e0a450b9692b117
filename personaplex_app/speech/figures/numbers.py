"""Plain numbers, fractions in words, sizes and measures."""

from __future__ import annotations

import re

from .figure import COUNTED, DASH, NUMBER, QUANTITY, SCALE, SIGN, SPACE, UNIT, Figure, Rule, rule
from .number_words import cardinal, digits, number, ordinal, year
from .tables import SCALE_LETTERS, UNITS, VULGAR


def decimal(text: str, thousands: str) -> str:
    """Return a number in any country's writing as digits with a point for the decimals.

    A single separator before three digits is one of `thousands`, or else the decimal point.
    """
    text = re.sub(rf"{SPACE}|['’]", "", text)
    marks = re.findall(r"[.,]", text)
    if len(set(marks)) == 2:
        text = text.replace(marks[0], "").replace(marks[-1], ".")
    elif len(marks) > 1 or (marks and marks[0] in thousands and re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", text)):
        text = text.replace(marks[0], "")
    return text.replace(",", ".")


def quantity(text: str) -> str:
    """Return a number, fraction or mixed number in words."""
    for mark, written in VULGAR.items():
        text = text.replace(mark, " " + written)
    whole, _, fraction = text.replace("-", " ").strip().rpartition(" ")
    if "/" not in fraction:
        return number(decimal(text.strip(), ","))
    above, below = map(int, fraction.split("/"))
    part = {2: "half", 4: "quarter"}.get(below) or (ordinal(below) if below else "")
    parts = {2: "halves"}.get(below, part + "s") if above > 1 else part
    if not whole:
        return f"{cardinal(above)} {parts}"
    return f"{cardinal(int(whole))} and {'a' if above == 1 else cardinal(above)} {parts}"


def _plain(match: re.Match[str]) -> Figure | None:
    text = decimal(match["number"], ",")
    letter = match["letter"] or ""
    if letter in ("M", "B") and "." not in text and not _is_scale(match):
        return None  # a name, as "Platform 4B" has
    unit = match["scale"] or {"k": "K", "K": "K"}.get(letter) or SCALE_LETTERS.get(letter, "")
    is_year = (
        re.fullmatch(r"(?:19|20)\d\d", match["number"])
        and not unit + match["sign"] + match["plus"]
        and not re.match(COUNTED, match.string[match.end() :])
    )
    if is_year:
        words = year(int(text))
    elif len(text) >= 10 and text == match["number"] and text.isdigit():
        words = digits(text)  # no amount is written so: a number of a phone or an account
    else:
        words = number(text)
    plus = " plus" if match["plus"] else ""
    return Figure(
        f"{'about ' if match['about'] else ''}{'minus ' if match['sign'] else ''}{words}",
        unit + plus,
        unit + plus,
        ranges=True,
    )


def _is_scale(match: re.Match[str]) -> bool:
    """Return whether the M or B after a whole number means millions or billions."""
    in_range = re.search(rf"[MB]{DASH}$", match.string[: match.start()])
    return bool(in_range or re.match(COUNTED, match.string[match.end() :]))


def _listed(match: re.Match[str]) -> str:
    parts = match[0].split(",")
    # of two, the second is a decimal, as it is written in most of Europe
    return ", ".join(map(number, parts)) if len(parts) > 2 else f"{number(parts[0])} point {digits(parts[1])}"


def _measure(match: re.Match[str]) -> Figure | None:
    written = match["quantity"]
    if match["unit"] == "in" and re.search(r"\s$", match[0][: match.start("unit") - match.start()]):
        return None  # the word "in"
    one, many = UNITS[match["unit"]]
    single = written in ("1", "1.0")
    per = f" per {UNITS[match['per']][0] if match['per'] in UNITS else match['per']}" if match["per"] else ""
    return Figure(
        ("minus " if match["sign"] else "") + quantity(written),
        (one if single else many) + per,
        many + per,
        kind=f"measure {many}",
        ranges=True,
    )


def _inches(match: re.Match[str]) -> str | None:
    if match.string[: match.start()].count('"') % 2 or "“" in match.string[: match.start()]:
        return None  # the mark closes a quotation
    return quantity(match["quantity"]) + (" inch" if match["quantity"] == "1" else " inches")


def _sized(match: re.Match[str]) -> str:
    words = " by ".join(quantity(part) for part in re.split(r"\s?[x×]\s?", match["sizes"]))
    return f"{words} {UNITS[match['unit']][1]}" if match["unit"] else words


MEASURES: tuple[Rule, ...] = (
    rule(rf"(?P<quantity>{QUANTITY})[\"″”]", _inches),
    rule(rf"(?P<sizes>(?:{QUANTITY})(?:\s?[x×]\s?(?:{QUANTITY}))+)(?:\s?(?P<unit>{UNIT})(?!\w))?", _sized),
    rule(
        r"(?P<feet>\d+)['′]\s?(?P<inches>\d{1,2})(?:[\"″”]|'')",
        lambda m: f"{number(m[1])} foot {number(m[2])}",
    ),
    rule(
        rf"(?P<sign>{SIGN})(?P<quantity>{QUANTITY})\s?(?P<unit>{UNIT})(?!\w)(?:/(?P<per>{UNIT}|[a-z]+)(?!\w))?",
        _measure,
    ),
)

NUMBERS: tuple[Rule, ...] = (
    rule(r"\d+(?:,\d{1,2})+", _listed),
    rule(r"(?P<a>\d+):(?P<b>\d+)", lambda m: f"{number(m['a'])} to {number(m['b'])}"),
    rule(r"(?P<number>\d+)x\b", lambda m: f"{number(m['number'])} times"),
    rule(
        rf"(?P<about>~?)(?P<sign>{SIGN})(?P<number>{NUMBER})(?:(?P<letter>k|K|M|B|bn)\b|\s(?P<scale>{SCALE})\b)?"
        r"(?P<plus>\+?)",
        _plain,
    ),
)
