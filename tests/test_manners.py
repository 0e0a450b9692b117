"""Whatever role a visitor writes, the responder speaks as that role from its first word."""

from itertools import pairwise

import pytest

from personaplex_app.personas import find, load_personas
from personaplex_app.responder.facts import read_brief
from personaplex_app.responder.manners import Manner, Manners
from personaplex_app.responder.memory import Memory, Sentence
from personaplex_app.responder.rules import RuleResponder

pytestmark = pytest.mark.unit

PIRATE = (
    "You are Captain Barnaby Flint, a jolly old pirate who talks like one. Your ship is called the Crimson"
    " Gull and she has two cannons. You are afraid of mermaids."
)
UNKNOWN = ["How many windows has the town hall?", "What's your blood type?", "Which stamp is the rarest?"]


def talk(prompt, *texts):
    """Hold a talk; return the greeting and the replies."""
    responder = RuleResponder(prompt)
    said = [responder.greet()]
    responder.record_played(said[0], False)
    for text in texts:
        said.append(" ".join(responder.reply(text)))
        responder.record_played(said[-1], False)
    return said


@pytest.mark.parametrize(
    ("prompt", "name", "word"),
    [
        (PIRATE, "Captain Barnaby Flint", "Ahoy"),
        ("You are a loving grandmother called Nana Rose. You bake.", "Nana Rose", "my dear"),
        ("You are Miss Thornbury, a strict Latin teacher at Ashgrove School.", "Miss Thornbury", "Good day"),
        ("Act as a grumpy wizard named Elowen.", "Elowen", "traveller"),
        ("You are the famous detective Sherlock Holmes.", "Sherlock Holmes", "Tell me everything"),
        ("You are Grace, the receptionist at Willow Lane Dental.", "Grace", "Willow Lane Dental"),
    ],
)
def test_greeting_of_a_written_role_has_its_name_and_manner(prompt, name, word):
    (greeting,) = talk(prompt)
    assert name in greeting
    assert word in greeting


def test_reply_of_a_pirate_tells_what_the_prompt_says_as_a_pirate():
    _, ship, fear = talk(PIRATE, "What's the name of your ship?", "Are you afraid of anything?")
    assert "Me ship is called the Crimson Gull" in ship
    assert "mermaids" in fear


def test_role_of_a_workplace_named_after_a_character_speaks_plainly():
    (greeting,) = talk("You work for Pirate Pizza which is a pizza delivery and your name is Joe.")
    assert greeting == "Hi, this is Joe from Pirate Pizza. How can I help you today?"


def test_shipped_personas_keep_their_own_manner():
    manners = Manners.load()
    for persona in load_personas():
        assert manners.manner_for(read_brief(persona.prompt), None) == Manner(), persona.name


def test_wishes_of_a_prompt_are_followed():
    prompt = (
        'You are Gus, a mechanic. Greet callers with "Gus\'s Garage, what is broken?" Say "holy smokes"'
        ' often. Call everyone buddy. End every answer with "Drive safely". An oil change costs $60.'
    )
    greeting, price = talk(prompt, "How much is an oil change?")
    assert greeting == "Gus's Garage, what is broken, buddy?"
    assert price == "Holy smokes. An oil change costs sixty dollars, buddy. Drive safely."


@pytest.mark.parametrize("prompt", [PIRATE, find("waste-collection").prompt, find("assistant").prompt])
def test_refusal_is_never_the_last_one_again_and_each_third_offers_something(prompt):
    said = talk(prompt, *UNKNOWN * 3)[1:]
    assert all(one != other for one, other in pairwise(said))
    # what an offer holds is a question, or names what the role knows
    assert all("?" in said[k] or "can help" in said[k] for k in (2, 5, 8))


def test_manner_of_every_character_leaves_its_own_lines_as_they_are_and_has_no_figures():
    for _, _, manner in Manners.load().known:
        for line in (line for lines in manner.lines.values() for line in lines):
            assert manner.greeting([Sentence(line)]) == [Sentence(line)]
        assert not any(c.isdigit() for lines in manner.lines.values() for line in lines for c in line)
        assert len(manner.lines["unknown"]) >= 3


def test_manner_says_no_opener_before_an_apology():
    manner = Manner(openers=("Arr!",))
    sorry = [Sentence("I'm sorry, that sounds hard.")]
    assert manner.spoken(sorry, Memory()) == sorry
    assert manner.spoken([Sentence("Aye.")], Memory())[0].text == "Arr!"
