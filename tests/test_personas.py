"""The role presets: the shipped file, and what a broken one is told."""

import re
from dataclasses import FrozenInstanceError

import pytest
import yaml

from personaplex_app.errors import BadPrompt, SettingsError, UnknownPersona
from personaplex_app.personas import CLASSIC_VOICES, PERSONAS_FILE, check_prompt, find, load_personas

pytestmark = pytest.mark.unit

GOOD = {
    "name": "baker",
    "title": "Baker",
    "purpose": "Sells bread.",
    "family": "Customer service",
    "voice": "NATF1",
    "classic_voice": "warm",
    "prompt": "You work for Crumb which is a bakery and your name is Ida.",
    "examples": ["Hello.", "Do you have rye bread?", "Goodbye."],
}
GATEWAY_VOICES = {
    "assistant": "NATF2",
    "customer-service": "NATM1",
    "language-tutor": "NATF1",
    "chat": "VARF2",
    "interview-coach": "NATM2",
    "storyteller": "VARM1",
}


def load(tmp_path, *entries):
    path = tmp_path / "personas.yaml"
    path.write_text(yaml.safe_dump(list(entries)), "utf-8")
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
    }


def test_personas_of_the_gateway_keep_their_voices():
    assert {name: find(name).voice for name in GATEWAY_VOICES} == GATEWAY_VOICES


def test_personas_waste_collection_knows_the_compost_bin():
    assert re.search(r"compost bin[^.]*\$8 per month", find("waste-collection").prompt)


def test_personas_are_all_different_and_frozen():
    personas = load_personas()
    assert len({p.prompt for p in personas}) == len({p.title for p in personas}) == len(personas)
    with pytest.raises(FrozenInstanceError):
        personas[0].name = "x"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "Bad Name", "lower-case"),
        ("name", "", "empty"),
        ("title", None, "empty"),
        ("title", "x" * 121, "120"),
        ("purpose", 7, "text"),
        ("voice", "NATF9", "NATF0"),
        ("voice", "../NATF1", "NATF0"),
        ("classic_voice", "loud", "warm"),
        ("prompt", "", "empty"),
        ("prompt", "a" * 2001, "2,000"),
        ("prompt", "word " * 200, "fewer than 200"),
        ("prompt", ["a"], "text"),
        ("examples", ["one", "two"], "3 to 5"),
        ("examples", ["one", "two", 3], "text"),
        ("examples", "one", "3 to 5"),
        ("colour", "red", "no such field"),
    ],
)
def test_personas_broken_field_is_named_with_its_limit(tmp_path, field, value, said):
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, GOOD | {field: value})
    message = str(raised.value)
    assert field in message
    assert said in message
    assert "baker" in message or field == "name"


@pytest.mark.parametrize("text", ["", "[]", "name: x", "- 3", "- [", "\x00"])
def test_personas_broken_file_raises_settings_error(tmp_path, text):
    path = tmp_path / "personas.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError):
        load_personas(path)


def test_personas_missing_file_raises_settings_error(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_personas(tmp_path / "none.yaml")


def test_personas_same_name_twice_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="2 times"):
        load(tmp_path, GOOD, GOOD | {"title": "Other"})


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


def test_personas_know_the_embedded_voices_by_name():
    synthesiser = pytest.importorskip(
        "personaplex_app.speech.synthesiser", reason="the speech packages are not installed"
    )
    assert {timbre.voice.name for timbre in synthesiser.TIMBRES} == set(CLASSIC_VOICES)
