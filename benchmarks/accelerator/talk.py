"""Measure one talk: graph recording, frames early and late, a profile of a frame, and its prompt phase."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from personaplex_app.model.duplex import Duplex, Shape
from personaplex_app.model.graphs import cuda_graphs
from personaplex_app.model.random_weights import random_prompt

from .engine import Note, build, choose_sdpa, device_ms, fill, frames_ms, free_bytes, place, record, wait

EARLY, PAST_WINDOW = 100, 3100
FRAMES = 150
PREFILL_CHUNK = 512
TOP_KERNELS = 25


def measure(
    note: Note, device: str, size: str, sdpa: str, dtype: str, quantize: str = "none", whole: bool = False
) -> None:
    there = torch.device(device)
    choose_sdpa(sdpa)
    before_bytes = free_bytes(there)
    duplex, agrees = build(size, there, dtype, 1, quantize)
    note(
        dtype=dtype, quantize=quantize, loaded_bytes=before_bytes - free_bytes(there), token_agreement=agrees
    )
    lm = duplex.checkpoint.lm
    note(weights_bytes=sum(t.numel() * t.element_size() for t in (*lm.parameters(), *lm.buffers())))
    note(**record(duplex, there))
    fill(duplex)
    for name, position in (("early", EARLY), ("past_window", PAST_WINDOW)):
        place(duplex, [position])
        note(**{f"frame_{name}_{key}": value for key, value in frames_ms(duplex, [0], FRAMES, there).items()})
    note(held_bytes=before_bytes - free_bytes(there))
    shapes = _shapes(duplex)
    for shape in shapes:
        note(
            **{
                f"device_ms_reading_{shape.read}": device_ms(
                    lambda shape=shape: _run(duplex, shape), 30, there
                )
            }
        )
    with torch.inference_mode():
        note(eager_frame_ms=device_ms(lambda: duplex._compute(shapes[0]), 5, there))
    note(**_kernels(duplex, shapes[0], there))
    if whole:
        note(**_pieces(duplex, shapes[0], there))
        _prompts(note, duplex, there)


def _shapes(duplex: Duplex) -> list[Shape]:
    return [Shape(1, read, *duplex._usual_widest(1)) for read in duplex.rows.state.cache.recorded_reads()]


def _run(duplex: Duplex, shape: Shape) -> None:
    with torch.inference_mode():
        duplex._run(shape)


def _kernels(duplex: Duplex, shape: Shape, device: torch.device) -> dict[str, Any]:
    """Count the kernels of one frame, and name those that take longest."""
    if device.type != "cuda":
        return {}
    duplex._inputs.active.fill_(True)
    _run(duplex, shape)
    wait(device)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        _run(duplex, shape)
        wait(device)
    events = profile.key_averages()
    rows = [
        (e.key[:110], e.count, round(e.self_device_time_total)) for e in events if e.self_device_time_total
    ]
    return {
        "kernels": sum(count for _, count, _ in rows),
        "kernels_us": sum(us for *_, us in rows),
        "top_kernels": sorted(rows, key=lambda row: -row[2])[:TOP_KERNELS],
    }


def _pieces(duplex: Duplex, shape: Shape, device: torch.device) -> dict[str, float]:
    """Return how long each part of a frame takes when it is recorded alone."""
    checkpoint, state = duplex.checkpoint, duplex.rows.state.view(1)
    lm, mimi = checkpoint.lm, checkpoint.mimi
    heard = duplex._inputs.view(1)
    heard.active.zero_()  # no state moves
    codes = torch.zeros(1, 8, 1, dtype=torch.int64, device=device)
    text = torch.zeros(1, dtype=torch.int64, device=device)
    hidden = torch.randn(1, lm.config.width, device=device).to(lm.stream_dtype)

    def temporal() -> None:
        lm.step(state.column, state.cache, lm.span(state.position, heard.active, state.cache, shape.read))

    works: dict[str, Callable[[], object]] = {
        "codec_encode": lambda: mimi.encode(heard.pcm, duplex._encoder.view(1), heard.active),
        "codec_decode": lambda: mimi.decode(codes, duplex._decoder.view(1), heard.active),
        "temporal": temporal,
        "depformer_greedy": lambda: lm.codes(hidden, text, lambda k, logits: logits.argmax(dim=-1)),
    }
    found = {}
    with torch.inference_mode():
        how = cuda_graphs(device) if device.type == "cuda" else lambda work: work
        for name, work in works.items():
            replay = how(work)
            found[f"{name}_ms"] = device_ms(replay, 30, device)
    return found


def _prompts(note: Note, duplex: Duplex, device: torch.device) -> None:
    """Prompt phases of new lengths, the first time and again, in the app's chunks; then from a snapshot."""
    for positions in (100, 300, 301, 1000):
        prompt = random_prompt(duplex.checkpoint.lm.config, positions)
        took_ms = []
        for _ in range(3):
            wait(device)
            before_s = time.perf_counter()
            for _ in duplex.prefill(0, prompt, PREFILL_CHUNK):
                pass
            wait(device)
            took_ms.append(round((time.perf_counter() - before_s) * 1000, 2))
        note(**{f"prompt_{positions}_first_ms": took_ms[0], f"prompt_{positions}_again_ms": min(took_ms[1:])})
        if positions == 300:
            before_s = time.perf_counter()
            snapshot = duplex.snapshot(0)
            wait(device)
            taken_ms = (time.perf_counter() - before_s) * 1000
            note(snapshot_ms=round(taken_ms, 2), snapshot_bytes=snapshot.bytes)
            note(restore_ms=device_ms(lambda: duplex.restore(0, snapshot), 10, device))  # noqa: B023
