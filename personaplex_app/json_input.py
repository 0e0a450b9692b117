"""JSON from outside, within limits: a value that the rest of the program can use, or ValueError.

What Python's own reader lets pass and others stumble over is refused here: nesting without end, numbers of
hundreds of digits, NaN and infinity, and text that is no Unicode (half of a surrogate pair).
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32
MAX_DIGITS = 40


def read_json(data: bytes | str) -> Any:
    """Return the value that is written in `data`, which is UTF-8.

    Raises: ValueError with a sentence that says what is wrong, after "it".
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        value = json.loads(text, parse_int=_integer, parse_float=_fraction, parse_constant=_no_number)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("it is not JSON") from None
    _check(value)
    return value


def _check(value: Any) -> None:
    """Check depth and text, without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, str) and not is_unicode(each):
                raise ValueError("it holds half of a surrogate pair, which is no text")
            if isinstance(each, list):
                inner += each
            elif isinstance(each, dict):
                inner += [*each, *each.values()]
        if not inner:
            return
        level = inner
    raise _too_deep()


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits; the limit is {MAX_DIGITS}")
    return int(digits)


def _fraction(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("it holds a number that is too large")
    return number


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which JSON does not have")


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {MAX_DEPTH} deep")


def is_unicode(text: str) -> bool:
    """Return whether a text can be written down, which half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def whole_number(text: str, most: int) -> int | None:
    """Return a whole number from 0 to `most` that is written in decimal digits, None for anything else."""
    if not (text.isascii() and text.isdecimal()) or len(text) > MAX_DIGITS or int(text) > most:
        return None
    return int(text)
