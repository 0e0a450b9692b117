"""Figures that are names: telephone numbers, codes, versions, addresses, Roman numerals."""

from __future__ import annotations

import re

from .figure import COUNTED, Rule, any_of, rule
from .number_words import cardinal, digits, in_pairs, number, ordinal
from .tables import MONARCHS, NUMBERED, STREETS, TOP_DOMAINS

_TO_CALL = re.compile(
    r"(?i)\b(?:call|dial|ring|phone|tel|telephone|fax|text|number|line|reach\w*|at|on|whatsapp|mobile|cell"
    r"|hotline)\W*(?:\w+\W+){0,2}$"
)


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
    if (is_range or (match["mark"] == " " and second[0] != "0")) and not called:
        return None
    return f"{digits(first)}, {digits(second)}"


def _version(match: re.Match[str]) -> str | None:
    parts = match["parts"].split(".")
    if not match["v"] and len(parts) > 2 and all(len(part) == 3 for part in parts[1:]) and parts[0] != "0":
        return number("".join(parts))  # an amount with points between its thousands
    lead = "version " if match["v"] in ("v", "V") else match["v"]
    tail = f" {_parts(match['tail'])}" if match["tail"] else ""
    return lead + " point ".join(map(number, parts)) + tail


def _numbered(match: re.Match[str]) -> str:
    return "number " + " dash ".join(map(_parts, match["name"].split("-")))


_SHORT = {"s/n": "serial number", "p/n": "part number"}


def _lead_digits(match: re.Match[str]) -> str:
    return re.sub(r"(?i) no\.? ", " number ", match["lead"]) + " dash ".join(
        map(digits, match["digits"].split("-"))
    )


def say_marks(match: re.Match[str]) -> str:
    """Return the number of a thing or of its kind, each letter and digit by itself."""
    lead = re.sub(r"(?i)\b[sp]/n\b", lambda short: _SHORT[short[0].lower()], match["lead"])
    lead = re.sub(r"(?i) no\.? ", " number ", lead)
    return lead + " dash ".join(" ".join(map(_letter, part)) for part in match["marks"].split("-"))


def _house(match: re.Match[str]) -> str:
    figure = match["number"]
    said = number(figure) if figure.startswith("0") else in_pairs(int(figure))
    return f"{said} {match['letter']}".strip()


def _street(match: re.Match[str]) -> str | None:
    if not re.search(rf"{_HOUSE}$", match.string[: match.start()]):
        return None
    # the full stop ends a sentence too, at the end of the text
    ends = match[0].endswith(".") and not match.string[match.end() :].strip()
    return STREETS[match["suffix"]] + ("." if ends else "")


def say_code(match: re.Match[str]) -> str | None:
    """Return letters and digits that belong together, as people read them out."""
    text = match[0]
    if not (re.search(r"\d", text) and re.search(r"[A-Za-z]", text)) or re.fullmatch(r"\d+[a-z]{2,}", text):
        return None
    # COVID-19 has a number; A12-B7 has parts
    in_a_row = re.fullmatch(r"\d+[A-Z]-\d+[A-Z]|([A-Z]+)\d+-\1\d+", text)
    if in_a_row and _SEVERAL.search(match.string[: match.start()]):
        return " to ".join(map(_parts, text.split("-")))  # "seats 12A-12C"
    dash = " " if re.fullmatch(r"[A-Za-z]+-\d+|\d+-[A-Za-z]+", text) else " dash "
    return dash.join(map(_parts, text.split("-")))


def say_stroke(match: re.Match[str]) -> str:
    """Return the parts of a code that holds strokes: "AB-1029/B"."""
    return " slash ".join(" dash ".join(map(_parts, part.split("-"))) for part in match[0].split("/"))


def _letter(mark: str) -> str:
    return digits(mark) if mark.isdigit() else mark


def _parts(text: str) -> str:
    return " ".join(map(_part, _PARTS.findall(text)))


def _part(part: str) -> str:
    if part.isdigit():
        return cardinal(int(part)) if len(part) < 3 and not part.startswith("0") else digits(part)
    is_word = not part.isupper() or (len(part) > 3 and re.search("[AEIOU]", part))
    return part if is_word else " ".join(part)


def spelt(text: str) -> str:
    """Return a password so that it can be written down: words as words, digits and marks one by one."""
    names = {".": "dot", "-": "dash", "_": "underscore", "@": "at", "/": "slash", "+": "plus", "#": "hash",
             "!": "exclamation mark", "?": "question mark", "=": "equals", ":": "colon", "&": "and",
             "$": "dollar sign", "%": "percent", "*": "star"}  # fmt: skip
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d|.", text)
    return " ".join(digits(part) if part.isdigit() else names.get(part, _part(part)) for part in parts)


def _address(match: re.Match[str]) -> str:
    text = re.sub(r"(?i)^(?:https?|ftp)://", "", match["address"]).rstrip("/")
    www = "W W W dot " if text.lower().startswith("www.") else ""
    return www + spelt(re.sub(r"(?i)^www\.", "", text))


def _row(match: re.Match[str]) -> str | None:
    """Return digits in groups that are no range, as an order or a book has them."""
    groups = match[0].split("-")
    if len(groups) == 2 and int(groups[0]) <= int(groups[1]):
        return None
    return " dash ".join(map(digits, groups))


def _roman(match: re.Match[str]) -> str | None:
    letters = match["roman"]
    after = match.string[match.end() :]
    if letters == "XL":
        return None  # a size
    values = [{"I": 1, "V": 5, "X": 10, "L": 50}[letter] for letter in letters]
    value = sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
    # "Mary I" may go on with "I think"
    is_name = letters != "I" or re.match(r"\W*$|[.,;:!?)]|\s(?:was|of|ruled|reigned|died)\b", after)
    if match["name"] in MONARCHS and is_name:
        return f"{match['name']} the {ordinal(value)}"
    alone = len(letters) == 1 and match["name"] not in NUMBERED
    return None if alone else f"{match['name']} {cardinal(value)}"


# what stands between the number of a house and the kind of the street
_STREET = r"(?:[NSEW]\.?\s)?(?:[A-Z\d][\w'.]*\s){1,4}?"
_HOUSE = rf"\b\d{{1,5}}[A-Z]?\s{_STREET}"
_PARTS = re.compile(r"\d+|[^\W\d_]+")
_THINGS = r"(?:order|ticket|invoice|booking|flight|case|policy|room|gate)"
_LEADS = (
    r"number|code|pin|reference|ref|id|extension|ext|zip|postcode|serial|confirmation|tracking|account|otp"
)

_SEVERAL = re.compile(
    r"(?i)\b(?:seats|rooms|gates|rows|units|flats|apartments|suites|desks|tables|lots|bays|stands|exits)\s$"
)
_KEYS = {"*": "star", "#": "hash"}

ADDRESSES: tuple[Rule, ...] = (
    rule(
        r"(?P<address>[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
        rf"|(?:(?i:https?://)|www\.)[^\s<>()\"']*[\w/]|(?:[\w-]+\.)+(?:{'|'.join(TOP_DOMAINS)})\b(?:/[\w/.?=&%-]*\w)?)",
        _address,
    ),
)
PHONES: tuple[Rule, ...] = (
    # of a bank's account and of a card
    rule(
        r"[A-Z]{2}\d\d(?: [\dA-Z]{4}){2,7}(?: [\dA-Z]{1,3})?(?= |$|[^\w ])|\d{4}(?: \d{4}){3}",
        lambda m: ", ".join(" ".join(map(_letter, group)) for group in m[0].split(" ")),
    ),
    # "+44 (0)20 7946 0018"
    rule(r"\+\d{1,3}(?:[ ./-]?\(0\))?(?:[ ./-]\d(?=[ ./-]))?(?:[ ./-]?\(?\d{2,8}\)?){1,6}", _phone),
    # "1 (202) 555-0143", "(020) 79460018"
    rule(r"(?:1[ .-]?)?\(\d{3}\)[ -]?\d{3}[ .-]\d{4}|\(0\d{1,4}\)[ -]?\d{3,8}(?:[ -]\d{3,5})?", _phone),
    # "1-202-555-0143", then "1-800-FLOWERS", "020 7946 0018" and "555-0143"
    rule(r"(?:1[-. ])?\d{3}(?P<mark>[-. ])\d{3}(?P=mark)\d{4}", _phone),
    rule(r"1-\d{3}-(?:\d{3}-)?[A-Z]{2,8}(?:-[A-Z]+)?|1 8\d\d [A-Z]{6,8}", _phone),
    rule(r"0\d{1,4}(?:[ /-]\d{2,8}){1,4}", _phone),
    rule(r"(?P<a>\d{3})(?P<mark>[- ])(?P<b>\d{4})", _short_phone),
)
VERSIONS: tuple[Rule, ...] = (
    rule(
        r"(?P<v>v|V(?=\d+\.)|(?i:version |release ))v?(?P<parts>\d+(?:\.\d+)*)"
        r"(?P<tail>-?(?:alpha|beta|rc)\.?\d*)?",
        _version,
    ),
    rule(r"(?P<v>)(?P<parts>\d+(?:\.\d+){2,})(?P<tail>-?(?:alpha|beta|rc)\.?\d*)?", _version),
)
CODES: tuple[Rule, ...] = (
    # "S/N 88A-31"
    rule(
        r"(?P<lead>\b(?i:s/n|p/n|sku|(?:serial|part|model) (?:number|no\.?))(?: is|:|\.)?\s)"
        r"#?(?P<marks>(?=[A-Z-]*\d)[A-Z\d]+(?:-[A-Z\d]+)*)(?!\w)",
        say_marks,
    ),
    rule(
        rf"(?P<lead>(?i:{_LEADS}|{_THINGS}(?: number| no\.?| code| id))(?: number| code)?(?: is|:|\.)?\s)"
        r"#?(?P<digits>\d{3,}(?:-\d{2,})*)",
        _lead_digits,
    ),
    rule(r"[A-Z]{1,4}-?\d{2,}(?:/[A-Z\d]{1,4})+(?!\w)", say_stroke),
    # "call 911", "MA 02108", "14C Oak Ave."
    rule(r"(?P<lead>(?i:call|dial|ring|phone|text)\s)(?P<digits>\d{3,})(?!\s[a-z]+s\b)", _lead_digits),
    rule(r"(?P<lead>[A-Z]{2},?\s)(?P<digits>\d{5}(?:-\d{4})?)", _lead_digits),
    rule(
        r"(?P<lead>(?i:end(?:s|ing) (?:in|with)|last (?:four|4)(?: digits)?(?: are)?:?)\s)(?P<digits>\d{4})",
        _lead_digits,
    ),
    rule(rf"(?P<lead>)(?P<digits>911)(?!{COUNTED})", _lead_digits),
    rule(
        r"(?P<lead>(?i:call|dial|press|text)\s)(?P<keys>[*#][\d*#]+)",
        lambda m: m["lead"] + " ".join(_KEYS.get(key) or digits(key) for key in m["keys"]),
    ),
    # "Figure 2-1" is no range
    rule(
        r"(?P<lead>(?:[Ff]igure|[Ff]ig\.|[Tt]able|[Ee]xhibit|[Ff]orm|[Bb]oeing)\s)(?P<a>\d+)-(?P<b>\d+)",
        lambda m: f"{m['lead']}{in_pairs(int(m['a']))} dash {in_pairs(int(m['b']))}",
    ),
    rule(rf"(?P<number>\d{{1,5}})(?P<letter>[A-Z]?)(?=\s{_STREET}(?:{any_of(STREETS)})\b)", _house),
    # "2026-118", "978-3-16-14-0"
    rule(r"\d{3,}-\d+(?:-\d+)*|\d+(?:-\d+){2,}", _row),
    # the code of a town, where it stands before its name
    rule(r"(?P<lead>)(?P<digits>\d{5}(?<!00))(?=\s[A-Z][a-z])", _lead_digits),
    rule(rf"(?P<suffix>{any_of(STREETS)})\b\.?", _street),
)
NAMES: tuple[Rule, ...] = (
    # "#7", "A12-B7", "Louis XVI"
    rule(r"(?:#\s?|[Nn]o\.\s?|№\s?)(?P<name>[A-Z]*-?\d[\w-]*)", _numbered),
    rule(r"(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z\d]+(?:-[A-Za-z\d]+)*", say_code),
    rule(
        r"(?P<name>[A-Z][a-z]+)\s(?P<roman>(?=[IVXL])(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?!\w|'(?!s\b)\w)",
        _roman,
    ),
)
