"""Kinds of turns that visitors say to any role: slips of the tongue, sums told in words, the talk itself."""

import re

import pytest

from personaplex_app.responder.everyday.corrections import repaired
from personaplex_app.responder.example_vectors import ExampleVectors
from scripts.make_example_vectors import shared_examples

from .support.everyday_talk import EverydayTalk

CLINIC = (
    "You work at Hillside Eye Clinic as the receptionist and your name is Nora Feld. An eye test takes"
    " 30 minutes"
    " and costs $55. We are open Monday to Friday from 9 am to 5 pm. Appointments are free to cancel."
)
MATHS = "You are a strict maths teacher called Mr Brandt. Never give the answer before the end."
PLUMBER = "You are Gus of a plumbing firm. Call-outs cost $50. We come Monday to Saturday. Taps are $80."


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("It's been like that since Monday. No, since Sunday.", "It's been like that since Sunday."),
        ("He's seven. No, sorry, he's eight.", "He's eight."),
        ("At half past three. Wait, no, four o'clock.", "At four o'clock."),
        ("My sister's name is Petra. Sorry, Paula.", "My sister's name is Paula."),
        ("My address is 14 Mill Lane. No wait, 40 Mill Lane.", "My address is 40 Mill Lane."),
        ("I need it for Friday, I mean Saturday, in the evening.", "I need it for Saturday, in the evening."),
        ("I'd like the red curry, no, the green curry.", "I'd like the green curry."),
        ("It was in May, or rather June.", "It was in June."),
        ("What is 5 times 6? Sorry, 5 times 7?", "What is 5 times 7?"),
        ("The tap in the kitchen, sorry, in the bathroom.", "The tap in the bathroom."),
    ],
)
def test_repaired_takes_back_what_a_speaker_took_back(said, meant):
    assert repaired(said) == meant


@pytest.mark.parametrize(
    "said",
    [
        "I have two dogs. No, they don't bite.",
        "Hello, sorry, I'm late.",
        "My car is red. Actually, can you repeat that?",
        "I work on Mondays. No problem, Tuesday is fine too.",
        "Wait, no, four.",
        "Not ten, sorry.",
        "",
    ],
)
def test_repaired_leaves_a_text_that_takes_nothing_back(said):
    assert repaired(said) == said


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("If I buy three books at twelve euros each, what do I pay?", "thirty-six euros"),
        ("Split ninety euros between four people.", "twenty-two point five euros each"),
        ("20 percent off 80 dollars is how much?", "sixty-four dollars"),
        ("And a twenty percent tip on forty dollars?", "eight dollars.*forty-eight"),
        ("I have twenty euros and spend eight, how much is left?", "Twelve euros"),
        ("What about nine percent of three hundred?", "twenty-seven"),
        ("How many eggs are four dozen?", "forty-eight"),
        ("Is 51 a prime number?", "No.*three times seventeen"),
        ("Is 97 prime?", "^Yes"),
        ("Is 12 odd?", "^No.*even"),
        ("Is 7 more than 5?", "^Yes"),
        ("What's bigger, two thirds or three quarters?", "^Three over four"),
        ("Is two thirds of thirty twenty?", "^Yes"),
        ("Round 3.76 to one decimal.", "three point eight"),
        ("What's the next number, 2, 4, 8, 16?", "^Thirty-two"),
        ("What comes next: 3, 6, 9?", "^Twelve"),
        ("What's ten times itself?", "one hundred"),
        ("Is accommodate spelled with two m's?", "^Yes.*M, M"),
        ("How many a's are in banana?", "three times"),
        ("What letter does elephant start with?", "with E"),
        ("Count by fives to twenty.", "^Five, ten, fifteen, twenty"),
        ("Count to four like a ghost.", "^One, two, three, four"),
        ("In which countries is Portuguese spoken?", "Brazil"),
    ],
)
def test_everyday_sums_and_letters_told_in_words_are_worked_out(said, wanted):
    assert re.search(wanted, EverydayTalk("assistant").say(said))


@pytest.mark.parametrize(
    ("prompt", "texts", "wanted"),
    [
        ("", ["I'm flying to Oslo on Thursday.", "Wait, I meant Friday, not Thursday."], "Oslo on Friday"),
        ("", ["I live in Leeds.", "Where do I live?"], "Leeds"),
        ("", ["I play golf on Sunday.", "What does my week look like?"], "golf on Sunday"),
        (
            CLINIC,
            ["I'd like an appointment on Monday at ten.", "Sorry, make that eleven instead of ten."],
            "eleven",
        ),
        (CLINIC, ["Would Tuesday work?", "Oh no, Tuesday is bad. Could we say Wednesday?"], "on Wednesday"),
        (
            CLINIC,
            ["An appointment on Monday, please.", "What have you got down for me?"],
            "appointment on Monday",
        ),
        (
            CLINIC,
            ["An appointment on Monday at ten, please.", "My name is Karin Olsen.", "Not Olsen, Olson."],
            "Olson",
        ),
        (
            PLUMBER,
            ["Can you send somebody on Tuesday?", "No, Tuesday's no good, Friday instead."],
            "on Friday",
        ),
        (
            PLUMBER,
            ["You can reach me on five five five, oh one four two."],
            "five five five zero one four two",
        ),
        (PLUMBER, ["How many taps did you sell last year?"], r"\b(isn't in my notes|don't)\b"),
        (PLUMBER, ["No, I don't want to end the call."], "^(?!.*(Goodbye|Take care|Bye))"),
        (MATHS, ["Give me an exercise.", "What's an even number again?"], "halved"),
        (MATHS, ["Give me something to solve."], r"\?"),
    ],
)
def test_everyday_corrections_and_talk_about_the_talk_hold_in_roles(prompt, texts, wanted):
    assert re.search(wanted, EverydayTalk(prompt=prompt).talk(*texts))


def test_everyday_wish_without_something_neither_orders_nor_totals():
    talk = EverydayTalk("restaurant")
    talk.talk("A green curry and a red curry, please.", "Could you do the red one without any meat?")
    assert "twenty-nine dollars fifty" in talk.say("What's the total?")


def test_everyday_thanks_by_name_ends_without_a_question_about_the_notes():
    assert re.search(
        "welcome|pleasure|Gladly", EverydayTalk("appliance-repair").say("Okay super, thanks Samir, cheers.")
    )


def test_example_vectors_hold_every_shared_example_so_that_no_start_encodes_them():
    examples = shared_examples()
    assert len(examples) > 1_000
    missing = set(examples) - ExampleVectors().find(examples).keys()
    assert not missing, "run: python -m scripts.make_example_vectors"
