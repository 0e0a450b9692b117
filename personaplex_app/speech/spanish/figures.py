"""Turn written Spanish into the words to speak: numbers, prices, times, percentages, phone numbers."""

from __future__ import annotations

import re
from collections.abc import Callable


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
_EURO = ("euro", "euros")
_DOLLAR = ("dólar", "dólares")
_POUND = ("libra", "libras")
_CURRENCIES = {
    "€": _EURO, "EUR": _EURO, "$": _DOLLAR, "USD": _DOLLAR, "US$": _DOLLAR, "£": _POUND, "GBP": _POUND,
    "MXN": ("peso", "pesos"),
}  # fmt: skip
_SIGN = "|".join(re.escape(sign) for sign in sorted(_CURRENCIES, key=len, reverse=True))
_UNITS = {
    "km": "kilómetros", "m": "metros", "cm": "centímetros", "mm": "milímetros", "kg": "kilos", "g": "gramos",
    "mg": "miligramos", "l": "litros", "ml": "mililitros", "h": "horas", "min": "minutos", "s": "segundos",
    "ºC": "grados", "°C": "grados", "°": "grados", "m²": "metros cuadrados", "m2": "metros cuadrados",
    "km²": "kilómetros cuadrados", "m³": "metros cúbicos", "km/h": "kilómetros por hora", "GB": "gigas",
    "MB": "megas", "TB": "teras", "kB": "kilobytes", "V": "voltios", "W": "vatios", "kW": "kilovatios",
    "Hz": "hercios", "GHz": "gigahercios", "MHz": "megahercios", "Mbps": "megabits por segundo",
}  # fmt: skip
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_MONTHS = _words("""
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
""")
_ORDINALS = _words("""
    primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo undécimo duodécimo
""")
# of a fraction: its parts, by how many make a whole
_PARTS = {
    2: "medio", 3: "tercio", 4: "cuarto", 5: "quinto", 6: "sexto", 8: "octavo", 10: "décimo",
}  # fmt: skip
_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4"}
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50}
_LETTERS = {
    "A": "a", "B": "be", "C": "ce", "D": "de", "E": "e", "F": "efe", "G": "ge", "H": "hache", "I": "i",
    "J": "jota", "K": "ka", "L": "ele", "M": "eme", "N": "ene", "Ñ": "eñe", "O": "o", "P": "pe", "Q": "cu",
    "R": "erre", "S": "ese", "T": "te", "U": "u", "V": "uve", "W": "uve doble", "X": "equis", "Y": "i griega",
    "Z": "zeta",
}  # fmt: skip
_MARK_NAMES = {".": "punto", "@": "arroba", "-": "guion", "_": "guion bajo", "/": "barra", "+": "más"}
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
_CLOCK = r"(?:[01]?\d|2[0-3]):[0-5]\d"
_RULES: tuple[tuple[str, str], ...] = (
    ("address", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:https?://|www\.)[^\s<>()\"']*[\w/]"),
    ("iso", r"(?P<y>\d{4})[-/](?P<m>0?[1-9]|1[0-2])[-/](?P<d>0?[1-9]|[12]\d|3[01])(?![\d/-])"),
    (
        "date",
        r"(?P<day>0?[1-9]|[12]\d|3[01])(?P<stroke>[/.-])(?P<month>0?[1-9]|1[0-2])(?P=stroke)(?P<year>\d{4}|\d\d)(?![\d.])",
    ),
    ("always", r"24/7"),
    (
        "fraction",
        rf"(?:(?P<wholes>\d+) )?(?:(?P<vulgar>[{''.join(_VULGAR)}])|(?P<above>\d+)/(?P<below>\d+)(?![\d/]))",
    ),
    ("times", rf"(?P<from>{_CLOCK})\s?[-–]\s?(?P<to>{_CLOCK})(?:\s?h\b)?"),
    (
        "version",
        r"(?!\d{1,3}(?:\.\d{3})+(?![.\d]))(?:(?P<lead>[Vv]ersión )\d+(?:\.\d+)+|\d+(?:\.\d+){2,})(?![\d,])",
    ),
    (
        "coded",
        r"(?P<named>(?i:código|pin|pedido|reserva|referencia|factura|clave)"
        r"(?: es|:| n\.?º)?\s)(?P<row>\d{3,})(?![\d.,]*\d)",
    ),
    ("letters", r"802\.(?P<wireless>\d{1,2}[a-z]{1,2})\b|IPv[46]\b|(?-i:[A-Z]{1,3}\d{1,4}[A-Z]?)\b"),
    (
        "range",
        rf"(?P<low>\d+(?:,\d+)?)\s?[-–]\s?(?P<high>\d+(?:,\d+)?)(?:\s?(?P<ranged>%|{_SIGN}|(?:{_UNIT})(?!\w))|(?=\s?[a-zñáéíóú]{{2,}}))(?!\d)",
    ),
    ("years", r"(?P<first>1[5-9]\d\d|20\d\d)[-–](?P<last>1[5-9]\d\d|20\d\d)(?![\d-])"),
    ("phone", r"\+?\d{2,4}(?:[ -]\d{2,4}){1,4}(?![\d%€$£.,]*\d)"),
    (
        "ordinal",
        r"(?P<rank>[1-9]\d?)(?:\.?(?P<gender>[ºª°])(?!\s?C\b)|(?P<short>er|ro|ra|do|da|to|ta|mo|ma|vo|va|no|na)\b)",
    ),
    ("size", rf"(?P<sides>\d+(?:,\d+)?(?:\s?[x×]\s?\d+(?:,\d+)?)+)(?:\s?(?P<side>{_UNIT})(?!\w))?"),
    ("numbered", r"\#(?P<hash>\d+)"),
    ("time", r"(?P<hour>[01]?\d|2[0-3])[:.](?P<minute>[0-5]\d)(?:\s?h\b)?(?![\d.,]*\d)"),
    ("before", rf"(?P<sign>{_SIGN})\s?(?P<sum>{_NUMBER})"),
    ("after", rf"(?P<worth>{_NUMBER})\s?(?P<mark>{_SIGN})(?!\w)"),
    ("percent", rf"(?P<share>{_NUMBER})\s?%"),
    ("unit", rf"(?P<count>{_NUMBER})\s?(?P<of>{_UNIT})(?![\w])"),
    ("number", rf"(?P<value>{_NUMBER})(?P<next>\s+[^\W\d_]+)?"),
)
# a minus, but not the dash between two figures
_FIGURE = re.compile(
    r"(?P<minus>(?<![\w.,:)-])[-−])?(?:"
    + "|".join(f"(?P<{name}>(?<![\\w.,:]){pattern})" for name, pattern in _RULES)
    + ")"
)
_BEFORE_A_DATE = re.compile(
    r"(?i)\b(?:el|al|del|día|hasta|desde|lunes|martes|miércoles|jueves|viernes|sábado|domingo),?\s$"
)
_ROMAN_NUMBER = re.compile(
    r"\b(?P<name>[Ss]iglo|[Cc]apítulo|[Tt]omo|[Vv]olumen|Felipe|Alfonso|Carlos|Isabel|Fernando|Juan|Pablo|Luis|Enrique)"
    r"\s(?P<roman>(?=[IVXL])L?X{0,3}(?:IX|IV|V?I{0,3}))(?!\w)"
)


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
    # "n.º 5" before the ordinal "5.º", and "1/5 a. m." before its full stops end a sentence
    for short, full in _SHORT.items():
        if short in text:
            text = text.replace(short, full)
    text = _ROMAN_NUMBER.sub(_roman, _FIGURE.sub(_say, text))
    return re.sub(r"\s{2,}", " ", text).strip()


def _roman(match: re.Match[str]) -> str:
    values = [_ROMAN[letter] for letter in match["roman"]]
    value = sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
    ruler = match["name"].lower() not in ("siglo", "capítulo", "tomo", "volumen")
    # Alfonso décimo, but Alfonso trece
    if ruler and value <= 10:
        return f"{match['name']} {_ordinal(value, 'a' if match['name'] == 'Isabel' else 'o')}"
    return f"{match['name']} {number_words(value)}"


def _say(match: re.Match[str]) -> str:
    kind = next(name for name, _ in _RULES if match[name] is not None)
    said = _figure(kind, match)
    return f"menos {said}" if match["minus"] else said


def _figure(kind: str, match: re.Match[str]) -> str:
    if kind == "phone":
        plus = "más " if match["phone"].startswith("+") else ""
        return plus + ", ".join(_digits(part) for part in re.findall(r"\d+", match["phone"]))
    if kind == "time":
        return _time(int(match["hour"]), int(match["minute"]))
    if kind in _NAMED:
        return _NAMED[kind](match)
    if kind in ("before", "after"):
        return _money(
            *((match["sum"], match["sign"]) if kind == "before" else (match["worth"], match["mark"]))
        )
    if kind == "percent":
        if match["share"] == "100":
            return "cien por cien"
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


def _date(day: int, month: int, year: str = "") -> str:
    # 85 is of the last century
    full = int(year) + (0 if len(year) == 4 else 1900 if int(year) > 50 else 2000) if year else 0
    return f"{number_words(day)} de {_MONTHS[month - 1]}" + (f" de {number_words(full)}" if full else "")


def _fraction(match: re.Match[str]) -> str:
    text = _VULGAR.get(match["vulgar"] or "") or f"{match['above']}/{match['below']}"
    above, below = map(int, text.split("/"))
    dated = text.startswith("0") or _BEFORE_A_DATE.search(match.string[: match.start()])
    if dated and 1 <= above <= 31 and 1 <= below <= 12:
        return _date(above, below)
    if below not in _PARTS or above >= below:
        return f"{_decimal(str(above))}, {_decimal(str(below))}"
    following = re.match(r"\s([^\W\d_]+)", match.string[match.end() :])
    noun = following[1].lower() if following else ""
    if below == 2:
        part = "media" if noun.endswith(("a", "ión")) else "medio"
    else:
        part = f"{'un' if above == 1 else number_words(above)} {_PARTS[below]}{'' if above == 1 else 's'}"
        part += " de" if noun and noun not in _NOT_COUNTED else ""
    return f"{number_words(int(match['wholes']))} y {part}" if match["wholes"] else part


def _ordinal(rank: int, gender: str, before_a_noun: bool = False) -> str:
    if rank > len(_ORDINALS):
        return number_words(rank, gender)
    said = _ORDINALS[rank - 1][:-1] + gender
    return said[:-1] if before_a_noun and said in ("primero", "tercero") else said


def _ranked(match: re.Match[str]) -> str:
    feminine = match["gender"] == "ª" or (match["short"] or "").endswith("a")
    short = match["short"] == "er"
    return _ordinal(int(match["rank"]), "a" if feminine else "o", short)


def _spelt(text: str) -> str:
    parts: list[str] = re.findall(r"\d+|[^\W\d_]", text)
    return " ".join(_in_name(part) if part.isdigit() else _LETTERS.get(part.upper(), part) for part in parts)


def _in_name(number: str) -> str:
    return number_words(int(number)) if len(number) < 3 and not number.startswith("0") else _digits(number)


def _lettered(match: re.Match[str]) -> str:
    return (
        f"ochocientos dos punto {_spelt(match['wireless'])}"
        if match["wireless"]
        else _spelt(match["letters"])
    )


def _address(match: re.Match[str]) -> str:
    text = re.sub(r"^https?://", "", match["address"]).rstrip("/")
    parts = re.findall(r"www(?=\.)|[^\W\d_]+|\d+|[.@_/+-]", text)
    names = {"www": "uve doble uve doble uve doble"} | _MARK_NAMES
    return " ".join(names.get(part, _digits(part) if part.isdigit() else part) for part in parts)


def _range(match: re.Match[str]) -> str:
    following = re.match(r"\s?([^\W\d_]+)", match.string[match.end() :])
    unit = match["ranged"] or ""
    noun = "por ciento" if unit == "%" else _UNITS.get(unit) or (_CURRENCIES[unit][1] if unit else "")
    counted = noun or (following[1].lower() if following else "")
    feminine = counted in _FEMININE or (counted.endswith(("as", "iones")) and counted not in _MASCULINE)
    low, high = (_decimal(match[end], "a" if feminine else "o", bool(counted)) for end in ("low", "high"))
    return f"{low} a {high} {noun}".strip()


def _sized(match: re.Match[str]) -> str:
    said = " por ".join(_decimal(side) for side in re.split(r"\s?[x×]\s?", match["sides"]))
    return f"{said} {_UNITS[match['side']]}" if match["side"] else said


_NAMED: dict[str, Callable[[re.Match[str]], str]] = {
    "address": _address,
    "iso": lambda m: _date(int(m["d"]), int(m["m"]), m["y"]),
    "date": lambda m: _date(int(m["day"]), int(m["month"]), m["year"]),
    "always": lambda _: "veinticuatro siete",
    "fraction": _fraction,
    "times": lambda m: " a ".join(_time(*map(int, m[end].split(":"))) for end in ("from", "to")),
    "version": lambda m: (
        (m["lead"] or "") + " punto ".join(map(_version_part, re.findall(r"\d+", m["version"])))
    ),
    "coded": lambda m: m["named"] + _digits(m["row"]),
    "letters": _lettered,
    "range": _range,
    "years": lambda m: f"{number_words(int(m['first']))} a {number_words(int(m['last']))}",
    "ordinal": _ranked,
    "size": _sized,
    "numbered": lambda m: f"número {_decimal(m['hash'])}",
}


def _version_part(part: str) -> str:
    return (
        _digits(part)
        if len(part) > 4 or (len(part) > 1 and part.startswith("0"))
        else number_words(int(part))
    )


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
