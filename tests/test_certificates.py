"""Keys and certificates: what cannot be served is a sentence, and a self-signed one is made, kept and made
again.
"""

import os
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from personaplex_app.cli.doctor import https_of
from personaplex_app.cli.main import main
from personaplex_app.errors import SettingsError
from personaplex_app.server import certificates
from personaplex_app.server.certificates import advice, certificate_of, names_of_this_machine
from personaplex_app.settings import Settings


def made_in(folder, **settings):
    return certificate_of(Settings(ssl=True, data=folder, **settings))


def read(certificate):
    return x509.load_pem_x509_certificate(certificate.chain.read_bytes())


def at(monkeypatch, day):
    """Set the clock by so many days."""
    now = datetime.now(timezone.utc) + timedelta(days=day)
    monkeypatch.setattr(certificates, "_now", lambda: now)


@pytest.fixture
def pair(tmp_path):
    return made_in(tmp_path / "given")


def given(key, chain):
    return certificate_of(Settings(ssl_key=key, ssl_cert=chain))


def test_certificate_is_none_without_ssl(tmp_path):
    assert certificate_of(Settings(data=tmp_path)) is None
    assert not list(tmp_path.iterdir())


def test_certificate_given_is_served_as_it_is(pair):
    served = given(pair.key, pair.chain)
    assert (served.key, served.chain, served.self_signed) == (pair.key, pair.chain, False)


def test_certificate_made_here_names_the_machine_and_is_its_owners_alone(tmp_path):
    made = made_in(tmp_path / "data", host="voice.example")
    assert {"localhost", "127.0.0.1", "::1", "voice.example"} <= set(made.names)
    assert set(made.names) == set(names_of_this_machine("voice.example"))
    assert {oct(path.stat().st_mode & 0o777) for path in (made.key, made.chain)} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in (made.key.parent, tmp_path / "data")} == {"0o700"}
    lasts = read(made).not_valid_after_utc - datetime.now(timezone.utc)
    assert timedelta(days=820) < lasts <= timedelta(days=825)


def test_certificate_made_here_is_kept_until_a_year_before_its_end(tmp_path, monkeypatch):
    first = made_in(tmp_path)
    ends = read(first).not_valid_after_utc
    assert made_in(tmp_path) == first
    at(monkeypatch, 459)
    assert made_in(tmp_path) == first
    at(monkeypatch, 461)
    second = made_in(tmp_path)
    assert second.fingerprint != first.fingerprint
    assert read(second).not_valid_after_utc > ends + timedelta(days=400)


def test_certificate_made_here_is_made_again_for_another_name_or_when_broken(tmp_path):
    first = made_in(tmp_path)
    second = made_in(tmp_path, host="voice.example")
    assert second.fingerprint != first.fingerprint
    second.key.write_text("cut off")
    third = made_in(tmp_path)
    assert third.fingerprint != second.fingerprint
    assert given(third.key, third.chain)


def test_certificate_advice_says_what_browsers_show_and_how_to_go_on(tmp_path):
    made = made_in(tmp_path)
    said = advice(made, "0.0.0.0", 7860)
    for part in (
        "ERR_CERT_AUTHORITY_INVALID",
        "Proceed",
        "Accept the Risk",
        "visit this website",
        made.fingerprint,
        ":7860",
    ):
        assert part in said
    assert "https://127" not in said
    assert "--host 0.0.0.0" in advice(made, "127.0.0.1", 7860)


def bad_files(tmp_path, pair):
    other = made_in(tmp_path / "other")
    locked = tmp_path / "locked.pem"
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"sesame"),
        )
    )
    absent, binary = tmp_path / "absent.pem", tmp_path / "binary.pem"
    binary.write_bytes(os.urandom(500))
    return {
        "mismatched": ((other.key, pair.chain), "do not belong together"),
        "locked key": ((locked, pair.chain), "locked with a passphrase.*openssl pkey"),
        "absent key": ((absent, pair.chain), "key .*absent.pem.*No such file.*--ssl-key"),
        "absent certificate": ((pair.key, absent), "certificate .*absent.pem.*No such file.*--ssl-cert"),
        "folder": ((pair.key, tmp_path), "Is a directory"),
        "swapped": ((pair.chain, pair.key), "not a private key"),
        "binary key": ((binary, pair.chain), "not a private key"),
        "binary certificate": ((pair.key, binary), "not a certificate"),
    }


CASES = (
    "mismatched",
    "locked key",
    "absent key",
    "absent certificate",
    "folder",
    "swapped",
    "binary key",
    "binary certificate",
)


@pytest.mark.parametrize("case", CASES)
def test_certificate_that_cannot_be_served_is_a_sentence(tmp_path, pair, case):
    files, said = bad_files(tmp_path, pair)[case]
    with pytest.raises(SettingsError, match=said):
        given(*files)


@pytest.mark.parametrize(
    ("day", "said"),
    [(826, r"ended on 20\d\d-\d\d-\d\d; renew"), (-3, r"holds from 20\d\d-\d\d-\d\d on; .*clock")],
)
def test_certificate_out_of_its_time_is_a_sentence(pair, monkeypatch, day, said):
    at(monkeypatch, day)
    with pytest.raises(SettingsError, match=said):
        given(pair.key, pair.chain)


def test_certificate_near_its_end_is_warned_of(pair, monkeypatch, caplog):
    at(monkeypatch, 815)
    given(pair.key, pair.chain)
    assert "renew it" in caplog.text


def test_certificate_that_cannot_be_kept_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SettingsError, match=r"cannot be kept in .*--data"):
        made_in(tmp_path / "file")


def test_doctor_tells_what_https_is_served_with_and_makes_nothing(tmp_path, pair):
    data = tmp_path / "data"
    assert https_of(Settings(data=data)) == "off"
    assert https_of(Settings(data=data, ssl=True)) == f"self-signed, kept in {data / 'tls'}"
    assert "localhost" in https_of(Settings(data=data, ssl_key=pair.key, ssl_cert=pair.chain))
    assert "not a private key" in https_of(Settings(data=data, ssl_key=pair.chain, ssl_cert=pair.chain))
    assert not data.exists()


@pytest.mark.slow
def test_serve_with_a_bad_certificate_is_one_line_and_exit_1(tmp_path, pair, capsys):
    absent = tmp_path / "absent.pem"
    ended = main(["serve", f"--ssl-key={pair.key}", f"--ssl-cert={absent}", f"--data={tmp_path / 'data'}"])
    told = capsys.readouterr().err
    assert (ended, told.count("\n")) == (1, 1)
    assert "absent.pem cannot be read (No such file or directory)" in told
    assert not (tmp_path / "data").exists()
