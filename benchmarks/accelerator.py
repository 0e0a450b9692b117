"""What a GPU takes for the released 7B shapes with random weights, beside what is aimed at.

    python -m benchmarks.accelerator [--device cuda] [--dtype bfloat16] [--sessions 64] [--frames 7500]
    [--json FILE]

Measured: a frame of one talk, a cold prompt phase of 300 positions and one from a snapshot, many sampled
talks past their window, the memory of a long talk, and the weights in int8. The whole takes some minutes and
120 GB of GPU memory; fewer sessions take 1.6 GB less each.
"""

from __future__ import annotations

import argparse
import gc
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.full_size import memory_bytes
from personaplex_app.engine_bench.ours import AGREEMENT_FRAMES, Ours, machine
from personaplex_app.model.compute import DTYPES
from personaplex_app.model.random_weights import SIZES

PROMPT_POSITIONS = 300
PAST_WINDOW = 3100
GOALS = {
    "frame_ms": 12.0,
    "prompt_phase_300_ms": 300.0,
    "snapshot_ms": 30.0,
    "sessions_p99_ms": 64.0,
    "long_talk_growth_bytes": 0.0,
    "int8_total_bytes": 11.5e9,
}
"""For an H200-class GPU, the released shapes and 64 sessions.

The floor of a frame there is 3.1 ms: its weights over the bandwidth.
"""


def held_bytes(device: torch.device, peak: bool = False) -> int:
    """Return the memory that PyTorch holds on the GPU, or that the process holds where it runs on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) if peak else torch.cuda.memory_allocated(device)
    return memory_bytes("VmHWM" if peak else "VmRSS")


def measure(
    size: str, device: torch.device, dtype: torch.dtype, sessions: int, frames: int, repeats: int
) -> dict[str, Any]:
    """Return all figures as plain data."""
    ours = Ours(SIZES[size], device, dtype, rows=sessions)
    one, late = ours.frames_ms(repeats), ours.frames_ms(repeats, position=PAST_WINDOW)
    together = ours.frames_ms(repeats, sessions, PAST_WINDOW)
    figures: dict[str, Any] = {
        "launches": ours.launches,
        "frame_ms": _at(one, 50),
        "frame_p99_ms": _at(one, 99),
        "frame_past_window_ms": _at(late, 50),
        "prompt_phase_300_ms": ours.prompt_phase_ms(PROMPT_POSITIONS, max(repeats // 10, 1)),
        "snapshot_ms": ours.snapshot_ms(PROMPT_POSITIONS, max(repeats // 10, 1)),
        "sessions": sessions,
        "sessions_p50_ms": _at(together, 50),
        "sessions_p99_ms": _at(together, 99),
        "all_sessions_bytes": held_bytes(device, peak=True),
    }
    ours.frames_ms(1, position=PAST_WINDOW)
    before = held_bytes(device)
    ours.frames_ms(frames, position=PAST_WINDOW)
    figures |= {"long_talk_frames": frames, "long_talk_growth_bytes": held_bytes(device) - before}
    del ours
    return figures | _int8(size, device, dtype, repeats)


def _int8(size: str, device: torch.device, dtype: torch.dtype, repeats: int) -> dict[str, Any]:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    ours = Ours(SIZES[size], device, dtype, rows=1, quantize="int8")
    gc.collect()
    if device.type == "cuda":  # what is counted is a running talk, not the quantising before it
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    took_ms = ours.frames_ms(repeats, position=PAST_WINDOW)
    return {
        "int8_total_bytes": held_bytes(device, peak=device.type == "cuda"),
        "int8_frame_ms": _at(took_ms, 50),
        "int8_token_agreement": ours.token_agreement,
        "int8_agreement_frames": AGREEMENT_FRAMES,
    }


def _at(took_ms: list[float], percentile: float) -> float:
    return round(float(np.percentile(took_ms, percentile)), 3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="7b", choices=SIZES, help="smaller ones try the script out")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16", choices=DTYPES)
    parser.add_argument("--sessions", type=int, default=64)
    parser.add_argument("--frames", type=int, default=7500, help="of the long talk; 7500 are ten minutes")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--json", type=Path, help="also write the result here")
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit(
            "There is no GPU that PyTorch can use; --device cpu --size tiny tries the script out."
        )
    figures = measure(args.size, device, DTYPES[args.dtype], args.sessions, args.frames, args.repeats)
    met = {name: figures[name] <= goal for name, goal in GOALS.items()}
    about = {"machine": machine(device), "size": args.size, "dtype": args.dtype, "weights": "random"}
    text = json.dumps({**about, **figures, "goals": GOALS, "met": met}, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
