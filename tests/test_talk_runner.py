"""A talk's worker side: its pace is the user's sound."""

import numpy as np
import pytest

from personaplex_app.engine.contract import SessionConfig, Step
from personaplex_app.engine.echo import EchoEngine
from personaplex_app.errors import BadInput
from personaplex_app.protocol_events import AgentText, Frame, Notice, Stats, Utterance
from personaplex_app.sessions.talk_runner import TalkRunner
from personaplex_app.sessions.talk_stats import STATS_EVERY_FRAMES, TalkStats
from personaplex_app.units import FRAME_S, FRAME_SAMPLES

from .support.fakes import ScriptedSession

pytestmark = pytest.mark.unit


def stats_after(gaps_s):
    """Return the stats of a talk whose frames come after these gaps."""
    engine = EchoEngine()
    now_s = 0.0
    runner = TalkRunner(
        engine.open(SessionConfig("echo", "")),
        [TalkStats()],
        lambda: now_s,
    )
    events = []
    for gap_s in gaps_s:
        now_s += gap_s
        events += runner.feed(np.zeros(FRAME_SAMPLES, np.float32))
    runner.close()
    return [event for event in events if isinstance(event, Stats)][-1]


def test_runner_late_sound_is_silence_that_is_counted_and_never_made_up():
    steady = [FRAME_S] * STATS_EVERY_FRAMES
    assert stats_after(steady).silent_frames == 0
    late = [*steady[:5], 10 * FRAME_S, *steady[6:]]
    told = stats_after(late)
    assert told.silent_frames == 9
    assert told.at_s == pytest.approx(len(late) * FRAME_S, abs=0.01)


def test_runner_sound_in_bursts_of_three_frames_is_not_late():
    assert stats_after([3 * FRAME_S, 0.0, 0.0] * STATS_EVERY_FRAMES).silent_frames == 0


class Answering:
    """A listener that keeps what it sees and answers each utterance."""

    def __init__(self) -> None:
        self.seen = []

    def see(self, events):
        self.seen += events
        return [Notice("heard", each.text) for each in events if isinstance(each, Utterance)]


def test_runner_shows_every_event_to_each_listener_and_their_answers_to_those_after_them():
    said = Utterance(1, "agent", "Hello.", 0.0, 0.1, True)
    step = Step(np.full(FRAME_SAMPLES, 0.1, np.float32), "Hello.", (said,))
    first, second = Answering(), Answering()
    runner = TalkRunner(ScriptedSession(lambda frame: step), [first, second])
    events = runner.feed(np.full(FRAME_SAMPLES + 100, 0.5, np.float32))
    frame, text, *rest = first.seen
    assert (frame.user[0], frame.agent[0], frame.missing_frames) == (0.5, np.float32(0.1), 0)
    assert frame.step_s > 0
    assert (text, rest) == (AgentText("Hello."), [said])
    assert second.seen[3:] == [Notice("heard", "Hello.")]
    assert events == [*second.seen, Notice("heard", "Hello.")]
    assert runner.feed(np.zeros(100, np.float32)) == []


class Listening(ScriptedSession):
    def __init__(self) -> None:
        super().__init__(lambda frame: Step(np.zeros(FRAME_SAMPLES, np.float32)))
        self.heard: list[float] = []

    def step(self, user):
        self.heard.append(float(user[0]))
        return super().step(user)


def test_runner_reads_typed_lines_to_an_engine_that_only_hears_one_after_the_other():
    session = Listening()
    spoken = {"Hello.": np.full(FRAME_SAMPLES + 10, 0.5, np.float32), "Again.": np.full(5, 0.25, np.float32)}
    runner = TalkRunner(session, speak=lambda text: spoken[text])
    runner.type("Hello.")
    runner.type("Again.")
    events = runner.feed(np.full(FRAME_SAMPLES * 40, 0.1, np.float32))
    first, second = [each for each in events if isinstance(each, Utterance)]
    assert (first.text, first.start_s, first.typed) == ("Hello.", 0.0, True)
    assert first.id != second.id
    assert session.heard[:3] == pytest.approx([0.6, 0.6, 0.1])
    later = session.heard.index(pytest.approx(0.35))
    assert later * FRAME_S == pytest.approx(second.start_s)
    assert second.start_s - first.end_s > 1  # a pause in which the first is answered
    # what the engine heard is what is recorded
    frames = [each.user[0] for each in events if isinstance(each, Frame)]
    assert frames == pytest.approx(session.heard)


def test_runner_typed_lines_that_cannot_be_taken_are_refused_with_a_sentence():
    with pytest.raises(BadInput, match="only hears"):
        TalkRunner(Listening()).type("Hello.")
    runner = TalkRunner(Listening(), speak=lambda text: np.zeros(0 if text == "?" else 10, np.float32))
    with pytest.raises(BadInput, match="nothing in this line"):
        runner.type("?")
    for _ in range(4):
        runner.type("More.")
    with pytest.raises(BadInput, match="4 lines wait"):
        runner.type("More.")
