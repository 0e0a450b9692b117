"""Reads the fields of what a client sends: each within its limits, or refused with a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .errors import BadInput, shorten
from .json_input import is_unicode
from .languages import LANGUAGE_CODES

MAX_PROMPT_CHARS = 2_000
MAX_TYPED_CHARS = 500
MAX_LINE_CHARS = 1_200
MOST_RECEIVED = 2**31
MOST_LEASE_S = 3_600
TEXT_LIMITS = {
    "voice_prompt": 80,
    "text_prompt": MAX_PROMPT_CHARS,
    "persona": 80,
    "engine": 40,
    "owner": 128,
    "token": 128,
    "text": MAX_TYPED_CHARS,
    "line": MAX_LINE_CHARS,
    "id": 80,
}
"""The most characters of each text that a client sends."""


def take_text(fields: Mapping[str, Any], name: str, kind: str = "") -> str | None:
    """Return a text without the space around it, None where it is not given.

    `kind` is whose limit holds where another field of the name has another one.
    Raises: BadInput when it is no text or too long.
    """
    limit = TEXT_LIMITS[kind or name]
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not is_unicode(value):
        raise BadInput(f"{name} must be text; {shorten(value)} came.")
    if len(value) > limit:
        raise BadInput(
            f"{name} has {len(value)} characters; the limit is {limit:,}. Shorten it and try again."
        )
    return value.strip()


def take_language(value: Any) -> str | None:
    """Return the code of a language, of one with a region ("es-MX") the language alone; None for none.

    Raises: BadInput for a language that the program does not speak.
    """
    if value in (None, ""):
        return None
    code = value.lower().partition("-")[0] if isinstance(value, str) else ""
    if code not in LANGUAGE_CODES:
        raise BadInput(f"language must be one of {', '.join(LANGUAGE_CODES)}; {shorten(value)} came.")
    return code


def number_or_none(value: Any) -> float | None:
    """Return a number, None for anything else."""
    return value if isinstance(value, int | float) else None


def take_flag(value: Any, name: str) -> bool:
    """Return whether a flag is set. Raises: BadInput when it is neither 0 nor 1."""
    if value in (None, "", "0", "false", False, 0):
        return False
    if value in ("1", "true", True, 1):
        return True
    raise BadInput(f"{name} must be 0 or 1; {shorten(value)} came.")


def take_word(fields: Mapping[str, Any], name: str, words: tuple[str, ...]) -> Any:
    """Return a field that is one of a few words, the first where it is not given.

    Raises: BadInput when it is none of them.
    """
    value = fields.get(name)
    if value in (None, ""):
        return words[0]
    if value not in words:
        raise BadInput(f"{name} must be one of {', '.join(words)}; {shorten(value)} came.")
    return value


def take_number(name: str, value: Any, low: float, high: float, whole: bool) -> float | int:
    """Return a number within its limits. Raises: BadInput when it is none or outside of them."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    # float(True) is 1.0, but true is no number here
    if isinstance(value, bool) or not low <= number <= high or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise BadInput(f"{name} must be {kind} from {low} to {high}; {shorten(value)} came.")
    return int(number) if whole else number
