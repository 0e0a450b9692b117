"""Measure the machine: versions, peak rates to compare everything else with, and the cost of a graph node."""

from __future__ import annotations

import shutil
import subprocess
import time

import torch
from torch.nn import functional as F

from .engine import Note, choose_sdpa, device_ms, free_bytes, release

NODES = 1000
MATRIX = 8192


def measure(note: Note, device: str, size: str, sdpa: str) -> None:
    place = torch.device(device)
    choose_sdpa(sdpa)
    note(torch=torch.__version__, gcc=shutil.which("gcc") or "none", triton=_triton())
    if place.type != "cuda":
        note(machine="CPU", threads=torch.get_num_threads())
        return
    properties = torch.cuda.get_device_properties(place)
    note(
        machine=properties.name,
        multiprocessors=properties.multi_processor_count,
        memory_gib=round(properties.total_memory / 2**30, 1),
        free_gib=round(free_bytes(place) / 2**30, 1),
        l2_mib=properties.L2_cache_size / 2**20,
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),
        driver=_driver(),
    )
    _memory(note, place, 2**22 if size == "tiny" else 2**32)
    release(place)
    _arithmetic(note, place, 512 if size == "tiny" else MATRIX)
    _nodes(note, place)
    _attention(note, place)


def _memory(note: Note, device: torch.device, size_bytes: int) -> None:
    source = torch.randint(-100, 100, (size_bytes // 4,), dtype=torch.int32, device=device)
    target = torch.empty_like(source)
    copy_ms = device_ms(lambda: target.copy_(source), 10, device)
    read_ms = device_ms(source.max, 10, device)
    note(copy_gb_s=round(2 * size_bytes / copy_ms / 1e6), read_gb_s=round(size_bytes / read_ms / 1e6))
    host = torch.empty(2**28, dtype=torch.uint8, pin_memory=True)
    here = torch.empty(2**28, dtype=torch.uint8, device=device)
    up_ms = device_ms(lambda: here.copy_(host, non_blocking=True), 5, device)
    down_ms = device_ms(lambda: host.copy_(here, non_blocking=True), 5, device)
    note(
        host_to_device_gb_s=round(2**28 / up_ms / 1e6, 1), device_to_host_gb_s=round(2**28 / down_ms / 1e6, 1)
    )


def _arithmetic(note: Note, device: torch.device, n: int) -> None:
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    note(bf16_tflop_s=round(2 * n**3 / device_ms(lambda: a @ b, 20, device) / 1e9))


def _nodes(note: Note, device: torch.device) -> None:
    """What one small kernel costs inside a graph, each needing the one before it, and launched one by one."""
    from personaplex_app.model.graphs import cuda_graphs

    for name, numbers in (("1", 1), ("4096", 4096), ("65536", 65536)):
        x = torch.zeros(numbers, device=device)

        def work(x: torch.Tensor = x) -> None:
            for _ in range(NODES):
                x.add_(1.0)

        eager_us = device_ms(work, 10, device)
        before_bytes, before_s = free_bytes(device), time.perf_counter()
        replay = cuda_graphs(device)(work)
        torch.cuda.synchronize(device)
        record_us = (time.perf_counter() - before_s) * 1e6 / NODES
        held = before_bytes - free_bytes(device)
        note(
            **{
                f"graph_us_per_node_of_{name}": device_ms(replay, 20, device),
                f"eager_us_per_launch_of_{name}": eager_us,
            }
        )
        note(
            **{
                f"record_us_per_node_of_{name}": round(record_us, 2),
                f"graph_bytes_per_node_of_{name}": held // NODES,
            }
        )
    # nodes that allocate: each makes its output and a conversion, as most of a step does
    y = torch.ones(4096, device=device, dtype=torch.bfloat16)

    def converting() -> None:
        z = y
        for _ in range(NODES // 2):
            z = (z.float() + 1.0).bfloat16()

    note(graph_us_per_converting_node=round(device_ms(cuda_graphs(device)(converting), 20, device) / 1.5, 4))


def _attention(note: Note, device: torch.device) -> None:
    """Which kernels PyTorch chooses for one talk's attention: 32 heads of 128 over 512 slots, masked."""
    q = torch.randn(1, 32, 1, 128, device=device, dtype=torch.bfloat16)
    keys = torch.randn(1, 32, 512, 128, device=device, dtype=torch.bfloat16)
    mask = torch.ones(1, 1, 1, 512, device=device, dtype=torch.bool)
    for name, m in (("masked", mask), ("unmasked", None)):
        F.scaled_dot_product_attention(q, keys, keys, m)
        before_s = time.perf_counter()
        F.scaled_dot_product_attention(
            q, keys[:, :, :448], keys[:, :, :448], None if m is None else m[..., :448]
        )
        torch.cuda.synchronize(device)
        note(**{f"sdpa_new_shape_ms_{name}": round((time.perf_counter() - before_s) * 1000, 2)})
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            F.scaled_dot_product_attention(q, keys, keys, m)
            torch.cuda.synchronize(device)
        note(**{f"sdpa_kernels_{name}": [event.key[:120] for event in profile.key_averages()]})


def _triton() -> str:
    try:
        import triton
    except ImportError:
        return "none"
    return triton.__version__


def _driver() -> str:
    try:
        command = [
            "nvidia-smi",
            "--query-gpu=driver_version,clocks.sm,clocks.mem,temperature.gpu",
            "--format=csv,noheader",
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
