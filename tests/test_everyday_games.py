"""Games that a rule engine plays: are they played well, to their end, and left again?"""

import re

import pytest

from personaplex_app.responder.everyday.games.animals import Animals
from personaplex_app.responder.everyday.games.quiz import Quiz
from personaplex_app.responder.everyday.games.table import GAMES_FILE
from personaplex_app.responder.everyday.turn import Turn
from personaplex_app.yaml_fields import load_yaml

from .support.everyday_talk import EverydayTalk

DATA = load_yaml(GAMES_FILE)
TABLE = Animals(DATA["attributes"], DATA["animals"])
QUESTIONS = {entry["question"]: key for key, entry in DATA["attributes"].items()}


def answered(animal, question):
    """Return what somebody who thinks of `animal` answers, and whether it was a guess."""
    key = next((key for asked, key in QUESTIONS.items() if asked in question), None)
    if key:
        return ("Yes." if key in TABLE.traits[animal] else "No, it doesn't."), False
    return ("Yes!" if re.search(rf"Is it an? {animal}\?", question) else "No."), True


@pytest.mark.parametrize("animal", sorted(DATA["animals"]))
def test_guesser_finds_every_animal_of_its_table(animal):
    talk = EverydayTalk("guess-the-animal")
    said = talk.say("I'm ready.")
    for _ in range(25):
        if "I knew it" in said:
            break
        said = talk.say(answered(animal, said)[0])
    assert "I knew it" in said


def test_guesser_forgives_one_wrong_answer_and_gives_up_in_the_end():
    talk = EverydayTalk("guess-the-animal")
    said = talk.say("ready")
    for _ in range(24):
        if "Which animal was it" in said:
            break
        said = talk.say("No.")
    assert "Which animal was it" in said
    assert "okapi" in talk.say("It was an okapi.")


def test_table_tells_every_animal_from_every_other():
    traits = list(TABLE.traits.values())
    assert len(set(traits)) == len(traits)
    assert all(traits <= frozenset(DATA["attributes"]) for traits in TABLE.traits.values())
    assert len(traits) >= 50


def test_every_question_of_the_agent_is_understood_as_its_own_attribute():
    missed = [
        key
        for key, entry in DATA["attributes"].items()
        if not TABLE.asks[key].search(entry["question"].lower())
    ]
    assert missed == []


def test_twenty_questions_are_answered_truly_and_the_secret_can_be_found():
    talk = EverydayTalk("twenty-questions")
    talk.say("Let's start.")
    secret = talk.responder._memory.everyday.game.secret
    for text, key in (
        ("Does it have fur?", "fur"),
        ("Can it fly?", "flies"),
        ("Is it bigger than a person?", "big"),
    ):
        assert talk.say(text).startswith("Yes" if key in TABLE.traits[secret] else "No")
    assert "seventeen" in talk.say("How many questions do I have left?")
    wrong = next(name for name in TABLE.traits if name != secret)
    assert talk.say(f"Is it a {wrong}?").startswith("No")
    assert secret in talk.say(f"Is it a {secret}?")
    assert talk.say("No, thanks.") == "All right. It was a pleasure."


def test_twenty_questions_end_after_twenty():
    talk = EverydayTalk("twenty-questions")
    talk.say("start")
    answers = [talk.say("Does it have fur?") for _ in range(20)]
    assert "last question" in answers[-1]


def test_quiz_counts_right_answers_and_tells_the_score():
    talk = EverydayTalk("quiz-master")
    said = talk.say("Yes, I'm ready.")
    for turn in range(5):
        entry = next(e for e in DATA["quiz"] if e[0] in said)
        said = talk.say(f"I think it's {entry[1][0]}." if turn % 2 == 0 else "I don't know.")
        assert ("That's right" in said) == (turn % 2 == 0)
    assert "three of five" in said


@pytest.mark.parametrize("entry", DATA["quiz"], ids=lambda e: e[1][0])
def test_quiz_takes_each_of_its_answers_and_no_wrong_one(entry):
    quiz = Quiz(DATA["quiz"])
    for answer in map(str, entry[1]):
        assert quiz.is_right(list(map(str, entry[1])), Turn(f"Is it {answer}?"))
        assert quiz.is_right(list(map(str, entry[1])), Turn(f"What is {answer}?"))
        assert not quiz.is_right(list(map(str, entry[1])), Turn(f"What's seven times {answer}?"))
        assert not quiz.is_right(list(map(str, entry[1])), Turn(f"Who told you about {answer}?"))
    assert not quiz.is_right(list(map(str, entry[1])), Turn("A wooden spoon"))


def test_adventure_can_be_won_and_every_scene_is_reached():
    talk = EverydayTalk("lighthouse-adventure")
    steps = ("Let's begin", "search the wreck", "along the shore", "I go in", "back to the"
                                                                              " path", "I open the door",
             "I help the man", "up the stairs", "light the lamp")  # fmt: skip
    said = [talk.say(step) for step in steps]
    assert "You have won" in said[-1]
    scenes = DATA["adventure"]["scenes"]
    for scene in scenes.values():
        assert any(scene["text"] in each for each in said), scene["text"]
        assert all(choice["to"] in scenes for choice in scene["choices"])


def test_adventure_takes_no_shortcut_and_says_what_can_be_done():
    talk = EverydayTalk("lighthouse-adventure")
    talk.talk("Yes", "I climb the path")
    assert "key" in talk.say("Open the door")
    assert "leads nowhere" in talk.say("I dance on the table")
    assert "nothing yet" in talk.say("What do I have?")


@pytest.mark.parametrize(
    "persona", ["guess-the-animal", "twenty-questions", "quiz-master", "lighthouse-adventure"]
)
def test_game_is_interrupted_by_feelings_and_questions_and_can_be_left(persona):
    talk = EverydayTalk(persona)
    talk.say("Yes, let's start.")
    assert "sorry" in talk.say("My dog died this morning.")
    assert "fifty-six" in talk.say("What's seven times eight?")
    assert "stand-in" in talk.say("Are you PersonaPlex?")
    assert "leave the game" in talk.say("Let's stop the game.")


def test_game_can_be_begun_in_an_open_talk_and_not_at_a_counter():
    assert "quiz" in EverydayTalk("chat").say("Let's play a game.")
    assert "?" in EverydayTalk("assistant").say("Quiz me!")
    assert "quiz" not in EverydayTalk("restaurant").say("Let's play a game.")
    riddle = EverydayTalk("chat")
    riddle.say("Tell me a riddle.")
    assert "It's this" in riddle.say("I give up.")
