"""Our own scenarios: the shipped file, true times that the sound bears out, the same samples each time, and
what a broken file is told.
"""

import numpy as np
import pytest
import yaml

from personaplex_app.errors import BadInput, SettingsError
from personaplex_app.evaluation.scenarios import (
    AUDIBLE,
    KINDS,
    LEAD_S,
    USER_TIMBRES,
    choose_scenarios,
    load_scenarios,
    speak,
    user_timbre,
    worded,
)
from personaplex_app.speech.sound import Sound
from personaplex_app.speech.speech_finder import SpeechFinder

from .support.speech import synthesiser

pytestmark = pytest.mark.unit

GOOD = {
    "name": "one",
    "kind": "turn_end",
    "title": "One",
    "persona": "chat",
    "script": [{"say": "Hello."}, {"wait": 3}],
}


def scenario(name: str):
    return choose_scenarios([name], load_scenarios())[0]


def spoken(name: str, take: int = 0):
    return speak(scenario(name), take, synthesiser())


def broken(tmp_path, **changes):
    path = tmp_path / "scenarios.yaml"
    path.write_text(yaml.safe_dump([{**GOOD, **changes}]))
    return path


def test_scenarios_shipped_are_at_least_twenty_of_every_kind():
    scenarios = load_scenarios()
    assert len(scenarios) >= 20
    assert {each.kind for each in scenarios} == set(KINDS)
    assert len({each.sha256 for each in scenarios}) == len(scenarios)


@pytest.mark.parametrize("name", ["pause-booking", "interrupt-topic", "aside-answer"])
def test_speak_twice_gives_the_same_samples_and_another_take_another_voice(name):
    first, again, other = spoken(name), spoken(name), spoken(name, 1)
    assert first.sha256 == again.sha256
    assert np.array_equal(first.samples, again.samples)
    assert first.user_voice != other.user_voice
    assert first.sha256 != other.sha256


def test_user_timbre_of_five_takes_are_all_voices():
    assert len({user_timbre(scenario("turn-short"), take) for take in range(5)}) == len(USER_TIMBRES)


@pytest.mark.parametrize("name", ["turn-question", "pause-number", "interrupt-why", "hum-story"])
def test_speak_true_times_are_where_the_sound_is(name):
    told = spoken(name)
    loud = np.flatnonzero(np.abs(told.samples) > AUDIBLE) / 24_000
    said = [each for each in told.happened if each.what != "pause"]
    assert loud[0] == pytest.approx(said[0].start_s, abs=0.005)
    assert loud[-1] == pytest.approx(max(each.end_s for each in said), abs=0.005)
    assert told.from_s >= LEAD_S
    for pause in (each for each in told.happened if each.what == "pause"):
        assert not ((loud > pause.start_s + 0.005) & (loud < pause.end_s - 0.005)).any()
    segments = SpeechFinder().segments(Sound(told.samples, 24_000, 1))
    assert segments[0][0] == pytest.approx(said[0].start_s, abs=0.15)


def test_speak_a_turn_runs_over_its_pauses_and_keeps_its_facts():
    told = spoken("pause-booking").happened
    assert [each.what for each in told] == ["turn", "pause", "pause"]
    assert told[0].text == "I would like to order one green curry and two spring rolls, please."
    assert told[0].start_s < told[1].start_s < told[1].end_s < told[2].start_s < told[2].end_s < told[0].end_s
    assert [each.facts for each in spoken("facts-waste").happened] == [(8,), ("june", 4), (5,)]
    assert [each.what for each in spoken("silence-long").happened] == ["silence"]


def test_worded_chooses_by_seed_among_all_wordings_and_keeps_what_a_right_answer_holds():
    asked = scenario("facts-waste")
    ways = {part.text for take in range(3) for part in worded(asked, take) if part.do == "say"}
    assert len(ways) == 9
    assert worded(asked, 1) == worded(asked, 4) != worded(asked, 2)
    assert [part.facts for part in worded(asked, 1)] == [part.facts for part in asked.script]
    assert spoken("facts-waste", 1).happened[0].text == worded(asked, 1)[0].text
    # a voice of the user and a wording do not always come together
    pairs = {(user_timbre(asked, take).voice.name, worded(asked, take)[0].text) for take in range(12)}
    assert len(pairs) == 3 * len(USER_TIMBRES)


def test_scenario_without_other_wordings_keeps_the_hash_of_earlier_results():
    # of a run before scripts had several wordings
    assert (
        scenario("pause-booking").sha256 == "b6cba0a3782fe2e739f48db46f890377339688f56f7ecd6fe2200b8b14f9b8e9"
    )
    assert scenario("facts-waste").sha256 != scenario("facts-drone").sha256


def test_speak_aside_is_quieter_and_noise_is_no_speech():
    told = spoken("aside-answer")
    turn, aside = (next(each for each in told.happened if each.what == what) for what in ("turn", "aside"))

    def level(each):
        part = told.samples[int(each.start_s * 24_000) : int(each.end_s * 24_000)]
        return float(np.sqrt(np.mean(part**2)))

    assert level(aside) < 0.3 * level(turn)
    for name in ("noise-hiss", "noise-knocks"):
        noise = spoken(name)
        assert SpeechFinder().segments(Sound(noise.samples, 24_000, 1)) == []
        assert np.abs(noise.samples).max() > 0.03


def test_choose_scenarios_takes_names_kinds_and_all():
    scenarios = load_scenarios()
    assert choose_scenarios([], scenarios) == scenarios
    assert [each.name for each in choose_scenarios(["silence", "turn-short"], scenarios)] == [
        "turn-short",
        "silence-long",
    ]
    with pytest.raises(BadInput, match=r"no scenario 'opera'; give names .* or kinds: pause, turn_end"):
        choose_scenarios(["opera"], scenarios)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "opera"}, "field kind: 'opera' is not one of pause"),
        ({"persona": "nobody"}, "there is no persona 'nobody'"),
        ({"name": "One Two"}, "use lower-case letters"),
        ({"title": ""}, "field title: it must be text"),
        ({"inverted": ["("]}, "list of regular expressions"),
        ({"script": []}, "must be a list of parts"),
        ({"script": [{"shout": "Hello"}]}, "must have one of say"),
        ({"script": [{"say": 5}]}, "say must be text of at most 300"),
        ({"script": [{"say": "Hello.", "ways": [""]}]}, "say must be text of at most 300"),
        ({"script": [{"wait": 1000}]}, "must last from 0 to 30 seconds"),
        ({"script": [{"noise": "drill", "seconds": 2}]}, "a noise is hiss or knocks"),
        ({"tempo": 3}, "must be a mapping of name, kind"),
    ],
)
def test_load_scenarios_broken_file_names_the_scenario_and_the_field(tmp_path, changes, sentence):
    with pytest.raises(SettingsError, match="Scenario") as refused:
        load_scenarios(broken(tmp_path, **changes))
    assert sentence in str(refused.value)


def test_load_scenarios_same_name_twice_is_refused(tmp_path):
    path = tmp_path / "scenarios.yaml"
    path.write_text(yaml.safe_dump([GOOD, GOOD]))
    with pytest.raises(SettingsError, match="there are 2 of that name"):
        load_scenarios(path)
