"""Settings: the environment, the flags before it, and sentences for what cannot be used."""

from dataclasses import fields

import pytest

from personaplex_app.errors import SettingsError
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
