"""The tree of errors that is drawn in `errors` against the classes."""

import re

import pytest

from personaplex_app import errors

pytestmark = pytest.mark.unit


def drawn(kind: type[errors.PersonaplexError], depth: int = 0) -> list[tuple[int, str, str, int]]:
    """Return depth, name, code and close code of an error class and of its subclasses, in order."""
    mine = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    rows = [row for each in mine for row in drawn(each, depth + 1)]
    return [(depth, kind.__name__, kind.code, int(kind.close_code)), *rows]


def test_errors_docstring_draws_every_class_with_its_codes():
    assert errors.__doc__ is not None
    lines = re.findall(r"^([│├└─ ]*)(\w+) +(\w+) +[12] +(\d{4})$", errors.__doc__, re.MULTILINE)
    found = [(len(branch) // 4, name, code, int(close)) for branch, name, code, close in lines]
    assert found == drawn(errors.PersonaplexError)


def test_errors_shorten_long_value_keeps_its_quotes():
    assert errors.shorten("a" * 100, 10) == "'" + "a" * 7 + "…'"
