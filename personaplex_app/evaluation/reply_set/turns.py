"""Read the visitors' turns and their rules from `turns.yaml`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import BadInput, SettingsError, shorten
from ...personas import find, load_personas
from ...yaml_fields import load_yaml

TURNS_FILE = Path(__file__).with_name("turns.yaml")
SETS = ("first", "second-a", "second-b")
"""Names of the sets of talks; `second-b` is held out: nobody looks at its failures while mending."""
CHECKS = ("@repeats", "@rewords", "@shorter", "@resumes")
_ALLOWANCES = ("refuse", "repeat")
_FIELDS = {"kind", "say", "good", "fair", "bad", "may", "figures"}

Condition = int | str | tuple["Condition", ...]
"""A number, a regular expression or one of `CHECKS`; a tuple holds where one of its conditions does."""


@dataclass(frozen=True)
class Turn:
    """What a visitor says, and the rules for the reply.

    Without conditions in `fair` no reply is acceptable. `figures` is None where every number may be said.
    """

    say: str
    kind: str
    good: tuple[Condition, ...]
    fair: tuple[Condition, ...] = ()
    bad: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    figures: frozenset[int] | None = frozenset()


@dataclass(frozen=True)
class VisitorTalk:
    """One talk of a visitor. `persona` is None where the role's prompt was written for the set."""

    role: str
    title: str
    prompt: str
    persona: str | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class ReplySet:
    """The talks, and the title of each kind of turn. `sha256` changes with any word or rule."""

    kinds: dict[str, str]
    talks: tuple[VisitorTalk, ...]
    sha256: str


def load_reply_set(name: str = SETS[0], path: Path = TURNS_FILE) -> ReplySet:
    """Return one of the sets of a file, its talks in the file's order.

    Raises: SettingsError naming the role, the turn and what is wrong.
    """
    raw = load_yaml(path)
    try:
        kinds: dict[str, str] = raw["kinds"]
        entries: list[dict[str, Any]] = raw["conversations"]
    except (KeyError, TypeError):
        raise SettingsError(f"The file {path.name} must hold kinds and conversations.") from None
    personas = {persona.name for persona in load_personas()}
    for entry in entries:
        if entry.setdefault("set", SETS[0]) not in SETS:
            raise SettingsError(f"Role {entry.get('role')}: set must be one of {', '.join(SETS)}.")
    talks = tuple(_talk(entry, kinds, personas) for entry in entries if entry["set"] == name)
    text = json.dumps([asdict(talk) for talk in talks], sort_keys=True, default=sorted)
    return ReplySet(kinds, talks, hashlib.sha256(text.encode()).hexdigest())


def choose_talks(roles: Iterable[str], talks: tuple[VisitorTalk, ...]) -> tuple[VisitorTalk, ...]:
    """Return the talks with these roles, all for none given, in the file's order.

    Raises: BadInput naming the roles that there are.
    """
    wanted = set(roles)
    known = [talk.role for talk in talks]
    if unknown := wanted - set(known):
        raise BadInput(f"There is no role {shorten(min(unknown))}; choose of: {', '.join(known)}.")
    return tuple(talk for talk in talks if not wanted or talk.role in wanted)


def _talk(entry: dict[str, Any], kinds: dict[str, str], personas: set[str]) -> VisitorTalk:
    role = str(entry.get("role", ""))
    turns = tuple(_turn(turn, f"Role {role}, turn {k}", kinds) for k, turn in enumerate(entry["turns"], 1))
    if "prompt" in entry:
        return VisitorTalk(role, entry.get("title", role), entry["prompt"], None, turns)
    if role not in personas:
        raise SettingsError(f"Role {role}: there is no such persona, and it has no prompt of its own.")
    persona = find(role)
    return VisitorTalk(role, persona.title, persona.prompt, role, turns)


def _turn(entry: dict[str, Any], who: str, kinds: dict[str, str]) -> Turn:
    if unknown := set(entry) - _FIELDS:
        raise SettingsError(f"{who}: there is no field {shorten(min(unknown))}.")
    if not entry.get("say") or entry.get("kind") not in kinds:
        raise SettingsError(f"{who}: it needs words to say and one of the kinds {', '.join(kinds)}.")
    may = tuple(entry.get("may", ()))
    if not entry.get("good") or set(may) - set(_ALLOWANCES):
        raise SettingsError(f"{who}: it needs conditions for a good reply; may is of {_ALLOWANCES}.")
    allowed = entry.get("figures", [])
    try:
        return Turn(
            entry["say"],
            entry["kind"],
            tuple(_condition(each) for each in entry["good"]),
            tuple(_condition(each) for each in entry.get("fair", ())),
            tuple(re.compile(each).pattern for each in entry.get("bad", ())),
            may,
            None if allowed == "any" else frozenset(int(each) for each in allowed),
        )
    except (re.error, TypeError, ValueError) as error:
        raise SettingsError(f"{who}: a rule cannot be read ({error}).") from None


def _condition(value: Any) -> Condition:
    if isinstance(value, list):
        return tuple(_condition(each) for each in value)
    if isinstance(value, int):
        return value
    if value.startswith("@") and value not in CHECKS:
        raise ValueError(f"there is no check {value}")
    re.compile(value)
    return value
