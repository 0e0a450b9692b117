"""The role presets: the shipped ones, an operator's, and what a broken file is told."""

import re
from dataclasses import FrozenInstanceError

import pytest

from personaplex_app.__main__ import main
from personaplex_app.engine.contract import SessionConfig
from personaplex_app.errors import BadPrompt, SettingsFileError, UnknownPersona
from personaplex_app.personas import PERSONAS_FILE, check_prompt, find, load_personas
from personaplex_app.responder.rules import make_responder
from personaplex_app.voices import EMBEDDED_NAMES, NAMES

from .support.app_process import ROOT

pytestmark = pytest.mark.unit

GOOD = """\
- name: baker
  title: Baker
  purpose: Sells bread.
  family: Customer service
  voices: [NATF1, warm]
  prompt: You work for Crumb which is a bakery and your name is Ida.
  examples: [Hello., "Do you have rye bread?", Goodbye.]
- name: assistant
  title: Butler
  purpose: Serves tea.
  family: Assistants
  voices: [deep]
  prompt: You are a butler and your name is James.
  examples:
    - Hello.
    - Is there tea?
    - Goodbye.
"""
GATEWAY_VOICES = {
    "assistant": "NATF2",
    "customer-service": "NATM1",
    "language-tutor": "NATF1",
    "chat": "VARF2",
    "interview-coach": "NATM2",
    "storyteller": "VARM1",
}


def load(tmp_path, content=GOOD):
    path = tmp_path / "roles.yaml"
    path.write_text(content, "utf-8")
    return load_personas(path)


def test_personas_shipped_file_holds_every_role():
    names = {p.name for p in load_personas()}
    assert names >= set(GATEWAY_VOICES) | {
        "wise-teacher",
        "waste-collection",
        "restaurant",
        "drone-rental",
        "appliance-repair",
        "casual-conversation",
        "astronaut",
        "lesson-tutor",
        "angry-customer",
        "product-demo",
        "sales-coach",
        "operations-assistant",
        "guess-the-animal",
        "twenty-questions",
        "quiz-master",
        "lighthouse-adventure",
    }


def test_personas_of_the_gateway_keep_their_voices():
    assert {name: find(name).voice_among(NAMES) for name in GATEWAY_VOICES} == GATEWAY_VOICES


def test_personas_waste_collection_knows_the_compost_bin():
    assert re.search(r"compost bin[^.]*\$8 per month", find("waste-collection").prompt)


def test_personas_are_all_different_and_frozen():
    personas = load_personas()
    assert len({p.prompt for p in personas}) == len({p.title for p in personas}) == len(personas)
    with pytest.raises(FrozenInstanceError):
        personas[0].name = "x"


def test_personas_of_a_file_are_added_or_put_in_the_place_of_their_namesakes(tmp_path):
    own, found = load_personas(), load(tmp_path)
    assert [each.name for each in found] == [*(each.name for each in own), "baker"]
    assert found[0].title == "Butler"
    assert found[1:-1] == own[1:]
    assert found[-1].voices == ("NATF1", "warm")
    assert found[-1].examples == ("Hello.", "Do you have rye bread?", "Goodbye.")


def test_personas_of_a_file_that_replaces_are_all_there_are(tmp_path):
    indented = "".join("  " + line for line in GOOD.splitlines(keepends=True))
    found = load(tmp_path, "replace: true\npersonas:\n" + indented)
    assert [each.name for each in found] == ["baker", "assistant"]
    assert len(load(tmp_path, "personas:\n" + indented)) == len(load_personas()) + 1


def test_personas_file_in_the_earlier_form_goes_on_working(tmp_path):
    before = "voice: NATF1\n  classic_voice: warm\n"
    assert load(tmp_path, GOOD.replace("voices: [NATF1, warm]\n", before)) == load(tmp_path)


def test_personas_example_file_is_read():
    found = load_personas(ROOT / "assets" / "personas.yaml")
    added = {each.name: each.voices for each in found if each not in load_personas()}
    assert added == {"garden-centre": ("NATF1", "warm"), "interviewer": ("VARM2", "NATM2", "deep")}


@pytest.mark.parametrize(
    ("names", "voice"),
    [(NAMES, "VARM2"), (EMBEDDED_NAMES, "deep"), (("NATM2", "deep"), "NATM2"), (("Samantha",), None)],
)
def test_persona_speaks_in_the_first_of_its_voices_that_an_engine_has(names, voice):
    assert find("interviewer", load_personas(ROOT / "assets" / "personas.yaml")).voice_among(names) == voice


@pytest.mark.parametrize(
    ("before", "after", "line", "field", "said"),
    [
        ("name: baker", "name: Bad Name", 1, "personas[0].name", "lower-case"),
        ("name: baker", "name: ''", 1, "personas[0].name", "not empty"),
        ("- name: baker\n ", "-", 1, "personas[0].name", "missing"),
        ("name: assistant", "name: baker", 8, "personas[1].name", "there twice"),
        ("title: Baker", "title: ", 1, "personas[0].title", "missing"),
        ("title: Butler", "title: " + "x" * 121, 9, "personas[1].title", "at most 120"),
        ("Sells bread.", "7", 3, "personas[0].purpose", "text"),
        ("Sells bread.", "[a]", 3, "personas[0].purpose", "single value"),
        ("Serves tea.", '"a\\nb"', 10, "personas[1].purpose", "one line"),
        ("NATF1", "NATF9", 5, "personas[0].voices[0]", "no voice 'NATF9'. Did you mean NATF"),
        ("NATF1", "../NATF1", 5, "personas[0].voices[0]", "no voice"),
        ("warm", "loud", 5, "personas[0].voices[1]", "There are: NATF0"),
        ("[NATF1, warm]", "NATF1", 5, "personas[0].voices", "a list of 1 to 20"),
        ("[NATF1, warm]", "[]", 5, "personas[0].voices", "a list of 1 to 20"),
        ("voices: [deep]", "voice: NATF9", 12, "personas[1].voice", "no voice 'NATF9'"),
        ("voices: [deep]", "voices:", 8, "personas[1].voices", "missing"),
        ("[deep]", "[deep]\n  voice: NATM1", 8, "personas[1].voices", "leave those out"),
        ("You are a butler and your name is James.", "' '", 13, "personas[1].prompt", "text"),
        ("You are a butler and your name is James.", "a" * 2001, 13, "personas[1].prompt", "2,000"),
        ("You are a butler and your name is James.", "a " * 200, 13, "personas[1].prompt", "fewer than 200"),
        ("    - Is there tea?\n", "", 15, "personas[1].examples", "a list of 3 to 5"),
        ("Is there tea?", "3", 16, "personas[1].examples[1]", "text"),
        ("family: Assistants", "colour: red", 8, "personas[1].family", "missing"),
        ("[deep]", "[deep]\n  colour: red", 13, "personas[1].colour", "no such field; the fields are name"),
    ],
)
def test_personas_bad_file_names_line_and_field(tmp_path, before, after, line, field, said):
    assert GOOD.count(before) == 1
    with pytest.raises(SettingsFileError) as raised:
        load(tmp_path, GOOD.replace(before, after))
    assert str(raised.value).startswith(f"roles.yaml, line {line}, field {field}: "), str(raised.value)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "name: x", "- 3", "- [", "\x00", "replace: maybe\n", "personas: []", "replace: true"]
)
def test_personas_broken_file_raises_settings_error(tmp_path, text):
    with pytest.raises(SettingsFileError, match=r"roles\.yaml"):
        load(tmp_path, text)


def test_personas_missing_file_raises_settings_error(tmp_path):
    with pytest.raises(SettingsFileError, match=r"none\.yaml"):
        load_personas(tmp_path / "none.yaml")


def test_serve_with_a_bad_file_of_personas_is_bad_usage(tmp_path, capsys):
    path = tmp_path / "roles.yaml"
    path.write_text(GOOD.replace("NATF1", "NATF9"))
    assert main(["serve", "--engine", "echo", "--personas", str(path), "--data", str(tmp_path)]) == 2
    assert "roles.yaml, line 5, field personas[0].voices[0]: There is no voice" in capsys.readouterr().err


def test_personas_unknown_name_offers_close_ones():
    with pytest.raises(UnknownPersona, match="restaurant"):
        find("restuarant")
    with pytest.raises(UnknownPersona, match="There are: assistant"):
        find("zzzzzz")


def test_check_prompt_strips_and_keeps_the_limit():
    assert check_prompt("  You are kind. \n") == "You are kind."
    assert len(check_prompt("x" * 2000)) == 2000
    for bad in ("", " \n\t", "x" * 2001):
        with pytest.raises(BadPrompt):
            check_prompt(bad)


def test_personas_file_lies_inside_the_package():
    assert PERSONAS_FILE.is_file()
    assert PERSONAS_FILE.parent.name == "personaplex_app"


def test_personas_of_the_app_have_a_voice_in_every_engine():
    for persona in load_personas():
        assert persona.voice_among(NAMES)
        assert persona.voice_among(EMBEDDED_NAMES)


def test_personas_of_the_app_begin_as_the_page_says():
    for persona in load_personas():
        responder = make_responder(
            SessionConfig("natural", persona.prompt, persona.name), lambda text: None, encoder=None
        )
        assert responder.greet() == persona.first_line
        responder.close()
