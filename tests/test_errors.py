"""The tree of errors that is drawn in `errors` against the classes."""

import re
import ssl

import pytest

from personaplex_app import errors

pytestmark = pytest.mark.unit


def drawn(kind: type[errors.PersonaplexError], depth: int = 0) -> list[tuple[int, str, str, int, int]]:
    """Return depth, name, code, exit and close code of an error class and of its subclasses, in order."""
    mine = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    rows = [row for each in mine for row in drawn(each, depth + 1)]
    return [(depth, kind.__name__, kind.code, kind.exit_code, int(kind.close_code)), *rows]


def test_errors_docstring_draws_every_class_with_its_codes():
    assert errors.__doc__ is not None
    lines = re.findall(r"^([│├└─ ]*)(\w+) +(\w+) +([12]) +(\d{4})$", errors.__doc__, re.MULTILINE)
    found = [(len(branch) // 4, *words, int(status), int(close)) for branch, *words, status, close in lines]
    assert found == drawn(errors.PersonaplexError)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (FileNotFoundError(2, "No such file or directory", "/home/ann/secret"), "No such file or directory"),
        (KeyError("hidden"), "KeyError"),
        (ValueError("at 0x7f00: 'what somebody said'"), "ValueError"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "invalid start byte"),
    ],
)
def test_errors_reason_of_a_librarys_error_holds_nothing_of_its_text(error, why):
    assert errors.reason_of(error) == why


def test_errors_reason_of_openssl_is_in_words(tmp_path):
    (tmp_path / "key.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(ssl.SSLError) as refused:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "key.pem")
    assert re.fullmatch("[A-Za-z0-9 ]+", errors.reason_of(refused.value))
    refused.value.reason = "EE_KEY_TOO_SMALL"
    assert errors.reason_of(refused.value) == "ee key too small"


def test_errors_shorten_long_value_keeps_its_quotes():
    assert errors.shorten("a" * 100, 10) == "'" + "a" * 7 + "…'"
