"""Lines on the engines: the embedded one by its own ears, PersonaPlex on the tiny checkpoint."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from personaplex_app.classic.lines import SpokenLine
from personaplex_app.engine.contract import Sampling, SessionConfig
from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.engine.saying_contract import MAX_LINES, Line, SayingSession
from personaplex_app.errors import BadInput, CapacityError
from personaplex_app.protocol_events import Said, Utterance
from personaplex_app.speech.spoken_form import spoken_form

from .support import tiny
from .support.fakes import ScriptedResponder
from .support.speech import recognise
from .test_cascade import GREETING, LONG, QUESTION, Talk, classic, talk  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow
ORDER = "Your order is two streets away. It costs $8."


def said(held, line_id: str = "l") -> list[Said]:
    return [event for _, event in held.events if isinstance(event, Said) and event.id == line_id]


def states(held, line_id: str = "l") -> list[str]:
    return [each.state for each in said(held, line_id)]


def test_classic_says_a_line_when_nobody_speaks_and_marks_its_words(talk):  # noqa: F811
    talk = talk(ScriptedResponder(GREETING)).wait(0.5)
    talk.session.say(Line("l", ORDER))
    talk.wait(9.0)
    assert states(talk) == ["waiting", "begun", "done"]
    assert (said(talk)[-1].heard, said(talk)[-1].rest) == (ORDER, "")
    # after the greeting, not over it
    spoken = [e for _, e in talk.events if isinstance(e, Utterance) and e.speaker == "agent" and e.final]
    assert [(each.text, each.line) for each in spoken] == [(GREETING, ""), (ORDER, "l")]
    assert spoken[1].start_s > spoken[0].end_s
    heard = recognise(talk.sound)
    assert "two streets away" in heard
    assert "8" in heard or "eight" in heard
    assert talk.responder.said[-1] == (ORDER, False)


def test_classic_says_a_line_as_the_answer_and_the_responder_is_not_asked(talk):  # noqa: F811
    talk = talk(ScriptedResponder()).wait(0.2)
    talk.session.say(Line("l", "That depends on the weather.", when="reply"))
    talk.wait(1.5)
    assert states(talk) == ["waiting"]
    talk.say(QUESTION).wait(5.0)
    assert states(talk) == ["waiting", "begun", "done"]
    assert talk.responder.asked == []
    assert talk.final("agent") == ["That depends on the weather."]
    talk.say(QUESTION).wait(6.0)
    assert len(talk.responder.asked) == 1


def test_classic_says_a_line_in_place_of_what_it_says(talk):  # noqa: F811
    talk = talk(ScriptedResponder(answer=LONG)).say(QUESTION).wait(2.5)
    talk.session.say(Line("l", "One moment, please.", when="now"))
    talk.wait(4.0)
    assert states(talk) == ["waiting", "begun", "done"]
    assert talk.responder.said[0][1]  # the answer was interrupted
    assert talk.final("agent")[-1] == "One moment, please."


def test_classic_held_listens_and_says_only_lines(talk):  # noqa: F811
    talk = talk(ScriptedResponder())
    talk.session.hold(True)
    talk.say(QUESTION).wait(3.0)
    assert talk.responder.asked == []
    assert any("compost" in text for text in talk.final("user"))
    talk.session.say(Line("l", "It costs eight dollars."))
    talk.wait(3.0)
    assert talk.final("agent") == ["It costs eight dollars."]
    talk.session.hold(False)
    talk.say(QUESTION).wait(4.0)
    assert len(talk.responder.asked) == 1


@pytest.mark.parametrize("interruptible", [True, False])
def test_classic_line_that_is_spoken_over_tells_what_was_heard_or_goes_on(talk, interruptible):  # noqa: F811
    talk = talk(ScriptedResponder()).wait(0.2)
    text = " ".join(LONG)
    talk.session.say(Line("l", text, interruptible=interruptible))
    talk.wait(2.5).say(QUESTION).wait(14.0)
    last = said(talk)[-1]
    assert f"{last.heard} {last.rest}".strip() == text
    assert last.state == ("cut" if interruptible else "done")
    if interruptible:
        assert text.startswith(last.heard)
        assert 2 < len(last.heard.split()) < len(text.split()) - 3
    assert len(talk.responder.asked) == 1  # what the user said is answered all the same


def test_classic_line_grows_is_taken_back_and_holds_afterwards(talk):  # noqa: F811
    talk = talk(ScriptedResponder())
    talk.session.say(Line("l", "First this.", last=False, then="hold"))
    talk.session.more("l", "Then that.", True)
    talk.wait(5.0)
    assert states(talk) == ["waiting", "begun", "done"]
    assert talk.final("agent") == ["First this. Then that."]
    talk.say(QUESTION).wait(2.5)
    assert talk.responder.asked == []
    talk.session.say(Line("two", " ".join(LONG)))
    talk.session.say(Line("three", "Never said."))
    talk.wait(2.5)
    talk.session.unsay("")
    talk.wait(2.0)
    assert (states(talk, "two")[-1], states(talk, "three")) == ("cut", ["waiting", "cut"])
    assert said(talk, "two")[-1].rest


@pytest.fixture(scope="module")
def personaplex(tmp_path_factory):
    settings = PersonaplexSettings(str(tiny.GOLDEN), tmp_path_factory.mktemp("voices"), "cpu", "float32", 1)
    engine = PersonaplexEngine(settings, spoken_form)
    engine.load(lambda state: None)
    yield engine
    engine.close()


class ModelTalk:
    """A talk over silence, and what came of it."""

    def __init__(self, session) -> None:
        self.session = session
        self.texts: list[str] = []
        self.events: list = []

    def wait(self, frames: int) -> ModelTalk:
        for _ in range(frames):
            step = self.session.step(np.zeros(1920, np.float32))
            self.texts.append(step.text)
            self.events += [(0.0, event) for event in step.events]
        return self


@pytest.fixture
def open_talk(personaplex):
    """Open a talk with the tiny model, in place of the one before."""
    opened = []

    def open_(seed: int = 3) -> ModelTalk:
        for each in opened:
            each.session.close()
        config = SessionConfig(
            "NATF0", "You are helpful.", sampling=Sampling(text_temperature=1.0, seed=seed)
        )
        opened.append(ModelTalk(personaplex.open(config)))
        return opened[-1]

    yield open_
    for each in opened:
        each.session.close()


def test_personaplex_says_a_line_word_for_word_with_figures_as_words(open_talk):
    told = open_talk()
    told.session.say(Line("l", "It costs $8.", when="now", then="hold"))
    told.wait(70)
    assert states(told) == ["waiting", "begun", "done"]
    lines = [e for _, e in told.events if isinstance(e, Utterance) and e.line == "l" and e.final]
    assert [each.text for each in lines] == ["It costs eight dollars."]
    assert lines[0].words[0].start_s == pytest.approx(said(told)[1].at_s)
    assert "".join(told.texts).endswith("It costs eight dollars.")
    told.session.hold(False)
    assert told.wait(10).session


def test_personaplex_goes_on_as_if_nothing_had_been_said_where_a_line_never_began(open_talk):
    first, second = [], []
    for texts, is_told in ((first, False), (second, True)):
        told = open_talk()
        told.wait(5)
        if is_told:
            told.session.say(Line("l", "Never said.", when="reply"))
            told.wait(5).session.unsay("l")
        else:
            told.wait(5)
        texts += told.wait(20).texts
    assert first == second


def test_personaplex_interrupted_cuts_its_line(open_talk):
    told = open_talk()
    told.session.say(Line("l", "These are quite a few words to say at once.", when="now"))
    told.wait(30).session.interrupt()
    told.wait(20)
    assert states(told) == ["waiting", "begun", "cut"]
    assert said(told)[-1].rest


@pytest.fixture(params=["classic", "personaplex"])
def session(request):
    engine = request.getfixturevalue(request.param)
    if request.param == "classic":
        engine, responders = engine
        responders.append(ScriptedResponder())
    made = engine.open(SessionConfig(engine.voices[0].name, "You are helpful.", realtime=False))
    yield made
    made.close()


@pytest.mark.parametrize("text", ["", "…", "— !", "привет, как дела", "你好"])
def test_line_that_cannot_be_spoken_is_refused(session, text):
    assert isinstance(session, SayingSession)
    with pytest.raises(BadInput):
        session.say(Line("l", text))
    session.say(Line("l", "This can."))


def test_lines_have_a_bound_a_name_of_their_own_and_an_end(session):
    for n in range(MAX_LINES):
        session.say(Line(str(n), "Word", when="reply"))
    with pytest.raises(CapacityError):
        session.say(Line("more", "Word"))
    session.unsay("3")
    session.step(np.zeros(1920, np.float32))
    with pytest.raises(BadInput, match="its own id"):
        session.say(Line("1", "Word"))
    with pytest.raises(BadInput, match="no line '1' that goes on"):
        session.more("1", "word", True)
    session.unsay("nobody")
    session.unsay("")
    step = session.step(np.zeros(1920, np.float32))
    assert {event.state for event in step.events if isinstance(event, Said)} == {"cut"}


def test_sentences_of_a_line_come_as_it_grows_and_end_when_nobody_wants_them():
    line = SpokenLine(Line("l", "First this. And then, when", last=False))
    sentences = line.sentences()
    assert next(sentences) == "First this."
    with ThreadPoolExecutor(1) as other:
        following = other.submit(next, sentences)
        line.push("it is over, that.", True)
        assert following.result() == "And then, when it is over, that."
        with pytest.raises(StopIteration):
            next(sentences)
        waiting = SpokenLine(Line("l", "More comes", last=False)).sentences()
        ended = other.submit(next, waiting, None)
        waiting.cancel()
        assert ended.result() is None
