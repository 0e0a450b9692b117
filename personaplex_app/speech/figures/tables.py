"""What the marks of figures are called: currencies, units, months, streets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Currency:
    """A currency's names; `cents` is empty where it has no smaller coin."""

    one: str
    many: str
    cent: str = "cent"
    cents: str = "cents"


_DOLLAR = Currency("dollar", "dollars")
_EURO = Currency("euro", "euros")
_POUND = Currency("pound", "pounds", "penny", "pence")
_YEN = Currency("yen", "yen", "", "")
_YUAN = Currency("yuan", "yuan", "fen", "fen")
_RUPEE = Currency("rupee", "rupees", "paisa", "paise")
_WON = Currency("won", "won", "", "")
_ROUBLE = Currency("rouble", "roubles", "kopek", "kopeks")
_LIRA = Currency("lira", "lira", "kurush", "kurush")
_REAL = Currency("real", "reais", "centavo", "centavos")
_FRANC = Currency("Swiss franc", "Swiss francs", "centime", "centimes")
_ZLOTY = Currency("zloty", "zloty", "grosz", "grosz")
_SHEKEL = Currency("shekel", "shekels", "agora", "agorot")


def _dollar_of(country: str) -> Currency:
    return Currency(f"{country} dollar", f"{country} dollars")


def _crown_of(country: str, cent: str) -> Currency:
    name = f"{country} " if country else ""
    return Currency(f"{name}krona", f"{name}kronor", cent, cent)


# by sign and by code, written before the amount or behind it
CURRENCIES = {
    "$": _DOLLAR, "US$": _dollar_of("US"), "USD": _dollar_of("US"),
    "A$": _dollar_of("Australian"), "AU$": _dollar_of("Australian"), "AUD": _dollar_of("Australian"),
    "C$": _dollar_of("Canadian"), "CA$": _dollar_of("Canadian"), "CAD": _dollar_of("Canadian"),
    "NZ$": _dollar_of("New Zealand"), "NZD": _dollar_of("New Zealand"),
    "HK$": _dollar_of("Hong Kong"), "HKD": _dollar_of("Hong Kong"),
    "S$": _dollar_of("Singapore"), "SGD": _dollar_of("Singapore"),
    "€": _EURO, "EUR": _EURO, "£": _POUND, "GBP": _POUND,
    "¥": _YEN, "円": _YEN, "元": _YUAN, "JPY": _YEN, "CN¥": _YUAN, "CNY": _YUAN, "RMB": _YUAN,
    "₹": _RUPEE, "INR": _RUPEE, "Rs": _RUPEE, "Rs.": _RUPEE, "₩": _WON, "KRW": _WON,
    "₽": _ROUBLE, "RUB": _ROUBLE, "₺": _LIRA, "TRY": _LIRA, "R$": _REAL, "BRL": _REAL,
    "CHF": _FRANC, "Fr.": _FRANC, "zł": _ZLOTY, "PLN": _ZLOTY, "₪": _SHEKEL, "ILS": _SHEKEL,
    "kr": _crown_of("", "öre"), "SEK": _crown_of("Swedish", "öre"),
    "NOK": Currency("Norwegian krone", "Norwegian kroner", "øre", "øre"),
    "DKK": Currency("Danish krone", "Danish kroner", "øre", "øre"),
    "CZK": Currency("Czech koruna", "Czech koruna", "heller", "hellers"),
    "Kč": Currency("koruna", "koruna", "heller", "hellers"),
    "HUF": Currency("forint", "forint", "", ""), "Ft": Currency("forint", "forint", "", ""),
    "₴": Currency("hryvnia", "hryvnias", "kopek", "kopeks"),
    "₱": Currency("peso", "pesos", "centavo", "centavos"),
    "MXN": Currency("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "MX$": Currency("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "ZAR": Currency("rand", "rand"), "₦": Currency("naira", "naira", "kobo", "kobo"),
    "฿": Currency("baht", "baht", "satang", "satang"), "THB": Currency("baht", "baht", "satang", "satang"),
    "₫": Currency("dong", "dong", "", ""), "AED": Currency("dirham", "dirhams", "fils", "fils"),
    "₿": Currency("bitcoin", "bitcoins", "", ""), "BTC": Currency("bitcoin", "bitcoins", "", ""),
}  # fmt: skip

SCALE_LETTERS = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "b": "billion",
    "B": "billion", "bn": "billion", "T": "trillion", "tn": "trillion",
}  # fmt: skip


def _regular(**units: str) -> dict[str, tuple[str, str]]:
    return {mark: (name, name + "s") for mark, name in units.items()}


UNITS = {
    **_regular(
        km="kilometer", cm="centimeter", mm="millimeter", m="meter", nm="nanometer", kg="kilogram", g="gram",
        mg="milligram", mcg="microgram", lb="pound", lbs="pound", oz="ounce", mi="mile", yd="yard", L="liter",
        l="liter", ml="milliliter", mL="milliliter", cl="centiliter", dl="deciliter", gal="gallon",
        ha="hectare",
        KB="kilobyte", kB="kilobyte", MB="megabyte", GB="gigabyte", TB="terabyte", kWh="kilowatt hour",
        kW="kilowatt", MW="megawatt", GW="gigawatt", mW="milliwatt", Ω="ohm", kΩ="kilohm", MΩ="megohm",
        nF="nanofarad", pF="picofarad", mH="millihenry", kV="kilovolt", mV="millivolt", mA="milliamp",
        Ah="amp hour", Wh="watt hour", ns="nanosecond", kPa="kilopascal", MPa="megapascal", hPa="hectopascal",
        kJ="kilojoule", MJ="megajoule", mmol="millimole",
        W="watt", V="volt", mAh="milliamp hour", hr="hour", hrs="hour",
        h="hour",
        min="minute", mins="minute", sec="second", secs="second", ms="millisecond", wk="week", wks="week",
        mo="month", yr="year", yrs="year", kcal="kilocalorie", cal="calorie", px="pixel", dB="decibel",
        tbsp="tablespoon", tsp="teaspoon",
    ),
    "µF": ("microfarad", "microfarads"), "µs": ("microsecond", "microseconds"),
    "µA": ("microamp", "microamps"), "µV": ("microvolt", "microvolts"),
    "µH": ("microhenry", "microhenries"),
    "ppm": ("part per million", "parts per million"), "ppb": ("part per billion", "parts per billion"),
    "ft": ("foot", "feet"), "in": ("inch", "inches"), "Hz": ("hertz", "hertz"), "kHz": ("kilohertz",) * 2,
    "MHz": ("megahertz",) * 2, "GHz": ("gigahertz",) * 2, "µg": ("microgram", "micrograms"),
    "µm": ("micrometer", "micrometers"), "km/h": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"), "mph": ("mile per hour", "miles per hour"),
    "m/s²": ("meter per second squared", "meters per second squared"),
    "m/s": ("meter per second", "meters per second"), "Mbps": ("megabit per second", "megabits per second"),
    "Mbit/s": ("megabit per second", "megabits per second"), "fps": ("frame per second", "frames per second"),
    "Gbps": ("gigabit per second", "gigabits per second"), "rpm": ("revolution per minute",
    "revolutions per minute"), "bpm": ("beat per minute", "beats per minute"),
    "m²": ("square meter", "square meters"), "m2": ("square meter", "square meters"),
    "sqm": ("square meter", "square meters"), "km²": ("square kilometer", "square kilometers"),
    "cm²": ("square centimeter", "square centimeters"), "m³": ("cubic meter", "cubic meters"),
    "m3": ("cubic meter", "cubic meters"), "cm³": ("cubic centimeter", "cubic centimeters"),
    "sq ft": ("square foot", "square feet"), "sq. ft.": ("square foot", "square feet"),
    "sqft": ("square foot", "square feet"), "ft²": ("square foot", "square feet"),
    "fl oz": ("fluid ounce", "fluid ounces"), "fl. oz": ("fluid ounce", "fluid ounces"),
    "mpg": ("mile per gallon", "miles per gallon"), "%": ("percent", "percent"),
    "‰": ("per thousand", "per thousand"),
    "pct": ("percent", "percent"), "°": ("degree", "degrees"), "º": ("degree", "degrees"),
    "°C": ("degree Celsius", "degrees Celsius"), "ºC": ("degree Celsius", "degrees Celsius"),
    "° C": ("degree Celsius", "degrees Celsius"), "℃": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"), "ºF": ("degree Fahrenheit", "degrees Fahrenheit"),
    "° F": ("degree Fahrenheit", "degrees Fahrenheit"), "℉": ("degree Fahrenheit", "degrees Fahrenheit"),
}  # fmt: skip

VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5",
    "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
}  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
STREETS = {
    "St": "Street", "Ave": "Avenue", "Av": "Avenue", "Rd": "Road", "Blvd": "Boulevard", "Dr": "Drive",
    "Ln": "Lane", "Ct": "Court", "Pl": "Place", "Sq": "Square", "Hwy": "Highway", "Pkwy": "Parkway",
    "Ter": "Terrace", "Cres": "Crescent", "Street": "Street", "Avenue": "Avenue", "Road": "Road",
    "Boulevard": "Boulevard", "Drive": "Drive", "Lane": "Lane", "Court": "Court", "Square": "Square",
    "Terrace": "Terrace", "Highway": "Highway", "Parkway": "Parkway", "Broadway": "Broadway",
}  # fmt: skip
TITLES = {
    "Dr": "Doctor", "Prof": "Professor", "Mr": "Mr", "Mrs": "Mrs", "Ms": "Ms", "Capt": "Captain",
    "Rev": "Reverend",
    "Gen": "General", "Col": "Colonel", "Lt": "Lieutenant", "Sgt": "Sergeant", "Gov": "Governor",
    "Sen": "Senator", "Mt": "Mount", "Ft": "Fort",
}  # fmt: skip
# what a Roman numeral of one letter may follow
NUMBERED = frozenset((
    "Chapter", "Part", "Act", "Scene", "Volume", "Book", "Section", "Phase", "Level", "Type", "War",
    "Article", "Title", "Class", "Stage", "Grade", "Appendix", "Mark", "Bowl", "Tier", "Category",
))  # fmt: skip
MONARCHS = frozenset((
    "Henry", "Louis", "Elizabeth", "Charles", "William", "George", "Edward", "James", "Richard", "Paul",
    "Benedict", "Pius", "Gregory", "Francis", "Napoleon", "Frederick", "Catherine", "Nicholas",
    "Alexander", "Philip", "Felipe", "Leo", "John", "Mary", "Ivan", "Wilhelm", "Ramses", "Peter",
    "Margrethe", "Christian", "Gustav", "Carl", "Otto", "Leopold", "Albert", "Ferdinand", "Alfonso",
    "Xerxes", "Darius", "Urban", "Clement", "Innocent", "Sixtus", "Julius", "Boniface", "Harald",
    "Haakon", "Rama", "Selim", "Mehmed", "Suleiman",
))  # fmt: skip
TOP_DOMAINS = (
    "com", "org", "net", "edu", "gov", "io", "co", "uk", "de", "fr", "es", "it", "nl", "eu", "us", "ca",
    "au", "ch", "at", "ai", "app", "dev", "info", "biz", "me", "tv", "example",
)  # fmt: skip
