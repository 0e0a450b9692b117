"""Role presets: who the agent is. The texts live in `personas.yaml` and are validated when loaded."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from . import voices
from .errors import BadPrompt, SettingsError, UnknownPersona, shorten
from .protocol import MAX_PROMPT_CHARS
from .yaml_fields import load_yaml

MAX_PROMPT_WORDS = 200
MAX_LINE_CHARS = 120
EXAMPLES_MIN = 3
EXAMPLES_MAX = 5
CLASSIC_VOICES = ("natural", "warm", "deep", "bright", "light")
PERSONAS_FILE = Path(__file__).with_name("personas.yaml")


@dataclass(frozen=True)
class Persona:
    """One role.

    `voice` is a PersonaPlex voice, `classic_voice` one of the embedded engine's; `examples` are things to say
    to it.
    """

    name: str
    title: str
    purpose: str
    family: str
    voice: str
    classic_voice: str
    prompt: str
    examples: tuple[str, ...]


def check_prompt(text: str) -> str:
    """Return a role prompt with its outer white space removed.

    Raises: BadPrompt when it is empty or longer than 2,000 characters.
    """
    text = text.strip()
    if not text:
        raise BadPrompt("The role prompt is empty; write who the agent is, or choose a persona.")
    if len(text) > MAX_PROMPT_CHARS:
        raise BadPrompt(
            f"The role prompt has {len(text):,} characters; the limit is {MAX_PROMPT_CHARS:,}. Shorten it and"
            " try again."
        )
    return text


def load_personas(path: Path = PERSONAS_FILE) -> tuple[Persona, ...]:
    """Return the roles of a personas file, in its order.

    Raises: SettingsError naming the persona, the field and its limit.
    """
    entries = load_yaml(path)
    if not isinstance(entries, list) or not entries:
        raise SettingsError(f"The personas file {path.name} must be a list with at least one persona.")
    personas = tuple(_persona(entry, number) for number, entry in enumerate(entries, 1))
    names = [p.name for p in personas]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(
                f"Persona {shorten(name)}, field name: it is used {names.count(name)} times; names must"
                " differ."
            )
    return personas


def find(name: str, personas: Iterable[Persona] | None = None) -> Persona:
    """Return the persona of that name.

    Raises: UnknownPersona, with the closest names.
    """
    by_name = {p.name: p for p in (load_personas() if personas is None else personas)}
    if name in by_name:
        return by_name[name]
    close = difflib.get_close_matches(name.lower(), by_name, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(by_name)}."
    raise UnknownPersona(f"There is no persona {shorten(name)}. {hint}")


def _persona(entry: Any, number: int) -> Persona:
    if not isinstance(entry, dict):
        raise SettingsError(f"Persona number {number} must be a mapping of fields, not {shorten(entry)}.")
    who = f"Persona {shorten(entry.get('name') or f'number {number}')}"
    known = [f.name for f in fields(Persona)]
    for name in entry:
        if name not in known:
            raise SettingsError(
                f"{who}, field {shorten(name)}: there is no such field; the fields are {', '.join(known)}."
            )
    values = {name: _line(who, name, entry.get(name)) for name in known if name not in ("prompt", "examples")}
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", values["name"]):
        raise SettingsError(f"{who}, field name: use lower-case letters, digits and single hyphens.")
    for field_name, choices in (("voice", voices.NAMES), ("classic_voice", CLASSIC_VOICES)):
        if values[field_name] not in choices:
            raise SettingsError(
                f"{who}, field {field_name}: {shorten(values[field_name])} is not one of"
                f" {', '.join(choices)}."
            )
    examples = entry.get("examples")
    if not isinstance(examples, list) or not EXAMPLES_MIN <= len(examples) <= EXAMPLES_MAX:
        raise SettingsError(
            f"{who}, field examples: give a list of {EXAMPLES_MIN} to {EXAMPLES_MAX} things to say."
        )
    said = tuple(_line(who, "examples", example) for example in examples)
    return Persona(**values, prompt=_prompt(who, entry.get("prompt")), examples=said)


def _line(who: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"{who}, field {name}: it must be text and not empty, not {shorten(value)}.")
    if len(value) > MAX_LINE_CHARS or "\n" in value:
        raise SettingsError(
            f"{who}, field {name}: it has {len(value)} characters; the limit is one line of {MAX_LINE_CHARS}."
        )
    return value.strip()


def _prompt(who: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{who}, field prompt: it must be text, not {shorten(value)}.")
    try:
        prompt = check_prompt(value)
    except BadPrompt as error:
        raise SettingsError(f"{who}, field prompt: {error}") from None
    words = len(prompt.split())
    if words >= MAX_PROMPT_WORDS:
        raise SettingsError(
            f"{who}, field prompt: it has {words} words; it must have fewer than {MAX_PROMPT_WORDS}."
        )
    return prompt
