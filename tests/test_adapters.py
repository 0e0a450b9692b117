"""The gateway's adapters: our personas, and a file in its form, right and wrong."""

import re

import pytest

from personaplex_app.errors import BadInput, NotFound, SettingsError
from personaplex_app.gateway.adapters import SessionLimits, load_adapters
from personaplex_app.personas import load_personas

from .support.app_process import ROOT
from .test_personas import GATEWAY_VOICES

pytestmark = pytest.mark.unit

GOOD = """\
adapters:
  - name: parcel-desk
    type: speech_to_speech
    enabled: true
    persona:
      voice_prompt: VARM3.pt
      text_prompt: You work for Swift Parcel and your name is Ida.
    capabilities:
      requires_api_key_validation: true
      supports_interruption: true
    sampling: {audio_temperature: 0.6, seed: 7}
    config:
      max_session_duration_seconds: 120
      idle_timeout: 30
      max_concurrent_sessions: 1
      ping_interval_seconds: 5
      audio_chunk_size_ms: 100
  - name: personaplex-storyteller
    enabled: false
  - name: personaplex-chat
    persona: {voice_prompt: NATM3}
session:
  max_duration: 900
  idle_timeout: 60
  max_concurrent_sessions: 3
"""


def load(tmp_path, content, keyed=True):
    path = tmp_path / "adapters.yaml"
    path.write_text(content, "utf-8")
    return load_adapters(load_personas(), str(path), keyed)


def test_adapters_without_a_file_are_our_personas_with_the_six_known_ones():
    found = load_adapters(load_personas())
    assert len(found.by_name) == len(load_personas())
    assert {f"personaplex-{name}": voice for name, voice in GATEWAY_VOICES.items()}.items() <= {
        name: adapter.persona.voices[0] for name, adapter in found.by_name.items()
    }.items()
    limits = found.limits
    assert (limits.talk_s, limits.idle_s, limits.sessions) == (3600, 300, 4)
    assert found.find("assistant") is found.find("personaplex-assistant")
    with pytest.raises(NotFound, match="Did you mean personaplex-storyteller"):
        found.find("personaplex-storytellr")


def test_adapters_file_adds_and_changes(tmp_path):
    found = load(tmp_path, GOOD)
    desk = found.find("parcel-desk")
    assert (desk.persona.voices, desk.needs_key) == (("VARM3", "firm"), True)
    assert desk.persona.prompt == "You work for Swift Parcel and your name is Ida."
    assert (desk.sampling, desk.chunk_ms, desk.max_sessions) == (
        {"audio_temperature": 0.6, "seed": 7},
        100,
        1,
    )
    assert (desk.talk_s, desk.idle_s, found.ping_s, found.limits.sessions) == (120, 30, 5, 3)
    with pytest.raises(BadInput, match="switched off"):
        found.find("personaplex-storyteller")
    chat = found.find("personaplex-chat")
    assert (chat.persona.voices, chat.talk_s, chat.idle_s) == (("NATM3", "deep"), 900, 60)
    assert "June" in chat.persona.prompt
    assert found.find("personaplex-assistant").talk_s == 900
    assert found.unused == (
        "line 3, field adapters[0].type",
        "line 10, field adapters[0].capabilities.supports_interruption",
    )


@pytest.mark.parametrize(
    ("before", "after", "line", "field", "said"),
    [
        ("true\n    persona", "yes please\n    persona", 4, "adapters[0].enabled", "true or false"),
        ("VARM3.pt", "VARM9.pt", 6, "adapters[0].persona.voice_prompt", "no voice 'VARM9'"),
        ("VARM3.pt", "[1]", 6, "adapters[0].persona.voice_prompt", "a single value"),
        (
            "You work for Swift Parcel and your name is Ida.",
            "x" * 2001,
            7,
            "adapters[0].persona.text_prompt",
            "2,000",
        ),
        (
            "You work for Swift Parcel and your name is Ida.",
            "7",
            7,
            "adapters[0].persona.text_prompt",
            "text",
        ),
        (
            "      text_prompt: You work for Swift Parcel and your name is Ida.\n",
            "",
            6,
            "adapters[0].persona.text_prompt",
            "missing",
        ),
        ("name: parcel-desk", "name: a/b", 2, "adapters[0].name", "letters, digits"),
        ("- name: parcel-desk", "- title: x", 2, "adapters[0].name", "missing"),
        ("personaplex-chat", "parcel-desk", 20, "adapters[2].name", "twice"),
        ("0.6", ".nan", 11, "adapters[0].sampling.audio_temperature", "a number from 0 to 2"),
        ("seed: 7", "seed: 7.5", 11, "adapters[0].sampling.seed", "a whole number"),
        ("120", "-1", 13, "adapters[0].config.max_session_duration_seconds", "10 to 86400"),
        (
            "max_concurrent_sessions: 3",
            "max_concurrent_sessions: many",
            25,
            "session.max_concurrent_sessions",
            "a whole number",
        ),
        ("  idle_timeout: 60", "  max_duration: 60", 24, "session.max_duration", "twice"),
        ("adapters:", "adapter:", 1, "adapters", "give a list"),
        ("session:", "- x\nsession:", 22, None, "not YAML"),
    ],
)
def test_adapters_bad_file_names_line_and_field(tmp_path, before, after, line, field, said):
    assert GOOD.count(before) == 1
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, GOOD.replace(before, after))
    message = str(raised.value)
    assert re.match(rf"adapters\.yaml, line {line}\b", message), message
    assert field is None or f"field {field}:" in message, message
    assert said in message
    assert "\n" not in message


def test_adapters_file_of_the_documentation_is_read_whole(tmp_path):
    example = re.search(
        r"<!-- test: adapters -->\n```yaml\n(.*?)```", (ROOT / "docs" / "protocol.md").read_text(), re.DOTALL
    )
    found = load(tmp_path, example[1])
    assert found.unused == ()
    assert found.find("parcel-desk").needs_key
    assert found.limits == SessionLimits()


def test_adapters_that_ask_for_a_key_where_there_is_none_are_refused(tmp_path):
    with pytest.raises(
        SettingsError, match=r"line 2, field adapters\[0\].capabilities.*PERSONAPLEX_GATEWAY_KEY"
    ):
        load(tmp_path, GOOD, keyed=False)


def test_adapters_of_an_operators_personas_are_offered_and_changed(tmp_path):
    own = tmp_path / "personas.yaml"
    own.write_text(
        "- {name: gardener, title: Gardener, purpose: Plants., family: Shops, voices: [deep, VARM1, NATM0],"
        " prompt: You sell plants., examples: [Hello., A fern?, Goodbye.]}"
    )
    personas = load_personas(own)
    assert load_adapters(personas).find("gardener").persona.voices == ("deep", "VARM1", "NATM0")
    changes = {
        "idle_timeout": "config: {idle_timeout: 7}",
        "same voice": "persona: {voice_prompt: VARM1.pt}",
        "other voice": "persona: {voice_prompt: NATM0}",
    }
    found = {}
    for name, change in changes.items():
        file = tmp_path / "adapters.yaml"
        file.write_text(f"adapters: [{{name: personaplex-gardener, {change}}}]")
        found[name] = load_adapters(personas, str(file)).find("gardener")
    assert found["idle_timeout"].idle_s == 7
    assert found["idle_timeout"].persona.prompt == "You sell plants."
    assert {name: each.persona.voices for name, each in found.items()} == {
        "idle_timeout": ("deep", "VARM1", "NATM0"),
        "same voice": ("deep", "VARM1", "NATM0"),
        "other voice": ("NATM0", "deep"),
    }


@pytest.mark.parametrize("content", ["", "- 3", "[" * 5000, "\x00", "a: &a [*a]"])
def test_adapters_broken_file_raises_settings_error(tmp_path, content):
    with pytest.raises(SettingsError):
        load(tmp_path, content)


def test_adapters_missing_or_huge_file_raises_settings_error(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_adapters(load_personas(), str(tmp_path / "none.yaml"))
    with pytest.raises(SettingsError, match="larger"):
        load(tmp_path, "#" * (2**20 + 1))
