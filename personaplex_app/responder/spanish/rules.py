"""Read `rules.yaml`: what the Spanish responder listens for, and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...yaml_fields import load_yaml

RULES_FILE = Path(__file__).with_name("rules.yaml")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Rule:
    """Lines for turns with a pattern; `otherwise` where no slot can be filled. `pace` is 0 where it stays.

    `unless_facts`: the role's own facts are asked first.
    """

    id: str
    when: re.Pattern[str]
    say: tuple[str, ...]
    otherwise: tuple[str, ...]
    pace: float
    unless_facts: bool


@dataclass(frozen=True)
class Slot:
    """One thing that a form needs; `bare`: a short answer to the question is the value itself."""

    name: str
    pattern: re.Pattern[str]
    bare: bool
    ask: tuple[str, ...]


@dataclass(frozen=True)
class Form:
    """What is collected once a turn has `when`, in a role whose prompt has `needs`."""

    id: str
    when: re.Pattern[str]
    needs: re.Pattern[str]
    slots: tuple[Slot, ...]
    lines: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Style:
    """A kind of role; `steps` are questions that it asks in order."""

    name: str
    cues: re.Pattern[str]
    greet: str
    steps: tuple[str, ...]
    lines: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class SpanishRules:
    """The content of the file."""

    first: tuple[Rule, ...]
    feelings: tuple[Rule, ...]
    topics: tuple[Rule, ...]
    skills: Mapping[str, re.Pattern[str]]
    skill_lines: Mapping[str, tuple[str, ...]]
    forms: tuple[Form, ...]
    styles: tuple[Style, ...]
    lines: Mapping[str, tuple[str, ...]]
    stop: frozenset[str]
    synonyms: tuple[tuple[str, ...], ...]

    @staticmethod
    @cache
    def load() -> SpanishRules:
        """Read the file; it is read once."""
        data: dict[str, Any] = load_yaml(RULES_FILE)
        return SpanishRules(
            _rules(data["first"]),
            _rules(data["feelings"]),
            _rules(data["topics"]),
            {name: re.compile(pattern) for name, pattern in data["skills"].items()},
            _lines(data["skill_lines"]),
            tuple(map(_form, data["forms"])),
            tuple(map(_style, data["styles"])),
            _lines({name: value for name, value in data.items() if _is_lines(value)}),
            frozenset(data["stop"].split()),
            tuple(tuple(group.split()) for group in data["synonyms"]),
        )


def fill(line: str, value: Callable[[str], str]) -> str | None:
    """Return a line with its slots filled, None where one of them is empty."""
    values = {name: value(name) for name in _SLOT.findall(line)}
    return _SLOT.sub(lambda match: values[match[1]], line) if all(values.values()) else None


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _lines(data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(lines) for name, lines in data.items() if _is_lines(lines)}


def _rules(data: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    return tuple(map(_rule, data))


def _rule(data: Mapping[str, Any]) -> Rule:
    return Rule(
        data["id"],
        re.compile(data["when"]),
        tuple(data["say"]),
        tuple(data.get("else", ())),
        float(data.get("pace", 0)),
        bool(data.get("unless_facts", False)),
    )


def _form(data: Mapping[str, Any]) -> Form:
    slots: Sequence[Mapping[str, Any]] = data["slots"]
    return Form(
        data["id"],
        re.compile(data["when"]),
        re.compile(data["needs"]),
        tuple(
            Slot(each["name"], re.compile(each["pattern"]), bool(each.get("bare")), tuple(each["ask"]))
            for each in slots
        ),
        _lines({name: value for name, value in data.items() if name != "slots"}),
    )


def _style(data: Mapping[str, Any]) -> Style:
    return Style(
        data["name"], re.compile(data["cues"]), data["greet"], tuple(data.get("steps", ())), _lines(data)
    )
