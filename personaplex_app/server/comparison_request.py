"""What is asked of a comparison, as a client's JSON has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from ..errors import BadInput, shorten
from ..evaluation.blind_test.design import By
from ..protocol import SAMPLING_LIMITS, ChatRequest, parse_start

MAX_INPUTS = 6
MAX_SEEDS = 5
MAX_VOICES = 24
MAX_SETTINGS = 6
ROOM_S = 6.0
MOST_ROOM_S = 30.0
"""Silence after a recording, in which the agent answers."""

T = TypeVar("T")


@dataclass(frozen=True)
class ComparisonRequest:
    """Which voices are to answer which inputs, in which role, with which seeds. An input is ("scenario" |
    "recording", name).

    `room_s` is how much silence follows a recording; a scenario has its own. `engine` names an engine other
    than the app's own. `by` is what differs between the answers; where it is not the voice, there is one
    voice, and `values` has the personas' names or the settings.
    """

    inputs: tuple[tuple[str, str], ...]
    persona: str
    voices: tuple[str, ...]
    seeds: tuple[int, ...]
    room_s: float = ROOM_S
    engine: str = ""
    by: By = "voice"
    values: tuple[str | float, ...] = ()

    @property
    def variants(self) -> tuple[tuple[str, str | float], ...]:
        """What is compared, each as its name, a number as text, and its value."""
        values = self.voices if self.by == "voice" else self.values
        return tuple((_name(value), value) for value in values)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is compared."""
        return tuple(name for name, _ in self.variants)

    @property
    def samples(self) -> bool:
        """Whether a setting of the sampling differs."""
        return self.by in SAMPLING_LIMITS

    def chat_request(self, value: str | float, persona: str, seed: int) -> ChatRequest:
        """Return what a talk would be asked for with one of the values that are compared."""
        own: dict[str, Any] = {"voice": self.voices[0], "persona": persona, "sampling": {"seed": seed}}
        if self.samples:
            own["sampling"][self.by] = value
        else:
            own[self.by] = value
        return ChatRequest(engine=self.engine, **own)

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
        by = data.get("by", "voice")
        if by not in get_args(By):
            raise BadInput(f"What differs is {shorten(by)}; it must be one of {', '.join(get_args(By))}.")
        voices = _distinct(voices)
        values = () if by == "voice" else _values(data, by)
        if by != "voice" and len(voices) != 1:
            raise BadInput(f"One thing differs at a time: with {by} compared there must be one voice.")
        return cls(_distinct(inputs), persona, voices, _distinct(seeds), float(room_s), engine, by, values)


def _values(data: dict[str, Any], by: str) -> tuple[str | float, ...]:
    """Return the personas' names or the settings that are compared. Raises: BadInput."""
    if by == "persona":
        return _distinct(_list(data, "values", str, MAX_VOICES))
    given = data.get("values")
    numbers = given if isinstance(given, list) else []
    if not 1 <= len(numbers) <= MAX_SETTINGS:
        raise BadInput(f"values must be a list of 1 to {MAX_SETTINGS} numbers, the settings to compare.")
    checked = [getattr(parse_start({by: _number(by, each)}), by) for each in numbers]
    # two that are shown alike could not be told apart
    return tuple({_name(each): each for each in checked}.values())


def _name(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _number(by: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f"A value of {by} is {shorten(value)}; it must be a number.")
    return value


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
