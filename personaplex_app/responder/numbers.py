"""Spell out numbers, and find the numbers in a text. Pure functions of text."""

from __future__ import annotations

import re


def word_list(text: str) -> list[str]:
    """Return the words of a constant that is written over several lines."""
    return text.split()


_ONES = word_list(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen     eighteen nineteen"""
)
_TENS = word_list("""_ _ twenty thirty forty fifty
    sixty seventy eighty ninety""")
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_IRREGULAR = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_CARDINALS = {word: value for value, word in enumerate(_ONES)} | {
    word: 10 * k for k, word in enumerate(_TENS) if k > 1
}
_MONEY = {"$": ("dollar", "dollars"), "€": ("euro", "euros"), "£": ("pound", "pounds")}
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_UNITS = frozenset(
    word_list("""dollar euro pound cent percent hour minute second day week month year degree mile
    meter metre AM PM am pm""")
)
_MAX_DIGITS = 12


def cardinal(value: int) -> str:
    """Return 240 as "two hundred and forty"."""
    if value < 20:
        return _ONES[value]
    if value < 100:
        return _TENS[value // 10] + ("-" + _ONES[value % 10] if value % 10 else "")
    size, word = next((s, w) for s, w in _SCALES if value >= s)
    rest = value % size
    joint = " and " if rest and rest < 100 else " "
    return f"{cardinal(value // size)} {word}" + (joint + cardinal(rest) if rest else "")


def ordinal(value: int) -> str:
    """Return 20 as "twentieth"."""
    head, mark, last = re.fullmatch(r"(.*?)([ -]?)([a-z]+)", cardinal(value)).groups()  # type: ignore[union-attr]
    return head + mark + (_IRREGULAR.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th"))


def digits(text: str) -> str:
    """Return "0142" as "zero one four two"."""
    return " ".join(_ONES[int(c)] for c in text if c.isdigit())


def speakable(text: str) -> str:
    """Return `text` with its figures, currency, times and dates spelt out as they are spoken."""
    text = text.replace("’", "'").replace("–", "-").replace("\N{NO-BREAK SPACE}", " ")
    for pattern, say in _RULES:
        text = re.sub(pattern, say, text)
    return re.sub(r"\s{2,}", " ", text).strip()


def figures(text: str) -> frozenset[int]:
    """Return the numbers in `text`, in digits or words: "2:30", "two thirty" and "$2.30" are all {2, 30}.

    A lone "one", "first" or "second" counts only before a unit, since it is seldom meant as a number.
    """
    words = re.findall(r"[A-Za-z]+", speakable(text))
    found: set[int] = set()
    total = 0
    part = 0
    last = 10**12
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
            last = 10**12
            begun = False
            if value is not None and not lone:
                total, part, last = _joined(0, 0, value)
                begun = True
    return frozenset(found)


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
    for size, name in _SCALES:
        if word in (name, name + "s", name + "th"):
            return size
    for cut, add in (("ieth", "y"), ("th", ""), ("d", "")):
        if word.endswith(cut) and (word[: -len(cut)] + add) in _CARDINALS:
            return _CARDINALS[word[: -len(cut)] + add]
    return next((_CARDINALS[c] for c, o in _IRREGULAR.items() if o == word), None)


def _bare_number(match: re.Match[str]) -> str:
    """Spell out a number without a unit; one too long for an amount, or with a leading 0, digit by digit."""
    whole, dot, rest = match[0].replace(",", "").partition(".")
    if len(whole) > _MAX_DIGITS or (len(whole) > 1 and whole.startswith("0")):
        return digits(whole + rest)
    return cardinal(int(whole)) + (" point " + digits(rest) if dot else "")


def _money(match: re.Match[str]) -> str:
    whole, _, cents = match["amount"].replace(",", "").partition(".")
    if len(whole) > _MAX_DIGITS:
        return digits(whole)
    one, many = _MONEY[match["sign"]]
    cents = (cents + "0")[:2] if cents else ""
    if whole == "0" and cents.strip("0"):
        return cardinal(int(cents)) + (" pence" if match["sign"] == "£" else " cents")
    return f"{cardinal(int(whole))} {one if whole == '1' else many}" + (
        f" {cardinal(int(cents))}" if cents.strip("0") else ""
    )


def _clock(match: re.Match[str]) -> str:
    hour = int(match["hour"])
    minute = match["minute"]
    half = (match["half"] or "").replace(".", "").upper()
    minutes = (
        ""
        if minute == "00"
        else " oh " + _ONES[int(minute)]
        if minute.startswith("0")
        else " " + cardinal(int(minute))
    )
    return cardinal(hour) + (minutes or ("" if half else " o'clock")) + (f" {half}" if half else "")


def _year(match: re.Match[str]) -> str:
    high = int(match["year"][:2])
    low = int(match["year"][2:])
    if high % 10 == 0 and low < 10:
        return match["lead"] + cardinal(int(match["year"]))
    return (
        match["lead"]
        + cardinal(high)
        + (" hundred" if not low else " oh " + _ONES[low] if low < 10 else " " + cardinal(low))
    )


def _per(match: re.Match[str]) -> str:
    if match["many"]:
        return f" for {match['many']} "
    return (
        f" an {match['unit']}"
        if match["unit"] in ("hour", "item", "order", "adult", "hr")
        else f" a {match['unit']}"
    )


# the order matters: a rule sees what those before it left, and bare numbers come after all that need their
# digits
_RULES = (
    # "pad thai ($13)" → "pad thai, $13,"
    (r"\s*\(([^()]*)\)", r", \1,"),
    # commas that the rule above left before another mark or at the end
    (r",+(?=\s*[.,;:!?])|,+\s*$", ""),
    # "$5/hour" → "$5 an hour", "$9 per 3 items" → "$9 for 3 items"
    (r"\s*(?:(?<=\d)/|\bper\s+)\s*(?:(?P<many>\d+)\s+(?=[a-z])|(?P<unit>[a-z]+))(?<!24/7)", _per),
    # "$2.30" → "two dollars thirty"
    (r"(?P<sign>[$€£])\s?(?P<amount>" + _NUMBER + ")", _money),
    (r"\b24/7\b", "twenty-four seven"),
    # "2:30 pm" → "two thirty PM", "9:00" → "nine o'clock"
    (r"\b(?P<hour>\d{1,2}):(?P<minute>\d{2})(?:\s?(?P<half>[AaPp](?:\.[Mm]\.|[Mm]\b)))?", _clock),
    # "9am" → "9 AM"; at the end of the text its full stop is the sentence's too
    (r"(?<=\d)\s?([AaPp])(?:\.\s?[Mm]\.(?!\s*$)|\.?[Mm]\b)", lambda m: f" {m[1].upper()}M"),
    (r"(?<=\d)\s?([AaPp])\.\s?[Mm]\.$", lambda m: f" {m[1].upper()}M."),
    (r"(?<=\d)\s?%", " percent"),
    # telephone numbers, digit by digit with a pause between the groups
    (r"(?<![\d-])(?:\+?\d{1,3}[ -])?\(?\d{3}\)?[ -]\d{3,4}(?:[ -]\d{3,4})?(?![\d-])",
     lambda m: ", ".join(map(digits, re.findall(r"\d+", m[0])))),
    (
        r"(?i)\b(?P<lead>(?:number|code|pin|reference|id|extension)\s(?:is\s)?)#?(\d{3,})\b",
        lambda m: m["lead"] + digits(m[2]),
    ),
    # "20th" → "twentieth"
    (r"\b(\d{1,4})(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1]))),
    # "in 1999" → "in nineteen ninety-nine"
    (r"(?P<lead>\b(?:in|since|of|until|by|(?:January|February|March|April|May|June|July|August|September|"
     r"October|November|December),?)\s)"
     r"(?P<year>1[1-9]\d\d|20\d\d)\b(?!\s?[%$])", _year),
    # "9-17" → "9 to 17"
    (r"(?<=\d)\s?-\s?(?=\d)", " to "),
    # all that is left
    (_NUMBER, _bare_number),
    # "5K" was "fiveK" until here
    (r"(?<=[a-z])(?=K\b)", " "),
    (r"\s?&\s?", " and "),
    (r"\be\.g\.", "for example"),
    (r"\bi\.e\.", "that is"),
)  # fmt: skip
