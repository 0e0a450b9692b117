"""Measure a frame of 1, 2, 4 … talks, up to as many as fit, with full KV caches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from personaplex_app.model.compute import DTYPES
from personaplex_app.model.plan import Sizes, read_sizes
from personaplex_app.model.random_weights import SIZES

from .engine import Note, build, choose_sdpa, fill, frames_ms, free_bytes, place, record

PAST_WINDOW = 3100
OLDEST = 4500
"""Positions of a talk of six minutes."""
FRAMES = 50
DEADLINE_MS = 80.0
SPARE_BYTES = 5 * 2**30
"""Left for graphs, workspaces and temporaries when rows are counted."""
MOST_ROWS = 64


def measure(note: Note, device: str, size: str, sdpa: str) -> None:
    there = torch.device(device)
    choose_sdpa(sdpa)
    before_bytes = free_bytes(there)
    rows = _rows(size, before_bytes) if there.type == "cuda" else 3
    note(rows=rows, free_before_bytes=before_bytes)
    duplex, _ = build(size, there, "bfloat16", rows)
    note(**record(duplex, there))
    fill(duplex)
    note(held_bytes=before_bytes - free_bytes(there))
    for count in sorted({n for n in (1, 2, 4, 8, 16, 24, 32, 40, 48, rows) if n <= rows}):
        place(duplex, [PAST_WINDOW] * rows)
        took = frames_ms(duplex, list(range(count)), FRAMES, there)
        note(**{f"at_window_{count}_{key}": value for key, value in took.items()})
        if took["p50_ms"] > DEADLINE_MS:
            break
    ages = np.random.default_rng(0).integers(100, OLDEST, rows).tolist()
    place(duplex, ages)
    took = frames_ms(duplex, list(range(rows)), FRAMES, there)
    note(**{f"mixed_ages_{rows}_{key}": value for key, value in took.items()})
    place(duplex, [100] * rows)
    note(
        **{
            f"last_row_alone_{key}": value
            for key, value in frames_ms(duplex, [rows - 1], FRAMES, there).items()
        }
    )
    note(held_at_the_end_bytes=before_bytes - free_bytes(there))


def _rows(size: str, available_bytes: int) -> int:
    sizes = _sizes(size)
    element_bytes = DTYPES["bfloat16"].itemsize
    left = available_bytes - SPARE_BYTES - sizes.weights_bytes("none", element_bytes) - sizes.codec_bytes
    return max(1, min(MOST_ROWS, left // sizes.slot_bytes(element_bytes)))


def _sizes(size: str) -> Sizes:
    with TemporaryDirectory() as folder:
        released = read_sizes(Path(folder))
    return released if size == "7b" else replace(released, lm=SIZES[size])
