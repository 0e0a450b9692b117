"""Whole talks with the real models: sound in, sound and words out, in lockstep so that they run as fast as
the machine allows.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest

from personaplex_app.classic import engine as classic_engine
from personaplex_app.classic import partial_transcript
from personaplex_app.classic.cascade import CascadeSession
from personaplex_app.classic.engine import ClassicEngine
from personaplex_app.classic.language import ENGLISH_TALK
from personaplex_app.classic.phrases import plain_words
from personaplex_app.engine.contract import Event, Mark, Notice, SessionConfig, TurnLatency, Utterance
from personaplex_app.errors import BadAudio, BadInput, BadPrompt, CapacityError, EngineError, UnknownVoice
from personaplex_app.protocol_events import Word
from personaplex_app.speech.recogniser import Transcript
from personaplex_app.speech.synthesiser import TIMBRES, kept_sample
from personaplex_app.units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

from .support import tiny
from .support.fakes import ScriptedResponder
from .support.patience import PATIENCE_S, until
from .support.speech import computed_anew, loaded_once, recognise, speak

pytestmark = pytest.mark.slow

GREETING = "Hello, this is Anna."
LONG = (
    "We collect the compost bin every Tuesday morning before seven, rain or shine.",
    "The depot is open on all days but Sunday.",
)
QUESTION = "How much is the compost bin?"


@pytest.fixture(scope="module")
def classic():
    """An engine whose next talk gets the responder that the test puts into the list."""
    responders: list[ScriptedResponder] = []
    engine = ClassicEngine(lambda config, notify, *, encoder=None: responders.pop(), max_sessions=2)
    with loaded_once(classic_engine):
        engine.load(lambda state: None)
    yield engine, responders
    engine.close()


class Talk:
    """One talk and all that came of it."""

    def __init__(self, classic, responder: ScriptedResponder) -> None:
        engine, responders = classic
        responders.append(responder)
        self.responder = responder
        self.session = engine.open(SessionConfig("natural", "You are a helpful person.", realtime=False))
        self.sound = np.zeros(0, np.float32)
        self.text = ""
        self.events: list[tuple[float, Event]] = []
        self.room = np.random.default_rng(0)

    @property
    def now_s(self) -> float:
        return len(self.sound) / SAMPLE_RATE_HZ

    def feed(self, samples: np.ndarray) -> Talk:
        frames = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
        parts = [self.sound]
        for n, frame in enumerate(frames):
            step = self.session.step((frame + self.room.normal(0.0, 3e-4, FRAME_SAMPLES)).astype(np.float32))
            parts.append(step.agent)
            self.text += step.text
            self.events += [(self.now_s + (n + 1) * FRAME_S, event) for event in step.events]
        self.sound = np.concatenate(parts)
        return self

    def say(self, text: str, voice: str = "warm") -> Talk:
        return self.feed(speak(text, voice, pause_s=0.0))

    def wait(self, seconds: float) -> Talk:
        return self.feed(np.zeros(int(seconds * SAMPLE_RATE_HZ), np.float32))

    def final(self, speaker: str) -> list[str]:
        return [
            e.text for _, e in self.events if isinstance(e, Utterance) and e.speaker == speaker and e.final
        ]

    def marks(self, speaker: str) -> list[str]:
        return [e.kind for _, e in self.events if isinstance(e, Mark) and e.speaker == speaker]

    def silent_from(self, start_s: float) -> float:
        """When the agent fell silent after `start_s`, for half a second at least."""
        loud = np.flatnonzero(np.abs(self.sound) > 0.003) / SAMPLE_RATE_HZ
        loud = np.append(loud[loud >= start_s - 0.1], 1e9)
        return float(loud[np.flatnonzero(np.diff(loud) > 0.5)[0]])


@pytest.fixture
def talk(classic) -> Iterator:
    talks: list[Talk] = []

    def begin(responder: ScriptedResponder) -> Talk:
        talks.append(Talk(classic, responder))
        return talks[-1]

    yield begin
    for talk in talks:
        talk.session.close()


def test_talk_question_is_heard_and_answered_aloud(talk):
    done = talk(ScriptedResponder(answer=("It costs eight dollars a month.",))).wait(0.5).say(QUESTION)
    ended_s = done.now_s - 0.16
    done.wait(4.0)
    assert done.responder.asked[-1] == QUESTION
    assert done.final("user") == [QUESTION]
    assert "eight dollars" in recognise(done.sound).replace("$8", "eight dollars")
    assert done.text == " It costs eight dollars a month."
    assert done.final("agent") == ["It costs eight dollars a month."]
    assert done.responder.said == [("It costs eight dollars a month.", False)]
    (latency,) = [event for _, event in done.events if isinstance(event, TurnLatency)]
    assert latency.user_end_s == pytest.approx(ended_s, abs=0.1)
    assert latency.latency_s <= 0.9
    first = np.flatnonzero(np.abs(done.sound) > 0.01)[0] / SAMPLE_RATE_HZ
    assert latency.agent_start_s == pytest.approx(first, abs=0.01)


def test_talk_captions_grow_while_the_user_speaks(talk):
    done = (
        talk(ScriptedResponder()).wait(0.5).say("I would like to know when you are open on Sunday.").wait(1.0)
    )
    shown = [e for _, e in done.events if isinstance(e, Utterance) and e.speaker == "user"]
    assert len({e.id for e in shown}) == 1
    assert [e.final for e in shown] == [False] * (len(shown) - 1) + [True]
    assert len(shown) >= 3
    assert all(e.words for e in shown)


def test_talk_agent_greets_first_and_only_greets_in_silence(talk):
    done = talk(ScriptedResponder(GREETING)).wait(30.0)
    assert plain_words(recognise(done.sound[: 5 * SAMPLE_RATE_HZ])) == plain_words(GREETING)
    assert not done.sound[5 * SAMPLE_RATE_HZ :].any()
    assert done.responder.said == [(GREETING, False)]
    assert done.responder.asked == []
    assert done.text == f" {GREETING}"


def test_talk_noise_before_the_greeting_only_puts_it_off(talk):
    done = (
        talk(ScriptedResponder(greeting="Hello, this is the depot."))
        .feed(tiny.user_wav()[: 2 * SAMPLE_RATE_HZ])
        .wait(5.0)
    )
    assert done.final("agent") == ["Hello, this is the depot."]
    assert not done.responder.asked


def test_talk_user_who_speaks_first_gets_no_greeting(talk):
    done = talk(ScriptedResponder(GREETING)).say("Are you open?").wait(4.0)
    assert GREETING not in done.text
    assert len(done.responder.said) == 1


@pytest.mark.parametrize("greets", [True, False])
def test_talk_begins_by_a_greeting_only_where_that_is_asked_for(classic, greets):
    responder = ScriptedResponder(GREETING)
    session = CascadeSession(classic[0]._models, TIMBRES[0], responder, deque(), lockstep=True, greets=greets)
    try:
        sounds = [session.step(np.zeros(FRAME_SAMPLES, np.float32)).agent.any() for _ in range(12)]
    finally:
        session.close()
    assert any(sounds) == greets


def test_talk_barge_in_silences_the_agent_and_only_the_played_is_remembered(talk):
    done = talk(ScriptedResponder(answer=LONG)).wait(0.5).say(QUESTION).wait(2.4)
    onset_s = done.now_s
    assert np.abs(done.sound[-FRAME_SAMPLES:]).max() > 0.003
    done.say("Sorry, could you tell me when you are open?").wait(1.0)
    assert done.silent_from(onset_s) - onset_s <= 0.5
    said, interrupted = done.responder.said[0]
    assert interrupted
    assert " ".join(LONG).startswith(said)
    assert 3 < len(said.split()) < len(LONG[0].split())
    heard = plain_words(recognise(done.sound[: int((onset_s + 0.5) * SAMPLE_RATE_HZ)]))
    assert len(set(plain_words(said)[:-1]) - set(heard)) <= 1
    assert done.final("agent")[0] == said
    assert done.marks("user") == ["interruption"]
    assert re.search("when you (are|were) open", done.responder.asked[-1])  # one sounds like the other


def test_talk_word_that_the_agent_said_long_before_still_interrupts(talk):
    done = (
        talk(ScriptedResponder(greeting="I am so sorry about this.", answer=LONG))
        .wait(3.0)
        .say(QUESTION)
        .wait(3.4)
    )
    onset_s = done.now_s
    done.say("So sorry,").wait(0.4).say("I have to stop you there.").wait(1.0)
    assert done.silent_from(onset_s) - onset_s <= 0.5
    assert done.marks("user") == ["interruption"]
    assert not [event for _, event in done.events if isinstance(event, Notice)]


@pytest.mark.parametrize("voice", ["warm", "natural", "bright"])
def test_talk_backchannel_does_not_stop_the_agent(talk, voice):
    done = (
        talk(ScriptedResponder(answer=LONG)).wait(0.5).say(QUESTION).wait(3.0).say("Mm-hm.", voice).wait(10.0)
    )
    assert done.responder.said == [(" ".join(LONG), False)]
    assert done.marks("user") == ["backchannel"]
    assert done.text == " " + " ".join(LONG)


def test_talk_hum_of_a_man_that_is_heard_as_a_no_does_not_stop_the_agent(talk):
    done = (
        talk(ScriptedResponder(answer=LONG))
        .wait(0.5)
        .say(QUESTION)
        .wait(3.0)
        .say("Mm-hm.", "deep")
        .wait(10.0)
    )
    assert done.responder.said == [(" ".join(LONG), False)]


def test_talk_long_backchannel_lets_the_agent_finish(talk):
    done = (
        talk(ScriptedResponder(answer=LONG))
        .wait(0.5)
        .say(QUESTION)
        .wait(3.0)
        .say("Yeah, okay, right.")
        .wait(12.0)
    )
    assert done.responder.said == [(" ".join(LONG), False)]
    assert done.text == " " + " ".join(LONG)
    assert "Sunday" in recognise(done.sound[-15 * SAMPLE_RATE_HZ : -6 * SAMPLE_RATE_HZ])


def test_talk_slow_speaker_is_waited_for_and_encouraged(talk):
    done = talk(ScriptedResponder()).wait(0.5).say("I would like to").wait(1.0).say("order a big").wait(0.4)
    assert done.responder.said == []
    done.say("bowl of soup for my mother.").wait(5.0)
    assert plain_words(done.responder.asked[-1]) == plain_words(
        "I would like to order a big bowl of soup for my mother."
    )
    assert len(done.responder.said) == 1
    assert done.marks("agent") == ["backchannel"]
    hum = next(e for _, e in done.events if isinstance(e, Mark))
    assert (
        np.abs(done.sound[int(hum.start_s * SAMPLE_RATE_HZ) : int(hum.end_s * SAMPLE_RATE_HZ)]).max() > 0.01
    )


def _noise() -> np.ndarray:
    return np.random.default_rng(5).normal(0.0, 0.05, 10 * SAMPLE_RATE_HZ)


def _music() -> np.ndarray:
    t = np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ
    pitches = (220, 277, 330, 440, 392, 349, 262, 294)
    return np.concatenate(
        [
            0.2 * np.exp(-2 * t) * sum(np.sin(2 * np.pi * p * k * t) / k for k in (1, 2, 3))
            for p in pitches * 3
        ]
    )


@pytest.mark.parametrize("sound", [_noise(), _music()], ids=["noise", "music"])
def test_talk_sounds_without_words_are_not_answered(talk, sound):
    done = talk(ScriptedResponder()).wait(1.0).feed(sound.astype(np.float32)).wait(2.0)
    assert done.responder.asked == []
    assert not done.sound.any()
    assert not any(done.final("user"))


def test_talk_own_voice_in_the_microphone_does_not_interrupt(talk):
    done = talk(ScriptedResponder(answer=LONG[:1])).wait(0.5).say(QUESTION)
    while done.now_s < 10.0:
        done.feed(0.5 * done.sound[-2 * FRAME_SAMPLES : -FRAME_SAMPLES])
    assert done.responder.said == [(LONG[0], False)]
    assert len(done.final("agent")) == 1
    assert len([event for _, event in done.events if isinstance(event, Notice)]) == 1


def test_talk_typed_line_is_a_turn_that_stops_the_agent_and_is_answered(talk):
    done = talk(ScriptedResponder(answer=LONG)).wait(0.5).say(QUESTION).wait(2.5)
    done.session.type("And on a Sunday?")
    typed_s = done.now_s
    done.wait(3.0)
    assert done.responder.asked[-1] == "And on a Sunday?"
    ((_, shown),) = [each for each in done.events if isinstance(each[1], Utterance) and each[1].typed]
    assert (shown.text, shown.speaker, shown.final) == ("And on a Sunday?", "user", True)
    assert shown.start_s == pytest.approx(typed_s, abs=0.1)
    assert done.marks("user") == ["interruption"]
    assert [interrupted for _, interrupted in done.responder.said] == [True]
    assert done.text.count(LONG[0].split()[0]) == 2
    # nobody knows when a line was begun, so only the spoken turn has a latency
    assert len([event for _, event in done.events if isinstance(event, TurnLatency)]) == 1


def test_talk_typed_line_before_the_greeting_is_answered_in_its_place(talk):
    done = talk(ScriptedResponder(answer=("Gladly.",), greeting="Welcome."))
    done.session.type("Can you help me?")
    done.wait(2.0)
    assert done.final("agent") == ["Gladly."]


def test_talk_typed_lines_are_bounded(talk):
    done = talk(ScriptedResponder(answer=("Yes.",)))
    for _ in range(4):
        done.session.type("More.")
    with pytest.raises(BadInput, match="4 lines wait"):
        done.session.type("More.")
    assert [each for each in done.wait(0.2).final("user") if each] == ["More."] * 4


def test_talk_long_monologue_is_kept_whole_with_a_bounded_window(talk, classic, monkeypatch):
    recogniser, heard_s = classic[0]._models.recogniser, []
    transcribe = recogniser.transcribe
    monkeypatch.setattr(
        recogniser,
        "transcribe",
        lambda samples, **how: heard_s.append(len(samples) / SAMPLE_RATE_HZ) or transcribe(samples, **how),
    )
    # long windows cost the more: cut three times as early as for people
    monkeypatch.setattr(partial_transcript, "_TRIM_AT_PAUSE_S", 2.3)
    done = talk(ScriptedResponder()).wait(0.5)
    done.say("I want to tell you how my old friends and I got lost in the mountains").wait(0.2)
    done.say("because nobody had brought a map or a compass to the valley that day").wait(0.2)
    done.say("and that is the end of my story.").wait(3.0)
    assert plain_words(done.responder.asked[-1]) == plain_words(
        "I want to tell you how my old friends and I got lost in the mountains because nobody had brought a"
        " map or a compass to the valley that day and that is the end of my story."
    )
    assert max(heard_s) < 5.0, heard_s


def test_talk_interrupt_falls_silent_with_the_next_frame(talk):
    done = talk(ScriptedResponder(answer=LONG)).wait(0.5).say(QUESTION).wait(3.0)
    done.session.interrupt()
    at_s = done.now_s
    done.wait(4.0)
    assert done.silent_from(at_s) <= at_s + FRAME_S
    ((said, interrupted),) = done.responder.said
    assert interrupted
    assert done.final("agent") == [said]


def test_talk_responder_that_fails_says_so_and_goes_on(talk):
    class Broken(ScriptedResponder):
        def reply(self, user_text):
            if not self.asked:
                self.asked.append(user_text)
                raise RuntimeError("secret words")
            yield from super().reply(user_text)

    done = talk(Broken(answer=("It costs eight dollars.",))).wait(0.5).say(QUESTION).wait(2.0)
    (notice,) = [event for _, event in done.events if isinstance(event, Notice)]
    assert "once more" in notice.text
    assert "secret" not in notice.text
    done.say(QUESTION).wait(4.0)
    assert done.text == " It costs eight dollars."


def test_talk_same_sound_gives_the_same_talk(talk):
    def held() -> Talk:
        return talk(ScriptedResponder(GREETING)).wait(3.0).say(QUESTION).wait(3.0)

    first = held()
    with computed_anew():
        second = held()
    assert np.array_equal(first.sound, second.sound)
    assert first.events == second.events


def test_two_talks_at_once_do_not_touch_each_other(talk):
    one = talk(ScriptedResponder(answer=("It is open.",))).wait(0.5)
    two = talk(ScriptedResponder(answer=("It is closed.",))).wait(0.5)
    for start in range(0, 4 * SAMPLE_RATE_HZ, FRAME_SAMPLES):
        for done, question in ((one, QUESTION), (two, "When are you open?")):
            said = np.pad(speak(question, "warm", pause_s=0.0), (0, 4 * SAMPLE_RATE_HZ))
            done.feed(said[start : start + FRAME_SAMPLES])
    assert one.responder.asked[-1] == QUESTION
    assert two.responder.asked[-1] == "When are you open?"
    assert (one.text, two.text) == (" It is open.", " It is closed.")


def test_talk_whose_models_fail_ends_alone(talk, monkeypatch):
    class Broken:
        def transcribe(self, samples):
            raise MemoryError("no words of the talk")

    broken, sound = talk(ScriptedResponder()), talk(ScriptedResponder())
    monkeypatch.setattr(broken.session._recognition, "_recogniser", Broken())
    with pytest.raises(EngineError, match=r"failed in this talk \(MemoryError\); start a new one") as caught:
        broken.wait(0.5).say(QUESTION).wait(1.0)
    assert "words" not in str(caught.value)
    assert sound.wait(0.5).say(QUESTION).wait(4.0).text


def test_talk_responder_that_hangs_does_not_hold_up_its_end(classic):
    release = threading.Event()

    class Hanging(ScriptedResponder):
        def greet(self):
            release.wait(PATIENCE_S)
            return "Too late."

    before = set(threading.enumerate())
    responder = Hanging()
    session = CascadeSession(classic[0]._models, TIMBRES[0], responder, deque())
    session.step(np.zeros(FRAME_SAMPLES, np.float32))
    session.close()
    assert not release.is_set()
    release.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
    assert responder.closed


def test_talk_responder_notice_reaches_the_person(classic):
    notice = Notice("responder", "The language model is away.")
    session = CascadeSession(classic[0]._models, TIMBRES[0], ScriptedResponder(), deque([notice]))
    try:
        events = session.step(np.zeros(FRAME_SAMPLES, np.float32)).events
        assert notice in events
        assert not any(
            isinstance(event, Notice) for event in session.step(np.zeros(FRAME_SAMPLES, np.float32)).events
        )
    finally:
        session.close()


def test_engine_each_voice_has_a_sample(classic):
    for timbre in TIMBRES:
        assert np.array_equal(classic[0].sample(timbre.voice.name), kept_sample(timbre))
    assert recognise(classic[0].sample("natural")).startswith("Hello")
    assert classic[0].sample("nobody") is None


def test_engine_when_full_then_a_place_again(classic, talk):
    talks = [talk(ScriptedResponder()) for _ in range(2)]
    engine, responders = classic
    with pytest.raises(CapacityError, match="2 slots"):
        engine.open(SessionConfig("natural", "x"))
    talks[0].session.close()
    talks[0].session.close()
    responders.append(ScriptedResponder())
    engine.open(SessionConfig("natural", "x")).close()


def test_engine_unknown_voice_names_the_voices(classic):
    with pytest.raises(UnknownVoice, match="'NATF0'; choose one of: natural, "):
        classic[0].open(SessionConfig("NATF0", "x"))


def test_engine_prompt_too_long_names_the_limit(classic):
    with pytest.raises(BadPrompt, match="2001 characters; the limit is 2000"):
        classic[0].open(SessionConfig("natural", "x" * 2001))


def test_engine_not_loaded_cannot_open():
    with pytest.raises(EngineError, match="not loaded yet"):
        ClassicEngine(lambda config, notify, *, encoder=None: ScriptedResponder()).open(
            SessionConfig("natural", "x")
        )


@pytest.mark.parametrize(
    "frame", [np.zeros(100, np.float32), np.zeros((1, FRAME_SAMPLES), np.float32)], ids=["short", "two axes"]
)
def test_talk_bad_frame_is_refused_and_the_talk_goes_on(talk, frame):
    done = talk(ScriptedResponder(GREETING))
    with pytest.raises(BadAudio):
        done.session.step(frame)
    assert done.wait(3.0).text == f" {GREETING}"


def test_talk_closed_ends_its_thread_and_its_responder(classic):
    before = set(threading.enumerate())
    done = Talk(classic, ScriptedResponder(answer=LONG)).wait(0.5).say(QUESTION).wait(2.0)
    assert set(threading.enumerate()) - before
    done.session.close()
    done.session.close()
    # a close waits two seconds for its thread, and no longer
    until(lambda: not {each for each in set(threading.enumerate()) - before if "responder" in each.name})
    assert done.responder.closed
    with pytest.raises(EngineError, match="closed"):
        done.wait(FRAME_S)


def test_engine_closed_leaves_no_thread():
    before = set(threading.enumerate())
    engine = ClassicEngine(lambda config, notify, *, encoder=None: ScriptedResponder(GREETING))
    stages = []
    with loaded_once(classic_engine):
        engine.load(lambda state: stages.append(state.stage))
    engine.open(SessionConfig("deep", "x")).step(np.zeros(FRAME_SAMPLES, np.float32))
    engine.close()
    engine.close()
    until(lambda: set(threading.enumerate()) <= before)
    assert stages == ["loading"] * 4 + ["self_test"]


def notices(talk):
    return [
        event.text for _, event in talk.events if isinstance(event, Notice) and event.code == "english_only"
    ]


def test_answer_in_a_script_that_cannot_be_spoken_is_a_sentence_and_a_notice_not_silence(classic):
    talk = Talk(classic, ScriptedResponder(GREETING, ("营业时间是九点。", "谢谢。")))
    talk.wait(3.0).say(QUESTION).wait(6.0)
    said = [
        event.text for _, event in talk.events if isinstance(event, Utterance) and event.speaker == "agent"
    ]
    assert said[-1] == ENGLISH_TALK.lines.only
    assert len(notices(talk)) == 1
    talk.session.close()


def test_talk_in_another_language_is_answered_with_what_is_understood(talk, monkeypatch, classic):
    text = "Buenos días, quisiera una mesa para dos"
    words = tuple(Word(word, 0.1 * n, 0.1 * n + 0.1) for n, word in enumerate(text.split()))
    heard = Transcript(text, words, -0.3, 0.0)
    monkeypatch.setattr(classic[0]._models.recogniser, "transcribe", lambda *of, **how: heard)
    done = talk(ScriptedResponder(GREETING)).wait(3.0).say(QUESTION).wait(5.0)
    assert done.final("agent")[-1] == ENGLISH_TALK.lines.only
    assert "Spanish" in notices(done)[-1]
    assert done.responder.asked == []
