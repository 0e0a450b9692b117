"""What is measured in a conversation: every kind of event with its boundaries, answers without a judge, and
simulated playout.
"""

from dataclasses import replace

import numpy as np
import pytest

from personaplex_app.evaluation.answers_check import declines, holds, inverts, relevance
from personaplex_app.evaluation.measures import (
    AgentSide,
    longest_late_run,
    measure_turns,
    ready_of,
    underruns,
)
from personaplex_app.evaluation.metric_definitions import METRICS
from personaplex_app.evaluation.scenarios import Scenario, SpokenScenario, UserEvent
from personaplex_app.protocol_events import Word

pytestmark = pytest.mark.unit

PROMPT = "You work for a shop. The lamp costs $15."


def words(text: str, start_s: float, each_s: float = 0.3) -> tuple[Word, ...]:
    return tuple(
        Word(w, start_s + i * each_s, start_s + (i + 1) * each_s) for i, w in enumerate(text.split())
    )


def talk(
    *happened: UserEvent, kind: str = "turn_end", inverted: tuple[str, ...] = (), length_s: float = 30.0
) -> SpokenScenario:
    scenario = Scenario("one", kind, "One", "chat", (), inverted)
    return SpokenScenario(scenario, 0, "natural", np.zeros(int(length_s * 24_000), np.float32), happened, ())


def measure(spoken: SpokenScenario, said: tuple[Word, ...] = (), speech=(), ready_s=()):
    return measure_turns(spoken, AgentSide(spoken.samples, said, (), tuple(ready_s)), list(speech), PROMPT)


TURN = UserEvent("turn", 7.0, 9.0, "How much is the lamp?")
ANSWER = words("The lamp costs fifteen dollars today", 9.6)


def test_measure_turn_reply_has_both_latencies_and_a_greeting_is_none():
    greeting = words("Hello this is the shop speaking", 0.5)
    values = measure(talk(TURN), greeting + ANSWER, [(0.5, 2.5), (9.7, 11.6)])
    assert values["replies"] == [1]
    assert values["reply_latency_s"] == [pytest.approx(0.6)]
    assert values["turn_latency_s"] == [pytest.approx(0.7)]


def test_measure_turn_without_reply_has_no_latency():
    values = measure(talk(TURN), words("Mm-hm", 9.5), [(9.5, 9.8)])
    assert values == {"replies": [0]}


def test_measure_reply_after_the_next_turn_is_not_the_first_turns():
    second = UserEvent("turn", 12.0, 13.0, "Hello?")
    values = measure(talk(TURN, second), words("It is fifteen dollars I think", 13.5), [(13.5, 15)])
    assert values["replies"] == [0, 1]
    assert values["reply_latency_s"] == [pytest.approx(0.5)]


def test_measure_pause_taken_only_by_what_begins_in_it():
    pause = UserEvent("pause", 7.5, 8.0)
    turn = replace(TURN, end_s=12.0)
    assert measure(talk(turn, pause), words("Yes of course I can", 7.9))["takes_pause"] == [1]
    assert measure(talk(turn, pause), words("Yes of course I can", 9.1))["takes_pause"] == [0]
    assert measure(talk(turn, pause), words("Mm-hm", 7.9))["takes_pause"] == [0]


def test_measure_interruption_stop_needs_an_agent_that_speaks():
    cut = UserEvent("interruption", 12.0, 13.0, "Wait.")
    values = measure(
        talk(TURN, cut), (*ANSWER, *words("Sure I will wait for you", 13.4)), [(9.6, 12.4), (13.4, 15.0)]
    )
    assert values["stop_after_onset_s"] == [pytest.approx(0.4)]
    assert values["replies_interruption"] == [1]
    assert values["reply_after_interruption_s"] == [pytest.approx(0.4)]
    silent = measure(talk(TURN, cut), ANSWER, [(9.6, 11.4)])
    assert "stop_after_onset_s" not in silent
    assert silent["replies_interruption"] == [0]


@pytest.mark.parametrize(("until_s", "goes_on"), [(14.5, [1]), (12.9, [0])])
def test_measure_hum_while_the_agent_speaks_tells_whether_it_goes_on(until_s, goes_on):
    hum = UserEvent("hum", 12.0, 12.4, "Mm-hm.")
    assert measure(talk(TURN, hum), ANSWER, [(9.6, until_s)])["goes_on_after_hum"] == goes_on
    assert "goes_on_after_hum" not in measure(talk(TURN, hum), ANSWER, [(9.6, 11.0)])


def test_measure_aside_noise_and_silence_are_answered_or_not():
    answer = words("Sorry what did you say there", 9.9)
    aside, noise, silence = (UserEvent(what, 7.0, 9.0) for what in ("aside", "noise", "silence"))
    assert measure(talk(aside), answer)["answers_aside"] == [1]
    assert measure(talk(aside))["answers_aside"] == [0]
    assert measure(talk(aside), (), [(6.0, 12.0)]) == {"goes_on_after_aside": [1]}
    assert measure(talk(noise), answer)["answers_noise"] == [1]
    assert measure(talk(noise), words("Sorry what did you say there", 11.1))["answers_noise"] == [0]
    assert measure(talk(silence), answer)["speaks_into_silence"] == [0]
    assert measure(talk(silence), words("Is anybody there right now", 8.0))["speaks_into_silence"] == [1]


def test_measure_long_turn_counts_short_remarks_alone():
    long = UserEvent("turn", 7.0, 19.0, "…")
    spoken = talk(long, kind="agent_backchannel")
    short = measure(spoken, words("I see", 10.0), [(10.0, 10.6), (14.0, 14.4)])
    assert short["backchannels_per_min"] == [pytest.approx(10.0)]
    assert short["talks_over_turn"] == [0]
    assert measure(spoken, (), [(10.0, 11.5)])["talks_over_turn"] == [1]


def test_measure_persona_facts_refusals_figures_and_role():
    asked = replace(TURN, facts=(15,))
    spoken = talk(asked, kind="persona", inverted=("i('d| would) like to buy",))
    right = measure(spoken, ANSWER)
    assert (right["facts_right"], right["refuses_known"], right["invents_figure"], right["inverts_role"]) == (
        [1],
        [0],
        [0],
        [0],
    )
    wrong = measure(spoken, words("It is twenty dollars and I’d like to buy one", 9.5))
    assert (wrong["facts_right"], wrong["invents_figure"], wrong["inverts_role"]) == ([0], [1], [1])
    refused = measure(spoken, words("I'm sorry, I don't know that", 9.5))
    assert (refused["facts_right"], refused["refuses_known"]) == ([0], [1])
    unknown = talk(replace(TURN, unknown=True), kind="persona")
    assert measure(unknown, words("That is not in my notes", 9.5))["declines_unknown"] == [1]
    assert measure(unknown, ANSWER)["declines_unknown"] == [0]


def test_measure_live_adds_framing_and_computing_to_the_wall_clock():
    ready_s = [(frame + 1) * 0.08 + 0.03 for frame in range(375)]
    values = measure(talk(TURN), ANSWER, [(9.68, 11.6)], ready_s)
    assert values["turn_latency_s"] == [pytest.approx(0.68)]
    assert values["wall_turn_latency_s"] == [pytest.approx(0.68 + 0.08 + 0.03)]
    assert "wall_first_audio_s" not in values  # it did not speak first
    assert not any(key.startswith("wall_") for key in measure(talk(TURN), ANSWER, [(9.68, 11.6)]))


def test_measure_live_first_audio_is_from_the_asking_to_the_greeting():
    ready_s = tuple((frame + 1) * 0.08 + 0.03 for frame in range(375))
    spoken = talk(TURN)
    heard = AgentSide(spoken.samples, (), (), ready_s, opened_s=1.5)
    greeted = measure_turns(spoken, heard, [(0.4, 2.0)], PROMPT)
    assert greeted["wall_first_audio_s"] == [pytest.approx(1.5 + 0.4 + 0.08 + 0.03)]


def test_measure_every_key_is_in_the_catalogue():
    known = {metric.key for metric in METRICS}
    cut, hum, aside = (
        UserEvent("interruption", 12.0, 13.0),
        UserEvent("hum", 15.0, 15.3),
        UserEvent("aside", 17.0, 18.0),
    )
    found = measure(talk(TURN, cut, hum, aside, kind="persona"), ANSWER, [(9.6, 29.0)], [0.1] * 375)
    assert set(found) <= known
    assert len(known) == len(METRICS)


@pytest.mark.parametrize(
    ("answer", "facts", "right"),
    [
        ("It costs eight dollars a month.", (8,), True),
        ("It costs eighty dollars.", (8,), False),
        ("The next one is on June fourth.", ("june", 4), True),
        ("My order number is seven seven four one.", ("7741|seven seven four one",), True),
        ("We are closed on Mondays.", ("monday",), True),
        ("We are closed.", ("monday",), False),
        ("", (8,), False),
        ("anything", (), True),
    ],
)
def test_holds_numbers_and_words(answer, facts, right):
    assert holds(answer, facts) is right


@pytest.mark.parametrize(
    "text",
    ["I don't know.", "I’m sorry, my notes don't cover that.", "Unfortunately.", "That isn't in my notes."],
)
def test_declines_usual_ways_are_known(text):
    assert declines(text)
    assert not declines("The lamp costs fifteen dollars.")


@pytest.mark.parametrize(
    ("asked", "answer", "share"),
    [
        ("Wait, what about the noodles?", "The noodles are eleven dollars.", 1.0),
        ("Is there a dolphin in this story?", "Stories are nice.", 0.5),
        ("Is there a dolphin in this story?", "It opens at nine.", 0.0),
        ("Hold on, please, that is enough for now.", "Of course.", None),
    ],
)
def test_relevance_is_the_share_of_content_words_taken_up(asked, answer, share):
    assert relevance(asked, answer) == share


def test_measure_interruption_relevance_counts_only_the_new_reply():
    cut = UserEvent("interruption", 12.0, 13.0, "What about the noodles?")
    old = words("the noodles are very good and", 9.6)
    assert measure(talk(TURN, cut), old + words("we open at nine on Sundays", 13.5))["keyword_relevance"] == [
        0
    ]
    assert measure(talk(TURN, cut), old + words("the noodles are eleven dollars", 13.5))[
        "keyword_relevance"
    ] == [1]


def test_inverts_ignores_case_and_apostrophes():
    assert inverts("I’D LIKE TO order", ["i('d| would) like to order"])
    assert not inverts("Would you like to order", ["i('d| would) like to order"])


def test_underruns_late_frames_stall_all_that_follow():
    on_time = ready_of([10.0] * 20)
    assert on_time[:2] == pytest.approx([0.09, 0.17])
    assert underruns(on_time, 80).count == 0
    late = ready_of([10.0] * 5 + [300.0] + [10.0] * 20)
    small, large = underruns(late, 80), underruns(late, 320)
    assert (small.count, large.count) == (1, 0)
    assert small.stall_ms == pytest.approx(300 - 10 - 80, abs=1)
    assert underruns([], 80).count == 0


def test_ready_of_a_late_step_holds_up_the_next_ones():
    assert ready_of([200.0, 10.0, 10.0, 10.0]) == pytest.approx([0.28, 0.29, 0.30, 0.33])
    assert longest_late_run([10, 90, 100, 80, 81, 10]) == 2
