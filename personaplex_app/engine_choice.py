"""Which engine speaks: what was asked for, or the best that this machine can run, and why."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import constants

from .engine.contract import Engine
from .engine.echo import EchoEngine
from .engine.remote import RemoteEngine, RemoteSettings
from .engine.remote_connection import Timeouts
from .engine.remote_upstreams import Access
from .errors import EngineUnavailable, shorten
from .model.config import LM_FILE
from .model.hub_repo import HubRepo, cached, hub_access, parse
from .platform_detection import this_platform
from .settings import Settings

TITLES = {
    "personaplex": "PersonaPlex",
    "remote": "Remote server",
    "classic": "Embedded engine (classic)",
    "echo": "Echo",
}
SMALL_WEIGHTS_BYTES = 500_000_000
"""A model of this size keeps up on a CPU; the released one has 16.7 GB."""


@dataclass(frozen=True)
class Choice:
    """An engine's name with the sentences that explain it.

    `instead_of` names the engine that failed, where one did.
    """

    name: str
    why: str
    next_step: str = ""
    instead_of: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.name]


def gpu_is_leased() -> bool:
    """Return whether the GPU of this place is lent for each talk."""
    return this_platform().name == "zerogpu"


def choose(settings: Settings) -> Choice:
    """Return the engine that `settings` lead to on this machine.

    Raises: EngineUnavailable on ZeroGPU without its package.
    """
    if gpu_is_leased():
        # before anything of torch's is asked: from here on its GPU is an emulated one
        from .engine import zero_gpu  # noqa: F401
    if settings.engine == "echo":
        return Choice(
            "echo",
            "Asked for by --engine echo: it says back what it hears.",
            "Use --engine classic for a conversation.",
        )
    if settings.engine == "personaplex":
        return Choice("personaplex", "Asked for by --engine personaplex.", _lacks(settings))
    if settings.engine == "remote":
        missing = (
            ""
            if settings.remote_url
            else "Set --remote-url to the address of a server, such as wss://gpu.example:8998"
        )
        return Choice("remote", "Asked for by --engine remote.", missing)
    if settings.engine == "auto" and settings.remote_url:
        return Choice("remote", "A remote server is set by --remote-url.")
    if settings.engine == "auto":
        lacks = _lacks(settings)
        if not lacks:
            device = "a GPU is lent for each talk" if gpu_is_leased() else "this machine can run it"
            return Choice("personaplex", f"The checkpoint is here or may be downloaded, and {device}.")
        return Choice("classic", "It runs on any CPU with nothing but its packages.", lacks)
    why = "Asked for by --engine classic."
    return Choice(
        "classic",
        why,
        "" if settings.llm_url else "Set PERSONAPLEX_LLM_URL to let a language model answer in this voice.",
    )


def replacement(failed: Choice, sentence: str) -> Choice | None:
    """Return what takes over from an engine that failed with `sentence`; None where nothing is left that
    could.
    """
    if failed.name == "classic":
        return None
    return Choice(
        "classic", f"{failed.title} failed, so this engine speaks in its place.", sentence, failed.name
    )


def fallback_engine(choice: Choice) -> Choice | None:
    """Return what speaks where a chosen engine's device is not lent; None where it needs none."""
    if choice.name != "personaplex":
        return None
    return Choice("classic", "It needs no GPU.")


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
            return (
                missing
                or f"There is no {LM_FILE} in the folder {shorten(folder)}; set PERSONAPLEX_CHECKPOINT to a "
                f"whole checkpoint."
            )
    if missing:
        return missing
    small = folder is not None and (folder / LM_FILE).stat().st_size <= SMALL_WEIGHTS_BYTES
    if small or settings.device.startswith("cuda"):
        return ""
    import torch  # takes seconds, and only this question needs it

    if settings.device == "auto" and torch.cuda.is_available():
        return ""
    return f"The checkpoint needs a GPU to be real-time and there is none here; {this_platform().gpu_step}."


def _way_to(repo: HubRepo, settings: Settings) -> str:
    """Return how to come by a checkpoint that is not in the cache, nothing where it may be downloaded."""
    if constants.HF_HUB_OFFLINE:
        return (
            f"HF_HUB_OFFLINE forbids to download {repo.name}; unset it, or set PERSONAPLEX_CHECKPOINT to a"
            " folder that holds a checkpoint."
        )
    if hub_access(settings).any_token():
        return ""
    host = this_platform()
    if host.name in ("space", "zerogpu"):
        gpu = "" if host.name == "zerogpu" else ", and choose a GPU (Settings → Hardware)"
        steps = f"accept the licence at {repo.page}, {host.token_step}{gpu}"
        return f"For PersonaPlex itself, the owner of this Space must {steps}. It then starts anew by itself."
    return (
        f"For PersonaPlex itself, on a machine with a GPU: accept the licence at {repo.page},"
        f" {host.token_step}; or set PERSONAPLEX_CHECKPOINT to a folder that holds the checkpoint."
    )


def remote_settings(settings: Settings) -> RemoteSettings:
    """Return how these settings reach the remote servers."""
    key = {"Authorization": f"Bearer {settings.remote_key}"} if settings.remote_key else {}
    access = Access({**key, **dict(settings.remote_headers)}, settings.remote_insecure)
    return RemoteSettings(
        settings.remote_url, access, settings.remote_talks, Timeouts(handshake_s=settings.remote_handshake_s)
    )


def measurements_folder(settings: Settings) -> Path:
    """Return where checked voices of checkpoints are kept, and what was measured of them."""
    return settings.data / "voices"


def build(choice: Choice, settings: Settings) -> Engine:
    """Construct the chosen engine, unloaded."""
    if choice.name == "echo":
        return EchoEngine()
    if choice.name == "personaplex":
        try:
            from .engine.personaplex import PersonaplexEngine, PersonaplexSettings
        except ImportError as error:
            raise EngineUnavailable(
                f"The PersonaPlex engine needs the package {error.name}; run: pip install -r"
                " requirements-personaplex.txt"
            ) from error

        # a lent device is for one talk
        slots = 1 if gpu_is_leased() else settings.slots
        run = (
            settings.device,
            settings.dtype,
            slots,
            hub_access(settings),
            settings.quantize,
            settings.cpu_offload,
        )
        engine = PersonaplexEngine(
            PersonaplexSettings(settings.checkpoint, measurements_folder(settings), *run)
        )
        if not gpu_is_leased():
            return engine
        from .engine.leased import LeasedEngine
        from .engine.zero_gpu import ZeroGpu

        return LeasedEngine(engine, ZeroGpu(), settings.slots)
    if choice.name == "remote":
        return RemoteEngine(remote_settings(settings))
    # the speech packages take a second to import, which an echo or a doctor need not pay
    from .classic.engine import ClassicEngine
    from .responder.llm import LlmSettings
    from .responder.rules import make_responder

    llm = None
    if settings.llm_url:
        llm = LlmSettings(url=settings.llm_url, key=settings.llm_key, model=settings.llm_model)
    responder = f"{llm.url} {llm.model}" if llm else "rules"
    return ClassicEngine(lambda config, notify: make_responder(config, notify, llm), responder=responder)
