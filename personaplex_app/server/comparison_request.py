"""What is asked of a comparison, as a client's JSON has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import BadInput, shorten

MAX_INPUTS = 6
MAX_SEEDS = 5
MAX_VOICES = 24
ROOM_S = 6.0
MOST_ROOM_S = 30.0
"""Silence after a recording, in which the agent answers."""

T = TypeVar("T")


@dataclass(frozen=True)
class ComparisonRequest:
    """Which voices are to answer which inputs, in which role, with which seeds. An input is ("scenario" |
    "recording", name).

    `room_s` is how much silence follows a recording; a scenario has its own. `engine` names an engine other
    than the app's own.
    """

    inputs: tuple[tuple[str, str], ...]
    persona: str
    voices: tuple[str, ...]
    seeds: tuple[int, ...]
    room_s: float = ROOM_S
    engine: str = ""

    @classmethod
    def parse(cls, data: dict[str, Any]) -> ComparisonRequest:
        """Return the request in a client's JSON. Raises: BadInput naming the field."""
        inputs = [next(iter(each.items()), ("", "")) for each in _list(data, "inputs", dict, MAX_INPUTS)]
        if wrong := next(
            (
                each
                for each in inputs
                if each[0] not in ("scenario", "recording") or not isinstance(each[1], str)
            ),
            None,
        ):
            raise BadInput(f'An input is {{"scenario": name}} or {{"recording": id}}, not {shorten(wrong)}.')
        persona = data.get("persona", "")
        engine = data.get("engine", "")
        seeds = _list({"seeds": [0], **data}, "seeds", int, MAX_SEEDS)
        if not isinstance(engine, str):
            raise BadInput(
                f"The engine is {shorten(engine)}; it must be a name, or empty for the current one."
            )
        if not isinstance(persona, str):
            raise BadInput(
                f"The persona is {shorten(persona)}; it must be a name, or empty for each input's own."
            )
        if any(not 0 <= seed < 2**31 for seed in seeds):
            raise BadInput("A seed must be a whole number from 0 to 2147483647.")
        room_s = data.get("room_s", ROOM_S)
        if isinstance(room_s, bool) or not isinstance(room_s, int | float) or not 0 <= room_s <= MOST_ROOM_S:
            raise BadInput(
                f"The time to answer is {shorten(room_s)}; it must be from 0 to {MOST_ROOM_S:.0f} seconds."
            )
        voices = _list(data, "voices", str, MAX_VOICES)
        return cls(_distinct(inputs), persona, _distinct(voices), _distinct(seeds), float(room_s), engine)


def _distinct(values: list[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _list(data: dict[str, Any], name: str, kind: type[T], most: int) -> list[T]:
    value = data.get(name)
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= most
        # not `isinstance`: True and False are ints too
        or any(type(each) is not kind for each in value)
    ):
        raise BadInput(f"{name} must be a list of 1 to {most}; choose fewer or at least one.")
    return value
