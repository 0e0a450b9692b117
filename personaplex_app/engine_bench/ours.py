"""Measure our engine: prompt phase, whole frame, language model step, memory."""

from __future__ import annotations

import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..model.agreement import agreement, greedy_choices, greedy_columns
from ..model.checkpoint import Checkpoint, CheckpointFiles
from ..model.config import AGENT_CODEBOOKS, LmConfig
from ..model.duplex import Duplex
from ..model.generation import RowSampling
from ..model.graphs import cuda_graphs
from ..model.loading import quantize_in_place
from ..model.random_weights import NoTokenizer, fill_cache, random_lm, random_mimi, random_prompt
from ..units import FRAME_SAMPLES

# positions early in a talk, and near the end of the attention window of 3000
EARLY = 100
LATE = 2900
BATCH = 4
AGREEMENT_FRAMES = 50


def median_ms(action: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return the median duration of `repeats` calls, after one call to warm up."""
    return round(statistics.median(durations_ms(action, repeats, device)), 3)


def durations_ms(action: Callable[[], object], repeats: int, device: torch.device) -> list[float]:
    """Return the durations of `repeats` calls, after one call to warm up."""
    took_ms = []
    for _ in range(repeats + 1):
        _wait(device)
        before_s = time.perf_counter()
        action()
        _wait(device)
        took_ms.append((time.perf_counter() - before_s) * 1000)
    # the first call loads libraries and fills caches
    return took_ms[1:]


class Ours:
    """Our model with random weights of one size."""

    def __init__(
        self,
        config: LmConfig,
        device: torch.device,
        dtype: torch.dtype,
        rows: int = BATCH,
        quantize: str = "none",
    ) -> None:
        self.device = device
        lm = random_lm(config, device, dtype)
        self.token_agreement: float | None = None
        if quantize == "none":
            # packed where a loaded model is
            quantize_in_place(lm, quantize)
        else:
            user = torch.randint(
                config.card, (AGENT_CODEBOOKS, AGREEMENT_FRAMES), generator=torch.Generator().manual_seed(0)
            )
            columns = greedy_columns(lm, user)
            lm = quantize_in_place(lm, quantize)
            self.token_agreement = round(agreement(columns, greedy_choices(lm, columns)).all, 4)
        nowhere = Path()
        files = CheckpointFiles(nowhere, nowhere, nowhere, nowhere)
        self.duplex = Duplex(Checkpoint(files, lm, random_mimi(device), NoTokenizer()), rows)
        self.config = lm.config
        for row in range(rows):
            self.duplex.set_sampling(row, RowSampling(seed=row))
        if device.type == "cuda":
            self.duplex.record(cuda_graphs(device))

    def prompt_phase_ms(self, positions: int, repeats: int) -> float:
        """Return how long computing one session's prompt phase takes."""
        prompt = random_prompt(self.config, positions)
        return median_ms(lambda: list(self.duplex.prefill(0, prompt, prompt.positions)), repeats, self.device)

    def snapshot_ms(self, positions: int, repeats: int) -> float:
        """Return how long restoring the prompt phase from a snapshot takes."""
        for _ in self.duplex.prefill(0, random_prompt(self.config, positions), positions):
            pass
        snapshot = self.duplex.snapshot(0)
        return median_ms(lambda: self.duplex.restore(0, snapshot), repeats, self.device)

    def frame_ms(self, repeats: int, sessions: int = 1, position: int = EARLY) -> float:
        """Return how long a whole frame takes: encode, step, decode."""
        return round(statistics.median(self.frames_ms(repeats, sessions, position)), 3)

    def frames_ms(self, repeats: int, sessions: int = 1, position: int = EARLY) -> list[float]:
        """Return how long each of `repeats` frames takes from `position` on, with default sampling."""
        self._place(position)
        frame = (0.1 * np.random.default_rng(0).standard_normal(FRAME_SAMPLES)).astype(np.float32)
        frames = dict.fromkeys(range(sessions), frame)
        return durations_ms(lambda: self.duplex.step(frames), repeats, self.device)

    def lm_step_ms(self, repeats: int, sessions: int = 1, position: int = EARLY) -> float:
        """Return how long one step of language model and depformer takes."""
        self._place(position)
        codes = torch.zeros(sessions, 8, dtype=torch.int64, device=self.device)
        active = torch.ones(sessions, dtype=torch.bool, device=self.device)
        rows = list(range(sessions))
        return median_ms(
            lambda: self.duplex.rows.step(codes, active, rows).codes.tolist(), repeats, self.device
        )

    def _place(self, position: int) -> None:
        """Set all rows to a position of a talk."""
        rows = self.duplex.rows
        fill_cache(rows.state.cache)
        rows.positions = [position] * rows.count
        rows.state.position.fill_(position)


def measure(ours: Ours, positions: int, repeats: int) -> dict[str, Any]:
    """Return all measurements of our engine as plain data."""
    config = ours.config
    element_bytes = ours.duplex.checkpoint.lm.text_emb.weight.element_size()
    lm = ours.duplex.checkpoint.lm
    weights_bytes = sum(p.numel() * p.element_size() for p in (*lm.parameters(), *lm.buffers()))
    return {
        "prompt_phase_ms": ours.prompt_phase_ms(positions, max(1, repeats // 5)),
        "snapshot_ms": ours.snapshot_ms(positions, repeats),
        **_percentiles(ours.frames_ms(repeats)),
        "lm_step_ms": ours.lm_step_ms(repeats),
        **(
            {f"lm_step_{BATCH}_sessions_ms": ours.lm_step_ms(repeats, BATCH)}
            if ours.duplex.count >= BATCH
            else {}
        ),
        f"lm_step_at_{LATE}_ms": ours.lm_step_ms(repeats, position=LATE),
        "weights_gib": round(weights_bytes / 2**30, 3),
        "kv_per_session_gib": round(config.context * config.kv_bytes_per_frame(element_bytes) / 2**30, 3),
        "peak_memory_gib": round(_peak_bytes(ours.device) / 2**30, 2),
    }


def _percentiles(took_ms: list[float]) -> dict[str, float]:
    p50, p95, p99 = (round(float(ms), 3) for ms in np.percentile(took_ms, [50, 95, 99]))
    return {"frame_ms": p50, "frame_p95_ms": p95, "frame_p99_ms": p99}


def machine(device: torch.device) -> dict[str, Any]:
    """Return a description of the machine and device."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    return {
        "device": str(device),
        "name": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def _peak_bytes(device: torch.device) -> int:
    """Return the process's peak memory, on the GPU where the model runs on one."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
