"""Numbers in English words. Pure functions."""

from __future__ import annotations

ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
IRREGULAR = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
# a longer row of digits is no amount, but a name for something
MAX_DIGITS = 15


def cardinal(value: int) -> str:
    """Return 240 as "two hundred and forty"."""
    if value < 20:
        return ONES[value]
    if value < 100:
        return TENS[value // 10] + ("-" + ONES[value % 10] if value % 10 else "")
    size, word = next((s, w) for s, w in SCALES if value >= s)
    rest = value % size
    joint = " and " if rest and rest < 100 else " "
    return f"{cardinal(value // size)} {word}" + (joint + cardinal(rest) if rest else "")


def ordinal(value: int) -> str:
    """Return 20 as "twentieth"."""
    words = cardinal(value)
    last = words.replace("-", " ").split(" ")[-1]
    ending = IRREGULAR.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return words.removesuffix(last) + ending


def digits(text: str) -> str:
    """Return "0142" as "zero one four two"."""
    return " ".join(ONES[int(c)] for c in text if c.isdigit())


def number(text: str) -> str:
    """Return a plain number, such as "1250", "2.50" or "007", in words; one that is no amount by digits."""
    whole, dot, rest = text.partition(".")
    if len(whole) > MAX_DIGITS or (len(whole) > 1 and whole.startswith("0")):
        head = digits(whole)
    else:
        head = cardinal(int(whole)) if whole else ""
    return f"{head} point {digits(rest)}".strip() if dot else head


def year(value: int) -> str:
    """Return 1998 as "nineteen ninety-eight", 2005 as "two thousand and five"."""
    high, low = divmod(value, 100)
    if high % 10 == 0 and low < 10:
        return cardinal(value)
    return cardinal(high) + " " + ("hundred" if not low else two_digits(low))


def in_pairs(value: int) -> str:
    """Return the number of a house, a port or a document as it is read out: 404 as "four oh four"."""
    if value < 100 or (value < 1000 and not value % 100):
        return cardinal(value)
    if value < 1000:
        return f"{ONES[value // 100]} {two_digits(value % 100)}"
    if value < 10_000:
        return year(value)
    return cardinal(value) if value % 1000 < 10 else digits(str(value))


def plural(value: int) -> str:
    """Return 1990 as "nineteen nineties", 90 as "nineties", 5 as "fives"."""
    words = year(value) if value >= 100 else cardinal(value)
    return words[:-1] + "ies" if words.endswith("y") else words + ("es" if words.endswith("x") else "s")


def two_digits(value: int) -> str:
    """Return what follows the hours or the century: 5 as "oh five", 30 as "thirty"."""
    return ("oh " if value < 10 else "") + cardinal(value)
