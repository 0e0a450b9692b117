"""Lines that a model is told to say: word for word, in order, at its own pace, taken back at any moment."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_app.engine.line_steering import (
    FINISH_FRAMES,
    IDLE_WAIT_FRAMES,
    MORE_WAIT_FRAMES,
    STOP_FRAMES,
    LineSteering,
    spelled,
)
from personaplex_app.engine.saying_contract import MAX_LINES, Line
from personaplex_app.errors import BadInput, CapacityError
from personaplex_app.model.config import EPAD, PAD
from personaplex_app.model.steering import FREE, NONE, Gate, Steer

OWN = 99
"""A word of the model's own."""
CONTROL = frozenset((0, 1, 2, 3))


def encode(word: str) -> list[int]:
    """A vocabulary: a word's letters in pairs, an accent unknown, as in the released one."""
    return [0 if "é" in word[n : n + 2] else 100 + ord(word[n]) for n in range(0, len(word), 2)]


def spell(text):
    return spelled(text, encode, CONTROL)


def tokens(text):
    return [token for word in spell(text) for token in word.tokens]


class Model:
    """A model whose wishes are given, steered as the device does."""

    def __init__(self, wish=lambda frame: PAD):
        self.lines = LineSteering(spell)
        self.wish = wish
        self.decided: list[int] = []
        self.steers: list[Steer] = []
        self.told = []

    def run(self, frames, user=False, agent=False):
        for _ in range(frames):
            steer = self.lines.next_steer(user, agent)
            wish = self.wish(len(self.decided))
            if steer.forced != NONE:
                token = steer.forced
            elif wish == PAD or (wish == EPAD and steer.epad):
                token = wish
            elif steer.following != NONE:
                token = steer.following
            else:
                token = wish if steer.gate is Gate.FREE else PAD
            self.steers.append(steer)
            self.decided.append(token)
            self.told += self.lines.take(token, (len(self.decided)) * 0.08)
        return self

    @property
    def words(self):
        return [token for token in self.decided if token not in (PAD, EPAD)]

    def states(self, line_id="l"):
        return [said.state for said in self.told if said.id == line_id]


def test_nothing_is_steered_without_a_line():
    model = Model(lambda frame: OWN).run(20)
    assert set(model.steers) == {FREE}
    assert model.told == []


def test_line_is_said_word_for_word_once_nobody_speaks():
    model = Model()
    model.lines.say(Line("l", "Your order is on its way."))
    model.run(10, agent=True)
    assert model.words == []
    model.run(110)
    assert model.words == tokens("Your order is on its way.")
    assert model.states() == ["waiting", "begun", "done"]
    assert (model.told[-1].heard, model.told[-1].rest) == ("Your order is on its way.", "")
    first = next(n for n, token in enumerate(model.decided) if token not in (PAD, EPAD))
    assert model.decided[first - 1] == EPAD
    assert model.told[1].at_s == pytest.approx((first + 1) * 0.08)  # heard one frame after it is decided
    assert set(model.steers[-20:]) == {FREE}


def test_line_does_not_wait_for_ever_for_silence():
    model = Model(lambda frame: OWN)
    model.lines.say(Line("l", "Listen."))
    model.run(IDLE_WAIT_FRAMES + FINISH_FRAMES + STOP_FRAMES + 20, agent=True)
    assert model.states() == ["waiting", "begun", "done"]


def test_now_lets_a_word_be_finished_and_is_preceded_by_silence():
    wishes = [OWN, OWN, OWN, PAD]
    model = Model(lambda frame: wishes[frame] if frame < 4 else OWN)
    model.lines.say(Line("l", "Stop there.", when="now"))
    model.run(40, agent=True)
    assert [steer.gate for steer in model.steers[:1]] == [Gate.FINISH]
    began = model.decided.index(EPAD)
    assert model.decided[began - STOP_FRAMES : began] == [PAD] * STOP_FRAMES
    assert [token for token in model.words if token != OWN] == tokens("Stop there.")


def test_reply_waits_for_the_user_and_the_model_does_not_answer_first():
    model = Model(lambda frame: OWN if frame % 3 == 0 else PAD)
    model.lines.say(Line("l", "It is eight dollars.", when="reply"))
    model.run(30)
    assert model.words == [OWN] * 10
    model.run(20, user=True)
    assert model.words == [OWN] * 10
    model.run(60)
    assert model.words[10 : 10 + len(tokens("It is eight dollars."))] == tokens("It is eight dollars.")


@settings(max_examples=30)
@given(
    st.integers(0, 2**32),
    st.floats(0, 1),
    st.lists(
        st.sampled_from(["a", "word", "and", "another,", "end.", "ok?", "extraordinary"]),
        min_size=1,
        max_size=12,
    ),
)
def test_whatever_the_model_wants_words_come_in_order_whole_and_in_time(seed, eager, words):
    chance = random.Random(seed)
    model = Model(lambda frame: chance.choice([OWN, EPAD]) if chance.random() < eager else PAD)
    text = " ".join(words)
    model.lines.say(Line("l", text, when="now", then="hold"))
    model.run(40 + sum(len(word.tokens) + word.max_gap + 2 for word in spell(text)))
    assert model.states() == ["waiting", "begun", "done"]
    began = model.told[1].at_s / 0.08 - 1
    spoken = model.decided[round(began) :]
    assert [token for token in spoken if token not in (PAD, EPAD)] == tokens(text)
    at = 0
    for word, following in zip(spell(text), [*spell(text)[1:], None], strict=True):
        assert tuple(spoken[at : at + len(word.tokens)]) == word.tokens
        at += len(word.tokens)
        gap = next((n for n, token in enumerate(spoken[at:]) if token not in (PAD, EPAD)), None)
        if following:
            assert word.min_gap <= gap <= word.max_gap + 1
            at += gap
    line = spoken[:at]
    assert (EPAD, EPAD) not in pairwise(line)


@pytest.mark.parametrize("frames", range(1, 60, 4))
def test_line_taken_back_at_any_frame_ends_with_a_whole_word_and_tells_the_rest(frames):
    model = Model(lambda frame: OWN if frame % 4 == 0 else PAD)
    text = "These seven words are taken back somewhere."
    model.lines.say(Line("l", text))
    model.run(frames)
    model.lines.unsay("l")
    model.run(40)
    last = model.told[-1]
    assert last.state in ("cut", "done")
    assert f"{last.heard} {last.rest}".strip() == text
    spoken = [token for token in model.words if token != OWN]
    assert spoken == tokens(last.heard)
    model.run(10)
    assert set(model.steers[-8:]) == {FREE}


def test_line_grows_while_it_is_said_and_is_not_waited_for_for_ever():
    model = Model()
    model.lines.say(Line("l", "One", last=False))
    model.run(30)
    model.lines.more("l", "two", False)
    model.run(30)
    assert model.words == tokens("One two")
    assert set(model.steers[-5:]) == {Steer(forced=PAD)}  # it is not the model's turn
    model.run(MORE_WAIT_FRAMES)
    assert model.told[-1].state == "done"
    assert "Nothing more came" in model.told[-1].why
    with pytest.raises(BadInput, match="no line 'l' that goes on"):
        model.lines.more("l", "three", True)


def test_held_model_says_nothing_of_its_own_until_it_is_let():
    model = Model(lambda frame: OWN)
    model.lines.hold(True)
    model.run(5)
    model.lines.say(Line("l", "Only this.", when="now"))
    model.run(60)
    assert model.words == tokens("Only this.")
    model.lines.hold(False)
    assert model.run(3).words[-3:] == [OWN] * 3


def test_line_that_holds_afterwards_leaves_the_floor_held():
    model = Model(lambda frame: OWN)
    model.lines.say(Line("l", "Wait.", when="now", then="hold"))
    model.run(60)
    assert model.steers[-1] == Steer(gate=Gate.HOLD)


def test_lines_are_said_in_turn_and_only_so_many_wait():
    model = Model()
    for n in range(MAX_LINES):
        model.lines.say(Line(str(n), f"Line{n}"))
    with pytest.raises(CapacityError):
        model.lines.say(Line("more", "Too many"))
    model.run(200)
    assert model.words == [token for n in range(MAX_LINES) for token in tokens(f"Line{n}")]


def test_two_lines_of_one_name_are_refused():
    model = Model()
    model.lines.say(Line("l", "First"))
    with pytest.raises(BadInput, match="its own id"):
        model.lines.say(Line("l", "Second"))


def test_all_lines_are_taken_back_at_once():
    model = Model()
    for n in range(3):
        model.lines.say(Line(str(n), "Some words that take a while"))
    model.run(12)
    model.lines.unsay("")
    model.run(20)
    assert {each.id: each.state for each in model.told} == {"0": "cut", "1": "cut", "2": "cut"}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("It’s “fine”, really", "It's fine , really"),
        ("a café (near here)", "a cafe near here"),
        ("wait — what? 😀", "wait what?"),
    ],
)
def test_marks_and_accents_that_the_vocabulary_lacks_are_written_without(text, read):
    words = [word for word in read.split() if any(c.isalnum() for c in word)]
    assert [word.tokens for word in spell(text)] == [tuple(encode(word)) for word in words]


def test_word_that_cannot_be_spelled_is_refused_before_anything_is_said():
    def only_latin(word):
        return [0 if ord(letter) > 127 else 100 + ord(letter) for letter in word]

    lines = LineSteering(lambda text: spelled(text, only_latin, CONTROL))
    with pytest.raises(BadInput, match="no letters for 'привет'"):
        lines.say(Line("l", "Say привет now"))
    with pytest.raises(BadInput, match="at least a word"):
        lines.say(Line("l", " … "))
    assert lines.next_steer(False, False) == FREE
    assert lines.take(PAD, 0.08) == ()
