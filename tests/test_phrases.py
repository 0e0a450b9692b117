"""What a turn's words tell about the turn."""

import pytest

from personaplex_app.classic.phrases import Ending, ending, has_own_words, is_backchannel, is_echo, is_stop

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How much is the compost bin?", Ending.DONE),
        ("What is it about?", Ending.DONE),
        ("Yes.", Ending.DONE),
        ("Thank you, that was all I wanted to know.", Ending.DONE),
        ("The compost bin.", Ending.UNSURE),
        ("", Ending.UNSURE),
        ("Peter Miller", Ending.UNSURE),
        ("I would like to.", Ending.OPEN),
        ("I'd like to order a...", Ending.OPEN),
        ("I went there because", Ending.OPEN),
        ("Well, um.", Ending.OPEN),
        ("I need milk,", Ending.OPEN),
        ("I am waiting for.", Ending.LOOSE),
        ("My number is five, two, five.", Ending.LOOSE),
        ("I need apples, bread, cheese.", Ending.LOOSE),
        ("Sorry, I have another question.", Ending.LOOSE),
        ("I need apples, bread, and cheese.", Ending.DONE),
    ],
)
def test_ending_tells_a_finished_text_from_one_that_goes_on(text, expected):
    assert ending(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mm-hmm.", True),
        ("Yeah, right.", True),
        ("I see.", True),
        ("Okay", True),
        ("I", False),
        ("Okay, but why?", False),
        ("", False),
    ],
)
def test_backchannel_only_says_go_on(text, expected):
    assert is_backchannel(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Stop.", True), ("Wait a second", True), ("Please stop.", True), ("Yeah", False), ("", False)],
)
def test_stop_asks_for_silence(text, expected):
    assert is_stop(text) is expected


PLAYED = "The compost bin costs eight dollars a month. We collect it every Tuesday morning."


@pytest.mark.parametrize(
    ("text", "loud_room", "expected"),
    [
        ("compost bin costs eight dollars", False, True),
        ("It every Tuesday morning.", False, True),
        ("What does it cost to collect a sofa?", False, False),
        ("bin cost $8 a mouth. We collected.", False, False),
        ("bin cost $8 a mouth. We collected.", True, True),
        ("Can you stop, please?", True, False),
    ],
)
def test_echo_is_the_agents_own_words(text, loud_room, expected):
    assert is_echo(text, PLAYED, loud_room) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("costs $8 a month we collect", False),
        ("costs $8 a month we please stop talking now", True),
        ("please", False),
        ("", False),
    ],
)
def test_fresh_words_are_not_the_agents(text, expected):
    assert has_own_words(text, PLAYED) is expected
