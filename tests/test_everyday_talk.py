"""What everybody says first and in between, whatever the role: is it heard, answered truly and kindly?"""

import re

import pytest

from personaplex_app.personas import load_personas
from personaplex_app.responder.everyday.feelings import load_feelings
from personaplex_app.responder.everyday.intents import PACE_MIN, load_intents
from personaplex_app.responder.everyday.turn import Turn
from personaplex_app.responder.numbers import figures

from .support.everyday_talk import EverydayTalk

INTENTS = load_intents()
FEELINGS = load_feelings()
CHEER = re.compile(r"(?i)\b(lovely|wonderful|great|fun|congratulations|nice|enjoy|best part|animals make)\b")


@pytest.mark.parametrize("intent", INTENTS, ids=lambda i: i.name)
def test_intents_every_example_meets_its_own_intent(intent):
    for example in intent.examples:
        assert any(Turn(example).search(pattern) for pattern in intent.when), example
        assert not (intent.lacks and intent.lacks.search(Turn(example).plain)), example
        assert Turn(example).words <= intent.max_words, example


@pytest.mark.parametrize("feeling", FEELINGS, ids=lambda f: f.name)
def test_feelings_every_example_shows_its_feeling_before_any_other(feeling):
    for example in feeling.examples:
        assert next((f.name for f in FEELINGS if f.shows(Turn(example))), "") == feeling.name, example


def test_intents_and_feelings_hold_no_figure():
    lines = [line for i in INTENTS for line in (*i.say, *i.otherwise)]
    lines += [line for f in FEELINGS for line in (*f.say, *f.follow)]
    assert len(lines) > 120
    assert [line for line in lines if figures(line)] == []


@pytest.mark.parametrize("persona", [p.name for p in load_personas()])
def test_everyday_hearing_check_and_truth_about_itself_hold_in_every_role(persona):
    talk = EverydayTalk(persona)
    if persona != "astronaut":
        assert re.search(r"Yes, I can hear you|Loud and clear", talk.say("Hi, can you hear me?"))
    assert "stand-in" in talk.say("Are you persona plucks?")
    assert re.search(r"\bprogram\b", talk.say("Are you a real person?"))


@pytest.mark.parametrize(
    "text",
    [
        "Are you PersonaPlex?",
        "are you persona plucks",
        "Is this persona flex?",
        "Hey, are you really the PersonaPlex model?",
        "Am I talking to persona plex?",
        "Which model are you?",
        "What AI is this?",
    ],
)
def test_everyday_asked_for_the_model_it_says_that_it_is_a_stand_in(text):
    answer = EverydayTalk("restaurant").say(text)
    assert "stand-in" in answer
    assert "PersonaPlex" in answer


@pytest.mark.parametrize(
    "text",
    [
        "I'd like to see a person about this",
        "My persona in the game is a king",
        "Is there a person at the desk?",
    ],
)
def test_everyday_does_not_take_every_person_for_a_question_about_itself(text):
    assert "PersonaPlex" not in EverydayTalk("waste-collection").say(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Okay, bye.", r"Goodbye|Bye"),
        ("Alright, thanks a lot, bye bye!", r"Goodbye|Bye"),
        ("I have to go now.", r"Goodbye|Bye"),
        ("Thank you so much for your help.", r"welcome|pleasure|Gladly"),
        ("Oh perfect, thanks!", r"welcome|pleasure|Gladly"),
        ("Good morning!", r"Hello|Hi"),
        ("How's it going?", r"well"),
        ("Set an alarm for six, please.", r"can't|beyond me"),
        ("Could you please play some music?", r"can't|no music"),
        ("What's the weather going to be like tomorrow?", r"can't look|no weather"),
        ("Who's the president right now?", r"no news|can't look"),
        ("Can you google that for me?", r"no internet|not connected"),
        ("Tell me a joke, please.", r"."),
        ("Do you speak German?", r"English"),
        ("That's not what I asked.", r"(?i)sorry"),
        ("Could you speak up a little?", r"volume"),
        ("So what exactly are you?", r"program"),
        ("Did NVIDIA build you?", r"stand-in"),
        ("Is that a real voice or a computer?", r"program"),
        ("Never mind.", r"leave that|something else"),
    ],
)
def test_everyday_common_requests_are_answered_in_a_plain_role(text, says):
    answer = EverydayTalk("assistant").say(text)
    assert re.search(says, answer), answer
    assert "notes" not in answer


def test_everyday_another_one_repeats_the_last_request():
    talk = EverydayTalk()
    jokes = [talk.say("Tell me a joke."), talk.say("Another one."), talk.say("One more, please.")]
    assert len(set(jokes)) == 3


def test_everyday_slower_slows_speech_until_it_is_asked_faster():
    talk = EverydayTalk()
    talk.say("Can you hear me?")
    assert talk.responder.pace == 1.0
    answer = talk.say("Could you say that again more slowly?")
    assert "I can hear you" in answer
    assert talk.responder.pace < 1.0
    for _ in range(9):
        talk.say("Even slower, please.")
    assert talk.responder.pace == PACE_MIN
    talk.talk("Faster, please.", "Speak faster.", "Faster please")
    assert talk.responder.pace > PACE_MIN


def test_everyday_reply_that_was_not_played_leaves_no_trace():
    talk = EverydayTalk("restaurant")
    talk.say("Two green curries, please.", heard=False)
    talk.say("Speak more slowly.", heard=False)
    talk.say("Roll a die.", heard=False)
    assert talk.responder._memory.everyday == EverydayTalk("restaurant").responder._memory.everyday
    assert "order" not in talk.say("What did we talk about?")


@pytest.mark.parametrize(
    "persona", ["chat", "assistant", "casual-conversation", "customer-service", "wise-teacher"]
)
def test_everyday_death_is_taken_up_and_followed_without_cheer(persona):
    talk = EverydayTalk(persona)
    first = talk.say("My cat died last week.")
    second = talk.say("She was fifteen.")
    third = talk.say("I had her since I was little.")
    assert "sorry" in first
    assert len({first, second, third}) == 3
    for answer in (first, second, third):
        assert not CHEER.search(answer), answer


@pytest.mark.parametrize(
    ("text", "follow"),
    [
        ("My boss yelled at me in front of everybody.", "It was about a report."),
        ("I feel really lonely these days.", "My friends moved away."),
        ("I'm so stressed out at the moment.", "There is just so much to do."),
        ("I'm scared of the operation.", "It's on Tuesday."),
        ("I've got a fever.", "Since yesterday evening."),
        ("My girlfriend left me.", "We had been together for years."),
    ],
)
def test_everyday_feelings_come_before_topics(text, follow):
    talk = EverydayTalk("chat")
    answers = [talk.say(text), talk.say(follow)]
    for answer in answers:
        assert not CHEER.search(answer), answer
        assert "notes" not in answer


def test_everyday_joy_is_shared():
    assert re.search("congratulations|glad", EverydayTalk("chat").say("I got the job!"))


def test_everyday_despair_is_pointed_to_people_in_every_role():
    for persona in ("restaurant", "angry-customer", "storyteller", "astronaut"):
        assert re.search("crisis line", EverydayTalk(persona).say("I don't want to live anymore."))


@pytest.mark.parametrize(
    ("persona", "text", "says"),
    [
        ("waste-collection", "My bin wasn't emptied.", "sorry that your bin wasn't emptied"),
        ("appliance-repair", "My washing machine doesn't spin any more.", "sorry.*model number"),
        ("customer-service", "My order hasn't arrived.", "your order hasn't arrived.*order number"),
        ("customer-service", "The table came with a broken leg.", "sorry.*order number"),
        ("drone-rental", "I'm looking to rent a drone.", "looking to rent a drone.*Kestrel Mini"),
        ("restaurant", "My son is allergic to peanuts.", "your son is allergic to peanuts.*contains peanuts"),
        ("appliance-repair", "My oven doesn't heat up any more.", "sorry.*model number"),
        ("assistant", "My sister is coming to stay.", "your sister is coming to stay"),
    ],
)
def test_everyday_statement_is_reflected_and_led_on(persona, text, says):
    answer = EverydayTalk(persona).say(text)
    assert re.search(says, answer), answer


def test_everyday_told_things_are_remembered_and_corrected():
    talk = EverydayTalk("assistant")
    talk.say("I have a dentist appointment at ten.")
    assert "eleven" in talk.say("Sorry, eleven, not ten.")
    summary = talk.say("What did I tell you so far?")
    summary = talk.say("Can you sum that up?")
    assert "eleven" in summary
    assert "ten" not in re.findall(r"\w+", summary)


def test_everyday_plan_is_read_back():
    talk = EverydayTalk("assistant")
    talk.talk("Help me plan my day.", "I have a meeting at nine.", "Then groceries.")
    plan = talk.say("What's my plan now?")
    assert "meeting" in plan
    assert "groceries" in plan


def test_everyday_rephrases_shortens_and_answers_why():
    talk = EverydayTalk("customer-service")
    said = talk.say("How much is express delivery?")
    other = talk.say("Sorry, I don't understand.")
    assert other != said
    assert "thirty-five dollars" in other
    talk.say("How much is express delivery?")
    assert len(talk.say("Make it shorter, please.")) < len(said)
    assert "I ask" in EverydayTalk("chat").talk("I'm so tired.", "Why do you ask?")


def test_everyday_two_choices_in_one_sentence_are_both_taken_up():
    answer = EverydayTalk().say("I can't decide between pizza and sushi.")
    assert "pizza" in answer.lower()
    assert "sushi" in answer


def test_turn_normal_form_drops_politeness_and_writes_contractions_out():
    assert Turn("Um, could you please tell me what's 2 plus 2?").ask == "what is 2 plus 2"
    assert Turn("Hey, can you roll a die for me, please?").do == "roll a die"
    assert Turn("Well, I don’t know.").ask == "i do not know"
    assert Turn("...").ask == ""


@pytest.mark.parametrize("persona", ["assistant", "restaurant", "language-tutor"])
def test_everyday_turn_in_another_language_is_named_and_english_offered(persona):
    said = EverydayTalk(persona).say("Habla usted español? Me gustaría una mesa para dos.")
    assert ("Spanish" in said and "English" in said) is (persona != "language-tutor")
