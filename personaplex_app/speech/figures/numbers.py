"""Plain numbers, fractions in words, sizes and measures."""

from __future__ import annotations

import re

from .figure import COUNTED, DASH, NUMBER, QUANTITY, SCALE, SIGN, SPACE, UNIT, Figure, Rule, rule, signed
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
    counts = re.match(COUNTED, match.string[match.end() :])
    # nothing that is counted has three decimals, all of them zero: "2.000 people"
    text = decimal(match["number"], ",." if counts and match["number"].endswith(".000") else ",")
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
        f"{'about ' if match['about'] else ''}{signed(match['sign'])}{words}",
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
    apart = match[0][: match.start("unit") - match.start()].endswith(" ")
    if match["unit"] == "in" and apart and not re.match(r"\.\s[a-z]", match.string[match.end() :]):
        return None  # the word "in"
    one, many = UNITS[match["unit"]]
    beside = re.fullmatch(r"(\d\d+)/(\d\d+)", written)
    if beside and int(beside[2]) not in (10, 12, 16, 20, 32, 64, 100):
        return Figure(f"{number(beside[1])}, {number(beside[2])}", many)  # "50/60 Hz" is no fraction
    single = written in ("1", "1.0")
    per = match["per"] and ("second" if match["per"] == "s" else UNITS.get(match["per"], (match["per"],))[0])
    per = f" per {per}" if per else ""
    return Figure(
        signed(match["sign"]) + quantity(written),
        (one if single else many) + per,
        many + per,
        kind=f"measure {many}",
        ranges=True,
    )


def counted(value: str, one: str) -> str:
    """Return a whole number with what it counts, in the singular for one."""
    return f"{number(value)} {one}{'' if int(value) == 1 else 's'}"


def _inches(match: re.Match[str]) -> str | None:
    if match.string[: match.start()].count('"') % 2 or "“" in match.string[: match.start()]:
        return None  # the mark closes a quotation
    return quantity(match["quantity"]) + (" inch" if match["quantity"] == "1" else " inches")


def _sized(match: re.Match[str]) -> str:
    # "20 x 30 cm", "20cm x 30cm"
    sizes = re.sub(rf"(?<=\d)\s?(?:{UNIT})(?=\s?[x×])", "", match["sizes"])
    words = " by ".join(quantity(part) for part in re.split(r"\s?[x×]\s?", sizes))
    return f"{words} {UNITS[match['unit']][1]}" if match["unit"] else words


def _ratio(match: re.Match[str]) -> str:
    # a standard and the year of its edition: "ISO 9001:2015"
    if int(match["a"]) > 999 and re.fullmatch(r"(?:19|20)\d\d", match["b"]):
        return f"{number(match['a'])}, {year(int(match['b']))}"
    return f"{number(match['a'])} to {number(match['b'])}"


MEASURES: tuple[Rule, ...] = (
    rule(
        rf"(?P<a>{QUANTITY})[\"″”]\s?[x×]\s?(?P<b>{QUANTITY})[\"″”]",
        lambda m: f"{quantity(m['a'])} by {quantity(m['b'])} inches",
    ),
    rule(rf"(?P<quantity>{QUANTITY})[\"″”]", _inches),
    rule(
        rf"(?P<sizes>(?:{QUANTITY})(?:(?:\s?(?:{UNIT}))?\s?[x×]\s?(?:{QUANTITY}))+)(?:\s?(?P<unit>{UNIT})(?!\w))?",
        _sized,
    ),
    rule(
        r"(?P<feet>\d+)['′]\s?(?P<inches>\d{1,2})(?:[\"″”]|'')",
        lambda m: f"{number(m[1])} foot {number(m[2])}",
    ),
    rule(
        r"(?P<feet>\d+)\s?(?:ft|feet|foot)\.?\s?(?P<inches>\d{1,2})\s?(?:inches|inch|in)\b\.?",
        lambda m: f"{number(m[1])} foot {number(m[2])}",
    ),
    rule(
        r"(?P<feet>[3-7])['′](?P<inches>\d|1[01])(?![\d'])",
        lambda m: f"{number(m[1])} foot {number(m[2])}",
    ),
    rule(r"(?P<feet>\d+)['′](?=\s(?:tall|long|wide|high|deep)\b)", lambda m: f"{number(m[1])} feet"),
    # "1h 30m", where m alone would be meters
    rule(
        r"(?P<hours>\d{1,3})\s?(?:h|hrs?)\.?\s?(?P<minutes>[1-5]?\d)\s?m(?:in|ins)?\b",
        lambda m: f"{counted(m['hours'], 'hour')} {counted(m['minutes'], 'minute')}",
    ),
    rule(
        rf"(?P<sign>{SIGN})(?P<quantity>{QUANTITY})\s?(?P<unit>{UNIT})(?!\w)(?:/(?P<per>{UNIT}|[a-z]+)(?!\w))?",
        _measure,
    ),
)

NUMBERS: tuple[Rule, ...] = (
    rule(r"\d+(?:,\d{1,2})+", _listed),
    rule(r"(?P<a>\d+):(?P<b>\d+)", _ratio),
    rule(
        r"(?P<number>\d+(?:\.\d+)?)x(?:/(?P<per>[a-z]+))?\b",
        lambda m: f"{number(m['number'])} times" + (f" a {m['per']}" if m["per"] else ""),
    ),
    rule(
        r"(?P<round>100|1,?000|1,?000,?000)s(?=\sof\b)",
        lambda m: {3: "hundreds", 4: "thousands", 7: "millions"}[len(m["round"].replace(",", ""))],
    ),
    rule(
        r"(?P<stars>\d(?:\.\d)?)\s?[★⭐]",
        lambda m: f"{number(m['stars'])} star{'' if m['stars'] == '1' else 's'}",
    ),
    rule(
        r"(?P<mark>\d+\.\d+)/(?P<of>5|10|100)",
        lambda m: f"{number(m['mark'])} out of {number(m['of'])}",
    ),
    # the lines of a screen
    rule(
        r"(?P<head>\d\d?)(?P<tail>20|40|60|80)(?P<kind>[pi])(?P<rate>\d\d)?\b",
        lambda m: (
            f"{number(m['head'])} {number(m['tail'])} {m['kind'].upper()}"
            + (f" {number(m['rate'])}" if m["rate"] else "")
        ),
    ),
    rule(
        rf"(?P<about>~?)(?P<sign>{SIGN})(?P<number>{NUMBER})(?:(?P<letter>k|K|M|B|bn)\b|\s(?P<scale>{SCALE})\b)?"
        r"(?P<plus>\+?)",
        _plain,
    ),
)
