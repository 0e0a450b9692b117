"""Choose the engine: the one that the settings ask for, or the best that this machine can run, and why."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import constants

from .engine.contract import Engine
from .engine.echo import EchoEngine
from .engine.remote import RemoteEngine, RemoteSettings
from .engine.remote_connection import Timeouts
from .engine.remote_upstreams import Access
from .errors import EngineUnavailable, PersonaplexError, StorageError, shorten
from .model.config import LM_FILE
from .model.hub_repo import HubRepo, cached, hub_access, parse
from .platform_detection import this_platform
from .settings import Settings
from .units import FRAME_MS

TITLES = {
    "personaplex": "PersonaPlex",
    "remote": "Remote server",
    "classic": "Small stand-in",
    "echo": "Echo",
}
_STAND_INS = {
    "classic": "This is a small stand-in.",
    "echo": "This only says back what it hears.",
}
WHILE_LOADING = "It speaks while PersonaPlex is loaded."
SMALL_WEIGHTS_BYTES = 500_000_000
"""How fast a CPU runs a model up to this size is measured at the start, in a second or two. A larger one, as
the released one of 16.7 GB is, takes the command `bench`.
"""


_NO_ACCESS = "it is given out only under a licence, and this app has no access to it"
_CHOSEN = "the owner of this app chose this one"


@dataclass(frozen=True)
class Choice:
    """The name of the chosen engine, and sentences that explain the choice to people.

    `next_step` tells the app's owner what would lead to a better engine; `instead_of` names an engine that
    failed. `absent` tells a visitor why PersonaPlex does not run here, as the second half of a sentence.
    """

    name: str
    why: str
    next_step: str = ""
    instead_of: str = ""
    absent: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.name]

    @property
    def stand_in(self) -> str:
        """What a visitor must know where something else speaks than the model that the page is named after:
        what it is, and why. "" for PersonaPlex, and for a server of which nothing is known here.
        """
        what = _STAND_INS.get(self.name)
        return f"{what} PersonaPlex-7B is not running here: {self.absent}." if what else ""


def gpu_is_leased() -> bool:
    """Return whether this host lends a GPU for each talk, as ZeroGPU does."""
    return this_platform().name == "zerogpu"


def choose(settings: Settings) -> Choice:
    """Return the engine for these settings on this machine.

    Raises: EngineUnavailable on ZeroGPU when its package is missing.
    """
    if gpu_is_leased():
        # the package patches torch to emulate a GPU, which must happen before torch is asked for one
        from .engine import zero_gpu  # noqa: F401
    if settings.engine == "echo":
        return Choice(
            "echo",
            "Asked for by --engine echo: it says back what it hears.",
            "Use --engine classic for a conversation.",
            absent=_CHOSEN,
        )
    if settings.engine == "personaplex":
        return Choice("personaplex", "Asked for by --engine personaplex.", _lacks(settings, False).step)
    if settings.engine == "remote":
        missing = (
            ""
            if settings.remote_url
            else "Set --remote-url to the address of a server, such as wss://gpu.example:8998"
        )
        return Choice("remote", "Asked for by --engine remote.", missing)
    # whoever names a server wants it, whatever this machine could run
    if settings.engine == "auto" and settings.remote_url:
        return Choice("remote", "A remote server is set by --remote-url.")
    if settings.engine == "auto":
        lacks = _lacks(settings, True)
        if not lacks.step:
            return Choice("personaplex", f"The checkpoint is here or may be downloaded, and {lacks.runs}.")
        why = "It runs on any CPU with nothing but its packages."
        return Choice("classic", why, lacks.step, absent=lacks.why)
    why = "Asked for by --engine classic."
    llm_step = "Set PERSONAPLEX_LLM_URL, or --responder local, to let a language model answer in this voice."
    has_model = settings.llm_url or settings.responder in ("hub", "local")
    return Choice("classic", why, "" if has_model else llm_step, absent=_CHOSEN)


def offered(choice: Choice, settings: Settings) -> Choice:
    """Return the choice with the offer of a language model that runs on this machine, where there is one.

    It waits up to 0.3 s for each server that it knows; one that is not there refuses at once.
    """
    if choice.name != "classic" or not settings.find_llm or settings.responder != "auto" or settings.llm_url:
        return choice
    from .responder.found_endpoints import find_endpoints

    offers = [found.offer for found in find_endpoints()]
    return replace(choice, next_step=" ".join(filter(None, (*offers, choice.next_step))))


def replacement(failed: Choice, sentence: str) -> Choice | None:
    """Return the engine that takes over from one that failed with `sentence`, None if there is none."""
    if failed.name == "classic":
        return None
    failure = "the server that should speak has failed" if failed.name == "remote" else "it has failed"
    why = f"{failed.title} failed, so this engine speaks in its place."
    return Choice("classic", why, sentence, failed.name, failure)


def stand_in(choice: Choice, settings: Settings) -> Choice | None:
    """Return the engine that speaks while the chosen one is loaded, None where that one is waited for."""
    if choice.name != "personaplex" or not settings.stand_in or gpu_is_leased():
        return None
    absent = "it is still being fetched and loaded, and speaks from the next talk on once it is ready"
    return Choice("classic", WHILE_LOADING, absent=absent)


def fallback_engine(choice: Choice, leased: bool = True) -> Choice | None:
    """Return the engine for talks that the chosen one cannot hold, None where it can hold all.

    `leased`: those that no GPU is lent to; otherwise those in a language that it does not speak.
    """
    if choice.name not in (("personaplex",) if leased else ("personaplex", "remote")):
        return None
    if leased:
        return Choice("classic", "It needs no GPU.", absent="no GPU was lent for this talk")
    return Choice("classic", "It speaks Spanish.", absent="it speaks English only")


@dataclass(frozen=True)
class _Lack:
    """What PersonaPlex lacks here: `why` for visitors, `step` for the owner; both "" when it can run.

    `runs` says why it can, as the second half of a sentence.
    """

    why: str = ""
    step: str = ""
    runs: str = "this machine can run it"


def _lacks(settings: Settings, measure: bool) -> _Lack:
    """Return what the PersonaPlex engine lacks, and the next step towards it.

    `measure` says whether a CPU's speed may be measured, which takes seconds.
    """
    missing = ""
    if find_spec("torch") is None or find_spec("sentencepiece") is None:
        missing = "Install what the PersonaPlex engine needs: pip install -r requirements-personaplex.txt"
    checkpoint = parse(settings.checkpoint)
    if isinstance(checkpoint, HubRepo):
        folder = cached(checkpoint, hub_access(settings))
        if folder is None and (step := _download_step(checkpoint, settings)):
            why = "it may not be downloaded here" if constants.HF_HUB_OFFLINE else _NO_ACCESS
            return _Lack(why, f"{step} {missing}".strip())
    else:
        folder = checkpoint
        if not (folder / LM_FILE).is_file():
            step = (
                f"There is no {LM_FILE} in the folder {shorten(folder)}; set PERSONAPLEX_CHECKPOINT to a"
                " whole checkpoint."
            )
            return _Lack("its files are not here", missing or step)
    if missing:
        return _Lack("the packages that it needs are not installed", missing)
    has_gpu = _Lack(runs="a GPU is lent for each talk") if gpu_is_leased() else _Lack()
    if settings.device.startswith("cuda"):
        return has_gpu
    import torch  # takes seconds, and only this question needs it

    if settings.device == "auto" and torch.cuda.is_available():
        return has_gpu
    return _lacks_speed(settings, folder, measure)


def _lacks_speed(settings: Settings, folder: Path | None, measure: bool) -> _Lack:
    """Return what PersonaPlex lacks on a CPU: nothing where a frame was measured to be fast enough.

    `folder` is the checkpoint's, None where it is not downloaded yet and has the released shapes.
    """
    # these import torch
    from .model.compute import cache_dtype, memory_bytes, pick
    from .model.config import LmConfig, MimiConfig, read_mimi_config
    from .model.frame_time import REAL_TIME_MS, keep_frame_ms, measure_frame_ms, stored_frame_ms
    from .model.plan import plan_memory, read_sizes, sizes_of
    from .model.random_weights import random_mimi

    store = measurements_folder(settings)
    try:
        sizes = read_sizes(folder) if folder else sizes_of(LmConfig(), MimiConfig())
        codec = read_mimi_config(folder) if folder else MimiConfig()
        largest = max((folder / LM_FILE).stat().st_size if folder else 0, sizes.file_bytes)
        compute = pick(settings.device, settings.dtype, largest)
    except PersonaplexError:
        # the engine says so when it loads
        return _Lack()
    cpu, dtype = compute.device, compute.dtype
    in_cache = cache_dtype(cpu, dtype).itemsize
    plan = plan_memory(
        sizes, memory_bytes(cpu), dtype.itemsize, settings.quantize, settings.slots, False, None, in_cache
    )
    frame_ms = None
    if plan.chosen:
        shapes = (sizes.lm, codec, dtype, plan.chosen.quantize)
        frame_ms = stored_frame_ms(store, *shapes)
        small = largest <= SMALL_WEIGHTS_BYTES
        if frame_ms is None and small and not measure:
            return _Lack()
        if frame_ms is None and small:
            codec_model = random_mimi(cpu, codec)
            form = plan.chosen.quantize
            frame_ms = measure_frame_ms(sizes.lm, codec_model, dtype, form, REAL_TIME_MS)
            # a machine that was too busy is asked again at the next start
            if frame_ms <= REAL_TIME_MS:
                with suppress(StorageError):
                    keep_frame_ms(store, *shapes, frame_ms)
    if frame_ms is not None and frame_ms <= REAL_TIME_MS:
        return _Lack(runs=f"this machine can run it: a frame of {FRAME_MS} ms took its CPU {frame_ms:.0f} ms")
    found = f" (a frame of {FRAME_MS} ms took this CPU {frame_ms:.0f} ms)" if frame_ms else ""
    return _Lack(
        "it needs a GPU, and this machine has none",
        f"The checkpoint needs a GPU to be real-time and there is none here{found};"
        f" {this_platform().gpu_step}.",
    )


def _download_step(repo: HubRepo, settings: Settings) -> str:
    """Return what to do before a checkpoint can be downloaded, "" when it can be."""
    if constants.HF_HUB_OFFLINE:
        return (
            f"HF_HUB_OFFLINE forbids downloading {repo.name}; unset it, or set PERSONAPLEX_CHECKPOINT to a"
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
    """Return the settings of the remote engine."""
    key = {"Authorization": f"Bearer {settings.remote_key}"} if settings.remote_key else {}
    access = Access({**key, **dict(settings.remote_headers)}, settings.remote_insecure)
    return RemoteSettings(
        settings.remote_url, access, settings.remote_talks, Timeouts(handshake_s=settings.remote_handshake_s)
    )


def measurements_folder(settings: Settings) -> Path:
    """Return the folder for the verified voices of checkpoints and for measurements of checkpoints."""
    return settings.data / "voices"


def build(choice: Choice, settings: Settings) -> Engine:
    """Construct the chosen engine without loading it.

    Raises: EngineUnavailable when a package of the engine is missing.
    """
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

        from .speech.spoken_form import spoken_form

        # a lease is for one talk, so each loaded model serves one
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
            PersonaplexSettings(settings.checkpoint, measurements_folder(settings), *run), spoken_form
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
    from .responder.encoder_weights import downloaded_files
    from .responder.model_choice import choose_model, make_model
    from .responder.rules import make_responder, prepare

    model = make_model(settings)
    description = choose_model(settings).description
    return ClassicEngine(
        partial(make_responder, llm=model),
        responder=description,
        language_model=model,
        fetch_encoder=lambda report: downloaded_files(settings.data, hub_access(settings), report),
        prepare_encoder=prepare,
    )
