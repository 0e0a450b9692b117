"""The visitors' turns and their judge: the shipped set, what the rules hold of a reply, talks in text."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import yaml

from personaplex_app.classic import engine as classic_engine
from personaplex_app.cli.main import main
from personaplex_app.engine.contract import Engine, Step, TurnLatency, Utterance
from personaplex_app.errors import BadInput, SettingsError
from personaplex_app.evaluation.reply_set.hold import hold_by_voice, hold_in_text
from personaplex_app.evaluation.reply_set.table import as_json, render
from personaplex_app.evaluation.reply_set.turns import SETS, Turn, VisitorTalk, choose_talks, load_reply_set
from personaplex_app.evaluation.reply_set.verdict import judge, refuses
from personaplex_app.personas import load_personas
from personaplex_app.responder.numbers import figures
from personaplex_app.speech.synthesiser import SpeechClip, Synthesiser
from personaplex_app.units import FRAME_S, FRAME_SAMPLES

from .support.fakes import ScriptedResponder
from .support.speech import loaded_once


def turn(say: str = "How much is a visit?", kind: str = "fact", **rules) -> Turn:
    return Turn(say, kind, **{"good": (45,), **rules})


def verdict(rules: Turn, reply: str, last: str = "Hello.", prompt: str = "A visit costs $45."):
    return judge(rules, reply, last, figures(prompt) | figures(rules.say))


def broken(tmp_path, **changes):
    path = tmp_path / "turns.yaml"
    entry = {"kind": "fact", "say": "Hello?", "good": ["hello"], **changes}
    path.write_text(
        yaml.safe_dump({"kinds": {"fact": "Facts"}, "conversations": [{"role": "chat", "turns": [entry]}]})
    )
    return path


def test_first_set_has_150_turns_in_twelve_roles_of_which_six_are_its_own():
    reply_set = load_reply_set()
    personas = {persona.name for persona in load_personas()}
    assert [talk.persona in personas for talk in reply_set.talks] == [True] * 6 + [False] * 6
    assert all(8 <= len(talk.turns) <= 15 for talk in reply_set.talks)
    kinds = Counter(each.kind for talk in reply_set.talks for each in talk.turns)
    assert sum(kinds.values()) >= 150
    assert min(kinds.values()) >= 7


def test_second_set_has_120_turns_in_25_talks_split_in_halves_of_all_kinds():
    halves = [load_reply_set(name) for name in ("second-a", "second-b")]
    assert sum(len(half.talks) for half in halves) >= 25
    assert sum(len(talk.turns) for half in halves for talk in half.talks) >= 120
    for half in halves:
        assert {each.kind for talk in half.talks for each in talk.turns} == set(half.kinds)
        assert len({talk.role for talk in half.talks}) == len(half.talks)
    assert len({half.sha256 for half in halves}) == 2


def test_reply_sets_use_no_sentence_that_a_persona_shows_as_an_example():
    examples = {example for persona in load_personas() for example in persona.examples}
    said = {each.say for name in SETS for talk in load_reply_set(name).talks for each in talk.turns}
    assert not examples & said


def test_load_reply_set_unknown_name_of_a_set_is_named(tmp_path):
    path = broken(tmp_path)
    path.write_text(path.read_text().replace("role: chat", "role: chat\n  set: third"))
    with pytest.raises(SettingsError, match="Role chat: set must be one of first, second-a, second-b"):
        load_reply_set(path=path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "opera"}, "one of the kinds fact"),
        ({"good": []}, "needs conditions"),
        ({"good": ["("]}, "a rule cannot be read"),
        ({"good": ["@sings"]}, "there is no check @sings"),
        ({"may": ["sing"]}, "may is of"),
        ({"tempo": 3}, "no field 'tempo'"),
    ],
)
def test_load_reply_set_broken_turn_is_named(tmp_path, changes, sentence):
    with pytest.raises(SettingsError, match="Role chat, turn 1") as refused:
        load_reply_set(path=broken(tmp_path, **changes))
    assert sentence in str(refused.value)


def test_choose_talks_unknown_role_names_those_that_there_are():
    talks = load_reply_set().talks
    assert [talk.role for talk in choose_talks(["grandmother"], talks)] == ["grandmother"]
    with pytest.raises(BadInput, match="no role 'opera'; choose of: assistant, chat"):
        choose_talks(["opera"], talks)


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("A visit is forty-five dollars.", "good"),
        ("A visit is $45.", "good"),
        ("I'm not sure that is all you asked, but here is what I have: a visit costs $45.", "acceptable"),
        ("The closest I have is this. A visit costs $45.", "acceptable"),
        ("The closest I have is this. We repair pumps.", "bad"),
        ("I'm sorry, that isn't in my notes.", "bad"),
        ("I don't know. A visit costs $45.", "bad"),
        ("We come to your house.", "bad"),
        ("", "bad"),
    ],
)
def test_judge_fact_wants_the_figure_without_a_refusal(reply, grade):
    assert verdict(turn(), reply).grade == grade


def test_judge_number_that_nobody_gave_is_invented_and_bad():
    told = verdict(turn(), "A visit is $45, and a repair $80.")
    assert (told.grade, told.invented) == ("bad", (80,))
    assert verdict(turn(figures=frozenset({80})), "A visit is $45, and a repair $80.").grade == "good"
    assert verdict(turn(figures=None), "A visit is $45, and a repair $80.").grade == "good"
    assert verdict(turn(good=("no",)), "No, PersonaPlex-7B is not running here.").invented == ()


def test_judge_reads_oh_of_a_telephone_number_as_zero():
    assert 0 in figures("It's five five five, oh one four two.")
    assert 0 not in figures("Oh, two coffees and one tea.")


def test_judge_same_reply_again_is_bad_where_nobody_asked_to_repeat():
    reply = "A visit costs $45."
    assert verdict(turn(), reply, last=reply).why == "the same as the reply before"
    assert verdict(turn(may=("repeat",)), reply, last=reply).grade == "good"


def test_judge_unanswerable_may_be_refused_but_not_by_a_forbidden_word():
    asked = turn("What's the password?", "unanswerable", good=("secret|can't",), bad=("barnacle",))
    assert verdict(asked, "That's a secret.").grade == "good"
    assert verdict(asked, "I can't tell anyone that it is barnacle.").why == "says 'barnacle'"
    assert verdict(asked, "I don't know, it isn't in my notes.").grade == "bad"


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("I'm sorry about your boss. That must have been awful.", "good"),
        ("Oh, your boss yelled at you? Tell me more.", "acceptable"),
        ("I understand. How can I help you?", "bad"),
        ("I'm sorry to hear that. How can I help you?", "good"),
    ],
)
def test_judge_feeling_must_be_taken_up_and_not_only_said_back(reply, grade):
    felt = turn("My boss yelled at me.", "feeling", good=("sorry|understand|yelled",))
    assert verdict(felt, reply).grade == grade


@pytest.mark.parametrize(
    ("condition", "reply", "holds"),
    [
        ("@repeats", "Of course. The lamp is on the second floor.", True),
        ("@repeats", "We open at ten.", False),
        ("@rewords", "Let me put it differently: the lamp is on the second floor.", False),
        ("@rewords", "Go up two flights of stairs to see it.", True),
        ("@shorter", "The second floor.", True),
        ("@shorter", "It is on the second floor of our museum, beside the lamp and the maps.", False),
        ("@resumes", "Go up to the second floor.", True),
        ("@resumes", "We open at ten.", False),
        (("ten", "eleven"), "We open at ten.", True),
        (("eleven", "noon"), "We open at ten.", False),
    ],
)
def test_judge_conditions_look_at_the_reply_before(condition, reply, holds):
    asked = turn("Again?", "meta", good=(condition,), figures=None, may=("repeat",))
    last = "The lamp is on the second floor."
    assert (verdict(asked, reply, last=last).grade == "good") is holds


@pytest.mark.parametrize(
    ("reply", "is_refusal"),
    [
        ("I really don't know about that.", True),
        ("My notes don't cover the chef.", True),
        ("I couldn't say.", True),
        ("That's a riddle, and it isn't in my notes.", True),
        ("I can plan your day with you. I only know what is in my notes.", False),
        ("Singing is beyond me, but here is a rhyme.", False),
        ("We do not repair microwaves.", False),
        ("Calculators are not allowed.", False),
        ("I don't have to charge you for that.", False),
    ],
)
def test_refuses_knows_ignorance_from_a_negative_fact(reply, is_refusal):
    assert refuses(reply) is is_refusal


def test_hold_in_text_counts_by_kind_and_role_and_names_what_misses_the_targets():
    reply_set = load_reply_set()
    told = turn("And for two?", figures=frozenset({90}), may=("repeat",))
    talk = VisitorTalk("repair", "Repair", "A visit costs $45.", None, (turn(kind="skill"), told, told))
    responder = ScriptedResponder("Hello.", ("A visit costs $45,", "and $90 for two."))
    held = list(hold_in_text(talk, lambda config: responder, "natural"))
    assert [each.verdict.grade for each in held] == ["bad", "good", "good"]
    assert responder.closed
    report = as_json(held, reply_set, {"level": "text"})
    assert (report["all"]["good"], report["all"]["bad"], report["all"]["invented"]) == (2, 1, 1)
    assert set(report["kinds"]) == {"fact", "skill"}
    text = render(report, reply_set.kinds)
    assert "MISSED  good and acceptable 67%, wanted 85%" in text
    assert "MISSED  kinds under 70%: skill" in text
    assert "MISSED  replies with an invented figure: 1, wanted none" in text


class AnsweringSession:
    """Hears a turn when sound is followed by silence, and answers it with the next reply a frame later."""

    def __init__(self, replies: list[str]) -> None:
        self.replies = replies
        self.frames = 0
        self.heard = 0
        self.closed = False

    def step(self, user: np.ndarray) -> Step:
        self.frames += 1
        at_s = self.frames * FRAME_S
        silent = np.abs(user).max() < 0.01
        greets = self.frames == 1
        if not greets and not (silent and self.heard):
            self.heard += not silent
            return Step(np.zeros(FRAME_SAMPLES, np.float32))
        self.heard = 0
        reply = self.replies.pop(0)
        events: list = [Utterance(self.frames, "agent", reply, at_s, at_s + 0.08, True)] if reply else []
        if not greets:
            heard = Utterance(1000 + self.frames, "user", "How much?", at_s - 0.16, at_s, True)
            events += [heard, TurnLatency(at_s - 0.2, at_s)]
        return Step(np.zeros(FRAME_SAMPLES, np.float32), "", tuple(events))

    def close(self) -> None:
        self.closed = True


def test_hold_by_voice_waits_for_each_reply_and_takes_what_was_heard_and_when():
    session = AnsweringSession(["Hello.", "A visit costs $45.", ""])
    engine = cast(Engine, SimpleNamespace(open=lambda config: session))
    sound = SpeechClip(np.full(4 * FRAME_SAMPLES + 7, 0.3, np.float32), ())
    speaker = cast(Synthesiser, SimpleNamespace(speak=lambda text, timbre: sound))
    talk = VisitorTalk("repair", "Repair", "A visit costs $45.", None, (turn(), turn()))
    answered, silent = hold_by_voice(talk, engine, "natural", speaker, 3)
    assert (answered.heard, answered.reply, answered.verdict.grade) == (
        "How much?",
        "A visit costs $45.",
        "good",
    )
    assert answered.reply_s == pytest.approx(0.2)
    assert (silent.reply, silent.verdict.why) == ("", "no reply")
    # quiet after the greeting and after the reply, 6 s in vain for the other
    assert session.frames * FRAME_S == pytest.approx(1.6 + 1.6 + 6 + 2 * 5 * FRAME_S, abs=0.5)
    assert session.closed


@pytest.mark.slow
def test_evaluate_replies_prints_json_and_writes_a_blind_sample(tmp_path, capsys):
    blind = tmp_path / "blind.txt"
    with loaded_once(classic_engine):
        assert main(["evaluate", "replies", "--set", "second-a", "--roles", "gym", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["set"], set(report["roles"]), report["all"]["turns"]) == ("second-a", {"gym"}, 7)
    with loaded_once(classic_engine):
        assert main(["evaluate", "replies", "--roles", "chat", "--json", "--blind", str(blind)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["all"]["turns"] == 15
    assert {each["grade"] for each in report["turns"]} <= {"good", "acceptable", "bad"}
    assert blind.read_text("utf-8").count("VISITOR:") == 15
    assert "acceptable" not in blind.read_text("utf-8")
