"""The tiny golden checkpoint, loaded once, and the golden cases made with it."""

from __future__ import annotations

import io
import json
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import torch

from personaplex_app.model.checkpoint import Checkpoint, CheckpointFiles, load_checkpoint
from personaplex_app.model.generation import Rows, RowSampling
from personaplex_app.model.prompt import Prompt, VoicePrompt, build_prompt

torch.set_num_threads(1)  # the model is so small that a second thread only costs

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.stem.removeprefix("case_") for path in GOLDEN.glob("case_*.json"))
CPU = torch.device("cpu")
ONE = torch.ones(1, dtype=torch.bool)


@cache
def checkpoint() -> Checkpoint:
    return load_checkpoint(CheckpointFiles.of(GOLDEN), CPU, torch.float32)


@cache
def case(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Return one golden case: its description and its arrays."""
    with np.load(GOLDEN / f"case_{name}.npz") as arrays:
        return json.loads((GOLDEN / f"case_{name}.json").read_text()), dict(arrays)


def user_wav() -> np.ndarray:
    """Return the user's recording, its last frame padded with silence."""
    samples, _ = soundfile.read(GOLDEN / "user.wav", dtype="float32")
    return np.pad(samples, (0, -len(samples) % 1920))


@cache
def user_codes() -> torch.Tensor:
    """Return the codes of the user's recording. Shapes: int64 [8, frames]."""
    with np.load(GOLDEN / "mimi_golden.npz") as arrays:
        return torch.tensor(arrays["codes"]).long()


def voice(name: str) -> VoicePrompt:
    with tarfile.open(GOLDEN / "voices.tgz") as archive:
        data = torch.load(
            io.BytesIO(archive.extractfile(f"voices/{name}.pt").read()), map_location="cpu", weights_only=True
        )
    return VoicePrompt(data["embeddings"][:, 0, 0], data["cache"][0])


@cache
def prompt(voice_name: str | None, text: str) -> Prompt:
    tokens = checkpoint().tokenizer.prompt_tokens(text)
    return build_prompt(checkpoint().lm.config, tokens, voice(voice_name) if voice_name else None)


def talk(prompt_: Prompt, sampling: RowSampling, codes: torch.Tensor) -> list[list[int]]:
    """Run one session alone over the user's codes; return [text token, agent codes] for each frame."""
    rows = Rows(checkpoint().lm, 1)
    rows.set_sampling(0, sampling)
    rows.prefill(0, prompt_)
    return [frame(rows.step(codes[None, :, t], ONE, [0]), 0) for t in range(codes.shape[1])]


def frame(step, row: int) -> list[int]:
    return [int(step.text[row]), *step.codes[row].tolist()]
