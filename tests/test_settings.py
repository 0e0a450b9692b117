"""Settings: the environment, the flags before it, and sentences for what cannot be used."""

from dataclasses import fields

import pytest

from personaplex_app.errors import SettingsError, UsageError, shorten
from personaplex_app.settings import GROUPS, Settings

pytestmark = pytest.mark.unit


def test_settings_of_empty_environment_are_the_defaults():
    assert Settings.read({}) == Settings()


def test_settings_flag_goes_before_the_environment():
    settings = Settings.read(
        {"PERSONAPLEX_PORT": "8000", "PERSONAPLEX_SLOTS": "3"}, {"port": "9000", "slots": None}
    )
    assert (settings.port, settings.slots) == (9000, 3)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "80000", "PERSONAPLEX_PORT.*80000.*65535"),
        ("ENGINE", "gpt", "gpt.*auto, personaplex, remote, classic, echo"),
        ("SLOTS", "many", "whole number"),
        ("DEVICE", "gpu", "PERSONAPLEX_DEVICE.*gpu.*auto, cpu, cuda or cuda:N"),
        ("DEVICE", "cuda:", "cuda:N"),
        ("SHARE", "maybe", "1 or 0"),
        ("LLM_URL", "localhost:8000", "http"),
        ("VOTES_DATASET", "votes", "OWNER/NAME"),
        ("ROOT_PATH", "voice", "a path such as /voice"),
        ("TRUSTED_PROXIES", "nginx", "nginx.*addresses or networks"),
        ("TRUSTED_PROXIES", "10.0.0.1,*", "networks"),
        ("SSL_KEY", "key.pem", "--ssl-key is given without --ssl-cert"),
    ],
)
def test_settings_bad_value_names_variable_value_and_choice(name, value, said):
    with pytest.raises(SettingsError, match=said):
        Settings.read({f"PERSONAPLEX_{name}": value})


def test_settings_share_with_a_certificate_is_refused():
    with pytest.raises(SettingsError, match=r"--share.*--ssl"):
        Settings.read({"PERSONAPLEX_SHARE": "1", "PERSONAPLEX_SSL": "1"})


def test_settings_groups_hold_every_setting_once():
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(f.name for f in fields(Settings))


def test_settings_bad_secret_is_not_repeated():
    with pytest.raises(SettingsError, match="user:password") as caught:
        Settings.read({"PERSONAPLEX_AUTH": "hunter2"})
    assert "hunter2" not in str(caught.value)


OWN_KEYS = ("PERSONAPLEX_API_KEY", "PERSONAPLEX_GATEWAY_KEY")
OTHERS_KEYS = (
    "PERSONAPLEX_LLM_KEY",
    "PERSONAPLEX_JUDGE_KEY",
    "PERSONAPLEX_REMOTE_KEY",
    "PERSONAPLEX_HF_TOKEN",
    "HF_TOKEN",
)


@pytest.mark.parametrize("name", [*OWN_KEYS, *OTHERS_KEYS])
@pytest.mark.parametrize(
    ("key", "odd"),
    [
        ("sk-…abc", "…"),
        ("“sk-abc”", "“"),
        ("sk–abc", "–"),
        ("sk\nabc", "\n"),
        ("sk-abcü", "ü"),
        ('"sk-abc"', '"'),
        ("'sk-abc'", "'"),
        ("sk-...abc", "..."),
        ("sk-****", "***"),
        ("sk\u200babc", "\u200b"),
        ("$THE_KEY", "$"),
        ("${THE_KEY}", "$"),
    ],
)
def test_settings_key_that_cannot_be_sent_is_refused_without_showing_it(name, key, odd):
    with pytest.raises(UsageError) as caught:
        Settings.read({name: key})
    said = str(caught.value)
    assert said.startswith(f"{name} cannot be used; it must be the key alone")
    assert f"holds {shorten(odd)}, which" in said
    assert key.strip("\"'“”") not in said


@pytest.mark.parametrize("name", OTHERS_KEYS)
def test_settings_key_of_another_service_has_no_space(name):
    with pytest.raises(UsageError, match="holds ' ', which"):
        Settings.read({name: "sk abc"})


def test_settings_own_key_may_be_a_phrase():
    settings = Settings.read(dict.fromkeys(OWN_KEYS, "correct horse battery"))
    assert settings.api_key == settings.gateway_key == "correct horse battery"


def test_settings_key_is_taken_as_it_is_and_freed_of_blanks_around_it():
    assert (
        Settings.read({"PERSONAPLEX_API_KEY": " sk-proj_A.b/c+d=~!$&'()\n"}).api_key
        == "sk-proj_A.b/c+d=~!$&'()"
    )
    assert Settings.read({"HF_TOKEN": "hf_theirs"}).hf_token == "hf_theirs"
    assert Settings.read({"HF_TOKEN": "hf_theirs", "PERSONAPLEX_HF_TOKEN": "hf_own"}).hf_token == "hf_own"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("LLM_URL", "JUDGE_URL")
            for value in (
                "http://",
                "http://host:99999",
                "“http://host”",
                "http://ho st/v1",
                "http://host/v1…",
                "http://host\n/v1",
                "http://ho..st/v1",
                "https://ann:hunter2@host/v1",
            )
        ),
        ("REMOTE_URL", "ws://host…/"),
        ("REMOTE_URL", "ws://“host”"),
        ("HOST", "http://0.0.0.0"),
        ("HOST", "0.0.0.0 x"),
        ("HOST", "“0.0.0.0”"),
        ("AUTH", "ann:hun\nter2"),
        ("REMOTE_URL", "wss://ann:hunter2@host"),
        ("ROOT_PATH", "/../voice"),
        ("DATA", ""),
        ("DATA", "~nobody-here/x"),
        ("CHECKPOINT", "~nobody-here/x"),
        ("VOTES_DATASET", "ann/stimmen-für-alle"),
    ],
)
def test_settings_address_that_cannot_work_is_refused_by_its_name(name, value):
    with pytest.raises(UsageError, match=f"^PERSONAPLEX_{name} .*it must be") as caught:
        Settings.read({f"PERSONAPLEX_{name}": value})
    assert "hunter2" not in str(caught.value)


def test_settings_path_may_begin_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    settings = Settings.read(
        {f"PERSONAPLEX_{name}": "~/f" for name in ("CHECKPOINT", "PERSONAS", "ADAPTERS", "LOCAL_MODEL")}
        | {"PERSONAPLEX_DATA": "~/talks", "PERSONAPLEX_SSL_KEY": "~/k", "PERSONAPLEX_SSL_CERT": "~/c"}
    )
    assert [str(path) for path in (settings.data, settings.ssl_key, settings.ssl_cert)] == [
        "/home/ann/talks", "/home/ann/k", "/home/ann/c",
    ]  # fmt: skip
    assert {settings.checkpoint, settings.personas, settings.adapters, settings.local_model} == {
        "/home/ann/f"
    }


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "0.0.0.0", "::1", "::", "fe80::1%eth0", "localhost", "my-host.lan"]
)
def test_settings_host_names_and_addresses_are_taken(host):
    assert Settings.read({"PERSONAPLEX_HOST": host}).host == host


def test_settings_secrets_stay_out_of_repr():
    settings = Settings.read(
        {
            "PERSONAPLEX_AUTH": "ann:hunter2",
            "PERSONAPLEX_API_KEY": "sesame",
            "PERSONAPLEX_LLM_KEY": "sk-1",
            "PERSONAPLEX_HF_TOKEN": "hf_1",
        }
    )
    assert not any(secret in repr(settings) for secret in ("hunter2", "sesame", "sk-1", "hf_1"))
