"""The `bench` command: measure our engine and the `moshi` package in one run, and report both with ratios."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ..model.compute import pick
from ..model.config import LmConfig, MimiConfig
from ..model.frame_time import floor_bytes, keep_frame_ms, measure_frame_ms, memory_bandwidth
from ..model.mimi import Mimi
from ..model.plan import sizes_of
from ..model.quantize import QUANTIZATIONS
from ..model.random_weights import SIZES
from ..units import FRAME_MS
from . import ours as bench
from . import peer

POSITIONS = 200
"""Positions of a typical prompt phase: voice, silence, a role of about 130 tokens, silence."""
RATIOS = {
    "prompt_phase": ("prompt_phase_ms", "prompt_phase_ms"),
    "prompt_phase_from_snapshot": ("prompt_phase_ms", "snapshot_ms"),
    "frame": ("frame_ms", "frame_ms"),
    "lm_step": ("lm_step_ms", "lm_step_ms"),
}
PUBLISHED = (
    "moshi.cpp, Ryzen AI MAX+ 395, 8 threads, the 1.6B TTS model: 4.2 frames a second, 238 ms each; no figure"
    " for a 7B model on a CPU",
    "moshi.cpp, q4_k on a Radeon 8060S through Vulkan: 15.5 frames a second, 65 ms each",
)
"""What others published, to be shown beside a CPU's figures: not measured here, and on other machines."""


def run(
    size: str,
    device: str,
    dtype: str,
    repeats: int,
    with_peer: bool,
    sessions: int = bench.BATCH,
    quantize: str = "none",
    store: Path | None = None,
) -> dict[str, Any]:
    """Measure and return everything as plain data; a batch of four is left out where fewer `sessions` fit.

    A CPU's frame times are kept in `store`, for `doctor` and the choice of the engine.
    Raises: SettingsError for a device that does not exist; StorageError.
    """
    config = SIZES[size]
    compute = pick(device, dtype, 0)
    engine = bench.Ours(config, compute.device, compute.dtype, sessions, quantize)
    figures = bench.measure(engine, POSITIONS, repeats)
    agrees = engine.token_agreement
    codec = engine.duplex.checkpoint.mimi
    # the peer needs the memory
    del engine
    found: dict[str, Any] = {
        "machine": bench.machine(compute.device),
        "size": size,
        "dtype": str(compute.dtype).removeprefix("torch."),
        "quantize": quantize,
        "token_agreement_with_unquantised": agrees,
        "prompt_positions": POSITIONS,
        "weights": "random",
        "ours": figures,
        "headroom": round(1 - figures["frame_p95_ms"] / FRAME_MS, 3),
        "batch_of_4_over_1": _ratio(figures, f"lm_step_{bench.BATCH}_sessions_ms"),
        "late_over_early": _ratio(figures, f"lm_step_at_{bench.LATE}_ms"),
        "peer": None,
    }
    if compute.device.type == "cpu":
        found["bandwidth_gb_per_s"] = round(memory_bandwidth() / 1e9, 1)
        found["forms"] = _forms(config, codec, compute.dtype, store)
        found["published"] = list(PUBLISHED)
    if with_peer and peer.find():
        # fewer calls, since each takes several times as long
        theirs = peer.measure(config, compute.device, compute.dtype, POSITIONS, max(3, repeats // 2))
        found["peer"] = theirs
        found["times_faster"] = {name: round(theirs[a] / figures[b], 2) for name, (a, b) in RATIOS.items()}
        found["peer_batch_of_4_over_1"] = _ratio(theirs, f"lm_step_{bench.BATCH}_sessions_ms")
        found["peer_late_over_early"] = _ratio(theirs, f"lm_step_at_{bench.LATE}_ms")
    return found


def _forms(
    config: LmConfig, codec: Mimi, dtype: torch.dtype, store: Path | None
) -> dict[str, dict[str, float]]:
    """Return, for each form of the weights, what a frame takes at the full window and its floor."""
    sizes = sizes_of(config, MimiConfig())
    found = {}
    for form in QUANTIZATIONS:
        floor_ms = floor_bytes(sizes, form, dtype, config.context) / memory_bandwidth() * 1000
        frame_ms = measure_frame_ms(config, codec, dtype, form)
        if store:
            keep_frame_ms(store, config, MimiConfig(), dtype, form, frame_ms)
        found[form] = {
            "floor_ms": round(floor_ms, 2),
            "frame_ms": round(frame_ms, 2),
            "times_floor": round(frame_ms / floor_ms, 2),
        }
    return found


def _ratio(figures: dict[str, Any], name: str) -> float | None:
    return round(figures[name] / figures["lm_step_ms"], 2) if name in figures else None


def render(found: dict[str, Any], as_json: bool) -> str:
    """Format the results for a terminal, or as JSON."""
    if as_json:
        return json.dumps(found, indent=2)
    machine = found["machine"]
    theirs = found["peer"] or {}
    lines = [
        f"{machine['name']} ({machine['device']}), {machine['threads']} threads, torch {machine['torch']}",
        (
            f"Random weights of the size {found['size']} in {found['dtype']}; prompt phase of"
            f" {found['prompt_positions']} positions"
        ),
        f"{'':28}{'ours':>12}{'moshi':>12}",
    ]
    if found["quantize"] != "none":
        share = found["token_agreement_with_unquantised"]
        lines.insert(
            2,
            f"Quantised to {found['quantize']}: {share:.1%} of the greedy tokens are those of the unquantised"
            " model, on random weights",
        )
    for name, value in found["ours"].items():
        other = theirs.get(name)
        lines.append(f"{name:28}{value:>12,}{'' if other is None else format(other, ','):>12}")
    lines.append(
        f"4 sessions in one step take {found['batch_of_4_over_1']} times one; position 2900 takes"
        f" {found['late_over_early']} times 100; 95 of 100 frames leave {found['headroom']:.0%} of their 80"
        " ms free"
    )
    if "forms" in found:
        lines.append(
            f"A frame at the full window, and its floor: the bytes it reads at {found['bandwidth_gb_per_s']}"
            " GB/s, as measured"
        )
        for form, figures in found["forms"].items():
            name = "unquantised" if form == "none" else form
            both = f"{figures['frame_ms']:>12,}{figures['floor_ms']:>12,}"
            lines.append(f"{name:28}{both}, {figures['times_floor']} times")
        lines += [f"Published, not measured here: {each}" for each in found["published"]]
    if theirs:
        ratios = ", ".join(
            f"{name.replace('_', ' ')} {value}" for name, value in found["times_faster"].items()
        )
        lines.append(f"Times faster than moshi: {ratios}")
    else:
        lines.append(
            "The moshi package is not installed; `make test` puts it beside the app, then the comparison is"
            " made too."
        )
    return "\n".join(lines)
