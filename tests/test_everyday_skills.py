"""Sums, units, calendar, chance, letters and general knowledge: computed or known, and said truly."""

import contextlib
import random
import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_app.responder.everyday.arithmetic import evaluate, spoken
from personaplex_app.responder.everyday.knowledge import Knowledge
from personaplex_app.responder.everyday.layer import Everyday
from personaplex_app.responder.everyday.spoken_numbers import with_digits
from personaplex_app.responder.everyday.turn import Turn
from personaplex_app.responder.facts import read_brief
from personaplex_app.responder.lexicon import Lexicon
from personaplex_app.responder.memory import Memory
from personaplex_app.responder.numbers import figures, word_list
from personaplex_app.responder.retrieval import Index
from personaplex_app.speech.figures.number_words import cardinal

NOW = datetime(2027, 2, 26, 15, 5, tzinfo=UTC)
BRIEF = read_brief("You are Bob.")
LAYER = Everyday(BRIEF, Index(BRIEF.facts, Lexicon.load()), "assistant", now=lambda: NOW, seed=7)


def ask(text, memory=None, layer=LAYER):
    """Return what the layer alone says, "" for nothing."""
    found = layer.reply(Turn(text, "?" in text), memory or Memory(), lambda name: "")
    return found.text if found else ""


@given(st.integers(0, 999_999_999_999))
def test_number_words_are_read_as_the_number_they_say(number):
    assert number == int(with_digits(cardinal(number)))
    assert with_digits(cardinal(number).replace("-", " ")) == str(number)


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("seventeen times twenty-three", "17 times 23"),
        ("three point one four", "3.14"),
        ("two and a half", "2.5"),
        ("a hundred and five", "105"),
        ("half a dozen", "6"),
        ("two dozen", "24"),
        ("1,250", "1250"),
        ("2.5 million", "2500000"),
        ("five and seven", "5 and 7"),
        ("someone", "someone"),
    ],
)
def test_spoken_numbers_of_every_form(said, digits):
    assert with_digits(said) == digits


SIGNS = {"plus": lambda a, b: a + b, "minus": lambda a, b: a - b, "times": lambda a, b: a * b}


@settings(max_examples=60)
@given(st.integers(0, 999), st.integers(0, 999), st.sampled_from(sorted(SIGNS)), st.booleans(), st.booleans())
def test_arithmetic_every_sum_is_right_in_digits_and_words(a, b, sign, words, polite):
    x, y = (cardinal(a), cardinal(b)) if words else (str(a), str(b))
    text = f"Could you tell me what {x} {sign} {y} is, please?" if polite else f"What's {x} {sign} {y}?"
    value = SIGNS[sign](a, b)
    said = ask(text)
    assert said.rstrip(".").endswith(("minus " if value < 0 else "") + cardinal(abs(value))), said


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("17 × 23", "three hundred and ninety-one"),
        ("what is 144 divided by 12", "twelve"),
        ("What's fifteen percent of eighty?", "twelve"),
        ("half of ninety", "forty-five"),
        ("the square root of 144", "twelve"),
        ("two to the power of ten", "one thousand and twenty-four"),
        ("nine squared", "eighty-one"),
        ("add 5 and 7", "twelve"),
        ("subtract 3 from 10", "seven"),
        ("multiply 4 by 6", "twenty-four"),
        ("divide ten by four", "two point five"),
        ("what do you get if you add 2 and 2", "four"),
        ("5 + 3 * 2", "eleven"),
        ("10 divided by 3", "about three point three three three"),
        ("five minus nine", "minus four"),
        ("double twenty-one", "forty-two"),
    ],
)
def test_arithmetic_as_people_say_it(text, result):
    assert ask(text).rstrip(".").endswith(result), ask(text)


def test_arithmetic_goes_on_with_the_last_result():
    memory = Memory()
    ask("What's 6 times 7?", memory)
    assert "eighty-four" in ask("And times two?", memory)
    assert "forty-two" in ask("Divided by two", memory)
    assert "twenty-one" in ask("What's half of that?", memory)
    assert figures("twenty-one") <= memory.figures


def test_arithmetic_refuses_what_has_no_answer():
    assert "zero" in ask("what is 5 divided by 0")
    assert "too large" in ask("9 to the power of 50")


@pytest.mark.parametrize(
    "text", ["555-1234", "I have 2 dogs", "order number 4471", "at 7", "one of them", "12 Mill Road"]
)
def test_arithmetic_takes_no_other_number_for_a_sum(text):
    assert not re.search(r"\bis\b", ask(text))


@given(st.text(max_size=40))
def test_evaluate_computes_or_raises_what_it_documents(text):
    with contextlib.suppress(ValueError, ZeroDivisionError, OverflowError):
        assert isinstance(evaluate(text), Fraction)


def test_spoken_says_whether_it_was_rounded():
    assert spoken(Fraction(5, 2)) == ("2.5", True)
    assert spoken(Fraction(1, 3)) == ("0.333", False)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("How many feet are in a mile?", "five thousand two hundred and eighty feet"),
        ("how many ounces in a cup", "about eight fluid ounces"),
        ("What is ten kilos in pounds?", "twenty-two point zero five pounds"),
        ("convert 100 degrees Fahrenheit to Celsius", "thirty-seven point seven eight"),
        ("20 degrees celsius in fahrenheit", "sixty-eight degrees"),
        ("how many seconds are there in an hour", "three thousand six hundred seconds"),
        ("how many minutes are in a day?", "one thousand four hundred and forty minutes"),
        ("what's 5 km in miles", "three point one one miles"),
        ("how many inches in a foot", "twelve inches"),
        (
            "I weigh 80 kilos, how much is that in pounds?",
            "one hundred and seventy-six point three seven pounds",
        ),
        ("how many kilometers in a kilogram", "measure different things"),
    ],
)
def test_measures_convert(text, result):
    assert result in ask(text), ask(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("What time is it?", "three oh five PM, Coordinated Universal Time"),
        ("Do you have the time, please?", "three oh five PM"),
        ("What's today's date?", "Friday, February twenty-sixth"),
        ("What day is it today?", "Friday"),
        ("what year is it", "twenty twenty-seven"),
        ("What day is tomorrow?", "Saturday"),
        ("what day was yesterday", "Thursday"),
        ("is today Friday?", "Yes"),
        ("How many days are in February?", "twenty-eight days, or twenty-nine"),
        ("how many days does April have", "thirty days"),
        ("how many days in a leap year", "three hundred and sixty-six"),
        ("How many days are there in a year?", "three hundred and sixty-five"),
        ("is 2028 a leap year", "Yes"),
        ("How many days until Christmas?", "three hundred and two days"),
        ("what comes after Thursday", "Friday"),
        ("which month comes before January", "December"),
        ("How many weeks are in a year?", "fifty-two"),
        ("What's the time in Tokyo right now?", "twelve oh five AM in Tokyo"),
    ],
)
def test_clock_and_calendar_answer_by_the_given_clock(text, says):
    assert says in ask(text), ask(text)


def test_clock_says_whose_it_is_and_its_zone():
    east = datetime(2027, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1), "CET"))
    said = ask("What time is it?", layer=Everyday(BRIEF, LAYER._role.index, "assistant", now=lambda: east))
    assert "computer I run on" in said
    assert "CET" in said


@pytest.mark.parametrize(
    "text", ["What time do you close?", "What day is the bin collected?", "What time is the talk?"]
)
def test_clock_leaves_times_of_the_role_to_the_role(text):
    assert "clock" not in ask(text)


def test_chance_is_the_talks_own_and_every_side_comes_up():
    rolls = [
        ask("Roll a die.", Memory(), Everyday(BRIEF, LAYER._role.index, "plain", seed=k)) for k in range(60)
    ]
    assert {next(iter(figures(roll)), 1) for roll in rolls} == {1, 2, 3, 4, 5, 6}
    again = Everyday(BRIEF, LAYER._role.index, "plain", seed=3)
    assert ask("Roll a die.", layer=again) == rolls[3]
    memory = Memory()
    tosses = {ask("Flip a coin.", memory) for _ in range(20)}
    assert tosses == {"It's heads.", "It's tails."}


def test_chance_of_dice_numbers_and_choices():
    assert "in all" in ask("Roll two dice for me, please.")
    assert figures(ask("Pick a number between 5 and 7")) <= {5, 6, 7}
    assert re.search("pizza|pasta", ask("Decide between pizza or pasta"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("How do you spell rhythm?", "R, H, Y, T, H, M"),
        ("Can you spell necessary for me?", "N, E, C, E, S, S, A, R, Y"),
        ("Count to five.", "One, two, three, four, five."),
        ("count backwards from three", "Three, two, one."),
        ("Count from eight to ten", "Eight, nine, ten."),
        ("count to a thousand", "thirty numbers"),
        ("How many letters are in banana?", "six letters"),
        ("Say the alphabet", "A, B, C"),
        ("what letter comes after K", "L comes after K"),
        ("How many letters are in the alphabet?", "twenty-six"),
    ],
)
def test_letters_and_counting(text, says):
    assert says in ask(text), ask(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("What's the capital of France?", "Paris"),
        ("Could you tell me the capital of the United States?", "Washington"),
        ("Paris is the capital of what country?", "France"),
        ("What continent is Egypt in?", "Africa"),
        ("What's the currency of Japan?", "yen"),
        ("What language do they speak in Brazil?", "Portuguese"),
        ("what is the capital of Ostralia", "Canberra"),
        ("What sound does a cow make?", "moos"),
        ("what does the duck say", "quacks"),
        ("What is a baby kangaroo called?", "joey"),
        ("Is a whale a fish?", "No, a whale is a mammal"),
        ("How many legs does a spider have?", "eight"),
        ("What do you get when you mix blue and yellow?", "green"),
        ("Who invented the telephone?", "Bell"),
        ("Who wrote Hamlet?", "Shakespeare"),
        ("What's the chemical symbol for gold?", "A U"),
        ("What's the atomic number of carbon?", "six"),
        ("Which is the largest planet?", "Jupiter"),
        ("What is the fourth planet?", "Mars"),
        ("How many continents are there?", "seven"),
        ("What is the boiling point of water?", "one hundred degrees"),
        ("At what temperature does water boil?", "one hundred degrees"),
        ("Why is the sky blue?", "blue"),
        ("Can you explain gravity?", "pull"),
        ("Could you explain photosynthesis to me?", "sugar"),
        ("How do I boil an egg?", "six minutes"),
        ("What's the opposite of hot?", "cold"),
        ("How many planets are there in the solar system?", "eight"),
        ("Who was the first man on the moon?", "Armstrong"),
        ("Tell me a fun fact.", "."),
    ],
)
def test_knowledge_answers_from_its_data(text, says):
    assert says in ask(text), ask(text)


def test_knowledge_every_country_animal_and_element_is_found_by_name():
    knowledge = Knowledge()
    countries = [
        name
        for name in knowledge.capitals
        if knowledge.capitals[name] not in ask(f"What's the capital of {name}?")
    ]
    assert countries == []
    data = knowledge._data
    animals = [n for n in data["animals"] if data["animals"][n][1] not in ask(f"What is a baby {n} called?")]
    assert animals == []
    assert [n for n in data["elements"] if "symbol" not in ask(f"What's the symbol for {n}?")] == []
    entries = sum(
        len(v)
        * (
            len(next(iter(v.values())))
            if isinstance(v, dict) and isinstance(next(iter(v.values())), list)
            else 1
        )
        for v in data.values()
    )
    assert entries > 500


@pytest.mark.parametrize(
    "text",
    [
        "What's the capital of Atlantis?",
        "Who invented my bicycle bell?",
        "How tall is my brother?",
        "What does your team eat?",
    ],
)
def test_knowledge_says_nothing_it_does_not_know(text):
    assert not re.search(r"capital of|invented the|meters", ask(text))


def test_everyday_never_fails_on_any_words():
    words = word_list(
        "what is the of two times in a how many spell roll cat died no yes make it 7 not , ? % and"
    )
    draw = random.Random(1)
    memory = Memory()
    for _ in range(800):
        text = " ".join(draw.choices(words, k=draw.randint(1, 12)))
        LAYER.reply(Turn(text, draw.random() < 0.5), memory, lambda name: "")
