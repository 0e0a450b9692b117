"""Turn written Spanish into the words to speak: numbers, prices, times, percentages, phone numbers."""

from __future__ import annotations

import re


def _words(text: str) -> list[str]:
    return text.split()


_ONES = _words("""
    cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis
    diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco
    veintiséis veintisiete veintiocho veintinueve
""")
_TENS = _words("""
    treinta cuarenta cincuenta sesenta setenta ochenta noventa
""")
_HUNDREDS = _words("""
    ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos
    novecientos
""")
_LARGEST = 10**12
_CURRENCIES = {"€": ("euro", "euros"), "$": ("dólar", "dólares"), "£": ("libra", "libras")}
_UNITS = {
    "km": "kilómetros", "m": "metros", "cm": "centímetros", "kg": "kilos", "g": "gramos", "l": "litros",
    "h": "horas", "min": "minutos", "s": "segundos", "ºC": "grados", "°C": "grados", "°": "grados",
}  # fmt: skip
_SHORT = {
    "Sr.": "señor", "Sra.": "señora", "Srta.": "señorita", "Dr.": "doctor", "Dra.": "doctora",
    "Ud.": "usted", "Uds.": "ustedes", "Avda.": "avenida", "Av.": "avenida", "C/": "calle ",
    "p. ej.": "por ejemplo", "etc.": "etcétera", "n.º": "número", "nº": "número", "a. m.": "de la mañana",
    "p. m.": "de la tarde", "&": "y",
}  # fmt: skip
# nouns in -a, -as that are masculine
_MASCULINE = frozenset(
    _words("""
    día días mapa mapas problema problemas programa programas idioma idiomas
""")
)
_FEMININE = frozenset(
    _words("""
    hora horas noche noches vez veces persona personas libra libras
""")
)
# what follows a number without being counted by it
_NOT_COUNTED = frozenset(
    _words("""
    y o a de del por coma punto en para con que es son la las el los no al más
""")
)
_NUMBER = r"\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d+(?:[,.]\d+)?"
_RULES: tuple[tuple[str, str], ...] = (
    ("phone", r"\+?\d{2,4}(?:[ -]\d{2,4}){1,4}(?![\d%€$£.,]*\d)"),
    ("time", r"(?P<hour>[01]?\d|2[0-3])[:.](?P<minute>[0-5]\d)(?:\s?h\b)?(?![\d.,]*\d)"),
    ("before", rf"(?P<sign>[€$£])\s?(?P<sum>{_NUMBER})"),
    ("after", rf"(?P<worth>{_NUMBER})\s?(?P<mark>[€$£])"),
    ("percent", rf"(?P<share>{_NUMBER})\s?%"),
    ("unit", rf"(?P<count>{_NUMBER})\s?(?P<of>{'|'.join(sorted(_UNITS, key=len, reverse=True))})(?![\w])"),
    ("number", rf"(?P<value>{_NUMBER})(?P<next>\s+[^\W\d_]+)?"),
)
_FIGURE = re.compile("|".join(f"(?P<{name}>(?<![\\w.,:]){pattern})" for name, pattern in _RULES))


def number_words(number: int, gender: str = "o", counted: bool = False) -> str:
    """Return a number from 0 to a billion in words.

    `gender` is "o" or "a", for what is counted; before a noun ("counted") "uno" becomes "un" or "una".
    Raises: ValueError for any other number.
    """
    if not 0 <= number < _LARGEST:
        raise ValueError(f"{number} is not from 0 to {_LARGEST - 1}")
    words = _number(number, gender).replace("cientos", f"cient{gender}s")
    if gender == "a":
        words = words.replace("quinientos", "quinientas")
    if words.endswith("uno"):
        if gender == "a":
            words = f"{words[:-1]}a"
        elif counted:
            words = f"{words[:-9]}veintiún" if words.endswith("veintiuno") else words[:-1]
    return words


def _number(number: int, gender: str) -> str:
    if number < 30:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens - 3] + (f" y {_ONES[ones]}" if ones else "")
    if number == 100:
        return "cien"
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return _HUNDREDS[hundreds - 1] + (f" {_number(rest, gender)}" if rest else "")
    if number < 10**6:
        thousands, rest = divmod(number, 1000)
        head = "mil" if thousands == 1 else f"{number_words(thousands, gender, counted=True)} mil"
    else:
        millions, rest = divmod(number, 10**6)
        head = "un millón" if millions == 1 else f"{number_words(millions, counted=True)} millones"
    return head + (f" {_number(rest, gender)}" if rest else "")


def spoken_form(text: str) -> str:
    """Return what the synthesiser is to read for `text`: figures and short forms spelt out."""
    for short, full in _SHORT.items():
        if short in text:
            text = text.replace(short, full)
    return re.sub(r"\s{2,}", " ", _FIGURE.sub(_say, text)).strip()


def _say(match: re.Match[str]) -> str:
    kind = next(name for name, _ in _RULES if match[name])
    if kind == "phone":
        return ", ".join(_digits(part) for part in re.findall(r"\d+", match["phone"]))
    if kind == "time":
        return _time(int(match["hour"]), int(match["minute"]))
    if kind in ("before", "after"):
        return _money(
            *((match["sum"], match["sign"]) if kind == "before" else (match["worth"], match["mark"]))
        )
    if kind == "percent":
        return f"{_decimal(match['share'])} por ciento"
    if kind == "unit":
        unit = _UNITS[match["of"]]
        said = _decimal(match["count"], "a" if unit in _FEMININE else "o", counted=True)
        return f"{said} {unit.removesuffix('s') if match['count'] == '1' else unit}"
    following = match["next"] or ""
    noun = following.strip().lower()
    counted = bool(noun) and noun not in _NOT_COUNTED
    feminine = noun in _FEMININE or (noun.endswith(("a", "as", "ción", "ciones")) and noun not in _MASCULINE)
    return _decimal(match["value"], "a" if counted and feminine else "o", counted) + following


def _digits(text: str) -> str:
    return " ".join(_ONES[int(digit)] for digit in text)


def _time(hour: int, minute: int) -> str:
    said = number_words(hour, "a")
    by_name = {0: "", 15: " y cuarto", 30: " y media"}
    return said + (by_name[minute] if minute in by_name else f" y {number_words(minute)}")


def _money(amount: str, sign: str) -> str:
    one, many = _CURRENCIES[sign]
    gender = "a" if many in _FEMININE else "o"
    if cents := re.fullmatch(r"(?P<whole>[\d.]*\d)[,.](?P<part>\d\d)", amount):
        whole = int(cents["whole"].replace(".", ""))
        said = f"{number_words(whole, gender, counted=True)} {one if whole == 1 else many}"
        part = int(cents["part"])
        return f"{said} con {number_words(part)}" if part else said
    return f"{_decimal(amount, gender, counted=True)} {one if amount == '1' else many}"


def _decimal(written: str, gender: str = "o", counted: bool = False) -> str:
    """Return a number written in the Spanish way: points between thousands, a comma before decimals."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", written):
        written = written.replace(".", "")
    whole, _, part = written.replace(",", ".").partition(".")
    if int(whole) >= _LARGEST or (len(whole) > 1 and whole.startswith("0")):
        return _digits(whole)
    if not part:
        return number_words(int(whole), gender, counted)
    said = number_words(int(part)) if not part.startswith("0") and len(part) < 3 else _digits(part)
    return f"{number_words(int(whole))} coma {said}"
