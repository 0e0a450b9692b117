"""Measure what a frame costs on a CPU: the released widths with fewer layers, all forms in turns, in one run.

    python -m benchmarks.cpu [--repeats 5] [--layers 2] [--append FILE]

Each row is one frame (encode, step, decode) of one form of bfloat16 weights, of one or four talks, at one
position. Rows are measured in turns, so that what else the machine does falls on all of them; figures are
medians and the fastest. The model is also run with its first layer alone. 32 layers are not run: codec and
depformer weigh far more here than in the released model, so ratios to the floor are higher than there.

Writes JSON lines: the machine, the rows, the conclusions. It takes about 6 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from personaplex_app.evaluation.machine import machine
from personaplex_app.model import prepacked
from personaplex_app.model.cache import KVCache
from personaplex_app.model.checkpoint import Checkpoint, CheckpointFiles
from personaplex_app.model.config import LmConfig, MimiConfig
from personaplex_app.model.duplex import Duplex
from personaplex_app.model.frame_time import floor_bytes, memory_bandwidth
from personaplex_app.model.generation import RowSampling
from personaplex_app.model.int4_packing import packing
from personaplex_app.model.lm import Lm
from personaplex_app.model.loading import _set_tensor, quantize_in_place
from personaplex_app.model.mimi import Mimi
from personaplex_app.model.plan import sizes_of
from personaplex_app.model.quantize import QUANTIZATIONS, _cpu_int8_works
from personaplex_app.model.random_weights import NoTokenizer, fill_cache, random_lm, random_mimi
from personaplex_app.units import FRAME_SAMPLES

TALKS = 4
EARLY, LATE = 100, 2900
CPU = torch.device("cpu")
DTYPE = torch.bfloat16
CASES = (("early", 1, EARLY), ("late", 1, LATE), ("four", TALKS, EARLY))


def forms_of(config: LmConfig) -> dict[str, Lm]:
    """Return a model in every form; they share what is equal, so that all fit into memory."""
    plain = random_lm(config, CPU, DTYPE)
    found = {}
    for form in ("int8", "int4", "none"):
        with torch.device("meta"):
            lm = Lm(plain.config)
        for key, tensor in [*plain.named_parameters(), *plain.named_buffers()]:
            _set_tensor(lm, key, tensor.data)
        if form == "int4":
            # it keeps the depformer and the heads at int8
            for name, module in found["int8"].named_children():
                if name != "transformer":
                    setattr(lm, name, module)
        found[form] = quantize_in_place(lm.eval().requires_grad_(False), form)
    return found


def engine_of(lm: Lm, codec: Mimi, cache: KVCache) -> Duplex:
    """Return an engine with room for `TALKS` talks."""
    # one cache for all: its values do not matter
    lm.empty_cache = lambda rows: cache
    nowhere = Path()
    files = CheckpointFiles(nowhere, nowhere, nowhere, nowhere)
    duplex = Duplex(Checkpoint(files, lm, codec, NoTokenizer()), TALKS)
    for row in range(TALKS):
        duplex.set_sampling(row, RowSampling(seed=row))
    return duplex


def frame_ms(duplex: Duplex, layers: int | None, talks: int, position: int) -> float:
    """Return what one frame takes at a position; `layers` leaves out all but the first ones."""
    rows = duplex.rows
    rows.positions = [position] * rows.count
    rows.state.position.fill_(position)
    stack = duplex.checkpoint.lm.transformer
    cache = rows.state.cache
    whole = stack.layers, cache.data
    if layers:
        stack.layers, cache.data = stack.layers[:layers], cache.data[:layers]
    frames = dict.fromkeys(range(talks), np.zeros(FRAME_SAMPLES, np.float32))
    try:
        begun_s = time.perf_counter()
        duplex.step(frames)
        return (time.perf_counter() - begun_s) * 1000
    finally:
        stack.layers, cache.data = whole


def conclusions(rows: dict[tuple, list[float]], layers: int, bandwidth: float) -> list[dict]:
    """Return the floor and ratios of each form with the layers that were run."""
    sizes = sizes_of(replace(LmConfig(), layers=layers), MimiConfig())
    found = []
    for form in QUANTIZATIONS:
        early, late, four = (rows[form, layers, case] for case in ("early", "late", "four"))
        floor_ms = floor_bytes(sizes, form, DTYPE, EARLY) / bandwidth * 1000
        late_adds_ms = statistics.median(b - a for a, b in zip(early, late, strict=True))
        found.append(
            {
                "form": form,
                "layers": layers,
                "floor_early_ms": round(floor_ms, 1),
                "times_floor": round(statistics.median(early) / floor_ms, 2),
                "late_adds_ms": round(late_adds_ms, 1),
                "late_adds_ms_calculated_for_32_layers": round(late_adds_ms * 32 / layers, 1),
                "four_over_one": round(statistics.median(b / a for a, b in zip(early, four, strict=True)), 2),
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--append", type=Path, help="add the lines to this file too")
    args = parser.parse_args()
    lines: list[dict] = []

    def tell(line: dict) -> None:
        lines.append(line)
        json.dump(line, sys.stdout)
        print(flush=True)
        if args.append:
            with args.append.open("a") as file:
                file.write(json.dumps(line) + "\n")

    bandwidth = memory_bandwidth()
    codec = random_mimi(CPU)
    forms = forms_of(replace(LmConfig(), layers=args.layers))
    cache = forms["none"].empty_cache(TALKS)
    fill_cache(cache)
    engines = {form: engine_of(lm, codec, cache) for form, lm in forms.items()}
    tell(
        {
            "command": "python -m benchmarks.cpu " + " ".join(sys.argv[1:]),
            "machine": machine(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "load_average": os.getloadavg(),
            "layers_run": args.layers,
            "layers_of_the_released_model": LmConfig().layers,
            "bandwidth_gb_per_s": round(bandwidth / 1e9, 1),
            "packed_bfloat16": prepacked.packing_is_faster(DTYPE),
            "fused_int8": _cpu_int8_works(CPU),
            "fused_int4": packing(CPU, 4096, 4096) is not None,
        }
    )
    rows: dict[tuple, list[float]] = {}
    for repeat in range(args.repeats + 1):
        for case, talks, position in CASES:
            for kept in (1, args.layers):
                for form in QUANTIZATIONS:
                    took_ms = frame_ms(engines[form], kept, talks, position)
                    # the first repetition warms up
                    if repeat:
                        rows.setdefault((form, kept, case), []).append(took_ms)
    bandwidths = [bandwidth]
    memory_bandwidth.cache_clear()
    bandwidths.append(memory_bandwidth())
    for (form, kept, case), took_ms in rows.items():
        tell(
            {
                "form": form,
                "layers": kept,
                "case": case,
                "median_ms": round(statistics.median(took_ms), 1),
                "fastest_ms": round(min(took_ms), 1),
                "all_ms": [round(each, 1) for each in took_ms],
            }
        )
    for line in conclusions(rows, args.layers, max(bandwidths)):
        tell(line)
    tell({"bandwidth_gb_per_s_before_and_after": [round(b / 1e9, 1) for b in bandwidths]})
    tell({"load_average_after": os.getloadavg()})


if __name__ == "__main__":
    main()
