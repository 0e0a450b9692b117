"""Run the golden checkpoint on this device and compare its tokens with the reference's in float32 on a
CPU.
"""

from __future__ import annotations

import io
import json
import tarfile
import wave
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from personaplex_app.model.checkpoint import Checkpoint, CheckpointFiles, load_checkpoint
from personaplex_app.model.compute import DTYPES
from personaplex_app.model.duplex import Duplex
from personaplex_app.model.generation import GREEDY
from personaplex_app.model.graphs import cuda_graphs
from personaplex_app.model.prompt import Prompt, VoicePrompt, build_prompt

from .engine import Note, choose_sdpa

FOLDER = Path(__file__).parent.parent.parent / "tests" / "golden"
CASES = ("voice_only", "voice_and_text", "text_only", "long_text")
CPU = torch.device("cpu")
FRAMES, FEW_FRAMES = 50, 15
"""Frames of a case: past the tiny model's window of 39 positions, and a few where every frame is slow."""


def measure(note: Note, device: str, size: str, sdpa: str) -> None:
    place = torch.device(device)
    choose_sdpa(sdpa)
    cudnn = torch.backends.cudnn
    note(cudnn_tf32_by_default=cudnn.allow_tf32, matmul_tf32_by_default=torch.backends.cuda.matmul.allow_tf32)
    for tf32 in (False, True):
        cudnn.allow_tf32 = tf32
        note(**{f"codec_codes_equal_{'with' if tf32 else 'without'}_tf32": _codec(place)})
    cudnn.allow_tf32 = False
    for name, dtype, recorded in (
        ("float32_recorded", "float32", True),
        ("float32", "float32", False),
        ("bfloat16", "bfloat16", True),
        ("float16", "float16", True),
    ):
        note(**{f"tokens_equal_{name}": _agreement(place, dtype, recorded)})
    for dtype in ("float32", "bfloat16", "float16"):
        for quantize in ("int8", "int4"):
            note(**{f"tokens_as_on_the_cpu_{dtype}_{quantize}": _as_on_the_cpu(place, dtype, quantize)})
    if place.type == "cuda":
        note(after_a_failed_capture=_failed_capture(place))


def _codec(device: torch.device) -> float:
    """Return the share of the golden recording's codes that the codec reproduces on this device."""
    mimi = _checkpoint(device, "float32", "none").mimi
    with np.load(FOLDER / "mimi_golden.npz") as arrays:
        wanted = torch.tensor(arrays["codes"]).long()
    state, active = mimi.empty_encoder_state(1), torch.ones(1, dtype=torch.bool, device=device)
    with torch.inference_mode():
        found = [
            mimi.encode(torch.from_numpy(frame)[None].to(device), state, active)[0, :, 0].cpu()
            for frame in _user()
        ]
    return _share(torch.stack(found, dim=1), wanted)


def _agreement(device: torch.device, dtype: str, recorded: bool) -> dict[str, float]:
    """Return the share of the reference's tokens that this device reproduces in each case."""
    checkpoint = _checkpoint(device, dtype, "none")
    return {case: _share(_say(checkpoint, case, FRAMES, recorded), _wanted(case, FRAMES)) for case in CASES}


def _as_on_the_cpu(device: torch.device, dtype: str, quantize: str) -> float:
    """Return the share of one case's tokens that quantised weights choose both here and on the CPU."""
    here, there = (
        _say(_checkpoint(place, dtype, quantize), CASES[1], FEW_FRAMES, False) for place in (device, CPU)
    )
    return _share(here, there)


def _failed_capture(device: torch.device) -> str:
    """Make a graph recording fail on purpose; return whether the engine still reproduces the reference."""
    checkpoint = _checkpoint(device, "float32", "none")
    duplex = Duplex(checkpoint, 1)

    def broken(work):
        def waits() -> None:
            work()
            duplex._outputs.tokens.tolist()

        return cuda_graphs(device)(waits)

    reason = duplex.record(broken)
    said = _say(checkpoint, CASES[0], FEW_FRAMES, False, duplex)
    stream = (
        "the default" if torch.cuda.current_stream(device) == torch.cuda.default_stream(device) else "another"
    )
    try:
        torch.zeros(4, device=device).normal_()
        drawing = "possible"
    except RuntimeError as error:
        drawing = f"impossible ({error})"
    share = _share(said, _wanted(CASES[0], FEW_FRAMES))
    return f"{share} of the tokens are right, on {stream} stream; drawing is {drawing}; reason: {reason}"


def _say(
    checkpoint: Checkpoint, case: str, frames: int, recorded: bool, duplex: Duplex | None = None
) -> Tensor:
    """Shapes: int64 [frames, 9]."""
    duplex = duplex or Duplex(checkpoint, 1)
    if (
        recorded
        and checkpoint.lm.device.type == "cuda"
        and (reason := duplex.record(cuda_graphs(checkpoint.lm.device)))
    ):
        raise RuntimeError(reason)
    duplex.set_sampling(0, GREEDY)
    for _ in duplex.prefill(0, _prompt(checkpoint, case), 512):
        pass
    said = []
    for frame in _user()[:frames]:
        # overwrite the last frame: a graph that writes nothing must not pass by old values
        duplex._outputs.tokens.fill_(-1)
        spoken = duplex.step({0: frame})[0]
        said.append([spoken.text, *spoken.codes])
    return torch.tensor(said)


def _checkpoint(device: torch.device, dtype: str, quantize: str) -> Checkpoint:
    return load_checkpoint(CheckpointFiles.of(FOLDER), device, DTYPES[dtype], quantize=quantize)


def _prompt(checkpoint: Checkpoint, case: str) -> Prompt:
    about = json.loads((FOLDER / f"case_{case}.json").read_text())
    voice = _voice(about["voice"]) if about["voice"] else None
    return build_prompt(checkpoint.lm.config, checkpoint.tokenizer.prompt_tokens(about["text_prompt"]), voice)


def _voice(name: str) -> VoicePrompt:
    with tarfile.open(FOLDER / "voices.tgz") as archive:
        file = archive.extractfile(f"voices/{name}")
        assert file
        data = torch.load(io.BytesIO(file.read()), map_location="cpu", weights_only=True)
    return VoicePrompt(data["embeddings"][:, 0, 0], data["cache"][0])


def _user() -> np.ndarray:
    """Shapes: float32 [frames, 1920]."""
    with wave.open(str(FOLDER / "user.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    return np.pad(samples, (0, -len(samples) % 1920)).reshape(-1, 1920)


def _wanted(case: str, frames: int) -> Tensor:
    with np.load(FOLDER / f"case_{case}.npz") as arrays:
        return torch.tensor(arrays["rows"][:frames, :9]).long()


def _share(found: Tensor, wanted: Tensor) -> float:
    return round(float((found == wanted).float().mean()), 4)
