"""Single kernels: decode attention and matrix-vector products, what PyTorch has beside the engine's own.

Every figure is of a graph that runs the kernel over several sets of inputs in turn, more of them than the
cache holds, so that weights come from memory as they do in a frame. Rates
count the weights (or keys and values) once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from personaplex_app.model.graphs import cuda_graphs
from personaplex_app.model.kernels import MOST_ROWS
from personaplex_app.model.quantize import Int4Weight, Int8Weight, integer_product_works

from .engine import Note, choose_sdpa, device_ms, release

HEADS, HEAD_WIDTH, WINDOW = 32, 128, 2999
ROTATED_BYTES = 400 * 2**20
MOST_COPIES = 24
SHAPES = {
    "in_proj": (12288, 4096),
    "out_proj": (4096, 4096),
    "linear_in": (22528, 4096),
    "linear_out": (4096, 11264),
    "text_linear": (32000, 4096),
    "depformer_in_proj": (3072, 1024),
    "depformer_linear_in": (5632, 1024),
    "depformer_linear_out": (1024, 2816),
}
MOST_ERROR = 2e-2
UNTIL_S = 68.0


def measure(note: Note, device: str, size: str, sdpa: str) -> None:
    there = torch.device(device)
    choose_sdpa(sdpa)
    if there.type != "cuda":
        note(skipped="single kernels are measured on a GPU only")
        return
    begun_s = time.monotonic()
    with torch.inference_mode():
        for batch, slots in ((1, 512), (1, WINDOW), (16, WINDOW), (32, WINDOW)):
            _attention(note, there, batch, slots)
            release(there)
        for rows in (1, 2, 4, 8, 32):
            for name, (n, k) in SHAPES.items():
                if time.monotonic() - begun_s > UNTIL_S or (
                    rows > 1 and name not in ("linear_in", "linear_out", "depformer_linear_in")
                ):
                    continue
                _products(note, there, name, n, k, rows)
                release(there)


def _timed(works: list[Callable[[], object]], device: torch.device) -> float:
    """Return microseconds a call where all are recorded in one graph."""

    def all_of_them() -> None:
        for work in works:
            work()

    return device_ms(cuda_graphs(device)(all_of_them), 15, device) * 1000 / len(works)


def _try(
    note: Note,
    name: str,
    bytes_read: int,
    works: Callable[[], list[Callable[[], object]]],
    device: torch.device,
) -> None:
    try:
        us = _timed(works(), device)
        note(**{name: {"us": round(us, 2), "gb_s": round(bytes_read / us / 1e3)}})
    except Exception as error:
        note(**{name: f"{type(error).__name__}: {str(error)[:160]}"})
        torch.cuda.synchronize(device)
    release(device)


def _attention(note: Note, device: torch.device, batch: int, slots: int) -> None:
    """One position a row against `slots` slots of its cache: PyTorch's kernels, then the engine's."""
    moved = 2 * batch * slots * HEADS * HEAD_WIDTH * 2
    copies = max(1, min(MOST_COPIES, ROTATED_BYTES // moved + 1))
    caches = [
        torch.randn(2, batch, WINDOW + 1, HEADS, HEAD_WIDTH, device=device, dtype=torch.bfloat16)
        for _ in range(copies)
    ]
    q = torch.randn(batch, HEADS, 1, HEAD_WIDTH, device=device, dtype=torch.bfloat16)
    mask = torch.ones(batch, 1, 1, slots, dtype=torch.bool, device=device)
    name = f"attention_{batch}x{slots}"

    def with_backend(backend: Any, masked: Tensor | None) -> list[Callable[[], object]]:
        def one(cache: Tensor) -> object:
            with sdpa_kernel(backend):
                keys, values = (cache[i, :, :slots].transpose(1, 2) for i in range(2))
                return F.scaled_dot_product_attention(q, keys, values, masked)

        return [lambda cache=cache: one(cache) for cache in caches]

    for kind, backend, masked in (
        ("cudnn_masked", SDPBackend.CUDNN_ATTENTION, mask),
        ("efficient_masked", SDPBackend.EFFICIENT_ATTENTION, mask),
        ("math_masked", SDPBackend.MATH, mask),
        ("flash_unmasked", SDPBackend.FLASH_ATTENTION, None),
        ("cudnn_unmasked", SDPBackend.CUDNN_ATTENTION, None),
    ):
        _try(note, f"{name}_{kind}", moved, lambda b=backend, m=masked: with_backend(b, m), device)
    lengths = torch.full((batch,), slots, dtype=torch.int32, device=device)
    newest = torch.full((batch, 1), slots - 1, device=device)

    def own() -> list[Callable[[], object]]:
        from personaplex_app.model.kernels import decode

        flat = q.transpose(1, 2).contiguous()
        keys, values = (caches[0][i, :, :slots].transpose(1, 2).float() for i in range(2))
        wanted = F.scaled_dot_product_attention(q.float(), keys, values)[:, :, 0].flatten(1)
        _check(decode.attend(flat, caches[0], lengths, newest)[:, 0], wanted)
        return [lambda c=c: decode.attend(flat, c, lengths, newest) for c in caches]

    _try(note, f"{name}_own", moved, own, device)


def _check(found: Tensor, wanted: Tensor) -> None:
    """Raises: ValueError where a kernel computes something else."""
    error = ((found.double() - wanted.double()).norm() / wanted.double().norm()).item()
    if not error < MOST_ERROR:
        raise ValueError(f"relative error {error:.2e}")


def _products(note: Note, device: torch.device, name: str, n: int, k: int, rows: int) -> None:
    copies = max(2, min(MOST_COPIES, ROTATED_BYTES // (2 * n * k) + 1))
    plain = [torch.randn(n, k, device=device, dtype=torch.bfloat16) * k**-0.5 for _ in range(copies)]
    x = torch.randn(rows, k, device=device, dtype=torch.bfloat16)
    title = f"product_{name}_{rows}"
    _try(note, f"{title}_bfloat16", 2 * n * k, lambda: [lambda w=w: F.linear(x, w) for w in plain], device)

    def own(weights: list[Tensor], scales: list[Tensor | None]) -> list[Callable[[], object]]:
        from personaplex_app.model.kernels import decode

        weight = weights[0].double() * (1 if scales[0] is None else scales[0].double()[:, None])
        _check(decode.product(x, weights[0], scales[0], None), x.double() @ weight.t())
        return [lambda w=w, s=s: decode.product(x, w, s, None) for w, s in zip(weights, scales, strict=True)]

    few = rows <= MOST_ROWS
    if few:
        _try(note, f"{title}_own_bfloat16", 2 * n * k, lambda: own(plain, [None] * copies), device)
    int8 = [Int8Weight(w, integer_product_works(device)) for w in plain]
    _try(note, f"{title}_int8", n * k, lambda: [lambda w=w: w.matmul(x, slice(None)) for w in int8], device)
    if few:
        scaled = [w.codes for w in int8], [w.scale for w in int8]
        _try(note, f"{title}_own_int8", n * k, lambda: own(*scaled), device)
        _int4(note, device, title, x, plain)


def _int4(note: Note, device: torch.device, title: str, x: Tensor, plain: list[Tensor]) -> None:
    n, k = plain[0].shape
    packed = [Int4Weight(w) for w in plain]
    # PyTorch has no product of its own for these
    unpacked = [Int4Weight(w.half()) for w in plain]

    def of(weights: list[Int4Weight], rows: Tensor) -> list[Callable[[], object]]:
        return [lambda w=w: w.matmul(rows, slice(None)) for w in weights]

    name = "int4_packed" if packed[0].packed else "int4"
    _try(note, f"{title}_{name}", n * k // 2, lambda: of(packed, x), device)
    _try(note, f"{title}_own_int4", n * k // 2, lambda: of(unpacked, x.half()), device)
