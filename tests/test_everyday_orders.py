"""Orders and bookings: lines, changes, totals; what a booking needs, read back and changed."""

import re

import pytest

from personaplex_app.personas import find
from personaplex_app.responder.everyday.price_list import amount, mentions, plural, read_prices, singular
from personaplex_app.responder.facts import read_brief
from personaplex_app.responder.numbers import figures

from .support.everyday_talk import EverydayTalk

MENU = read_prices(read_brief(find("restaurant").prompt))
CLINIC = (
    "You work for Greenleaf Clinic which is a family doctor's practice and your name is Lena. Information:"
    " The clinic is open"
    " Monday to Friday, 8 am to 5 pm. Appointments can be booked here. A check-up costs $80."
)
BAKERY = (
    "You work for Crumb which is a bakery and your name is Ida. Information: A loaf of rye costs $4."
    " Croissants are $2.50."
    " A chocolate cake is $18. Coffee: small ($2), large ($3)."
)


def total(talk):
    return talk.say("What's the total?")


def test_price_list_is_read_from_the_facts():
    prices = {item.name: item.cents for item in MENU}
    assert prices["green curry"] == 1400
    assert prices["red curry"] == 1550
    assert prices["mango lassi"] == 500
    # the eight dishes and drinks, and the delivery
    assert len(prices) == 9
    assert amount(2850, "dollar") == "28 dollars 50"
    assert amount(100, "dollar") == "1 dollar"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("two green curries and a pad thai", {"green curry": 2, "pad thai": 1}),
        ("a pad tie please", {"pad thai": 1}),
        ("the green one", {"green curry": None}),
        ("three mango lassies and an iced tea", {"mango lassi": 3, "iced tea": 1}),
        ("a couple of spring rolls", {"spring rolls": 2}),
        ("some soup", {}),
        ("curry", {}),
    ],
)
def test_price_list_finds_what_a_sentence_names(text, named):
    assert {MENU[m.item].name: m.count for m in mentions(MENU, text)} == named


def test_plural_and_singular_are_each_other():
    for one in ("green curry", "pad thai", "box", "glass", "bun", "loaf of bread"):
        assert singular(plural(one).split()[-1]) == one.split()[-1]


def test_order_has_lines_changes_and_a_total():
    talk = EverydayTalk("restaurant")
    assert "twenty-eight dollars" in talk.say("I'd like two green curries and a pad thai, please.")
    assert "forty-one dollars" in total(talk)
    assert "twenty-seven dollars" in talk.say("Make that one and one.")
    assert "fourteen dollars" in talk.say("Actually, take the pad thai off.")
    assert "nineteen dollars" in talk.talk("And a mango lassi.", "How much is that altogether?")
    assert "fourteen dollars" in talk.say("No, remove the lassi again.")
    assert "twenty-eight dollars" in talk.say("Make it two.")
    assert "thirty-one dollars" in talk.say(
        "Change the green curries to red ones, I mean two red curries instead of the green."
    )
    done = talk.say("No, that's all.")
    assert done.startswith("So that's two red curries, thirty-one dollars in all.")
    assert "Mill Road" in talk.say("Twelve Mill Road")
    assert "two red curries" in talk.say("What did I order?")


def test_order_change_of_mind_replaces_what_was_said():
    talk = EverydayTalk("customer-service")
    talk.say("I'd like the standard delivery, please.")
    answer = talk.say("No no, wait. Just the express one.")
    assert "express delivery" in answer
    assert "standard" not in answer
    assert "thirty-five dollars" in total(talk)


def test_order_it_is_the_last_thing_and_all_of_it_can_go():
    talk = EverydayTalk("restaurant")
    talk.talk("Can I get a papaya salad?", "And an iced tea")
    assert "papaya salad" in talk.say("Take it off again.")
    assert "empty" in talk.say("Remove the papaya salad.")
    talk.say("I'll have the pad thai")
    assert "cancelled" in talk.say("Cancel the whole order.")


def test_order_of_something_with_two_prices_asks_which():
    talk = EverydayTalk("drone-rental")
    assert "Which" in talk.say("I'd like to rent the Falcon Pro.")
    assert "one hundred and fifty dollars" in talk.say("For eight hours.")
    assert "one hundred and fifty dollars" in total(talk)


def test_order_works_for_a_prompt_that_somebody_wrote():
    talk = EverydayTalk(prompt=BAKERY)
    talk.say("Hi, can I have three croissants and a chocolate cake?")
    assert "twenty-five dollars fifty" in total(talk)


def test_order_questions_are_left_to_the_notes():
    talk = EverydayTalk("restaurant")
    talk.say("I'd like a green curry.")
    assert "thirteen dollars" in talk.say("How much is the pad thai?")
    assert "contains peanuts" in talk.say("Does the pad thai contain peanuts?")
    assert "fourteen dollars" in total(talk)


def test_order_totals_pass_the_figure_guard_and_no_other_figure_does():
    talk = EverydayTalk("restaurant")
    talk.say("Three pad thais please")
    assert figures(total(talk)) == {3, 39}


def test_booking_collects_what_it_needs_and_is_read_back():
    talk = EverydayTalk("restaurant")
    assert "name" in talk.say("Can I book a table for four on Friday at seven?")
    assert "phone" in talk.say("Ada Byron")
    back = talk.say("555 123 4567")
    for part in ("table", "four people", "Friday", "seven", "Ada Byron", "Is that right"):
        assert part in back
    assert "noted" in talk.say("Yes, that's right.")


def test_booking_can_be_changed_and_cancelled():
    talk = EverydayTalk("restaurant")
    talk.talk("A table for two on Saturday at eight, please.", "It's Ada.", "No phone.")
    assert "Sunday" in talk.say("Actually, make it Sunday.")
    assert "people, or at" in talk.say("Make it seven instead.")
    changed = talk.say("Seven people.")
    assert "seven people" in changed
    assert "at eight" in changed
    assert "at nine" in talk.say("At nine, not eight.")
    assert "cancelled" in talk.say("Please cancel the reservation.")


def test_booking_refuses_a_day_on_which_the_notes_say_closed():
    talk = EverydayTalk("restaurant")
    assert "closed on Monday" in talk.say("I'd like to book a table for two on Monday at seven.")
    assert "Tuesday" in talk.say("Then Tuesday.")


def test_booking_asks_field_by_field():
    talk = EverydayTalk(prompt=CLINIC)
    assert "day" in talk.say("I need an appointment with the doctor.")
    assert "time" in talk.say("Tuesday would be good.")
    assert "name" in talk.say("Ten thirty.")
    assert "phone" in talk.say("My name is Maria Lopez.")
    back = talk.say("I'd rather not.")
    for part in ("appointment", "Tuesday", "ten thirty", "Maria"):
        assert part in back
    assert "eighty dollars" in talk.say("How much is a check-up?")
    assert re.search("Wednesday", talk.say("Can you change it to Wednesday?"))


def test_booking_and_order_are_not_taken_where_the_role_has_neither():
    assert "Which day" not in EverydayTalk("angry-customer").say("I'd like to book an appointment.")
    assert "Which day" not in EverydayTalk("storyteller").say("Book a table for two.")


def test_booking_of_what_has_a_price_is_a_booking():
    talk = EverydayTalk("appliance-repair")
    assert "name" in talk.say("I'd like to book a home visit for Tuesday at nine.")
    assert "Monday to Friday" in talk.say("Saturday, actually.")
    back = talk.talk("Wednesday then.", "Tom", "0171 555 0199")
    assert "Wednesday at nine" in back
    assert "at ten" in talk.say("Change it to ten o'clock, please.")


def test_order_one_thing_takes_the_place_of_another():
    prompt = (
        "You work for Bean There which is a coffee shop and your name is Sam. Information: A latte"
        " costs $4.50."
    )
    talk = EverydayTalk(prompt=f"{prompt} A cappuccino costs $4. A bagel is $2.75.")
    talk.say("Can I get a latte and two bagels?")
    assert "nine dollars fifty" in talk.say("Make the latte a cappuccino instead.")
    assert "It goes to five Oak Street" in talk.talk(
        "Can you deliver to five Oak Street?", "That's everything, thanks."
    )


ZOO = (
    "You work for Maple Zoo and your name is Tom. Information: Tickets are $18 for adults and $9 for children"
    " under 12. The penguins are fed at 3 pm."
)
SALON = (
    "You are the receptionist of Snip, a hair salon, and your name is Mona. A haircut is $35, colouring is"
    " $80, a blow dry is $20. We take bookings from Tuesday to Saturday."
)


def test_order_of_what_has_a_price_for_each_kind_of_buyer():
    talk = EverydayTalk(prompt=ZOO)
    talk.say("Two adults and three kids, please.")
    assert "sixty-three dollars" in total(talk)
    assert "four child tickets" in talk.say("Sorry, four kids.")


def test_order_several_steps_in_one_turn_are_taken_one_by_one():
    talk = EverydayTalk("restaurant")
    assert "two pad thais" in talk.say("Can I get one pad thai, no wait, make it two?")
    assert "papaya salad" in talk.say("Actually cancel the pad thai and give me the papaya salad.")
    assert "eight dollars" in total(talk)


def test_order_wishes_are_noted_and_read_back():
    talk = EverydayTalk("restaurant")
    assert "red curry" in talk.say("I'd like a red curry, but not too spicy.")
    assert "no coriander" in talk.say("And no coriander on it, please.")
    back = talk.say("That's all.")
    assert "not too spicy" in back
    assert "no coriander" in back


def test_order_suggests_and_takes_what_it_suggested():
    talk = EverydayTalk("restaurant")
    suggested = talk.say("What would you recommend?")
    assert figures(suggested) <= figures(find("restaurant").prompt)
    answer = talk.say("I'll take that.")
    assert answer.startswith("Certainly. The ")
    assert answer.split(" is ")[0].removeprefix("Certainly. The ") in suggested


def test_order_okay_to_an_answer_orders_nothing():
    talk = EverydayTalk("restaurant")
    talk.talk("How much is the pad thai?", "Okay, thanks.", "Great, do you deliver?")
    assert not talk.responder._memory.everyday.order.lines
    assert "twenty-six dollars" in talk.say("I'll take two.")


def test_order_same_thing_named_again_is_not_ordered_twice():
    talk = EverydayTalk(prompt=BAKERY)
    talk.say("I'd like to order a birthday cake.")
    talk.say("The chocolate cake, please.")
    assert "eighteen dollars" in total(talk)


def test_booking_begins_with_whoever_names_a_time_and_tells_the_price():
    talk = EverydayTalk(prompt=SALON)
    assert "haircut on Thursday at two" in talk.say("Can I come in for a haircut on Thursday at two?")
    assert "thirty-five dollars" in talk.say("How much is that?")
    assert "on Friday at two" in talk.say("Wait, not Thursday, Friday.")
    assert "name" in EverydayTalk(prompt=SALON).say("I need to cancel my appointment.")


@pytest.mark.parametrize(
    ("told", "correction", "says", "gone"),
    [
        (
            "My sister's birthday is on the third of May.",
            "No wait, the fourth.",
            "the fourth of May",
            "third",
        ),
        ("I live in Boston.", "Sorry, I meant Austin.", "you live in Austin", "Boston"),
        ("I have to call Anna at five.", "Scratch that, six.", "call Anna at six", "five"),
        ("My boss wants a report by Monday.", "Not Monday, Tuesday.", "by Tuesday", "Monday"),
    ],
)
def test_correction_changes_the_word_of_its_kind(told, correction, says, gone):
    talk = EverydayTalk("chat")
    talk.say(told)
    assert says in talk.say(correction)
    summary = talk.say("Can you sum that up?")
    assert says in summary
    assert gone not in summary
