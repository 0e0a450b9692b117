"""Opening hours, prices, wishes and lessons that a role prompt gives, computed with by words alone."""

import pytest

from personaplex_app.responder.everyday.opening_hours import read_hours
from personaplex_app.responder.facts import read_brief
from personaplex_app.responder.rules import RuleResponder
from personaplex_app.responder.wishes import read_wishes
from personaplex_app.speech.spoken_form import speakable

pytestmark = pytest.mark.unit

SHOP = (
    "You work at Fern & Leaf which is a garden centre and your name is Ole. We are open Monday to Thursday"
    " from 9 am to 5 pm and Friday from 9 am to 1 pm. A fern is 12 euros, a cactus is 7 euros, soil 5 euros"
    " a bag."
)


def said(prompt, *texts):
    responder = RuleResponder(prompt)
    responder.record_played(responder.greet(), False)
    for text in texts:
        reply = " ".join(responder.reply(text))
        responder.record_played(reply, False)
    return reply


@pytest.mark.parametrize(
    ("text", "days"),
    [
        (
            "We're open Monday to Friday 9 to 6, Saturday 10 to 2, closed Sundays.",
            {0: (9, 18), 5: (10, 14), 6: None},
        ),
        (
            "The shop is open from 9 am to 5 pm on weekdays and 10 am to 1 pm on Saturdays.",
            {4: (9, 17), 5: (10, 13)},
        ),
        ("We are open every day except Tuesday from noon to 11 pm.", {0: (12, 23), 1: None}),
        ("Hours: Mon-Fri 7am-7pm, Sat & Sun 8am-4pm.", {0: (7, 19), 6: (8, 16)}),
        ("The museum opens daily at 10 and closes at 5, on Thursdays at 8 pm.", {2: (10, 17), 3: (10, 20)}),
    ],
)
def test_hours_are_read_as_people_write_them(text, days):
    (table,) = read_hours(read_brief(text))
    assert {day: table.of_day.get(day) for day in days} == days


@pytest.mark.parametrize("text", ["Repairs take 9 to 12 days and we are open.", "Closed on Mondays."])
def test_hours_are_not_made_up(text):
    assert read_hours(read_brief(text)) == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Are you closed on Sundays?", "Yes, on Sundays we're closed"),
        ("Can I come on Friday at three?", "No, on Fridays"),
        ("How late are you open on Monday?", "five PM"),
        ("How much for three ferns?", "thirty-six euros"),
        ("What would a cactus and a bag of soil cost together?", "twelve euros"),
        ("Which is cheaper, a fern or a cactus?", "cactus is cheaper"),
        ("Is ten euros enough for a fern?", "No, the fern"),
    ],
)
def test_role_computes_with_its_hours_and_prices(text, wanted):
    assert wanted in said(SHOP, text)


def test_wishes_of_a_prompt_are_read_and_kept():
    prompt = (
        "You are Ida, a guide at the zoo. Always ask for the name first. Never talk about politics or"
        " religion. Answer in one sentence. Never apologize."
    )
    wishes = read_wishes(prompt)
    assert wishes.name_first
    assert wishes.taboos == ("politics", "religion")
    assert wishes.sentences == 1
    assert wishes.unapologetic
    assert RuleResponder(prompt).greet().endswith("May I have your name, please?")
    assert "politics" in said(prompt, "What do you think of politics?")
    assert "sorry" not in said(prompt, "Which stamp is the rarest?").lower()


def test_teacher_takes_the_right_answer_and_no_other_number():
    prompt = "You are Mr. Berg, a maths teacher. You set exercises and check the answers."
    responder = RuleResponder(prompt)
    responder.record_played(responder.greet(), False)
    ask = " ".join(responder.reply("Give me an exercise on multiplication."))
    responder.record_played(ask, False)
    exercise = responder._memory.everyday.exercise
    assert speakable(exercise.ask) in ask
    assert " ".join(responder.reply("Count to three.")).startswith("One, two")
    wrong = " ".join(responder.reply("It's one thousand."))
    assert "once more" in wrong or "now?" in wrong
    right = " ".join(responder.reply(f"I think it's {exercise.answer}"))
    assert any(word in right for word in ("Right", "Exactly", "Correct", "Yes"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("What's one half plus one third?", "five sixths"),
        ("Is seven times eight fifty four?", "No: seven times eight is fifty-six"),
        ("What is three quarters as a decimal?", "zero point seven five"),
        ("How much is a quarter as a percentage?", "twenty-five percent"),
    ],
)
def test_fractions_are_computed_as_they_are_said(text, wanted):
    assert wanted in said("You are a helpful assistant named Pia.", text)


HOURS = (
    "You work at Fix and Go which is a repair shop. Visits are possible Monday to Friday between 8 am"
    " and 4 pm."
)


@pytest.mark.parametrize(
    "text",
    [
        "Could somebody drop by at six?",
        "I'd like to bring it on Saturday morning.",
        "Can you come on Tuesday at seven in the evening?",
        "Let's say I pick it up on Sunday at nine.",
    ],
)
def test_wish_outside_the_hours_is_refused_with_them(text):
    reply = said(HOURS, text)
    assert reply.startswith("I'm afraid")
    assert "between eight AM and four PM" in reply


@pytest.mark.parametrize(
    "text",
    [
        "Could somebody drop by at ten?",
        "Can you come on Tuesday afternoon?",
        "I was there on Sunday at nine.",
        "We need a visit for three people on Friday.",
    ],
)
def test_wish_within_the_hours_is_not_refused(text):
    assert "I'm afraid" not in said(HOURS, text)


def test_booking_outside_the_hours_goes_on_with_another_time():
    told = ("Could somebody drop by at six?", "Then Tuesday at ten.")
    assert "Tuesday at ten" in said(HOURS, *told)
    assert "Tuesday at ten" in said(HOURS, *told, "And if it breaks on Sunday?", "When is it?")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("How much is a fern, and when do you close on Friday?", ["twelve euros", "one PM"]),
        ("What's seven times twelve, and how much is a cactus?", ["eighty-four", "seven euros"]),
        ("Wait, wait, how much is a fern?", ["twelve euros"]),
        ("Sorry to cut in, what does a cactus cost?", ["seven euros"]),
        ("Ha, okay, okay, enough. What's nine squared?", ["eighty-one"]),
        ("Hold on a second, somebody's at the door.", ["take your time"]),
        ("No, I don't want any soil.", ["then not"]),
        ("Could you please tell me whether the", ["listening"]),
        ("Mrs. Baker? I need some advice.", ["go ahead"]),
        ("See you Thursday then!", ["See you Thursday"]),
        ("Did you sleep well?", ["thank you"]),
        ("Are you one of those computer voices?", ["program"]),
    ],
)
def test_what_people_say_in_between_is_answered(text, words):
    reply = said(SHOP, text)
    assert all(word in reply for word in words), reply


def test_two_questions_of_which_one_is_unknown_say_so():
    assert said(SHOP, "How much is a fern, and what's your shoe size?").endswith(
        "About the other question I can't be sure."
    )


def test_two_questions_with_one_answer_are_answered_once():
    reply = said(SHOP, "How much does a fern cost, and what does a fern cost?")
    assert reply.count("twelve euros") == 1


def test_what_was_told_and_asked_is_told_back_by_its_matter():
    told = ("My son Ben has a temperature.", "I bought a red bicycle.")
    assert "red bicycle" in said(SHOP, *told, "What did I just say about the bicycle?")
    assert "fern" in said(SHOP, "How much is a fern?", "What did I ask you about the fern?")


def test_prices_of_a_list_share_the_currency_of_the_first():
    prompt = (
        "You take orders at Casa Pasta. Carbonara 13 dollars, lasagna 14, soup 7. Open until 10, room 12."
    )
    facts = " ".join(fact.text for fact in read_brief(prompt).facts)
    assert "lasagna is fourteen dollars" in facts
    assert "ten dollars" not in facts
    assert "twelve dollars" not in facts
    assert "thirty-four dollars" in said(prompt, "How much are one carbonara and three soups?")


@pytest.mark.parametrize(
    ("prompt", "fact"),
    [
        ("We lend you a car for 20 dollars a day.", "We lend you a car"),
        ("The inspection costs 35 dollars and you wait an hour.", "you wait an hour"),
        ("You have 22 crew.", "I have twenty-two crew"),
    ],
)
def test_you_of_a_prompt_is_the_customer_where_it_speaks_of_we(prompt, fact):
    assert fact in " ".join(each.text for each in read_brief(prompt).facts)


def test_role_that_adores_astronauts_is_none():
    role = "You are Leo, a guide in a museum. We show rockets and moon rocks. " + "The hall is big. " * 12
    assert "mission control" not in said(role + "You adore astronauts.", "Hello, how are you?").lower()
    assert RuleResponder(role + "You adore astronauts.").style != "mission"
