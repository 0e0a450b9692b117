"""Shared helpers of the parts: an engine with random weights, frames of noise, and timers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from personaplex_app.model.agreement import agreement, greedy_choices, greedy_columns
from personaplex_app.model.checkpoint import Checkpoint, CheckpointFiles
from personaplex_app.model.compute import DTYPES
from personaplex_app.model.config import AGENT_CODEBOOKS, MimiConfig
from personaplex_app.model.duplex import Duplex
from personaplex_app.model.generation import RowSampling
from personaplex_app.model.graphs import cuda_graphs
from personaplex_app.model.loading import quantize_in_place
from personaplex_app.model.random_weights import SIZES, fill_cache, random_lm, random_mimi
from personaplex_app.units import FRAME_SAMPLES

TINY_MIMI = MimiConfig(filters=2, width=16, hidden=24, heads=2, layers=1, codebook_width=8)
AGREEMENT_FRAMES = 20
Note = Callable[..., None]
"""Called with named findings, which it stores at once."""


def choose_sdpa(sdpa: str) -> None:
    """Restrict which attention kernels PyTorch may use (see `SDPA_CHOICES`)."""
    if sdpa != "default":
        torch.backends.cuda.enable_cudnn_sdp(False)
    if sdpa == "efficient":
        torch.backends.cuda.enable_flash_sdp(False)


def build(
    size: str, device: torch.device, dtype: str, rows: int, quantize: str = "none"
) -> tuple[Duplex, float | None]:
    """Return an engine with random weights, and the share of its greedy tokens that quantising did not
    change.
    """
    config = SIZES[size]
    lm = random_lm(config, device, DTYPES[dtype])
    agrees = None
    if quantize != "none":
        user = torch.randint(
            config.card, (AGENT_CODEBOOKS, AGREEMENT_FRAMES), generator=torch.Generator().manual_seed(0)
        )
        columns = greedy_columns(lm, user)
        lm = quantize_in_place(lm, quantize)
        agrees = round(agreement(columns, greedy_choices(lm, columns)).all, 4)
    nowhere = Path()
    mimi = random_mimi(device, TINY_MIMI if size == "tiny" else MimiConfig())
    # no tokenizer: random weights have no words
    checkpoint: Any = Checkpoint(CheckpointFiles(nowhere, nowhere, nowhere, nowhere), lm, mimi, None)
    duplex = Duplex(checkpoint, rows)
    for row in range(rows):
        duplex.set_sampling(row, RowSampling(seed=row))
    release(device)
    return duplex, agrees


def record(duplex: Duplex, device: torch.device) -> dict[str, Any]:
    """Record CUDA graphs where the device can; return the seconds and device memory that it took."""
    if device.type != "cuda":
        return {"launches": "by the CPU"}
    before_bytes, before_s = free_bytes(device), time.perf_counter()
    reason = duplex.record(cuda_graphs(device))
    wait(device)
    found = {
        "record_s": round(time.perf_counter() - before_s, 2),
        "record_bytes": before_bytes - free_bytes(device),
        "graphs": len(duplex._recorded),
        "launches": f"kernel by kernel: {reason}" if reason else "CUDA graphs",
    }
    return found | ({"not_recorded": reason} if reason else {})


def place(duplex: Duplex, positions: list[int]) -> None:
    """Set each row to a position of a talk, its cache filled with noise."""
    rows = duplex.rows
    rows.positions = positions + [0] * (rows.count - len(positions))
    rows.state.position.copy_(torch.tensor(rows.positions))


def fill(duplex: Duplex) -> None:
    """Fill the caches with random keys and values, as after long talks."""
    fill_cache(duplex.rows.state.cache)


def frames_ms(duplex: Duplex, rows: list[int], count: int, device: torch.device) -> dict[str, float]:
    """Return how long a frame of these rows takes, with the host's part, on frames of noise."""
    noise = (0.1 * np.random.default_rng(0).standard_normal((count + 3, len(rows), FRAME_SAMPLES))).astype(
        np.float32
    )
    took_ms = []
    for frame in noise:
        before_s = time.perf_counter()
        duplex.step(dict(zip(rows, frame, strict=True)))
        took_ms.append((time.perf_counter() - before_s) * 1000)
    wait(device)
    counted = np.array(took_ms[3:])
    return {
        "p50_ms": round(float(np.median(counted)), 3),
        "p99_ms": round(float(np.percentile(counted, 99)), 3),
        "max_ms": round(float(counted.max()), 3),
    }


def device_ms(action: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return the median device time of a call, after two calls to warm up."""
    took_ms = []
    for _ in range(repeats + 2):
        if device.type == "cuda":
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            action()
            end.record()
            end.synchronize()
            took_ms.append(start.elapsed_time(end))
        else:
            before_s = time.perf_counter()
            action()
            took_ms.append((time.perf_counter() - before_s) * 1000)
    return round(float(np.median(took_ms[2:])), 4)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def release(device: torch.device) -> None:
    """Free the memory that PyTorch's allocator caches, so that the device's free memory is exact."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def free_bytes(device: torch.device) -> int:
    """Return the device's free memory, after graphs and library contexts; 0 on a CPU."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
