"""Which engine speaks: what was asked for, or the best that this machine can run, and why."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..errors import EngineUnavailable, shorten
from ..model.config import LM_FILE, is_repo
from ..settings import Settings
from .contract import Engine
from .echo import EchoEngine

TITLES = {"personaplex": "PersonaPlex", "classic": "Embedded engine (classic)", "echo": "Echo"}
SMALL_WEIGHTS_BYTES = 500_000_000
"""A model of this size keeps up on a CPU; the released one has 16.7 GB."""


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
    if settings.engine == "personaplex":
        return Choice("personaplex", "Asked for by --engine personaplex.", _lacks(settings))
    if settings.engine == "auto":
        lacks = _lacks(settings)
        if not lacks:
            return Choice("personaplex", "A checkpoint is given and this machine can run it.")
        return Choice("classic", "It runs on any CPU with nothing but its packages.", lacks)
    why = "Asked for by --engine classic."
    return Choice("classic", why, "" if settings.llm_url else "Set PERSONAPLEX_LLM_URL to let a language model answer in this voice.")


def _lacks(settings: Settings) -> str:
    """Return the next step towards the PersonaPlex engine, nothing where it can run."""
    if not settings.checkpoint:
        return (
            "For PersonaPlex itself: accept the licence at https://huggingface.co/nvidia/personaplex-7b-v1, set HF_TOKEN and "
            "PERSONAPLEX_CHECKPOINT=nvidia/personaplex-7b-v1 (or a folder that holds it); it needs a GPU to be real-time."
        )
    if find_spec("torch") is None or find_spec("sentencepiece") is None:
        return "Install what the PersonaPlex engine needs: pip install -r requirements-personaplex.txt"
    weights = Path(settings.checkpoint) / LM_FILE
    remote = is_repo(settings.checkpoint)
    if not remote and not weights.is_file():
        return f"There is no {LM_FILE} in the folder {shorten(settings.checkpoint)}; set PERSONAPLEX_CHECKPOINT to a whole checkpoint."
    if settings.device.startswith("cuda") or (not remote and weights.stat().st_size <= SMALL_WEIGHTS_BYTES):
        return ""
    import torch  # takes seconds, and only this question needs it

    if settings.device == "auto" and torch.cuda.is_available():
        return ""
    return (
        "The checkpoint needs a GPU to be real-time and there is none here; --engine personaplex runs it on the CPU all the same, slowly."
    )


def build(choice: Choice, settings: Settings, lockstep: bool = False) -> Engine:
    """Construct the chosen engine, unloaded. `lockstep` makes the embedded one independent of the clock, for recordings."""
    if choice.name == "echo":
        return EchoEngine()
    if choice.name == "personaplex":
        try:
            from .personaplex import PersonaplexEngine, PersonaplexSettings
        except ImportError as error:
            raise EngineUnavailable(
                f"The PersonaPlex engine needs the package {error.name}; run: pip install -r requirements-personaplex.txt"
            ) from error

        store = settings.data / "voices"
        run = (settings.device, settings.dtype, settings.slots, settings.quantize)
        return PersonaplexEngine(PersonaplexSettings(settings.checkpoint, store, *run))
    # the speech packages take a second to import, which an echo or a doctor need not pay
    from ..classic.engine import ClassicEngine
    from ..classic.llm import LlmSettings
    from ..classic.responder import make_responder

    llm = None
    if settings.llm_url:
        llm = LlmSettings(url=settings.llm_url, key=settings.llm_key, model=settings.llm_model)
    return ClassicEngine(lambda config, notify: make_responder(config, notify, llm), lockstep=lockstep)
