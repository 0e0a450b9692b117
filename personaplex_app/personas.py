"""Role presets: who the agent is. The texts live in `assets/personas.yaml` and are validated when loaded."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PROMPT_CHARS = 2_000


@dataclass(frozen=True)
class Persona:
    """One role. `voice` is a PersonaPlex voice, `classic_voice` one of the embedded engine's; `examples` are things to say to it."""

    name: str
    title: str
    purpose: str
    family: str
    voice: str
    classic_voice: str
    prompt: str
    examples: tuple[str, ...]
