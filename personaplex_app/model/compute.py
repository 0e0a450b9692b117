"""Choose the device and the number type that the model runs on, and explain the choice."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import SettingsError, shorten

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
CPU_FLOAT32_SHARE = 0.6
"""On a CPU float32 is exact and as fast as bfloat16; it is chosen where the weights leave this share of the
memory free.
"""


@dataclass(frozen=True)
class Compute:
    """A device and a number type, with a sentence that explains the choice."""

    device: torch.device
    dtype: torch.dtype
    why: str


def pick(device: str, dtype: str, weights_bytes: int) -> Compute:
    """Return the device and number type to use; `auto` chooses by this machine.

    `weights_bytes` is the size of the weights in bfloat16.

    Raises: SettingsError when this machine does not have the device.
    """
    if device == "auto":
        target = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        why = "the GPU of this machine" if target.type == "cuda" else "no GPU here"
    else:
        target = _named(device)
        why = "asked for"
    if dtype != "auto":
        return Compute(target, DTYPES[dtype], f"{target}: {why}; {dtype}: asked for.")
    if target.type == "cuda":
        # emulated bfloat16 exists on older GPUs, but is slower than float16
        capable = torch.cuda.is_bf16_supported(including_emulation=False)
        chosen = "bfloat16" if capable else "float16"
        return Compute(
            target,
            DTYPES[chosen],
            f"{target}: {why}; {chosen}: {'as released' if capable else 'this GPU has no bfloat16'}.",
        )
    # float32 takes twice the bytes of bfloat16
    # of the whole memory: what is free changes, and the number type, which changes answers, must not with it
    roomy = 2 * weights_bytes < (1 - CPU_FLOAT32_SHARE) * _whole_bytes()
    chosen = "float32" if roomy else "bfloat16"
    return Compute(
        target,
        DTYPES[chosen],
        f"{target}: {why}; {chosen}: {'memory allows it' if roomy else 'to fit into memory'}.",
    )


def cache_dtype(device: torch.device, weights: torch.dtype) -> torch.dtype:
    """Return the number type of the keys and values beside weights of a type.

    A CPU attends over float32 several times faster than over bfloat16, which costs twice the memory.
    """
    return torch.float32 if device.type == "cpu" else weights


def memory_bytes(device: torch.device) -> int:
    """Return a device's free memory; a CPU's whole memory where the system does not report what is free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return _whole_bytes()


def _whole_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _named(device: str) -> torch.device:
    try:
        target = torch.device(device)
    except RuntimeError:
        raise SettingsError(f"There is no device {shorten(device)}; use auto, cpu, cuda or cuda:N.") from None
    if target.type not in ("cpu", "cuda"):
        raise SettingsError(f"The device {shorten(device)} is not supported; use auto, cpu, cuda or cuda:N.")
    if target.type == "cuda" and (
        not torch.cuda.is_available() or (target.index or 0) >= torch.cuda.device_count()
    ):
        raise SettingsError(f"This machine has no {device}; use --device auto or cpu.")
    return target
