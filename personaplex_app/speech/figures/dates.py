"""Dates, times, years, and what is written with a stroke: a date or a fraction."""

from __future__ import annotations

import re

from .figure import COUNTED, DASH, FRACTION, ISO_DATE, SPACE, Figure, Rule, Say, any_of, rule, signed
from .number_words import cardinal, number, ordinal, plural, two_digits, year
from .numbers import quantity
from .tables import MONTHS, WEEKDAYS

_MONTH_NAMES = {*MONTHS, *(name[:3] for name in MONTHS), "Sept"}
_MONTH = rf"(?:{any_of({*_MONTH_NAMES, *map(str.upper, _MONTH_NAMES)})})(?:\b\.?)"
_WEEKDAY = rf"(?:{any_of({*WEEKDAYS, *(name[:3] for name in WEEKDAYS), 'Tues', 'Thur', 'Thurs'})})(?:\b\.?)"
_LAST_DAYS = {"F": "Friday", "S": "Saturday"}
_HALF = r"[AaPp](?:\.\s?[Mm]\.|\.?[Mm]\b)"


def _fraction(match: re.Match[str]) -> Figure | str | None:
    text = match["quantity"]
    if not (bare := re.fullmatch(r"(\d+)/(\d+)", text)):
        return Figure(quantity(text), ranges=True)
    above, below = int(bare[1]), int(bare[2])
    before = match.string[: match.start()]
    dated = re.search(rf"(?:\b(?i:on|by|until|since|before|after|due|from|till)|{_WEEKDAY},?)\s$", before)
    if dated and (date := _day_of(above, below)):
        return date
    if re.match(r"\s(?:stars?|points?)\b", match.string[match.end() :]) or (below == 10 and above > 1):
        return f"{number(bare[1])} out of {number(bare[2])}"
    if above < below and (2 <= below <= 10 or below in (12, 16, 20, 32, 64, 100)):
        return Figure(quantity(text), ranges=True)
    if above == below:
        return f"{number(bare[1])} {number(bare[2])}"
    return _day_of(above, below) or f"{number(bare[1])} over {number(bare[2])}"


def _month(text: str) -> str:
    return next(name for name in MONTHS if name.startswith(text[:3].capitalize()))


def _day_of(month: int, day: int) -> str | None:
    if month > 12:
        month, day = day, month
    return f"{MONTHS[month - 1]} {ordinal(day)}" if 1 <= month <= 12 and 1 <= day <= 31 else None


def _two_dates(match: re.Match[str]) -> str | None:
    """Return "12/24-12/26" as dates, "1/2-3/4" as none."""
    pairs = [tuple(map(int, each.split("/"))) for each in re.split(DASH, match[0])]
    if all(above < below <= 10 for above, below in pairs):
        return None
    days = [_day_of(*pair) for pair in pairs]
    return f"{days[0]} to {days[1]}" if all(days) else None


def _zone(match: re.Match[str]) -> str:
    return f"{match['zone']} {_offset(match)}"


def _offset(match: re.Match[str]) -> str:
    minutes = f" {two_digits(int(match['minutes']))}" if int(match["minutes"] or 0) else ""
    return f"{signed(match['sign'])}{cardinal(int(match['hours']))}{minutes}"


def _year_of(text: str) -> str:
    short = int(text)
    return year(short if len(text) == 4 else short + (1900 if short > 50 else 2000))


def _numeric_date(match: re.Match[str]) -> str | None:
    first, second = int(match["a"]), int(match["b"])
    # 14.07.2025 is written where the day comes first
    day_first = match["mark"] == "." and second <= 12
    date = _day_of(second, first) if day_first else _day_of(first, second)
    short = len(match["year"]) == 2
    if short and (match["mark"] == "-" or (match["mark"] == "." and len(match[0]) < 8)):
        return None  # a version, or something else with parts
    return date and f"{date}, {_year_of(match['year'])}"


def _iso_date(match: re.Match[str]) -> Figure | None:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    clock = f" at {_clock(match['time'])}" if match["time"] else ""
    zone = f", UTC {_offset(match)}" if match["hours"] else ""
    words = f"{_day_of(month, day)}, {year(int(match['year']))}{clock}{zone}"
    return Figure(words, kind=ISO_DATE, ranges=True)


def _days(match: re.Match[str]) -> list[str] | None:
    """Return the one or two days of a date with a month's name, in words; None where they are no days."""
    days = [int(day) for day in re.findall(r"\d+", match["days"])]
    return [ordinal(day) for day in days] if all(1 <= day <= 31 for day in days) else None


def _dated(words: str, match: re.Match[str]) -> Figure:
    return Figure(
        words + (f", {year(int(match['year']))}" if match["year"] else ""), kind="date", ranges=True
    )


def _month_day(match: re.Match[str]) -> Figure | None:
    days = _days(match)
    return _dated(f"{_month(match['month'])} {' to '.join(days)}", match) if days else None


def _day_month(match: re.Match[str]) -> Figure | None:
    days = _days(match)
    the = "" if re.search(r"(?i)\bthe\s$", match.string[: match.start()]) else "the "
    return _dated(f"{the}{' to '.join(days)} of {_month(match['month'])}", match) if days else None


def _month_year(match: re.Match[str]) -> str:
    return f"{_month(match['month'])}{',' if match['comma'] else ''} {year(int(match['year']))}"


def _names_range(names: tuple[str, ...]) -> Say:
    def say(match: re.Match[str]) -> str:
        def full(written: re.Match[str]) -> str:
            return next(name for name in names if name.startswith(written[0][:3].capitalize()))

        words = re.sub(r"[A-Z]\w+\.?", full, match[0])
        return re.sub(rf"\s?{DASH}\s?", " to ", words).replace("/", " and ")

    return say


def _weekday(match: re.Match[str]) -> str:
    return next(name for name in WEEKDAYS if name.startswith(match["day"][:3])) + match["comma"]


def _season(match: re.Match[str]) -> str | None:
    begin, end = int(match["year"]), int(match["end"])
    if end == (begin + 1) % 100 or match["mark"] == "/":
        return f"{year(begin)} to {two_digits(end)}"
    return f"{MONTHS[end - 1]} {year(begin)}" if 1 <= end <= 12 else f"{year(begin)} to {two_digits(end)}"


def _clock(text: str, half: str = "") -> str | None:
    """Return a time in words, without its AM or PM; None for what is no time."""
    hour, *rest = map(int, re.findall(r"\d+", text))
    if hour > 24 or any(part > 59 for part in rest):
        return None
    minute = rest[0] if rest else 0
    if not minute:
        words = (
            cardinal(hour)
            if half or not rest
            else "midnight"
            if hour in (0, 24)
            else f"{cardinal(hour)} o'clock"
        )
    else:
        words = f"{cardinal(hour)} {two_digits(minute)}"
    if rest[1:] and rest[1]:
        words += f" and {cardinal(rest[1])} second{'' if rest[1] == 1 else 's'}"
    return words


def _time(match: re.Match[str]) -> Figure | None:
    half = match["half"] or ""
    said = _clock(match["time"], half)
    if said is None or (half and int(re.split(r"[:.]", match["time"])[0]) > 12):
        return None
    # the full stop of "p.m." ends a sentence too, at the end of the text
    stop = "." if half.endswith(".") and not match.string[match.end() :].strip() else ""
    unit = half[:1].upper() + "M" + stop if half else ""
    return Figure(said, unit, unit, kind="time", ranges=True)


DATES: tuple[Rule, ...] = (
    rule(rf"\d{{1,2}}/\d{{1,2}}{DASH}\d{{1,2}}/\d{{1,2}}", _two_dates),
    rule(
        r"(?P<year>\d{4})(?P<mark>[-/])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)"
        r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)?"
        r"(?:Z|(?P<sign>[-+−])(?P<hours>\d\d):?(?P<minutes>\d\d))?)?",
        _iso_date,
    ),
    rule(r"(?P<a>\d{1,2})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4}|\d\d)", _numeric_date),
    rule(
        rf"(?P<month>{_MONTH})\s(?P<days>\d{{1,2}}(?:st|nd|rd|th)?(?:(?:\s?{DASH}\s?|\sto\s)\d{{1,2}}(?:st|nd|rd|th)?)?)"
        rf"(?!\d|:\d|\s?(?:[AaPp]\.?[Mm]\b|%)|\s(?:of\s)?{_MONTH})"
        r"(?:,?\s(?P<year>\d{4})(?!\d))?",
        _month_day,
    ),
    rule(
        rf"(?P<days>\d{{1,2}}(?:st|nd|rd|th)?(?:\s?{DASH}\s?\d{{1,2}}(?:st|nd|rd|th)?)?)(?:\sof\s|[\s-])"
        rf"(?P<month>{_MONTH})(?:(?:,?\s|-)(?P<year>\d{{4}})(?!\d))?",
        _day_month,
    ),
    # "3. May 2026", where a full stop alone would end a sentence: "I have 3. May I come?"
    rule(rf"(?P<days>\d{{1,2}})\.\s(?P<month>{_MONTH}),?\s(?P<year>\d{{4}})(?!\d)", _day_month),
    rule(
        r"(?P<month>0[1-9]|1[0-2])/(?P<year>(?:19|20)\d\d)(?!\d)",
        lambda m: f"{MONTHS[int(m['month']) - 1]} {year(int(m['year']))}",
    ),
    rule(rf"(?P<month>{_MONTH})(?P<comma>,?)\s(?P<year>(?:1[1-9]|20)\d\d)", _month_year),
    rule(
        rf"{_WEEKDAY}(?:(?:\s?{DASH}\s?|/|,\s|\s(?:&|and|to|through|or)\s){_WEEKDAY})+",
        _names_range(WEEKDAYS),
    ),
    rule(rf"M{DASH}(?P<last>[FS])(?=:?\s\d)", lambda m: f"Monday to {_LAST_DAYS[m['last']]}"),
    rule(rf"(?P<day>{_WEEKDAY})(?P<comma>,?)(?=\s?[(\d])", _weekday),
    rule(rf"{_MONTH}(?:(?:\s?{DASH}\s?|/|\s(?:to|through)\s){_MONTH})+", _names_range(MONTHS)),
    rule(r"(?P<year>(?:19|20)\d\d)(?P<mark>[-–/])(?P<end>\d\d)", _season),
    rule(
        r"(?:1[1-9]|20)\d\d[-–](?:1[1-9]|20)\d\d(?!" + COUNTED + ")",
        lambda m: " to ".join(year(int(each)) for each in re.split("[-–]", m[0])),
    ),
)
TIMES: tuple[Rule, ...] = (
    rule(rf"(?P<time>\d{{1,2}}(?:[:.]\d\d)?)\s?(?P<half>{_HALF})", _time),
    rule(r"(?P<time>\d{1,2}(?::\d\d(?::\d\d|\s?h\b)?|h\d\d))(?P<half>)", _time),
    rule(
        rf"(?P<time>\d{{1,2}}\.[0-5]\d)(?P<half>)(?={SPACE}?{DASH}{SPACE}?\d{{1,2}}(?:[:.]\d\d)?\s?{_HALF})",
        _time,
    ),
    rule(r"(?P<zone>GMT|UTC)\s?(?P<sign>[-+–−])(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?", _zone),
    # where another time follows: "noon-3pm"
    rule(
        rf"(?:[Nn]oon|[Mm]idnight)(?=\s?{DASH}\s?\d)",
        lambda m: Figure(m[0], kind="time", ranges=True),
    ),
)
YEARS: tuple[Rule, ...] = (
    rule(r"FY\s?(?P<year>\d{4})", lambda m: f"F Y {year(int(m['year']))}"),
    rule(
        r"(?P<lead>(?i:in|since|of|until|by|from|year|around|before|after|founded|established|born|circa|ca?\.)\s)"
        r"(?P<year>1[1-9]\d\d|20\d\d)(?!" + COUNTED + ")",
        lambda m: m["lead"] + year(int(m["year"])),
    ),
    rule(r"'?(?P<value>(?:1[1-9]|20)\d0|\d{1,2})'?s(?!\w)", lambda m: plural(int(m["value"]))),
    rule(r"'(?P<year>\d\d)(?![\d'])", lambda m: number(m["year"])),
    rule(
        r"(?P<day>\d+)(?:st|nd|rd|th)\b",
        lambda m: Figure(ordinal(int(m["day"])), kind="ordinal", ranges=True),
    ),
)
FRACTIONS: tuple[Rule, ...] = (
    rule(r"24/7/365", lambda _: "twenty-four seven, three hundred and sixty-five"),
    rule(r"24/7(?!/)", lambda _: "twenty-four seven"),
    rule(r"9/11", lambda _: "nine eleven"),
    rule(rf"(?P<quantity>{FRACTION})(?:rds?|ths?)?", _fraction),
)
