"""The PersonaPlex engine: our implementation of the model behind the engine contract."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import __version__
from ..errors import CapacityError, EngineError, UnknownVoice, shorten
from ..languages import ENGLISH
from ..model.agreement import load_agreements
from ..model.checkpoint import Checkpoint, CheckpointFiles, fingerprint, load_checkpoint
from ..model.cloning import codec_sha256, from_file, to_file, voice_codes
from ..model.compute import Compute, cache_dtype, memory_bytes, pick
from ..model.config import VOICES_FILE
from ..model.duplex import Duplex
from ..model.graphs import cuda_graphs
from ..model.hub import fetch
from ..model.hub_repo import HubAccess, parse
from ..model.plan import MAX_SNAPSHOT_BYTES, MemoryPlan, Option, plan_memory, read_sizes
from ..model.prompt import VoicePrompt, build_prompt
from ..model.voice_files import open_voices, self_test, to_safetensors
from ..units import FRAME_SAMPLES
from ..voices import CLONE_PREFIX, NAMES, NO_VOICE, Voice, family_of, released_voice
from .batch_scheduler import BatchScheduler
from .contract import Capabilities, EngineState, Sampling, SessionConfig, StepTiming
from .personaplex_session import PersonaplexSession, Verbalise, row_sampling
from .snapshots import Snapshots
from .voice_samples import PROMPT as SAMPLE_PROMPT
from .voice_samples import SEED as SAMPLE_SEED
from .voice_samples import SampledVoice, VoiceSamples

log = logging.getLogger(__name__)
CHUNK_FRAMES = {"cpu": 64, "cuda": 512}
"""Positions of a prompt phase that are computed between two steps: running talks wait for so long."""
# the first one compiles and allocates, the second runs as all later ones do
WARM_UP_FRAMES = 2
NOT_LOADED = "The PersonaPlex engine is not loaded yet; wait until it is ready."
_NO_VOICE = Voice(
    NO_VOICE,
    "One of its own",
    "No voice prompt: the model finds a voice by itself, another one in each talk.",
    "Without a voice",
)


@dataclass(frozen=True)
class PersonaplexSettings:
    """The engine's settings. `checkpoint` is a folder or a Hub repository.

    `store` is a folder for checked voices, voice samples and measured agreements.
    """

    checkpoint: str
    store: Path
    device: str = "auto"
    dtype: str = "auto"
    slots: int = 2
    access: HubAccess = HubAccess()
    quantize: str = "auto"
    cpu_offload: bool = False


class PersonaplexEngine:
    """Runs the model, token-exact with the reference, with many sessions in one batch on one device."""

    name = "personaplex"
    language = ENGLISH
    capabilities = Capabilities(
        sampling=True,
        resampling=True,
        cloning=True,
        backchannels=True,
        agent_captions=True,
        role_prompt=True,
        roleless=True,
        saying=True,
    )

    def __init__(self, settings: PersonaplexSettings, verbalise: Verbalise = str) -> None:
        """Set up without loading; `verbalise` writes a line's figures and signs as words."""
        self._settings = settings
        self._verbalise = verbalise
        self._checkpoint: Checkpoint | None = None
        self._rows = 0
        self._voices: dict[str, VoicePrompt] = {}
        self._codec = ""
        self._model = b""
        self._scheduler: BatchScheduler | None = None
        self._samples: VoiceSamples | None = None
        self._talks = 0
        self._lock = threading.Lock()
        # held while a voice's sample is being made, which takes a row that a caller may need
        # released by the session's `on_close`, on whichever thread closes it: a plain lock allows that, an
        # RLock does not
        self._sample_lock = threading.Lock()
        self.snapshots = Snapshots(MAX_SNAPSHOT_BYTES)
        self.compute: Compute | None = None
        self.plan: MemoryPlan | None = None
        self.identity = ""

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The released voices (once loaded, those that this checkpoint has), and the choice of no voice."""
        return (
            *(released_voice(name) for name in NAMES if not self._voices or name in self._voices),
            _NO_VOICE,
        )

    @property
    def max_sessions(self) -> int:
        """How many talks can share the device: by the settings, and once loaded by its memory."""
        return self._scheduler.count if self._scheduler else self._settings.slots

    @property
    def about(self) -> str:
        """Device, number type and quantisation, and why they were chosen; "" before."""
        return f"{self.compute.why} {self.plan.why}" if self.compute and self.plan else ""

    @property
    def lost(self) -> str:
        """Why the model cannot be rebuilt after a fault, or that it hangs; "" while it works."""
        return (self._scheduler.lost or self._scheduler.hung) if self._scheduler else ""

    @property
    def hung(self) -> str:
        """Since when the device has not answered, "" while it does."""
        return self._scheduler.hung if self._scheduler else ""

    def sample(self, voice: str) -> np.ndarray | None:
        """Return a voice's sample, None while it is not made yet.

        Asking for a missing one starts to make it, by the model itself, when no talk is running.
        """
        known = voice == NO_VOICE or voice in self._voices
        return self._samples.get(voice) if self._samples and known else None

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Download what the cache lacks, load, self-test and warm up. Later calls do nothing.

        Raises: EngineUnavailable when the checkpoint cannot be downloaded, WeightsError when a file is
        damaged, SettingsError for a device that does not exist, EngineError when memory runs out.
        """
        if not self._scheduler:
            self.preload(report)
            self._reported_memory(lambda: self._warm_up(report))

    def preload(self, report: Callable[[EngineState], None]) -> None:
        """Do the first part of `load`: bring the weights to the device and self-test them.

        `load` continues from there, possibly in a fork of this process. Nothing is computed that only a real
        device can compute, and no thread is started, since threads do not survive a fork.
        Raises: what `load` raises.
        """
        if not self._checkpoint:
            self._reported_memory(lambda: self._load_weights(report))

    def _reported_memory(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            device = self.compute.device if self.compute else "this machine"
            raise EngineError(
                f"The memory of {device} ran out while the model was loaded. Take --quantize int8 or int4,"
                " fewer --slots, or close other programs there; then start again."
            ) from error

    def _load_weights(self, report: Callable[[EngineState], None]) -> None:
        files = CheckpointFiles.of(
            checkpoint_folder(self._settings.checkpoint, self._settings.access, report)
        )
        weights_bytes = files.lm.stat().st_size if files.lm.exists() else 0
        self.compute = pick(self._settings.device, self._settings.dtype, weights_bytes)
        asked = self._settings
        agreements = load_agreements(asked.store, files.lm)
        self.plan, form = plan_for_device(
            files, self.compute, asked.quantize, asked.slots, asked.cpu_offload, agreements
        )
        log.info("compute: %s memory: %s", self.compute.why, self.plan.why)
        # as many rows as were asked for, or as fit
        self._rows = min(form.slots, self._settings.slots)
        # as large as the plan leaves room for
        self.snapshots = Snapshots(self.plan.snapshot_bytes)
        report(EngineState("loading", self.about, 0.0))
        checkpoint = load_checkpoint(
            files,
            self.compute.device,
            self.compute.dtype,
            lambda done: report(EngineState("loading", self.about, done)),
            form.quantize,
            form.offloaded_layers,
        )
        report(EngineState("self_test", "comparing the model with its voices"))
        voices = open_voices(files.folder / VOICES_FILE, self._settings.store, checkpoint.lm.config)
        self_test(checkpoint.lm, voices)
        self._codec = codec_sha256(checkpoint.mimi)
        self._model = fingerprint(files.lm, files.mimi)
        weights = f"{self._model.hex()} {fingerprint(files.folder / VOICES_FILE).hex()} {form.quantize}"
        # device and number type are part of it, since they round differently
        self.identity = f"personaplex {__version__} {weights} {self.compute.device.type} {self.compute.dtype}"
        self._checkpoint = checkpoint
        self._voices = voices

    def _warm_up(self, report: Callable[[EngineState], None]) -> None:
        assert self._checkpoint, "preload comes first"
        checkpoint = self._checkpoint
        voices = self._voices
        rows = self._rows
        report(EngineState("warming_up", "speaking the first frames"))
        chunk = CHUNK_FRAMES[checkpoint.lm.device.type]
        self._scheduler = BatchScheduler(
            lambda: _warm_duplex(checkpoint, voices, rows), self.snapshots, chunk
        )
        self._samples = VoiceSamples(
            self._settings.store / "samples", self._model, self._sample_source, lambda: not self._talks
        )

    def open(self, config: SessionConfig) -> PersonaplexSession:
        """Begin a session.

        Raises: UnknownVoice, BadVoiceFile, BadPrompt, CapacityError, EngineError.
        """
        # counted before a row is taken, so that a voice sample gives its row up
        with self._lock:
            self._talks += 1
        try:
            try:
                return self._open_session(config, self._talk_ended)
            except CapacityError:
                # a voice sample may have the last row; it stops as soon as `_talks` is counted up
                with self._sample_lock:
                    return self._open_session(config, self._talk_ended)
        except BaseException:
            self._talk_ended()
            raise

    def _open_session(
        self, config: SessionConfig, on_close: Callable[[], None], temporary: bool = False
    ) -> PersonaplexSession:
        """Open a session on a free row; `temporary` says that its prompt phase is not worth a snapshot."""
        if self._scheduler is None or self._checkpoint is None:
            raise EngineError(NOT_LOADED)
        lm = self._checkpoint.lm.config
        clone = config.clone
        voice = None if clone else self._stored_voice(config.voice)
        codes = self._clone_codes(clone.data) if clone else None
        tokens = self._checkpoint.tokenizer.prompt_tokens(config.prompt)
        prompt = build_prompt(lm, tokens, voice, codes)
        # not the voice's name: two owners may give different voices the same one
        made_of = _clone_key(clone.data) if clone else config.voice
        key = None if temporary else (made_of, hashlib.sha256(repr(tokens).encode()).digest())
        # drawn here and not by the device, so that `resample` can keep it
        seed = secrets.randbits(62) if config.sampling.seed is None else config.sampling.seed
        row = self._scheduler.take(key, prompt, row_sampling(config.sampling, seed))
        window_frames = lm.context - prompt.positions
        return PersonaplexSession(row, self._checkpoint, seed, window_frames, on_close, self._verbalise)

    def _talk_ended(self) -> None:
        with self._lock:
            self._talks -= 1

    def _sample_source(self, name: str) -> SampledVoice:
        """Return how to open a session that speaks a voice's sample."""
        voice = self._stored_voice(name)

        def say() -> PersonaplexSession | None:
            self._sample_lock.acquire()
            try:
                # a talk may have begun since the samples' thread checked
                if self._talks:
                    raise CapacityError("A talk is running.")
                return self._open_session(
                    SessionConfig(name, SAMPLE_PROMPT, sampling=Sampling(seed=SAMPLE_SEED)),
                    self._sample_lock.release,
                    True,
                )
            except CapacityError:
                self._sample_lock.release()
                return None
            except BaseException:
                self._sample_lock.release()
                raise

        return SampledVoice(to_safetensors(voice) if voice else b"", say)

    def _stored_voice(self, name: str) -> VoicePrompt | None:
        """Return the voice of that name, None for a talk without one.

        Raises: UnknownVoice.
        """
        if name == NO_VOICE:
            return None
        family_of(name)
        if name not in self._voices:
            raise UnknownVoice(
                f"This checkpoint has no voice {shorten(name)}; choose one of: {', '.join(self._voices)}."
            )
        return self._voices[name]

    def clone(self, speech: np.ndarray) -> bytes:
        """Return a voice made of a few seconds of speech: its codes, as a safetensors file.

        Shapes: `speech` is float32 [N] at 24 kHz.
        Raises: BadAudio, EngineError.
        """
        scheduler = self._scheduler
        checkpoint = self._checkpoint
        if scheduler is None or checkpoint is None:
            raise EngineError(NOT_LOADED)

        def encode() -> torch.Tensor:
            try:
                return voice_codes(checkpoint.mimi, speech)
            except torch.OutOfMemoryError as error:
                raise EngineError(
                    "There is no memory left on the device to make a voice; try again when a talk has ended."
                ) from error

        return to_file(scheduler.call(encode), self._codec)

    def check_clone(self, data: bytes) -> None:
        """Check that untrusted bytes are a cloned voice of this model.

        Raises: BadVoiceFile, EngineError.
        """
        self._clone_codes(data)

    def forget_clone(self, data: bytes) -> None:
        """Drop the snapshots of prompt phases with a cloned voice."""
        voice = _clone_key(data)
        self.snapshots.drop(lambda key: isinstance(key, tuple) and key[0] == voice)

    def _clone_codes(self, data: bytes) -> torch.Tensor:
        if self._checkpoint is None:
            raise EngineError(NOT_LOADED)
        return from_file(data, self._codec, self._checkpoint.lm.config.card)

    def step_timing(self) -> StepTiming | None:
        """Return the timing of the recent steps, None before the first one."""
        return self._scheduler.step_timing() if self._scheduler else None

    def close(self) -> None:
        """End every talk and the device's thread, and free the weights. May be called twice."""
        # whoever waits for the device is told before those are waited for
        if self._scheduler and self._scheduler.close():
            self._scheduler = None
        if self._samples:
            self._samples.close()
        self._checkpoint = None
        self.snapshots.clear()


def checkpoint_folder(checkpoint: str, access: HubAccess, report: Callable[[EngineState], None]) -> Path:
    """Return the checkpoint's folder, downloading it where it is a Hub repository.

    Raises: EngineUnavailable, WeightsError.
    """
    source = parse(checkpoint)
    if isinstance(source, Path):
        return source
    return fetch(source, access, lambda stage, doing, share: report(EngineState(stage, doing, share)))


def _clone_key(data: bytes) -> str:
    """Return a cloned voice's key among the snapshots: a hash of its content, whoever owns it."""
    return CLONE_PREFIX + hashlib.sha256(data).hexdigest()


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out.

    PyTorch's CPU allocator raises a plain RuntimeError, which only its message tells from others.
    """
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)


def plan_for_device(
    files: CheckpointFiles,
    compute: Compute,
    quantize: str,
    talks: int,
    cpu_offload: bool,
    agreements: Mapping[str, float] | None = None,
) -> tuple[MemoryPlan, Option]:
    """Plan the device's memory before anything is loaded; return the plan and its chosen option.

    Raises: EngineError when nothing fits.
    """
    device = compute.device
    # a CPU's memory is the host's: there is nothing to offload to
    offload = cpu_offload and device.type != "cpu"
    sizes = read_sizes(files.folder)
    memory = memory_bytes(device)
    in_cache = cache_dtype(device, compute.dtype).itemsize
    plan = plan_memory(sizes, memory, compute.dtype.itemsize, quantize, talks, offload, agreements, in_cache)
    if plan.chosen is None:
        raise EngineError(f"The memory of {device} is too small: {plan.why}")
    host = memory_bytes(torch.device("cpu"))
    if plan.chosen.offloaded_bytes > host:
        raise EngineError(
            f"{plan.why} The host has {host / 1e9:.1f} GB left, which is too little; take --quantize int8 or"
            " int4."
        )
    return plan, plan.chosen


def _warm_duplex(checkpoint: Checkpoint, voices: dict[str, VoicePrompt], rows: int) -> Duplex:
    """Return a fresh `Duplex` that has been warmed up and checked for finite numbers.

    Raises: EngineError when its numbers overflow.
    """
    device = checkpoint.lm.device
    if device.type == "cuda":
        # after a fault: the old rows' memory is cached in pieces that the new rows may not fit into
        torch.cuda.empty_cache()

    duplex = Duplex(checkpoint, rows)
    prompt = build_prompt(checkpoint.lm.config, [], next(iter(voices.values())))
    for _ in duplex.prefill(0, prompt, prompt.positions):
        pass
    for _ in range(WARM_UP_FRAMES):
        if not duplex.step({0: np.zeros(FRAME_SAMPLES, np.float32)})[0].finite:
            raise EngineError(
                "The model's numbers overflow on silence in this number type; try --dtype float32 or"
                " bfloat16."
            )
    # offloaded layers are copied ahead across frames, which a graph of a single frame cannot contain
    if (
        device.type == "cuda"
        and not checkpoint.lm.transformer.stream
        and (reason := duplex.record(cuda_graphs(device)))
    ):
        log.warning("steps are launched kernel by kernel, CUDA graphs cannot be recorded: %s", reason)
    return duplex
