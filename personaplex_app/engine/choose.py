"""Which engine speaks: what was asked for, or the best that this machine can run, and why."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import Settings
from .contract import Engine
from .echo import EchoEngine

TITLES = {"classic": "Embedded engine (classic)", "echo": "Echo"}


@dataclass(frozen=True)
class Choice:
    """An engine's name with the sentences that explain it."""

    name: str
    why: str
    next_step: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.name]


def choose(settings: Settings) -> Choice:
    """Return the engine that `settings` lead to on this machine."""
    if settings.engine == "echo":
        return Choice("echo", "Asked for by --engine echo: it says back what it hears.", "Use --engine classic for a conversation.")
    why = "Asked for by --engine classic." if settings.engine == "classic" else "It runs on any CPU with nothing but its packages."
    return Choice("classic", why, "" if settings.llm_url else "Set PERSONAPLEX_LLM_URL to let a language model answer in this voice.")


def build(choice: Choice, settings: Settings) -> Engine:
    """Construct the chosen engine, unloaded."""
    if choice.name == "echo":
        return EchoEngine()
    # the speech packages take a second to import, which an echo or a doctor need not pay
    from ..classic.engine import ClassicEngine
    from ..classic.llm import LlmSettings
    from ..classic.responder import make_responder

    llm = None
    if settings.llm_url:
        llm = LlmSettings(url=settings.llm_url, key=settings.llm_key, model=settings.llm_model)
    return ClassicEngine(lambda config, notify: make_responder(config, notify, llm))
