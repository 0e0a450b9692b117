"""Which engine speaks: what was asked for, or the best that this machine can run, and why."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import constants

from ..errors import EngineUnavailable, shorten
from ..model.config import LM_FILE
from ..model.hub_repo import HubAccess, HubRepo, cached, parse
from ..settings import Settings
from .contract import Engine
from .echo import EchoEngine

TITLES = {"personaplex": "PersonaPlex", "classic": "Embedded engine (classic)", "echo": "Echo"}
SMALL_WEIGHTS_BYTES = 500_000_000
"""A model of this size keeps up on a CPU; the released one has 16.7 GB."""


@dataclass(frozen=True)
class Choice:
    """An engine's name with the sentences that explain it. `instead_of` names the engine that failed, where one did."""

    name: str
    why: str
    next_step: str = ""
    instead_of: str = ""

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
            return Choice("personaplex", "The checkpoint is here or may be downloaded, and this machine can run it.")
        return Choice("classic", "It runs on any CPU with nothing but its packages.", lacks)
    why = "Asked for by --engine classic."
    return Choice("classic", why, "" if settings.llm_url else "Set PERSONAPLEX_LLM_URL to let a language model answer in this voice.")


def fallback(failed: Choice, sentence: str) -> Choice | None:
    """Return what takes over from an engine that failed with `sentence`; None where nothing is left that could."""
    if failed.name == "classic":
        return None
    return Choice("classic", f"{failed.title} failed, so this engine speaks in its place.", sentence, failed.name)


def _lacks(settings: Settings) -> str:
    """Return the next step towards the PersonaPlex engine, nothing where it can run."""
    missing = ""
    if find_spec("torch") is None or find_spec("sentencepiece") is None:
        missing = "Install what the PersonaPlex engine needs: pip install -r requirements-personaplex.txt"
    checkpoint = parse(settings.checkpoint)
    if isinstance(checkpoint, HubRepo):
        folder = cached(checkpoint, hub_access(settings))
        if folder is None and (way := _way_to(checkpoint, settings)):
            return f"{way} {missing}".strip()
    else:
        folder = checkpoint
        if not (folder / LM_FILE).is_file():
            return missing or f"There is no {LM_FILE} in the folder {shorten(folder)}; set PERSONAPLEX_CHECKPOINT to a whole checkpoint."
    if missing:
        return missing
    small = folder is not None and (folder / LM_FILE).stat().st_size <= SMALL_WEIGHTS_BYTES
    if small or settings.device.startswith("cuda"):
        return ""
    import torch  # takes seconds, and only this question needs it

    if settings.device == "auto" and torch.cuda.is_available():
        return ""
    return (
        "The checkpoint needs a GPU to be real-time and there is none here; --engine personaplex runs it on the CPU all the same, slowly."
    )


def _way_to(repo: HubRepo, settings: Settings) -> str:
    """Return how to come by a checkpoint that is not in the cache, nothing where it may be downloaded."""
    if constants.HF_HUB_OFFLINE:
        return (
            f"HF_HUB_OFFLINE forbids to download {repo.name}; unset it, or set PERSONAPLEX_CHECKPOINT to a folder that holds a checkpoint."
        )
    if hub_access(settings).any_token():
        return ""
    return (
        f"For PersonaPlex itself, on a machine with a GPU: accept the licence at {repo.page}, set HF_TOKEN to a token of that account "
        "(or run: hf auth login); or set PERSONAPLEX_CHECKPOINT to a folder that holds the checkpoint."
    )


def hub_access(settings: Settings) -> HubAccess:
    """Return how these settings reach the Hub."""
    return HubAccess(settings.hf_token, settings.data / "checkpoints")


def store(settings: Settings) -> Path:
    """Return where checked voices of checkpoints are kept, and what was measured of them."""
    return settings.data / "voices"


def build(choice: Choice, settings: Settings) -> Engine:
    """Construct the chosen engine, unloaded."""
    if choice.name == "echo":
        return EchoEngine()
    if choice.name == "personaplex":
        try:
            from .personaplex import PersonaplexEngine, PersonaplexSettings
        except ImportError as error:
            raise EngineUnavailable(
                f"The PersonaPlex engine needs the package {error.name}; run: pip install -r requirements-personaplex.txt"
            ) from error

        run = (settings.device, settings.dtype, settings.slots, hub_access(settings), settings.quantize, settings.cpu_offload)
        return PersonaplexEngine(PersonaplexSettings(settings.checkpoint, store(settings), *run))
    # the speech packages take a second to import, which an echo or a doctor need not pay
    from ..classic.engine import ClassicEngine
    from ..classic.llm import LlmSettings
    from ..classic.responder import make_responder

    llm = None
    if settings.llm_url:
        llm = LlmSettings(url=settings.llm_url, key=settings.llm_key, model=settings.llm_model)
    responder = f"{llm.url} {llm.model}" if llm else "rules"
    return ClassicEngine(lambda config, notify: make_responder(config, notify, llm), responder=responder)
