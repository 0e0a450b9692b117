"""How written figures are said: whole kinds of them, and properties that hold for every one of a kind."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_app.responder.numbers import figures
from personaplex_app.speech.figures.number_words import ONES, TENS, cardinal, ordinal
from personaplex_app.speech.figures.tables import MONTHS
from personaplex_app.speech.spoken_form import speakable, spoken_form

pytestmark = pytest.mark.unit

SAID = {
    # money
    "$3.7 billion": "three point seven billion dollars",
    "$2.4M": "two point four million dollars",
    "$40k": "forty thousand dollars",
    "$12.05": "twelve dollars and five cents",
    "$0.75": "seventy-five cents",
    "£0.01": "one penny",
    "€2.450,75": "two thousand four hundred and fifty euros seventy-five",
    "€19,90": "nineteen euros ninety",
    "35€": "thirty-five euros",
    "35 EUR": "thirty-five euros",
    "EUR 35": "thirty-five euros",
    "CHF 2'500": "two thousand five hundred Swiss francs",
    "1 250,00 zł": "one thousand two hundred and fifty zloty",
    "¥5,000": "five thousand yen",
    "A$15": "fifteen Australian dollars",
    "€15,-": "fifteen euros",
    "-$7": "minus seven dollars",
    "$40-$60": "forty dollars to sixty dollars",
    "$40–60": "forty to sixty dollars",
    "$3-5 million": "three to five million dollars",
    "€8/kg": "eight euros a kilogram",
    "$25/hr": "twenty-five dollars an hour",
    "75¢": "seventy-five cents",
    "€14/€9": "fourteen euros, nine euros",
    "$1.5-million": "one point five million dollars",
    # numbers of things
    "S/N 4471-22": "serial number four four seven one dash two two",
    "the S/N is 88B-31": "the serial number is eight eight B dash three one",
    "P/N 12-334": "part number one two dash three three four",
    "SKU 883-21-B": "SKU eight eight three dash two one dash B",
    "Serial no. 0042-BX": "Serial number zero zero four two dash B X",
    # dates
    "2026-03-09": "March ninth, twenty twenty-six",
    "2026-03-09T14:05": "March ninth, twenty twenty-six at fourteen oh five",
    "3/9/2026": "March ninth, twenty twenty-six",
    "31/10/2026": "October thirty-first, twenty twenty-six",
    "09.03.2026": "March ninth, twenty twenty-six",
    "9 March 2026": "the ninth of March, twenty twenty-six",
    "the 9th of March": "the ninth of March",
    "March 9, 2026": "March ninth, twenty twenty-six",
    "Mon 9 Mar": "Monday the ninth of March",
    "Tuesday, March 9th": "Tuesday, March ninth",
    "Aug 3-5": "August third to fifth",
    "by 9/14": "by September fourteenth",
    "Mon-Sat": "Monday to Saturday",
    "Nov-Feb": "November to February",
    "1939-1945": "nineteen thirty-nine to nineteen forty-five",
    "2026/27": "twenty twenty-six to twenty-seven",
    "in 1887": "in eighteen eighty-seven",
    "the 1980s": "the nineteen eighties",
    "the '60s": "the sixties",
    "mid-1800s": "mid-eighteen hundreds",
    # times
    "8am-6pm": "eight AM to six PM",
    "8–6": "eight to six",
    "8:15 a.m. - 6 p.m.": "eight fifteen AM to six PM.",
    "18:45": "eighteen forty-five",
    "10.30pm": "ten thirty PM",
    "07:05": "seven oh five",
    "11:00": "eleven o'clock",
    "8h30": "eight thirty",
    # fractions
    "2/3 cup": "two thirds cup",
    "2½": "two and a half",
    "¾ inch": "three quarters inch",
    "3 1/4 cups": "three and a quarter cups",
    "4/5 stars": "four out of five stars",
    "24/7": "twenty-four seven",
    # versions, ordinals, units
    "v1.12.4": "version one point twelve point four",
    "3.0.2": "three point zero point two",
    "version 3.14": "version three point fourteen",
    "127.0.0.1": "one two seven dot zero dot zero dot one",
    "42nd": "forty-second",
    "3 kg": "three kilograms",
    "1kg": "one kilogram",
    "-7 °C": "minus seven degrees Celsius",
    "101.5°F": "one hundred and one point five degrees Fahrenheit",
    "80 km/h": "eighty kilometers per hour",
    "120 m²": "one hundred and twenty square meters",
    "12.5%": "twelve point five percent",
    "10-15%": "ten to fifteen percent",
    "2,5 kg": "two point five kilograms",
    "2x4": "two by four",
    "5'10\"": "five foot ten",
    "15K": "fifteen K",
    # codes and numbers of things
    "B7-C12": "B seven dash C twelve",
    "ZX-4410": "Z X four four one zero",
    "Gate 7C": "Gate seven C",
    "COVID-19": "COVID nineteen",
    "order number 5521": "order number five five two one",
    "#8842": "number eight eight four two",
    "No. 8": "number eight",
    "PIN 0917": "PIN zero nine one seven",
    "code 1984": "code one nine eight four",
    "Order #B-2077": "Order number B dash two zero seven seven",
    "invoice 2026-118": "invoice two zero two six dash one one eight",
    "978-3-16-14-0": "nine seven eight dash three dash one six dash one four dash zero",
    # telephone numbers
    "+33 1 23 45 67 80": "plus three three, one, two three, four five, six seven, eight zero",
    "030 901820": "zero three zero, nine zero one eight two zero",
    "ext. 407": "extension four zero seven",
    "(202) 555-0143": "two zero two, five five five, zero one four three",
    "202.555.0143": "two zero two, five five five, zero one four three",
    "+1 202 555 0143": "plus one, two zero two, five five five, zero one four three",
    "+44 20 7946 0018": "plus four four, two zero, seven nine four six, zero zero one eight",
    "020 7946 0018": "zero two zero, seven nine four six, zero zero one eight",
    "1-800-555-0143": "one, eight zero zero, five five five, zero one four three",
    "Call 911": "Call nine one one",
    # addresses
    "14C Oak Ave.": "fourteen C Oak Avenue.",
    "742 Evergreen Ter": "seven forty-two Evergreen Terrace",
    "Boston, MA 02108": "Boston, MA zero two one zero eight",
    "help@example.org": "help at example dot org",
    "www.example.org/faq": "W W W dot example dot org slash faq",
    "https://example.org": "example dot org",
    # names
    "Louis XVI": "Louis the sixteenth",
    "World War I": "World War one",
    "Chapter IX": "Chapter nine",
    "Malcolm X": "Malcolm X",
    "Elizabeth I": "Elizabeth the first",
    "Super Bowl LIV": "Super Bowl fifty-four",
    "10999 Berlin": "one zero nine nine nine Berlin",
    "350 W. 42nd St.": "three fifty W. forty-second Street.",
    "Dr. Lee of St. Mary's": "Doctor Lee of Saint Mary's",
    # numbers
    "-12": "minus twelve",
    "0.05": "zero point zero five",
    "2,000,000": "two million",
    "007": "zero zero seven",
    "50+": "fifty plus",
    "10-year-old": "ten-year-old",
    "2-for-1": "two-for-one",
    # as other hands write them
    "£9.99pp": "nine pounds ninety-nine per person",
    "₹1,50,000": "one hundred and fifty thousand rupees",
    "100円": "one hundred yen",
    "3-May-2026": "the third of May, twenty twenty-six",
    "2026-5-3": "May third, twenty twenty-six",
    "c. 1850": "c. eighteen fifty",
    "M-F 9-5": "Monday to Friday nine to five",
    "noon-3pm": "noon to three PM",
    "08:00h": "eight o'clock",
    "24:00": "midnight",
    "1h 30m": "one hour thirty minutes",
    "24/7/365": "twenty-four seven, three hundred and sixty-five",
    "twice/week": "twice a week",
    "4.5/5": "four point five out of five",
    "4.8★": "four point eight stars",
    "1.5x": "one point five times",
    "+3%": "plus three percent",
    "±2 mm": "plus or minus two millimeters",
    "≥18": "at least eighteen",
    "<5 kg": "less than five kilograms",
    "> $20": "more than twenty dollars",
    "§ 5": "section five",
    "Nos. 3 and 4": "numbers three and four",
    "10 ÷ 2": "ten divided by two",
    "20cm x 30cm": "twenty by thirty centimeters",
    "6 ft 2 in": "six foot two",
    "12 in. wide": "twelve inches. wide",
    "30 mpg": "thirty miles per gallon",
    "1080p": "ten eighty P",
    "ISO 9001:2015": "ISO nine thousand and one, twenty fifteen",
    "Figure 2-1": "Figure two dash one",
    "seats 12A-12C": "seats twelve A to twelve C",
    "911": "nine one one",
    "1 800 FLOWERS": "one, eight zero zero, FLOWERS",
    "4111 1111 1111 1111": "four one one one, one one one one, one one one one, one one one one",
    "DE89 3704 0044 0532": "D E eight nine, three seven zero four, zero zero four four, zero five three two",
    "ending in 4242": "ending in four two four two",
    "OTP 938201": "OTP nine three eight two zero one",
    "$10-15/hr": "ten to fifteen dollars an hour",
    "$1.5-2 million": "one point five to two million dollars",
    "$10 CAD": "ten Canadian dollars",
    "$5 ea": "five dollars each",
    "2 @ $5": "two at five dollars",
    "3x/week": "three times a week",
    "6.30-7.45pm": "six thirty to seven forty-five PM",
    "15:00 GMT-5": "fifteen o'clock GMT minus five",
    "UTC+05:30": "UTC plus five thirty",
    "12/24-12/26": "December twenty-fourth to December twenty-sixth",
    "1/2-3/4 cup": "one half to three quarters cup",
    "500g-1kg": "five hundred grams to one kilogram",
    "230 V/50 Hz": "two hundred and thirty volts, fifty hertz",
    "2 GB/s": "two gigabytes per second",
    "9.8 m/s²": "nine point eight meters per second squared",
    "5'11": "five foot eleven",
    '2" x 4"': "two by four inches",
    "1000s of": "thousands of",
    "dial *67": "dial star six seven",
    "room # 5": "room number five",
    "1-800-GO-FEDEX": "one, eight zero zero, GO, FEDEX",
    "pp. 45-48": "pages forty-five to forty-eight",
    # technical designators, and dates as machines write them
    "3. May 2026": "the third of May, twenty twenty-six",
    "03-MAY-2026": "the third of May, twenty twenty-six",
    "MAY 3": "May third",
    "May 3 to 7": "May third to seventh",
    "05/2026": "May twenty twenty-six",
    "2026-05-03/2026-05-07": "May third, twenty twenty-six to May seventh, twenty twenty-six",
    "2026-05-03T08:00:00.5+02:00": "May third, twenty twenty-six at eight o'clock, UTC plus two",
    "FY2026": "F Y twenty twenty-six",
    "802.11ax": "eight oh two dot eleven A X",
    "IEEE 802.3": "IEEE eight oh two dot three",
    "RFC 2616": "RFC twenty-six sixteen",
    "ISO 8601": "ISO eighty-six oh one",
    "port 443": "port four forty-three",
    "error 404": "error four oh four",
    "IPv6": "I P V six",
    "10.0.0.0/8": "one zero dot zero dot zero dot zero slash eight",
    "127.0.0.1:8080": "one two seven dot zero dot zero dot one, port eighty eighty",
    "2001:db8::8a:1/64": "two zero zero one colon D B eight double colon eight A colon one slash sixty-four",
    "00:1A:2B:3C:4D:5E": "zero zero, one A, two B, three C, four D, five E",
    "a4-83-e7-0b-12-ff": "A four, eight three, E seven, zero B, one two, F F",
    "Python 3.10": "Python three point ten",
    "HTTP/1.1": "HTTP one point one",
    "X.509": "X dot five zero nine",
    "PM2.5": "P M two point five",
    "M8x1.25": "M eight by one point two five",
    "0xDEAD": "zero x D E A D",
    "10⁻³": "ten to the power of minus three",
    "2^10": "two to the power of ten",
    "6.02e23": "six point zero two times ten to the power of twenty-three",
    "1080p60": "ten eighty P sixty",
    "50/60 Hz": "fifty, sixty hertz",
    "Boeing 737-800": "Boeing seven thirty-seven dash eight hundred",
    "2 + 2 = 4, 6*7=42": "two plus two equals four, six times seven equals forty-two",
    "3+4=7, 8/2=4": "three plus four equals seven, eight divided by two equals four",
    "Room 12 +44 20 7946": "Room twelve plus four four, two zero, seven nine four six",
    "2 - 5 = -3": "two minus five equals minus three",
    "10% + 5% = 15%": "ten percent plus five percent equals fifteen percent",
    "x² + y³ = 12": "x squared plus y cubed equals twelve",
    "odds of 5/1, on 5/1": "odds of five to one, on May first",
    "the ratio is 3:2:1": "the ratio is three to two to one",
    "a scale of 1:50,000": "a scale of one to fifty thousand",
    "in 1:02:03.5": "in one hour, two minutes and three point five seconds",
    "6.02×10²³": "six point zero two times ten to the power of twenty-three",
    "e = 2.718": "e equals two point seven one eight",
    "H₂O": "H two O",
    "420 ppm, 10kΩ": "four hundred and twenty parts per million, ten kilohms",
    "1.5\u03bcF": "one point five microfarads",
    ">=3.9,<4": "at least three point nine, less than four",
    "2.000 people": "two thousand people",
    "AB-1029/B": "A B dash one zero two nine slash B",
    "p. 10-12 and p. 7, ext. 12": "pages ten to twelve and page seven, extension twelve",
}


@pytest.mark.parametrize(("written", "said"), SAID.items())
def test_speakable_says_a_figure_as_that_figure(written, said):
    assert speakable(written) == said
    # in the midst of a sentence, in brackets and before its end it is the same
    assert said.rstrip(".") in speakable(f"It says {written}, or so.")
    assert figures(written) == figures(said)


@pytest.mark.parametrize("written", SAID)
def test_speakable_says_what_is_in_words_already_as_it_is(written):
    assert speakable(speakable(written)) == speakable(written)


@pytest.mark.parametrize(
    "unknown",
    ["5ish", "12:34:56:78", "1.2,3.4", "#", "a_1", "7/8/9/10", "$1.2.3", "fe80:::1"],
)
def test_speakable_leaves_a_figure_that_it_does_not_know_whole(unknown):
    assert speakable(f"See {unknown} there") == f"See {unknown} there"


def test_speakable_takes_numbers_for_dates_only_in_their_place():
    assert speakable("2000 members") == "two thousand members"
    assert speakable("100-2000 people") == "one hundred to two thousand people"
    assert speakable("3 in a row") == "three in a row"
    assert speakable("She may 5 times") == "She may five times"
    assert speakable("I have 3. May I come?") == "I have three. May I come?"
    assert (
        speakable("802.3 kg on port 3.5")
        == "eight hundred and two point three kilograms on port three point five"
    )
    assert speakable("May 3 to 7pm") == "May third to seven PM"
    assert speakable("error 200 times") == "error two hundred times"


@pytest.mark.parametrize("lead", ["The Wi-Fi password is", "password:", "Passcode:", "The wifi key is"])
@pytest.mark.parametrize(
    ("secret", "aloud"),
    [
        ("sea1998", "sea one nine nine eight"),
        ("2024", "two zero two four"),
        ("Blue-42_sky", "Blue dash four two underscore sky"),
    ],
)
def test_password_is_shown_as_written_and_spelled_aloud(lead, secret, aloud):
    assert speakable(f"{lead} {secret}.") == f"{lead} {secret}."
    assert spoken_form(f"{lead} {secret}.") == f"{lead} {aloud}."


def test_spoken_form_spells_halves_of_the_day():
    """The synthesiser reads AM as a verb."""
    assert spoken_form("from 9am to 5 pm") == "from nine A.M. to five P.M."


# -- properties: what was said, read back, is what was written ---------------------------------------------

_VALUE = {word: value for value, word in enumerate(ONES)} | {w: 10 * k for k, w in enumerate(TENS) if w}
_SCALE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def value_of(words: str) -> int:
    """Return the whole number that words say."""
    total = part = 0
    for word in re.findall(r"[a-z]+", words):
        if word == "hundred":
            part *= 100
        elif word in _SCALE:
            total, part = total + part * _SCALE[word], 0
        elif word != "and":
            part += _VALUE[word]
    return total + part


def digits_of(words: str) -> str:
    return "".join(str(_VALUE[word]) for word in re.findall(r"[a-z]+", words) if word in _VALUE)


@given(st.integers(0, 10**12))
def test_cardinal_read_back_is_the_number(value):
    assert value_of(cardinal(value)) == value
    assert value_of(speakable(f"{value:,}")) == value or 1900 <= value < 2100


@given(st.integers(0, 10**6), st.integers(0, 99), st.sampled_from(["$", "€", "£"]))
def test_amount_read_back_is_the_amount(whole, cents, sign):
    for written in (f"{sign}{whole:,}.{cents:02}", f"{sign}{whole}.{cents:02}"):
        said = speakable(f"It is {written} today.")
        number = re.search(r"It is (.*?) today\.", said)[1]
        head, name, tail = re.match(
            r"(.*?) ?\b(dollars?|euros?|pounds?|cents?|penny|pence)\b(.*)", number
        ).groups()
        small = name in ("cent", "cents", "penny", "pence")
        assert (0 if small else value_of(head)) == whole
        assert value_of(re.sub(r"cents?|penny|pence", "", head if small else tail)) == cents


@given(st.integers(1, 10**6), st.integers(0, 99))
def test_amount_with_a_comma_for_its_decimals_is_the_same(whole, cents):
    european = f"{whole:,}".replace(",", ".") + f",{cents:02}"
    same = speakable(f"€{whole:,}.{cents:02}")
    assert speakable(f"€{european}") == speakable(f"{european} €") == speakable(f"{european}€") == same


@given(st.dates())
def test_date_is_said_alike_however_it_is_written(date):
    said = f"{MONTHS[date.month - 1]} {ordinal(date.day)}, "
    year = f"{date.year:04}"
    written = [f"{year}-{date:%m-%d}", f"{date:%m/%d}/{year}", f"{date:%d.%m}.{year}"]
    if date.day > 12:
        written.append(f"{date:%d/%m}/{year}")
    for each in written:
        assert speakable(f"It is {each}.").startswith(f"It is {said}")
    assert len({speakable(each) for each in written}) == 1


@given(st.integers(0, 23), st.integers(0, 59))
def test_time_read_back_is_the_time(hour, minute):
    said = speakable(f"{hour:02}:{minute:02}")
    if (hour, minute) == (0, 0):
        assert said == "midnight"
        return
    names = [cardinal(hour), "o'clock" if not minute else ("oh " if minute < 10 else "") + cardinal(minute)]
    assert said == " ".join(names)


@given(st.from_regex(r"(\+[0-9]{1,3} )?(\([0-9]{3}\) |[0-9]{3}[-.])[0-9]{3}[-.][0-9]{4}", fullmatch=True))
def test_phone_number_loses_no_digit(written):
    said = speakable(f"Call {written} now.")
    if len(set(re.findall(r"[-.]", written))) < 2:
        written_digits = re.sub(r"\D", "", written)
        assert digits_of(said.removeprefix("Call ").removesuffix(" now.")) == written_digits


@given(st.lists(st.from_regex(r"[A-Z]{1,3}[0-9]{1,4}", fullmatch=True), min_size=2, max_size=3))
def test_code_loses_no_digit_and_no_letter(parts):
    said = speakable(f"It is {'-'.join(parts)}.").removeprefix("It is ").removesuffix(".")
    for part, words in zip(parts, said.split(" dash "), strict=True):
        digits = re.sub(r"\D", "", part)
        letters = re.sub(r"\d", "", part)
        assert re.sub(r"[^A-Z]", "", words) == letters
        spelled = re.sub(r"[A-Z]", "", words)
        assert digits_of(spelled) == digits or value_of(spelled) == int(digits)


@given(st.text(st.sampled_from("0123456789.,:/-–$€£%°½ aApPmMkKxXvV'#+()&@\n"), max_size=24))
def test_speakable_takes_any_text_and_never_cuts_into_a_figure(text):
    said = speakable(text)
    # a row of digits is said or stands as it was written
    rows = set(re.findall(r"[^\W\d_]*\d[\w.,:/]*", text.replace("’", "'")))
    assert all(any(left in row for row in rows) for left in re.findall(r"\d+", said))
    word = "zero|one|two|three|four|five|six|seven|eight|nine|ten|hundred|dollars|euros|pounds"
    assert not re.search(rf"(?:{word})\d|\d(?:{word})", said)
