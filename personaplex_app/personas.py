"""Personas: roles for the agent. The app's own are in `personas.yaml`, an operator's in such a file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BadPrompt, UnknownPersona, shorten
from .json_input import is_unicode
from .languages import ENGLISH_CODE, LANGUAGE_CODES
from .protocol_fields import MAX_PROMPT_CHARS
from .voices import checked_voice
from .yaml_fields import Fields, flag, line_of_text, read_fields, text

MAX_PROMPT_WORDS = 200
MAX_LINE_CHARS = 120
EXAMPLES_MIN = 3
EXAMPLES_MAX = 5
MAX_VOICES = 20
PERSONAS_FILE = Path(__file__).with_name("personas.yaml")
SPANISH_PERSONAS_FILE = Path(__file__).with_name("personas_es.yaml")

_line = line_of_text(MAX_LINE_CHARS)
_first_line = line_of_text(2 * MAX_LINE_CHARS)


@dataclass(frozen=True)
class Persona:
    """A role preset.

    `voices` are preferences over engines; `examples` are things to say to it. `first_line` is how it begins a
    talk on the embedded engine, "" where that is not known. `language` is "" for English, or the code of
    another language that it speaks.
    """

    name: str
    title: str
    purpose: str
    family: str
    voices: tuple[str, ...]
    prompt: str
    examples: tuple[str, ...]
    first_line: str = ""
    language: str = ""

    def voice_among(self, names: Collection[str]) -> str | None:
        """Return the first preferred voice that an engine has, None when it has none of them."""
        return next((voice for voice in self.voices if voice in names), None)


def check_prompt(text: str) -> str:
    """Return a role prompt with its outer white space removed.

    Raises: BadPrompt when it is empty or longer than 2,000 characters.
    """
    text = text.strip()
    if not text:
        raise BadPrompt("The role prompt is empty; write who the agent is, or choose a persona.")
    if not is_unicode(text):
        raise BadPrompt("The role prompt holds half of a surrogate pair, which is no text; remove it.")
    if len(text) > MAX_PROMPT_CHARS:
        raise BadPrompt(
            f"The role prompt has {len(text):,} characters; the limit is {MAX_PROMPT_CHARS:,}. Shorten it and"
            " try again."
        )
    return text


def load_personas(file: str | Path = "", spanish: bool = False) -> tuple[Persona, ...]:
    """Return the app's own personas, added to or replaced by name by those of an operator's file.

    A file with `replace: true` replaces all of them. `spanish`: those in Spanish are among them.

    Raises: SettingsFileError naming the file's line and field.
    """
    own, _ = _read(PERSONAS_FILE)
    if spanish:
        own |= _read(SPANISH_PERSONAS_FILE)[0]
    if not file:
        return tuple(own.values())
    given, alone = _read(Path(file))
    return tuple((given if alone else own | given).values())


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


def _read(path: Path) -> tuple[dict[str, Persona], bool]:
    """Return a file's personas by name, and whether they replace all others."""
    fields = read_fields(path, list_name="personas")
    alone = fields.take("replace", flag, False)
    found: dict[str, Persona] = {}
    for entry in fields.mappings("personas"):
        persona = _persona(entry)
        if persona.name in found:
            raise entry.refused("name", f"the persona {persona.name} is there twice; names must differ")
        found[persona.name] = persona
    if not found:
        raise fields.refused("personas", "give at least one persona")
    fields.end()
    return found, alone


def _persona(entry: Fields) -> Persona:
    persona = Persona(
        name=entry.take("name", _name, ""),
        title=entry.take("title", _line, ""),
        purpose=entry.take("purpose", _line, ""),
        family=entry.take("family", _line, ""),
        voices=_voices(entry),
        prompt=entry.take("prompt", _prompt, ""),
        examples=entry.take_list("examples", _line, EXAMPLES_MIN, EXAMPLES_MAX),
        first_line=entry.take("first_line", _first_line, ""),
        language=entry.take("language", language_code, ""),
    )
    for name, value in vars(persona).items():
        if not value and name not in ("first_line", "language"):
            raise entry.refused(name, "it is missing")
    entry.end()
    return persona


def _voices(entry: Fields) -> tuple[str, ...]:
    """Return the preferred voices.

    Older files name them by `voice`, for PersonaPlex, and `classic_voice`, for the embedded engine.
    """
    voices = entry.take_list("voices", _voice, 1, MAX_VOICES)
    before = [entry.take(name, _voice, "") for name in ("voice", "classic_voice") if name in entry]
    if voices and before:
        raise entry.refused("voices", "it replaces voice and classic_voice; leave those out")
    return voices or tuple(filter(None, before))


def language_code(value: Any) -> str:
    """Return the code of a language that a role may have, "" for English.

    Raises: ValueError for any other.
    """
    code = text(value)
    if code not in LANGUAGE_CODES:
        raise ValueError(f"one of: {', '.join(LANGUAGE_CODES)}")
    return "" if code == ENGLISH_CODE else code


def _name(value: Any) -> str:
    name = _line(value)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError("lower-case letters, digits and single hyphens")
    return name


def _voice(value: Any) -> str:
    return checked_voice(text(value))


def _prompt(value: Any) -> str:
    prompt = check_prompt(text(value))
    if (words := len(prompt.split())) >= MAX_PROMPT_WORDS:
        raise BadPrompt(f"It has {words} words; it must have fewer than {MAX_PROMPT_WORDS}.")
    return prompt
