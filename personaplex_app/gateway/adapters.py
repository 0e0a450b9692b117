"""The gateway's adapters: the app's personas under the gateway's names, and those of an operator's file."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import BadInput, NotFound, shorten
from ..personas import Persona, check_prompt, language_code
from ..protocol import SAMPLING_LIMITS
from ..units import FRAME_MS
from ..voices import NAMES, family_of
from ..yaml_fields import Fields, flag, number, read_fields, text

PREFIX = "personaplex-"


@dataclass(frozen=True)
class SessionLimits:
    """The limits of the gateway's talks; the app's own limits hold too."""

    talk_s: float = 3_600.0
    idle_s: float = 300.0
    sessions: int = 4


@dataclass(frozen=True)
class Adapter:
    """One persona as the gateway's clients ask for it.

    `max_sessions` bounds the talks of this adapter; those of all adapters together are bounded too. `ping_s`
    is the longest time between two pings of its connections.
    """

    name: str
    persona: Persona
    enabled: bool = True
    needs_key: bool = False
    sampling: Mapping[str, Any] = field(default_factory=dict)
    talk_s: float = SessionLimits.talk_s
    idle_s: float = SessionLimits.idle_s
    max_sessions: int = SessionLimits.sessions
    chunk_ms: int = FRAME_MS
    ping_s: float = math.inf


@dataclass(frozen=True)
class Adapters:
    """All adapters by name. `unused` lists unknown fields of the operator's file, with their lines."""

    by_name: Mapping[str, Adapter]
    limits: SessionLimits = SessionLimits()
    unused: tuple[str, ...] = ()

    @property
    def ping_s(self) -> float:
        """The time between pings, in seconds: the least of all adapters', since a server has only one."""
        return min((each.ping_s for each in self.by_name.values()), default=math.inf)

    def find(self, name: str) -> Adapter:
        """Return the adapter of a name, with or without the prefix.

        Raises: NotFound with the closest names, BadInput for an adapter that is switched off.
        """
        adapter = self.by_name.get(name) or self.by_name.get(PREFIX + name)
        if adapter is None:
            close = difflib.get_close_matches(name.lower()[:80], self.by_name, n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(close)}?" if close else "GET /voice/status lists them."
            raise NotFound(f"There is no adapter {shorten(name)}. {hint}")
        if not adapter.enabled:
            raise BadInput(
                f"The adapter {adapter.name} is switched off here; GET /voice/status lists the others."
            )
        return adapter


def load_adapters(personas: Iterable[Persona], file: str = "", keyed: bool = False) -> Adapters:
    """Return the personas as adapters, added to or replaced by those of an operator's file.

    `keyed`: this server has a key, so that an adapter may require one.
    Raises: SettingsFileError naming the file's line and field.
    """
    own = {PREFIX + persona.name: Adapter(PREFIX + persona.name, persona) for persona in personas}
    if not file:
        return Adapters(own)
    fields = read_fields(Path(file))
    session = fields.mapping("session")
    limits = SessionLimits(
        session.take("max_duration", number(10, 86_400), SessionLimits.talk_s),
        session.take("idle_timeout", number(5, 86_400), SessionLimits.idle_s),
        session.take("max_concurrent_sessions", number(1, 1_000, whole=True), SessionLimits.sessions),
    )
    own = {
        name: replace(each, talk_s=limits.talk_s, idle_s=limits.idle_s, max_sessions=limits.sessions)
        for name, each in own.items()
    }
    given: dict[str, Adapter] = {}
    for entry in fields.mappings("adapters"):
        name = entry.take("name", _name, "")
        if not name:
            raise entry.refused("name", "it is missing")
        if name in given:
            raise entry.refused("name", f"the adapter {name} is there twice; names must differ")
        given[name] = _adapter(entry, name, own.get(name), limits)
        if given[name].needs_key and not keyed:
            raise entry.refused(
                "capabilities.requires_api_key_validation", "no key is set; set PERSONAPLEX_GATEWAY_KEY"
            )
    return Adapters({**own, **given}, limits, tuple(fields.unused()))


def _adapter(entry: Fields, name: str, before: Adapter | None, limits: SessionLimits) -> Adapter:
    """Return the adapter of one entry; fields that it leaves out are those of `before`, a persona's adapter.

    Raises: SettingsFileError when the voice or the prompt is in neither.
    """
    persona = entry.mapping("persona")
    capabilities = entry.mapping("capabilities")
    config = entry.mapping("config")
    sampling = entry.mapping("sampling")
    was = before.persona if before else None
    voice = persona.take("voice_prompt", _voice, "")
    voices = _voices(voice, was)
    prompt = persona.take("text_prompt", lambda value: check_prompt(text(value)), was.prompt if was else "")
    for value, field_name in ((voices, "voice_prompt"), (prompt, "text_prompt")):
        if not value:
            raise persona.refused(field_name, "it is missing")
    language = persona.take("language", language_code, was.language if was else "")
    role = was or Persona(name, name, "An adapter of this server's operator.", "Gateway", voices, prompt, ())
    # only what the file gives: the rest stays the engine's default
    chosen = {
        key: sampling.take(key, number(*limit), 0)
        for key, limit in SAMPLING_LIMITS.items()
        if key in sampling
    }
    return Adapter(
        name,
        replace(role, voices=voices, prompt=prompt, language=language),
        entry.take("enabled", flag, True),
        capabilities.take("requires_api_key_validation", flag, False),
        chosen,
        config.take("max_session_duration_seconds", number(10, 86_400), limits.talk_s),
        config.take("idle_timeout", number(5, 86_400), limits.idle_s),
        config.take("max_concurrent_sessions", number(1, 1_000, whole=True), limits.sessions),
        config.take("audio_chunk_size_ms", number(10, 1_000, whole=True), FRAME_MS),
        config.take("ping_interval_seconds", number(1, 3_600), math.inf),
    )


def _voices(voice: str, was: Persona | None) -> tuple[str, ...]:
    """Return the preferences of an entry that names a voice of PersonaPlex, or none."""
    # naming the voice that the persona has anyway must not cost it its voices in other engines
    if was and voice in ("", was.voice_among(NAMES)):
        return was.voices
    return (voice, family_of(voice).embedded) if voice else ()


def _name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", value):
        raise ValueError("1 to 80 letters, digits, hyphens and underscores")
    return value


def _voice(value: Any) -> str:
    name = text(value).removesuffix(".pt")
    family_of(name)
    return name
