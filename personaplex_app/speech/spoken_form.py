"""Turn written English into the words to speak: amounts, dates, times, phone numbers, codes, addresses.

This is the one place that decides how a figure is said, for sentences that rules make, for a language model's
and for what the recogniser writes. Each rule matches a whole figure or does not match; a figure that no rule
knows is left as it is, for the synthesiser's own reading, and is never taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .figure_words import (
    CURRENCIES,
    MONARCHS,
    MONTHS,
    NUMBERED,
    SCALE_LETTERS,
    STREETS,
    TOP_DOMAINS,
    UNITS,
    VULGAR,
    WEEKDAYS,
)
from .number_words import MAX_DIGITS, ONES, cardinal,  digits, number, ordinal, plural, two_digits, year


@dataclass(frozen=True)
class _Figure:
    """One figure in words; "€5" is the head "five" and the unit "euros".

    Two figures of one kind may be the ends of a range, and a plain number may take the other one's unit:
    `many` is the unit's plural.
    """

    head: str
    unit: str = ""
    many: str = ""
    kind: str = ""
    ranges: bool = False

    @property
    def words(self) -> str:
        return f"{self.head} {self.unit}".strip()


_Say = Callable[[re.Match[str]], _Figure | str | None]


def _any(words: object) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))  # type: ignore[call-overload]


_DASH = r"[-–—−]"
_SPACE = r"[ \u00a0\u202f\u2009]"
_THIN = r"[\u00a0\u202f\u2009]"
_NUMBER = (
    rf"(?:\d{{1,3}}(?:(?:,\d{{3}})+|(?:{_THIN}\d{{3}})+|(?: \d{{3}}){{2,}}|(?: 000)+)(?!\d)|\d+)(?:\.\d+)?|\.\d+"
)
# with a currency or unit beside it, a number may be written in other countries' ways too
_GROUPED = r"\d{1,3}(?:[.,'\u00a0\u202f\u2009]\d{3})+(?:[.,]\d{1,2})?(?!\d)"
_SPACED = r"\d{1,3}(?: \d{3})+(?:[.,]\d{1,2})?(?!\d)"
_AMOUNT = rf"{_GROUPED}|\d{{1,3}}(?: \d{{3}})+[.,]\d\d(?!\d)|\d+(?:[.,]\d+)?|\.\d+"
_FRACTION = rf"(?:(?:\d+{_SPACE}?)?[{''.join(VULGAR)}]|(?:\d+[ -])?\d+/\d+)"
_QUANTITY = rf"{_FRACTION}|\d+,\d{{1,2}}(?!\d)|{_NUMBER}"
_SIGN = r"[-–−]?"
# what a number counts, and so is no year
_COUNTED = r"\s(?:[a-z]+s|people|men|women|children)\b"
_SYMBOL = _any(CURRENCIES)
_SCALE = r"hundred|thousand|million|billion|trillion"
_LETTER = _any(SCALE_LETTERS)
_MONTH = rf"(?:{_any({*MONTHS, *(name[:3] for name in MONTHS), 'Sept'})})(?:\b\.?)"
_WEEKDAY = rf"(?:{_any({*WEEKDAYS, *(name[:3] for name in WEEKDAYS), 'Tues', 'Thur', 'Thurs'})})(?:\b\.?)"
_HALF = r"[AaPp](?:\.\s?[Mm]\.|\.?[Mm]\b)"
_UNIT = _any(UNITS)
# what may follow a figure: neither a part of a longer figure nor of a code
_END = re.compile(r"(?![\w@/\\%°€$£])(?![.,:'+–-]\d)(?!-[A-Z])(?!-\w*\d)")
_RANGE = re.compile(rf"{_DASH}(?=[\d.$€£¥A-Z])")
_WIDE_RANGE = re.compile(rf"{_SPACE}{_DASH}{_SPACE}")
_SEPARATOR = re.compile(r"\s+|[(\[{\"“”‘'—]")
_CHUNK = re.compile(r"[^\s(\[{\"“”—]+")
_MAY_HOLD_FIGURES = re.compile(
    rf"[\d{''.join(VULGAR)}@]|www|\w\.[a-z]|\b[IVX]+\b|\b(?:{'|'.join(name[:3] for name in WEEKDAYS + MONTHS)})"
)
_TO_CALL = re.compile(
    r"(?i)\b(?:call|dial|ring|phone|tel|telephone|fax|text|number|line|reach\w*|at|on|whatsapp|mobile|cell"
    r"|hotline)\W*(?:\w+\W+){0,2}$"
)


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
    text = text.replace("’", "'")
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
    return re.sub(r"\s{2,}", " ", text).strip()


# words and marks that are no figures
_MARKS = (
    (r"\s*\(([^()]*)\)", r", \1,"),
    (r",+(?=\s*[.,;:!?])|,+\s*$", ""),
    (r"(?<=\w)\s?&\s?(?=\w)|\s&\s", " and "),
    (r"\be\.g\.", "for example"),
    (r"\bi\.e\.", "that is"),
)


def _figure_at(text: str, at: int, aloud: bool) -> tuple[str | None, int]:
    """Return the words of the figure that begins at `at`, or None, and where it ends."""
    if secret := _SECRET.match(text, at):
        kept = _spelt(secret["word"]) if aloud else secret["word"]
        return secret["lead"] + kept, secret.end()
    if prefix := _PREFIX.match(text, at):
        found = _whole(text, prefix.end(), aloud)
        return (prefix[0] + found[0].words, found[1]) if found else (None, at)
    found = _whole(text, at, aloud)
    return (found[0].words, found[1]) if found else (None, at)


def _whole(text: str, at: int, aloud: bool) -> tuple[_Figure, int] | None:
    """Return the figure or the range at `at`, and where it ends."""
    for figure, end in _candidates(text, at, aloud):
        gap = _RANGE.match(text, end) or _WIDE_RANGE.match(text, end)
        if gap and figure.ranges:
            for other, last in _candidates(text, gap.end(), aloud):
                if _END.match(text, last) and (joined := _joined(figure, other, " " in gap[0])):
                    return joined, last
        if _END.match(text, end):
            return figure, end
    return None


def _joined(first: _Figure, second: _Figure, wide: bool) -> _Figure | None:
    """Return two figures as a range, None where they are no range."""
    kinds = {first.kind, second.kind}
    if not second.ranges or (wide and (len(kinds) > 1 or "" in kinds)) or len(kinds - {""}) > 1:
        return None
    if first == second and not first.unit:
        return _Figure(f"{first.head} {second.head}")
    if first.unit and second.unit and first.kind == second.kind:
        return _Figure(f"{first.words} to {second.words}")
    if second.unit and first.unit.startswith(second.unit):
        return _Figure(f"{first.head} to {second.head}", first.unit)
    unit = " ".join(filter(None, (second.many or second.unit, first.many or first.unit)))
    return _Figure(f"{first.head} to {second.head}", unit)


def _candidates(text: str, at: int, aloud: bool) -> Iterator[tuple[_Figure, int]]:
    for pattern, say in _WORD_RULES if text[at].isalpha() else _RULES:
        match = pattern.match(text, at)
        figure = say(match) if match else None
        if match and figure is not None:
            if isinstance(figure, str):
                figure = _Figure(figure)
            if aloud and say is _code:
                figure = _Figure(re.sub(r"\bA\b", "ay", figure.head))
            yield figure, match.end()


# -- numbers -----------------------------------------------------------------------------------------------


def _decimal(text: str, thousands: str) -> str:
    """Return a number in any country's writing as digits with a point for the decimals.

    A single separator before three digits is one of `thousands`, or else the decimal point.
    """
    text = re.sub(rf"{_SPACE}|['’]", "", text)
    marks = re.findall(r"[.,]", text)
    if len(set(marks)) == 2:
        text = text.replace(marks[0], "").replace(marks[-1], ".")
    elif len(marks) > 1 or (marks and marks[0] in thousands and re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", text)):
        text = text.replace(marks[0], "")
    return text.replace(",", ".")


def _quantity(text: str) -> str:
    """Return a number, fraction or mixed number in words."""
    for mark, written in VULGAR.items():
        text = text.replace(mark, " " + written)
    whole, _, fraction = text.replace("-", " ").strip().rpartition(" ")
    if "/" not in fraction:
        return number(_decimal(text.strip(), ","))
    above, below = map(int, fraction.split("/"))
    part = {2: "half", 4: "quarter"}.get(below) or (ordinal(below) if below else "")
    parts = {2: "halves"}.get(below, part + "s") if above > 1 else part
    if not whole:
        return f"{cardinal(above)} {parts}"
    return f"{cardinal(int(whole))} and {'a' if above == 1 else cardinal(above)} {parts}"


def _plain(match: re.Match[str]) -> _Figure | None:
    text = _decimal(match["number"], ",")
    letter = match["letter"] or ""
    if letter in ("M", "B") and "." not in text and not _is_scale(match):
        return None  # a name, as "Platform 4B" has
    unit = match["scale"] or {"k": "K", "K": "K"}.get(letter) or SCALE_LETTERS.get(letter, "")
    is_year = (
        re.fullmatch(r"(?:19|20)\d\d", match["number"])
        and not unit + match["sign"] + match["plus"]
        and not re.match(_COUNTED, match.string[match.end() :])
    )
    if is_year:
        words = year(int(text))
    elif len(text) >= 10 and text == match["number"] and text.isdigit():
        words = digits(text)  # no amount is written so: a number of a phone or an account
    else:
        words = number(text)
    plus = " plus" if match["plus"] else ""
    return _Figure(
        f"{'about ' if match['about'] else ''}{'minus ' if match['sign'] else ''}{words}",
        unit + plus,
        unit + plus,
        ranges=True,
    )


def _is_scale(match: re.Match[str]) -> bool:
    """Return whether the M or B after a whole number means millions or billions."""
    in_range = re.search(rf"[MB]{_DASH}$", match.string[: match.start()])
    return bool(in_range or re.match(_COUNTED, match.string[match.end() :]))


def _listed(match: re.Match[str]) -> str:
    parts = match[0].split(",")
    # of two, the second is a decimal, as it is written in most of Europe
    return ", ".join(map(number, parts)) if len(parts) > 2 else f"{number(parts[0])} point {digits(parts[1])}"


def _fraction(match: re.Match[str]) -> _Figure | str | None:
    text = match["quantity"]
    if not (bare := re.fullmatch(r"(\d+)/(\d+)", text)):
        return _Figure(_quantity(text), ranges=True)
    above, below = int(bare[1]), int(bare[2])
    before = match.string[: match.start()]
    dated = re.search(rf"(?:\b(?i:on|by|until|since|before|after|due|from|till)|{_WEEKDAY},?)\s$", before)
    if dated and (date := _day_of(above, below)):
        return date
    if re.match(r"\s(?:stars?|points?)\b", match.string[match.end() :]) or (below == 10 and above > 1):
        return f"{number(bare[1])} out of {number(bare[2])}"
    if above < below and (2 <= below <= 10 or below in (12, 16, 20, 32, 64, 100)):
        return _Figure(_quantity(text), ranges=True)
    if above == below:
        return f"{number(bare[1])} {number(bare[2])}"
    return _day_of(above, below) or f"{number(bare[1])} over {number(bare[2])}"


def _measure(match: re.Match[str]) -> _Figure | None:
    written = match["quantity"]
    if match["unit"] == "in" and re.search(r"\s$", match[0][: match.start("unit") - match.start()]):
        return None  # the word "in"
    one, many = UNITS[match["unit"]]
    single = written in ("1", "1.0")
    per = f" per {UNITS[match['per']][0] if match['per'] in UNITS else match['per']}" if match["per"] else ""
    return _Figure(
        ("minus " if match["sign"] else "") + _quantity(written),
        (one if single else many) + per,
        many + per,
        kind=f"measure {many}",
        ranges=True,
    )


def _sized(match: re.Match[str]) -> str:
    words = " by ".join(_quantity(part) for part in re.split(r"\s?[x×]\s?", match["sizes"]))
    return f"{words} {UNITS[match['unit']][1]}" if match["unit"] else words


# -- money -------------------------------------------------------------------------------------------------


def _money(match: re.Match[str]) -> _Figure | None:
    names = CURRENCIES[match["symbol"]]
    scale = match["scale"] or SCALE_LETTERS.get(match["letter"] or "", "")
    amount = _decimal(match["amount"], "," if re.search("[$£]", match["symbol"]) else ",.")
    whole, _, rest = amount.partition(".")
    minus = "minus " if "-" in match[0][: match.start("amount") - match.start()] or match["sign"] else ""
    per = _per(match)
    kind = f"money {names.many}"
    if len(whole) > MAX_DIGITS:
        return None
    if scale:
        return _Figure(minus + number(amount), f"{scale} {names.many}{per}", "", kind, True)
    if not rest.strip("0") or len(rest) > 2 or not names.cents:
        words = number(amount) if rest.strip("0") else cardinal(int(whole or 0))
        unit = names.one if words == "one" else names.many
        return _Figure(minus + words, unit + per, names.many + per, kind, True)
    cents = int((rest + "0")[:2])
    if not int(whole or 0):
        coins = names.cent if cents == 1 else names.cents
        return _Figure(minus + cardinal(cents), coins + per, names.cents + per, f"money {names.cents}", True)
    coins = f"and {cardinal(cents)} {names.cent if cents == 1 else names.cents}"
    unit = names.one if int(whole) == 1 else names.many
    tail = cardinal(cents) if cents >= 10 else coins
    return _Figure(f"{minus}{cardinal(int(whole))} {unit} {tail}{per}", "", "", kind, True)


def _coins(match: re.Match[str]) -> _Figure:
    many = "pence" if match["mark"] == "p" else "cents"
    one = "penny" if match["mark"] == "p" else "cent"
    return _Figure(
        number(_decimal(match["number"], ",")), one if match["number"] == "1" else many, many, many, True
    )


def _per(match: re.Match[str]) -> str:
    """Return what follows an amount: "$5/hour" is five dollars "an hour"."""
    if match["some"]:
        return f" for {cardinal(int(match['some']))}"
    if not match["per"]:
        return ""
    unit = UNITS[match["per"]][0] if match["per"] in UNITS else match["per"]
    return f" {'an' if re.match(r'(?i)[aeio]|hour|honou?r', unit) else 'a'} {unit}"


# -- dates and times ---------------------------------------------------------------------------------------


def _month(text: str) -> str:
    return next(name for name in MONTHS if name.startswith(text[:3]))


def _day_of(month: int, day: int) -> str | None:
    if month > 12:
        month, day = day, month
    return f"{MONTHS[month - 1]} {ordinal(day)}" if 1 <= month <= 12 and 1 <= day <= 31 else None


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


def _iso_date(match: re.Match[str]) -> str | None:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    clock = f" at {_clock(match['time'])}" if match["time"] else ""
    return f"{_day_of(month, day)}, {year(int(match['year']))}{clock}"


def _month_day(match: re.Match[str]) -> _Figure | None:
    days = [int(day) for day in re.findall(r"\d+", match["days"])]
    if not all(1 <= day <= 31 for day in days):
        return None
    words = f"{_month(match['month'])} {' to '.join(map(ordinal, days))}"
    return _Figure(words + (f", {year(int(match['year']))}" if match["year"] else ""), kind="date", ranges=True)


def _day_month(match: re.Match[str]) -> _Figure | None:
    days = [int(day) for day in re.findall(r"\d+", match["days"])]
    if not all(1 <= day <= 31 for day in days):
        return None
    the = "" if re.search(r"(?i)\bthe\s$", match.string[: match.start()]) else "the "
    words = f"{the}{' to '.join(map(ordinal, days))} of {_month(match['month'])}"
    return _Figure(words + (f", {year(int(match['year']))}" if match["year"] else ""), kind="date", ranges=True)


def _month_year(match: re.Match[str]) -> str:
    return f"{_month(match['month'])}{',' if match['comma'] else ''} {year(int(match['year']))}"


def _names_range(names: tuple[str, ...]) -> _Say:
    def say(match: re.Match[str]) -> str:
        def full(written: re.Match[str]) -> str:
            return next(name for name in names if name.startswith(written[0][:3]))

        words = re.sub(r"[A-Z]\w+\.?", full, match[0])
        return re.sub(rf"\s?{_DASH}\s?", " to ", words).replace("/", " and ")

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
    hour, *rest = map(int, re.split(r"[:.]", text))
    if hour > 24 or any(part > 59 for part in rest):
        return None
    minute = rest[0] if rest else 0
    if not minute:
        words = cardinal(hour) if half or not rest else "midnight" if hour == 0 else f"{cardinal(hour)} o'clock"
    else:
        words = f"{cardinal(hour)} {two_digits(minute)}"
    if rest[1:] and rest[1]:
        words += f" and {cardinal(rest[1])} second{'' if rest[1] == 1 else 's'}"
    return words


def _time(match: re.Match[str]) -> _Figure | None:
    half = match["half"] or ""
    said = _clock(match["time"], half)
    if said is None or (half and int(re.split(r"[:.]", match["time"])[0]) > 12):
        return None
    # the full stop of "p.m." ends a sentence too, at the end of the text
    stop = "." if half.endswith(".") and not match.string[match.end() :].strip() else ""
    unit = half[:1].upper() + "M" + stop if half else ""
    return _Figure(said, unit, unit, kind="time", ranges=True)


# -- names for things --------------------------------------------------------------------------------------


def _phone(match: re.Match[str]) -> str | None:
    groups = re.findall(r"[\dA-Z]+", match[0])
    count = sum(len(group) for group in groups)
    if not 7 <= count <= 15:
        return None
    plus = "plus " if match[0].startswith("+") else ""
    return plus + ", ".join(digits(group) if group.isdigit() else group for group in groups)


def _short_phone(match: re.Match[str]) -> str | None:
    first, second = match["a"], match["b"]
    is_range = int(second) % 100 == 0 and int(first) < int(second) and second[0] != "0"
    called = _TO_CALL.search(match.string[max(0, match.start() - 40) : match.start()])
    if (is_range or match["mark"] == " ") and not called:
        return None
    return f"{digits(first)}, {digits(second)}"


def _version(match: re.Match[str]) -> str | None:
    parts = match["parts"].split(".")
    if not match["v"] and len(parts) == 4 and all(int(part) < 256 for part in parts):
        return " dot ".join(map(digits, parts))  # an address of the internet
    if not match["v"] and len(parts) > 2 and all(len(part) == 3 for part in parts[1:]) and parts[0] != "0":
        return number("".join(parts))  # an amount with points between its thousands
    lead = "version " if match["v"] in ("v", "V") else match["v"]
    tail = " " + " ".join(map(_part, _PARTS.findall(match["tail"]))) if match["tail"] else ""
    return lead + " point ".join(map(number, parts)) + tail


def _numbered(match: re.Match[str]) -> str:
    name = match["name"]
    return "number " + (digits(name) if re.fullmatch(r"\d{3,}", name) else speakable(name))


def _lead_digits(match: re.Match[str]) -> str:
    return match["lead"] + " dash ".join(map(digits, match["digits"].split("-")))


def _house(match: re.Match[str]) -> str:
    figure = match["number"]
    value = int(figure)
    if value < 100 or (value < 1000 and not value % 100) or figure.startswith("0"):
        said = number(figure)
    elif len(figure) == 3:
        said = f"{ONES[value // 100]} {two_digits(value % 100)}"
    else:
        said = year(value) if len(figure) == 4 else digits(figure)
    suffix = match["suffix"].rstrip(".")
    stop = "." if match[0].endswith(".") and not match.string[match.end() :].strip() else ""
    letter = f" {match['letter']}" if match["letter"] else ""
    return f"{said}{letter} {speakable(match['street'])} {STREETS.get(suffix, suffix)}{stop}"


def _code(match: re.Match[str]) -> str | None:
    """Return letters and digits that belong together, as people read them out."""
    text = match[0]
    if not (re.search(r"\d", text) and re.search(r"[A-Za-z]", text)) or re.fullmatch(r"\d+[a-z]{2,}", text):
        return None
    # COVID-19 has a number; A12-B7 has parts
    dash = " " if re.fullmatch(r"[A-Za-z]+-\d+", text) else " dash "
    return dash.join(" ".join(map(_part, _PARTS.findall(piece))) for piece in text.split("-"))


def _part(part: str) -> str:
    if part.isdigit():
        return cardinal(int(part)) if len(part) < 3 and not part.startswith("0") else digits(part)
    is_word = not part.isupper() or (len(part) > 3 and re.search("[AEIOU]", part))
    return part if is_word else " ".join(part)


def _spelt(text: str) -> str:
    """Return a password so that it can be written down: words as words, digits and marks one by one."""
    names = {".": "dot", "-": "dash", "_": "underscore", "@": "at", "/": "slash", "+": "plus", "#": "hash",
             "!": "exclamation mark", "?": "question mark", "=": "equals", ":": "colon", "&": "and",
             "$": "dollar sign", "%": "percent", "*": "star"}  # fmt: skip
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d|.", text)
    return " ".join(digits(part) if part.isdigit() else names.get(part, _part(part)) for part in parts)


def _address(match: re.Match[str]) -> str:
    text = re.sub(r"(?i)^(?:https?|ftp)://", "", match["address"]).rstrip("/")
    www = "W W W dot " if text.lower().startswith("www.") else ""
    return www + _spelt(re.sub(r"(?i)^www\.", "", text))


def _roman(match: re.Match[str]) -> str | None:
    letters = match["roman"]
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in letters]
    value = sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
    if match["name"] in MONARCHS and letters != "I":
        return f"{match['name']} the {ordinal(value)}"
    alone = len(letters) == 1 and match["name"] not in NUMBERED
    return None if alone else f"{match['name']} {cardinal(value)}"


_PARTS = re.compile(r"\d+|[^\W\d_]+")
_PREFIX = re.compile(r"-?(?:[a-z]{2,}-)+(?=\d)")
_SECRET = re.compile(
    r"(?P<lead>(?i:pass ?(?:word|code|phrase)|wi-?fi (?:key|code))(?: is|:| =)?:?\s[\"'`]?)"
    r"(?=[^\s\"'`]*\d)(?P<word>[^\s\"'`,;]*[^\s\"'`,;.!?)])"
)
_PER = rf"(?:(?:\s?/\s?|\sper\s)(?:(?P<some>\d+)(?=\s[a-z])|(?P<per>{_UNIT}|[a-z]+)(?![\w/])))?"
_LEADS = r"number|code|pin|reference|ref|id|extension|ext|zip|postcode|serial|confirmation|tracking|account"


def _rule(pattern: str, say: _Say) -> tuple[re.Pattern[str], _Say]:
    return re.compile(pattern), say



_BEGIN_WITH_LETTERS = (
    "a@b.com", "www.b.com", "b.com", "May 5", "May 2025", "Mon-Fri", "Mon 9", "Jan-Mar", "v2", "USD 5", "code 123",
    "call 123", "CA 12345", "in 1998", "No. 5", "A12", "Louis XIV",
)  # fmt: skip

_RULES: tuple[tuple[re.Pattern[str], _Say], ...] = (
    # the longest and most particular first: each takes a whole figure
    _rule(
        r"(?P<address>[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
        rf"|(?:(?i:https?://)|www\.)[^\s<>()\"']*[\w/]|(?:[\w-]+\.)+(?:{'|'.join(TOP_DOMAINS)})\b(?:/[\w/.?=&%-]*\w)?)",
        _address,
    ),
    _rule(r"24/7", lambda _: "twenty-four seven"),
    _rule(r"9/11", lambda _: "nine eleven"),
    _rule(
        r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?:[T ](?P<time>\d\d:\d\d(?::\d\d)?)Z?)?", _iso_date
    ),
    _rule(r"(?P<a>\d{1,2})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4}|\d\d)", _numeric_date),
    _rule(
        rf"(?P<month>{_MONTH})\s(?P<days>\d{{1,2}}(?:st|nd|rd|th)?(?:\s?{_DASH}\s?\d{{1,2}}(?:st|nd|rd|th)?)?)"
        r"(?!\d|\s?(?:[AaPp]\.?[Mm]\b|%))(?:,?\s(?P<year>\d{4})(?!\d))?",
        _month_day,
    ),
    _rule(
        rf"(?P<days>\d{{1,2}}(?:st|nd|rd|th)?(?:\s?{_DASH}\s?\d{{1,2}}(?:st|nd|rd|th)?)?)(?:\sof)?\s"
        rf"(?P<month>{_MONTH})(?:,?\s(?P<year>\d{{4}})(?!\d))?",
        _day_month,
    ),
    _rule(rf"(?P<month>{_MONTH})(?P<comma>,?)\s(?P<year>(?:1[1-9]|20)\d\d)", _month_year),
    _rule(rf"{_WEEKDAY}(?:(?:\s?{_DASH}\s?|/|,\s|\s(?:&|and|to|through|or)\s){_WEEKDAY})+", _names_range(WEEKDAYS)),
    _rule(rf"(?P<day>{_WEEKDAY})(?P<comma>,?)(?=\s?[(\d])", _weekday),
    _rule(rf"{_MONTH}(?:(?:\s?{_DASH}\s?|/|\s(?:to|through)\s){_MONTH})+", _names_range(MONTHS)),
    _rule(r"(?P<year>(?:19|20)\d\d)(?P<mark>[-–/])(?P<end>\d\d)", _season),
    _rule(
        r"(?:1[1-9]|20)\d\d[-–](?:1[1-9]|20)\d\d(?!" + _COUNTED + ")",
        lambda m: " to ".join(year(int(each)) for each in re.split("[-–]", m[0])),
    ),
    _rule(r"\+\d{1,3}(?:[ ./-]?\(0\))?(?:[ ./-]?\(?\d{2,8}\)?){1,6}", _phone),
    _rule(r"(?:1[ .-]?)?\(\d{3}\)[ -]?\d{3}[ .-]\d{4}|\(0\d{1,4}\)[ -]?\d{3,8}(?:[ -]\d{3,5})?", _phone),
    _rule(r"(?:1[-. ])?\d{3}(?P<mark>[-. ])\d{3}(?P=mark)\d{4}", _phone),
    _rule(r"1-\d{3}-(?:\d{3}-)?[A-Z]{3,8}(?:-[A-Z]+)?", _phone),
    _rule(r"0\d{1,4}(?:[ /-]\d{2,5}){1,4}", _phone),
    _rule(r"(?P<a>\d{3})(?P<mark>[- ])(?P<b>\d{4})", _short_phone),
    _rule(
        r"(?P<v>v|V(?=\d+\.)|(?i:version |release ))v?(?P<parts>\d+(?:\.\d+)*)"
        r"(?P<tail>-?(?:alpha|beta|rc)\.?\d*)?",
        _version,
    ),
    _rule(r"(?P<v>)(?P<parts>\d+(?:\.\d+){2,})(?P<tail>-?(?:alpha|beta|rc)\.?\d*)?", _version),
    _rule(rf"(?P<time>\d{{1,2}}(?:[:.]\d\d)?)\s?(?P<half>{_HALF})", _time),
    _rule(r"(?P<time>\d{1,2}:\d\d(?::\d\d)?)(?P<half>)", _time),
    _rule(
        rf"(?P<sign>{_SIGN})(?P<symbol>{_SYMBOL}){_SPACE}?-?(?P<amount>{_AMOUNT})(?:[,.][-–])?"
        rf"(?:\s?(?P<scale>{_SCALE})\b|(?P<letter>{_LETTER})\b)?{_PER}",
        _money,
    ),
    _rule(
        rf"(?P<sign>{_SIGN})(?P<amount>{_SPACED}|{_AMOUNT})(?:\s?(?P<scale>{_SCALE})|(?P<letter>{_LETTER}))?"
        rf"\s?(?P<symbol>{_SYMBOL})(?![\w]){_PER}",
        _money,
    ),
    _rule(rf"(?P<number>{_NUMBER})\s?(?P<mark>¢)", _coins),
    _rule(r"(?P<number>\d{1,2})(?P<mark>p)\b", _coins),
    _rule(
        rf"(?P<sizes>(?:{_QUANTITY})(?:\s?[x×]\s?(?:{_QUANTITY}))+)(?:\s?(?P<unit>{_UNIT})(?!\w))?", _sized
    ),
    _rule(r"(?P<feet>\d+)['′]\s?(?P<inches>\d{1,2})(?:[\"″”]|'')", lambda m: f"{number(m[1])} foot {number(m[2])}"),
    _rule(
        rf"(?P<sign>{_SIGN})(?P<quantity>{_QUANTITY})\s?(?P<unit>{_UNIT})(?!\w)(?:/(?P<per>{_UNIT}|[a-z]+)(?!\w))?",
        _measure,
    ),
    _rule(
        rf"(?P<lead>(?i:{_LEADS}|(?:order|ticket|invoice|booking|flight|case|policy|room|gate)(?= (?:no|nu|co|#|id))"
        r"(?: number| no\.?| code| id)?)(?: number| code)?(?: is|:)?\s)#?(?P<digits>\d{3,}(?:-\d{2,})*)",
        _lead_digits,
    ),
    _rule(r"(?P<lead>(?i:call|dial|ring|phone|text)\s)(?P<digits>\d{3,})(?!\s[a-z]+s\b)", _lead_digits),
    _rule(r"(?P<lead>[A-Z]{2},?\s)(?P<digits>\d{5}(?:-\d{4})?)", _lead_digits),
    _rule(
        rf"(?P<number>\d{{1,5}})(?P<letter>[A-Z]?)\s(?P<street>(?:[NSEW]\.?\s)?(?:[A-Z\d][\w'.]*\s){{1,4}}?)"
        rf"(?P<suffix>(?:{_any(STREETS)})\b\.?)",
        _house,
    ),
    _rule(
        r"(?P<lead>(?i:in|since|of|until|by|from|year|around|before|after|founded|established|born)\s)"
        r"(?P<year>1[1-9]\d\d|20\d\d)(?!" + _COUNTED + ")",
        lambda m: m["lead"] + year(int(m["year"])),
    ),
    _rule(r"'?(?P<value>(?:1[1-9]|20)\d0|\d{1,2})'?s(?!\w)", lambda m: plural(int(m["value"]))),
    _rule(r"'(?P<year>\d\d)(?![\d'])", lambda m: number(m["year"])),
    _rule(r"(?P<day>\d+)(?:st|nd|rd|th)\b", lambda m: _Figure(ordinal(int(m["day"])), kind="ordinal", ranges=True)),
    _rule(rf"(?P<quantity>{_FRACTION})", _fraction),
    _rule(r"\d+(?:,\d{1,2})+", _listed),
    _rule(r"(?P<a>\d+):(?P<b>\d+)", lambda m: f"{number(m['a'])} to {number(m['b'])}"),
    _rule(r"(?P<number>\d+)x\b", lambda m: f"{number(m['number'])} times"),
    _rule(r"(?:#|[Nn]o\.\s?|№\s?)(?P<name>[A-Z]*\d[\w-]*)", _numbered),
    _rule(
        rf"(?P<about>~?)(?P<sign>{_SIGN})(?P<number>{_NUMBER})(?:(?P<letter>k|K|M|B|bn)\b|\s(?P<scale>{_SCALE})\b)?"
        r"(?P<plus>\+?)",
        _plain,
    ),
    _rule(r"(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z\d]+(?:-[A-Za-z\d]+)*", _code),
    _rule(r"(?P<name>[A-Z][a-z]+)\s(?P<roman>(?=[IVX])X{0,3}(?:IX|IV|V?I{0,3}))(?!\w|['’]\w)", _roman),
)
# the rules for figures that may begin with a letter; most words need no more than these
_WORD_RULES = tuple(
    rule for rule in _RULES if any(rule[0].match(example) for example in _BEGIN_WITH_LETTERS)
)
