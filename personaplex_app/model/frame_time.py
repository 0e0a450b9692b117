"""How long a frame takes on a CPU: its floor by the memory's bandwidth, estimates, and measurements.

A step reads every weight once, so a frame takes at least its bytes over the bandwidth. What it takes beyond
that was measured once per form (`FACTORS`). Only a measured frame says that a machine holds real time.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from ..units import FRAME_MS, FRAME_SAMPLES
from .checkpoint import Checkpoint, CheckpointFiles
from .compute import cache_dtype
from .config import LmConfig, MimiConfig
from .duplex import Duplex
from .generation import RowSampling
from .loading import quantize_in_place
from .measurements import keep_measurement, read_measurements
from .mimi import Mimi
from .plan import Sizes
from .random_weights import NoTokenizer, fill_cache, random_lm

REAL_TIME_MS = 0.8 * FRAME_MS
"""A frame that takes longer on a CPU leaves too little for the rest of the app to hold real time."""
FACTORS = {"none": 3.0, "int8": 4.6, "int4": 5.6}
"""How many times its floor a frame takes, by form of bfloat16 weights.

Source: `benchmarks/results/cpu_frames.jsonl`, two layers of the released width on a busy processor with AVX2.
Codec and depformer weigh more there than in the released model, so that an estimate is rather too high.
"""
READ_BYTES = 128 * 2**20
READ_S = 0.5
MEASURED_FRAMES = 8
MEASURED_S = 3.0
FRAME_TIMES_FILE = "frame_times.json"


@dataclass(frozen=True)
class FrameEstimate:
    """What a frame of one form takes on a CPU at the full attention window, in milliseconds.

    `floor_ms` is bytes over bandwidth, `estimate_ms` that times the form's factor, `measured_ms` what was
    measured on this machine, None where nothing was.
    """

    floor_ms: float
    estimate_ms: float
    measured_ms: float | None

    @property
    def said(self) -> str:
        """A phrase on these times, and on whether they are in real time."""
        least = f"late in a talk a frame of {FRAME_MS} ms takes at least {self.floor_ms:.0f} ms here"
        if self.measured_ms is not None:
            verdict = "in real time" if self.measured_ms <= REAL_TIME_MS else "not in real time"
            return f"{least}, measured {self.measured_ms:.0f} ms: {verdict}"
        about = f"{least}, by estimate {self.estimate_ms:.0f} ms"
        if self.floor_ms > REAL_TIME_MS:
            return f"{about}: not in real time"
        return f"{about}; --engine auto takes it once bench has measured at most {REAL_TIME_MS:.0f} ms"


@cache
def memory_bandwidth() -> float:
    """Return how many bytes a second all cores together read from memory: the best of half a second."""
    # no operation of PyTorch reads faster than a maximum, and a hand-written loop does not either
    numbers = torch.ones(READ_BYTES // 4)
    best_s = float("inf")
    until_s = time.perf_counter() + READ_S
    while (begun_s := time.perf_counter()) < until_s:
        numbers.amax()
        best_s = min(best_s, time.perf_counter() - begun_s)
    return READ_BYTES / best_s


def floor_bytes(sizes: Sizes, quantize: str, dtype: torch.dtype, positions: int) -> int:
    """Return what a frame of one talk reads on a CPU: weights, codec, keys and values of `positions`."""
    in_cache = cache_dtype(torch.device("cpu"), dtype).itemsize
    kv = positions * sizes.lm.kv_bytes_per_frame(in_cache)
    return sizes.frame_bytes(quantize, dtype.itemsize) + sizes.codec_bytes + kv


def frame_estimate(
    sizes: Sizes, mimi: MimiConfig, quantize: str, dtype: torch.dtype, bandwidth: float, store: Path
) -> FrameEstimate:
    """Return what a frame of a form takes on this machine; `bandwidth` is in bytes a second."""
    floor_ms = floor_bytes(sizes, quantize, dtype, sizes.lm.context) / bandwidth * 1000
    measured = stored_frame_ms(store, sizes.lm, mimi, dtype, quantize)
    return FrameEstimate(round(floor_ms, 1), round(floor_ms * FACTORS[quantize], 1), measured)


def measure_frame_ms(
    lm: LmConfig, codec: Mimi, dtype: torch.dtype, quantize: str, wanted_ms: float = float("inf")
) -> float:
    """Return what a frame of a model with these shapes takes on the CPU at the full window.

    The weights are random numbers, since their values do not matter. It is the fastest of a few frames, since
    other programs only slow one down; while none took `wanted_ms` at most, more are tried, for three seconds.
    """
    device = torch.device("cpu")
    nowhere = Path()
    model = quantize_in_place(random_lm(lm, device, dtype), quantize)
    files = CheckpointFiles(nowhere, nowhere, nowhere, nowhere)
    duplex = Duplex(Checkpoint(files, model, codec, NoTokenizer()), 1)
    duplex.set_sampling(0, RowSampling(seed=0))
    fill_cache(duplex.rows.state.cache)
    duplex.rows.positions = [lm.context]
    duplex.rows.state.position.fill_(lm.context)
    frame = {0: np.zeros(FRAME_SAMPLES, np.float32)}
    best_ms = float("inf")
    tried = 0
    until_s = time.perf_counter() + MEASURED_S
    while ((begun_s := time.perf_counter()) < until_s and best_ms > wanted_ms) or tried < MEASURED_FRAMES:
        duplex.step(frame)
        best_ms = min(best_ms, (time.perf_counter() - begun_s) * 1000)
        tried += 1
    return best_ms


def stored_frame_ms(
    store: Path, lm: LmConfig, mimi: MimiConfig, dtype: torch.dtype, quantize: str
) -> float | None:
    """Return the frame time measured on this machine for a model and form; None where none was kept."""
    try:
        return float(read_measurements(store / FRAME_TIMES_FILE)[_key(lm, mimi, dtype, quantize)])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def keep_frame_ms(
    store: Path, lm: LmConfig, mimi: MimiConfig, dtype: torch.dtype, quantize: str, took_ms: float
) -> None:
    """Keep a measured frame time.

    Raises: StorageError.
    """
    keep_measurement(store / FRAME_TIMES_FILE, _key(lm, mimi, dtype, quantize), round(took_ms, 2))


def _key(lm: LmConfig, mimi: MimiConfig, dtype: torch.dtype, quantize: str) -> str:
    """Return a name for what a frame's time depends on: shapes, form, processor, threads, PyTorch."""
    about = [asdict(lm.trimmed()), asdict(mimi), str(dtype), quantize]
    about += [
        torch.backends.cpu.get_cpu_capability(),
        _cpu_model(),
        torch.get_num_threads(),
        torch.__version__,
    ]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("model name")), "")
