"""Whose turn it is, with scripted voice activity and scripted words."""

import pytest

from personaplex_app.classic.turn_actions import Action, ActionKind, Phase
from personaplex_app.classic.turns import Turns
from personaplex_app.speech.vad import CHUNK_S, Chunk
from personaplex_app.units import FRAME_S

pytestmark = pytest.mark.unit

RECOGNISED_AFTER_FRAMES = 2


class Scene:
    """Drives `Turns`: the user speaks or is silent, the recogniser hears `words`, an answer is ready two
    frames after it is asked for.
    """

    def __init__(self, agent_speaks: bool = False, played: str = "The bin costs eight dollars.") -> None:
        self.turns = Turns()
        self.played = played
        self.words = ""
        self.frame = 0
        self.chunks = 0
        self.log: list[tuple[float, Action]] = []
        self._due: list[tuple[int, Action]] = []
        if agent_speaks:
            self.turns.greet(0.0)

    @property
    def now_s(self) -> float:
        return (self.frame + 1) * FRAME_S

    def run(self, seconds: float, speech: bool, words: str | None = None) -> "Scene":
        self.words = self.words if words is None else words
        for _ in range(round(seconds / FRAME_S)):
            while (self.chunks + 1) * CHUNK_S <= self.now_s:
                self.turns.gate.push(
                    Chunk(self.chunks * CHUNK_S, 0.95 if speech else 0.02, 1e-2 if speech else 1e-7)
                )
                self.chunks += 1
            for due, action in [item for item in self._due if item[0] <= self.frame]:
                self._due.remove((due, action))
                self._work_done(action)
            self._take(self.turns.advance(self.now_s))
            self.frame += 1
        return self

    def speak(self, seconds: float, words: str) -> "Scene":
        return self.run(seconds, True, words)

    def pause(self, seconds: float) -> "Scene":
        return self.run(seconds, False)

    def _work_done(self, action: Action) -> None:
        if action.do in (ActionKind.PREPARE, ActionKind.BABBLE):
            self.turns.ready(action.turn_id)
        elif action.do is ActionKind.PAUSE:
            self._take(
                self.turns.recognised(action.turn_id, action.pause, self.words, self.played, self.now_s)
            )
        else:
            self._take(
                self.turns.recognised_partial(action.turn_id, self.words, self.played, self.now_s, self.words)
            )

    def _take(self, actions: list[Action]) -> None:
        for action in actions:
            self.log.append((self.now_s, action))
            if action.do in (ActionKind.PAUSE, ActionKind.PARTIAL, ActionKind.PREPARE, ActionKind.BABBLE):
                self._due.append((self.frame + RECOGNISED_AFTER_FRAMES, action))

    def did(self, do: ActionKind) -> list[float]:
        return [at_s for at_s, action in self.log if action.do is do]

    def texts(self) -> list[str]:
        return [action.text for _, action in self.log if action.do is ActionKind.PREPARE]

    def marks(self) -> list[str]:
        return [action.mark.kind for _, action in self.log if action.mark]


def test_turns_question_is_answered_within_700_ms_of_its_end():
    scene = Scene().pause(0.48).speak(1.6, "How much is the bin?").pause(2.0)
    (answered_s,) = scene.did(ActionKind.ANSWER)
    assert answered_s - 2.08 <= 0.7
    assert scene.turns.phase is Phase.SPEAK
    assert scene.texts() == ["How much is the bin?"]


def test_turns_recognition_starts_at_160_ms_of_silence():
    scene = Scene().speak(1.6, "How much is the bin?").pause(2.0)
    assert scene.did(ActionKind.PAUSE)[0] - 1.6 <= 0.16 + 1.5 * FRAME_S


def test_turns_silence_does_nothing():
    assert Scene().pause(120.0).log == []


def test_turns_noise_that_has_no_words_is_forgotten():
    scene = Scene().speak(0.8, "").pause(2.0)
    assert scene.did(ActionKind.DISCARD_TURN)
    assert not scene.did(ActionKind.ANSWER)
    assert scene.turns.phase is Phase.LISTEN
    assert scene.turns.turn is None


@pytest.mark.parametrize("pause_s", [0.4, 1.0, 1.6])
def test_turns_slow_speaker_is_waited_for(pause_s):
    scene = (
        Scene()
        .speak(1.2, "I would like to")
        .pause(pause_s)
        .speak(1.2, "I would like to order a pizza with cheese.")
        .pause(2.0)
    )
    assert len(scene.did(ActionKind.ANSWER)) == 1
    assert scene.texts()[-1] == "I would like to order a pizza with cheese."


def test_turns_pause_in_mid_thought_gets_one_backchannel():
    scene = Scene().speak(1.2, "I would like to").pause(1.2).speak(1.0, "I would like to order a").pause(1.2)
    assert len(scene.did(ActionKind.BACKCHANNEL)) == 1
    assert not scene.did(ActionKind.ANSWER)


def test_turns_finished_question_gets_no_backchannel():
    assert not Scene().speak(1.6, "How much is the bin?").pause(2.0).did(ActionKind.BACKCHANNEL)


def test_turns_unfinished_text_is_answered_in_the_end():
    scene = Scene().speak(1.2, "I would like to").pause(4.0)
    assert scene.did(ActionKind.ANSWER)[0] - 1.2 > 2.0


def test_turns_speech_that_goes_on_discards_the_prepared_answer():
    scene = (
        Scene().speak(1.2, "I need a bin.").pause(0.4).speak(1.2, "I need a bin. How much is it?").pause(2.0)
    )
    assert len(scene.did(ActionKind.DISCARD)) == 1
    assert len(scene.did(ActionKind.ANSWER)) == 1


def test_turns_result_of_a_past_pause_is_dropped():
    scene = Scene().speak(1.2, "I need a bin.").pause(0.24)
    stale = next(action for _, action in scene.log if action.do is ActionKind.PAUSE)
    scene.words = "late"
    scene.speak(1.0, "I need a bin today.")
    assert scene.turns.recognised(stale.turn_id, stale.pause, "late", "", scene.now_s) == []
    assert scene.turns.turn.text is None


def test_turns_answer_that_is_not_ready_is_waited_for():
    turns = Turns()
    scene = Scene()
    scene.turns = turns
    turns.ready = lambda turn_id: None
    scene.speak(1.6, "How much is the bin?").pause(5.0)
    assert not scene.did(ActionKind.ANSWER)
    assert turns.phase is Phase.HOLD


def test_turns_nothing_to_say_closes_the_turn():
    scene = Scene()
    scene.turns.ready = lambda turn_id: None
    scene.speak(1.6, "How much is the bin?").pause(1.0)
    assert [action.do for action in scene.turns.no_answer(1)] == [ActionKind.CLOSE]
    assert scene.turns.phase is Phase.LISTEN
    assert scene.turns.turn is None


def test_turns_barge_in_ducks_then_cuts_within_500_ms():
    scene = Scene(agent_speaks=True).pause(0.96).speak(1.6, "Stop, I have a question.").pause(0.4)
    assert scene.did(ActionKind.DUCK)[0] - 0.96 <= 0.24 + FRAME_S
    assert scene.did(ActionKind.CUT)[0] - 0.96 <= 0.5
    assert scene.did(ActionKind.CONFIRM_CUT)
    assert scene.marks() == ["interruption"]


@pytest.mark.parametrize("words", ["Mm-hm.", "", "Yeah.", "Lovely."])
def test_turns_short_backchannel_does_not_cut(words):
    scene = Scene(agent_speaks=True).pause(0.96).speak(0.32, words).pause(2.0)
    assert not scene.did(ActionKind.CUT)
    assert scene.turns.phase is Phase.SPEAK
    assert scene.marks() == ["backchannel"]


@pytest.mark.parametrize("words", ["Stop.", "Wait.", "Why?"])
def test_turns_short_word_that_asks_for_the_floor_gets_it(words):
    scene = Scene(agent_speaks=True).pause(0.96).speak(0.32, words).pause(2.0)
    assert scene.did(ActionKind.CUT)
    assert scene.did(ActionKind.CONFIRM_CUT)
    assert scene.texts() == [words]


def test_turns_two_bursts_with_a_breath_between_cut_at_once():
    scene = (
        Scene(agent_speaks=True)
        .pause(0.96)
        .speak(0.32, "Sorry")
        .pause(0.24)
        .speak(0.8, "Sorry I have a question")
        .pause(0.4)
    )
    assert scene.did(ActionKind.CUT)[0] - 0.96 <= 0.32 + 0.24 + 2 * FRAME_S
    assert "backchannel" not in scene.marks()


def test_turns_long_backchannel_cuts_and_the_agent_resumes():
    scene = Scene(agent_speaks=True).pause(0.96).speak(0.8, "Oh yeah, right.").pause(2.0)
    assert scene.did(ActionKind.CUT)
    assert scene.did(ActionKind.RESUME)
    assert not scene.did(ActionKind.CONFIRM_CUT)
    assert scene.turns.phase is Phase.SPEAK
    assert scene.marks() == ["backchannel"]


def test_turns_echo_of_the_agent_resumes_and_notes_the_loud_room_once():
    scene = (
        Scene(agent_speaks=True, played="The bin costs eight dollars.")
        .pause(0.96)
        .speak(0.8, "bin costs eight")
        .pause(1.0)
    )
    assert scene.did(ActionKind.RESUME)
    scene.speak(3.0, "The bin costs eight dollars").pause(1.0)
    assert len(scene.did(ActionKind.LOUD_ROOM)) == 1
    assert len(scene.did(ActionKind.CUT)) == 1
    assert not scene.did(ActionKind.CONFIRM_CUT)


def test_turns_single_word_of_the_agents_resumes_and_only_twice_in_a_row_proves_a_loud_room():
    scene = (
        Scene(agent_speaks=True, played="The bin costs eight dollars.")
        .pause(0.96)
        .speak(0.6, "Dollars")
        .pause(1.0)
    )
    assert scene.did(ActionKind.RESUME)
    assert not scene.turns.loud_room
    scene.pause(2.0).speak(0.6, "Dollars").pause(1.0)
    assert scene.turns.loud_room


def test_turns_call_to_stop_interrupts_even_with_a_word_of_the_agents():
    scene = (
        Scene(agent_speaks=True, played="I am sorry about that.").pause(0.96).speak(0.6, "Sorry").pause(1.0)
    )
    assert scene.did(ActionKind.CONFIRM_CUT)
    assert not scene.turns.loud_room


def test_turns_in_a_loud_room_only_fresh_words_interrupt():
    scene = Scene(agent_speaks=True, played="The bin costs eight dollars.")
    scene.turns.loud_room = True
    scene.speak(1.2, "bin costs eight").speak(2.4, "bin costs please stop talking now")
    assert scene.did(ActionKind.CUT)
    assert scene.did(ActionKind.CONFIRM_CUT)


def test_turns_words_after_an_unheard_answer_continue_the_question():
    scene = Scene().speak(1.2, "I need a bin.").pause(1.0)
    assert scene.turns.phase is Phase.SPEAK
    scene.turns.reply_was_cut(1)
    scene.speak(1.2, "For my garden.").pause(2.0)
    assert scene.texts()[-1] == "I need a bin. For my garden."


def test_turns_words_after_an_answer_that_was_heard_are_a_new_question():
    scene = Scene().speak(1.2, "I need a bin.").pause(2.0)
    scene.turns.reply_was_cut(9)
    scene.speak(1.2, "For my garden.").pause(2.0)
    assert scene.texts()[-1] == "For my garden."


def test_turns_user_who_speaks_into_the_agents_end_is_answered_and_marked():
    scene = Scene(agent_speaks=True).pause(0.96).speak(0.24, "Okay, how much is it?")
    scene._take(scene.turns.agent_finished(scene.now_s))
    scene.speak(1.0, "Okay, how much is it?").pause(2.0)
    assert scene.marks() == ["overlap"]
    assert scene.did(ActionKind.ANSWER)


def test_turns_stop_takes_the_floor_and_the_prepared_answer():
    scene = Scene().speak(1.2, "I need a bin.").pause(0.4)
    assert [action.do for action in scene.turns.stop(scene.now_s)] == [ActionKind.DISCARD, ActionKind.CLOSE]
    assert scene.turns.phase is Phase.LISTEN
    assert scene.turns.turn is None
    speaking = Scene(agent_speaks=True).pause(0.96)
    assert [action.do for action in speaking.turns.stop(speaking.now_s)] == [
        ActionKind.CUT,
        ActionKind.CONFIRM_CUT,
    ]
    assert speaking.turns.phase is Phase.LISTEN


def test_turns_speech_without_a_word_is_answered_once_when_it_comes_again():
    scene = Scene().speak(1.2, "").pause(2.0)
    assert not scene.did(ActionKind.PREPARE)
    scene.speak(1.2, "").pause(2.0)
    assert scene.texts() == [""]
    assert len(scene.did(ActionKind.ANSWER)) == 1
    scene._take(scene.turns.agent_finished(scene.now_s))
    scene.speak(1.2, "").pause(2.0).speak(1.2, "").pause(2.0)
    assert scene.texts() == [""]


def test_turns_short_noises_and_words_between_are_no_other_language():
    scene = Scene().speak(0.5, "").pause(2.0).speak(0.5, "").pause(2.0)
    assert not scene.did(ActionKind.PREPARE)
    scene = Scene().speak(1.2, "").pause(2.0).speak(1.2, "How much is it?").pause(2.0)
    scene._take(scene.turns.agent_finished(scene.now_s))
    scene.speak(1.2, "").pause(2.0)
    assert scene.texts() == ["How much is it?"]


def test_turns_babble_without_end_is_answered_once_that_it_is_loud():
    scene = Scene().speak(30.0, "and the")
    assert [round(at_s) for at_s in scene.did(ActionKind.BABBLE)] == [12]
    (answered_s,) = scene.did(ActionKind.ANSWER)
    assert answered_s < 13.5
    assert scene.turns.phase is Phase.SPEAK


def test_turns_babble_does_not_cut_the_agent_off_until_words_are_understood():
    scene = Scene().speak(14.0, "and the").pause(0.3).speak(3.0, "")
    assert scene.turns.babble
    assert not scene.did(ActionKind.CUT)
    scene.speak(2.0, "Wait, please stop talking about that now")
    assert scene.did(ActionKind.CUT)


def test_turns_long_story_is_listened_to():
    scene = Scene().speak(40.0, " ".join(f"word{n}" for n in range(80)))
    assert not scene.did(ActionKind.BABBLE)
    assert not scene.did(ActionKind.ANSWER)


def test_turns_question_repeated_without_a_pause_is_answered():
    scene = Scene()
    for times in range(1, 9):
        scene.speak(1.2, " ".join(["How much is it?"] * times)).pause(0.24)
    assert scene.texts()[-1] == "How much is it?"
    (answered_s,) = scene.did(ActionKind.ANSWER)
    assert answered_s < 8.0
