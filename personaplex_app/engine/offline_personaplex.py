"""Offline answers of the PersonaPlex model, with any voice file, wav or checkpoint file that the reference
takes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import BadInput, WeightsError, shorten
from ..model.checkpoint import Checkpoint, CheckpointFiles, load_checkpoint
from ..model.cloning import voice_codes
from ..model.compute import pick
from ..model.config import VOICES_FILE
from ..model.duplex import Duplex
from ..model.hub_repo import hub_access
from ..model.prompt import Prompt, build_prompt
from ..model.voice_files import parse_pt
from ..settings import Settings
from ..voices import MAX_VOICE_BYTES, family_of, read_archive
from .offline import Answer, Frame, Role, read_wav, state_line
from .personaplex import checkpoint_folder, plan_for_device
from .personaplex_session import row_sampling


def personaplex_answer(checkpoint: Checkpoint, role: Role) -> Answer:
    """Return a function that answers in a role; each recording starts from the same prefilled state.

    Raises: UnknownVoice, WeightsError, BadPrompt, BadAudio.
    """
    prompt = _prompt(checkpoint, role)
    duplex = Duplex(checkpoint, 1)
    # in one chunk: no other talk waits for the device
    for _ in duplex.prefill(0, prompt, prompt.positions):
        pass
    # each recording begins from it: the prompt phase is computed once for all
    snapshot = duplex.snapshot(0)

    def answer(frames: Iterable[np.ndarray]) -> Iterator[Frame]:
        seed = secrets.randbits(62) if role.sampling.seed is None else role.sampling.seed
        duplex.set_sampling(0, row_sampling(role.sampling, seed))
        duplex.restore(0, snapshot)
        for frame in frames:
            spoken = duplex.step({0: frame})[0]
            yield spoken.pcm, checkpoint.tokenizer.piece(spoken.text)

    return answer


def _prompt(checkpoint: Checkpoint, role: Role) -> Prompt:
    config = checkpoint.lm.config
    files = checkpoint.files
    tokens = checkpoint.tokenizer.prompt_tokens(role.text_prompt)
    if not role.voice:
        return build_prompt(config, tokens)
    if role.voice.endswith(".wav"):
        path = role.voice_folder / Path(role.voice).name if role.voice_folder else Path(role.voice)
        return build_prompt(config, tokens, voice_codes=voice_codes(checkpoint.mimi, read_wav(path)))
    name = role.voice.removesuffix(".pt")
    if role.voice_folder:
        return build_prompt(config, tokens, parse_pt(name, _voice_file(role.voice_folder, name), config))
    archive = read_archive(files.folder / VOICES_FILE)
    if name not in archive:
        # raises UnknownVoice for a name that no checkpoint has, which is another fault than a missing one
        family_of(name)
        raise WeightsError(
            f"{VOICES_FILE} of this checkpoint has no voice {name}; it has: {', '.join(sorted(archive))}."
        )
    return build_prompt(config, tokens, parse_pt(name, archive[name], config))


def _voice_file(folder: Path, name: str) -> bytes:
    path = folder / f"{Path(name).name}.pt"
    try:
        with path.open("rb") as file:
            return file.read(MAX_VOICE_BYTES)
    except OSError as error:
        raise BadInput(
            f"There is no voice file {path.name} in {shorten(folder)}; look at --voice-prompt-dir."
        ) from error


def load_for(
    settings: Settings, tokenizer: str | None, moshi_weight: str | None, mimi_weight: str | None
) -> Checkpoint:
    """Load the settings' checkpoint, downloading it if necessary, with single files replaced by the given
    ones.

    Raises: EngineUnavailable, WeightsError, SettingsError, EngineError.
    """
    with state_line() as report:
        folder = checkpoint_folder(settings.checkpoint, hub_access(settings), report)
    chosen = {"tokenizer": tokenizer, "lm": moshi_weight, "mimi": mimi_weight}
    files = replace(CheckpointFiles.of(folder), **{part: Path(path) for part, path in chosen.items() if path})
    compute = pick(settings.device, settings.dtype, files.lm.stat().st_size if files.lm.is_file() else 0)
    _, form = plan_for_device(files, compute, settings.quantize, 1, settings.cpu_offload)
    return load_checkpoint(
        files, compute.device, compute.dtype, quantize=form.quantize, offloaded=form.offloaded_layers
    )
