"""Where and in which numbers the model runs, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import SettingsError, shorten

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
CPU_FLOAT32_SHARE = 0.6
"""On a CPU float32 is exact and as quick; it is taken where the weights leave this much of the memory to the
rest.
"""


@dataclass(frozen=True)
class Compute:
    """A device and a number type, with the sentence that explains them."""

    device: torch.device
    dtype: torch.dtype
    why: str


def pick(device: str, dtype: str, weights_bytes: int) -> Compute:
    """Return what `auto` means on this machine for weights of `weights_bytes` in bfloat16, or what was asked
    for.

    Raises: SettingsError when this machine does not have the device.
    """
    if device == "auto":
        place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        why = "the GPU of this machine" if place.type == "cuda" else "no GPU here"
    else:
        place = _named(device)
        why = "asked for"
    if dtype != "auto":
        return Compute(place, DTYPES[dtype], f"{place}: {why}; {dtype}: asked for.")
    if place.type == "cuda":
        capable = torch.cuda.is_bf16_supported(including_emulation=False)
        chosen = "bfloat16" if capable else "float16"
        return Compute(
            place,
            DTYPES[chosen],
            f"{place}: {why}; {chosen}: {'as released' if capable else 'this GPU has no bfloat16'}.",
        )
    roomy = 2 * weights_bytes < (1 - CPU_FLOAT32_SHARE) * _whole_bytes()
    chosen = "float32" if roomy else "bfloat16"
    return Compute(
        place,
        DTYPES[chosen],
        f"{place}: {why}; {chosen}: {'memory allows it' if roomy else 'to fit into memory'}.",
    )


def memory_bytes(device: torch.device) -> int:
    """Return what a device has left for a model; a CPU's whole memory where the system does not tell."""
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
        place = torch.device(device)
    except RuntimeError:
        raise SettingsError(f"There is no device {shorten(device)}; use auto, cpu, cuda or cuda:N.") from None
    if place.type not in ("cpu", "cuda"):
        raise SettingsError(f"The device {shorten(device)} is not supported; use auto, cpu, cuda or cuda:N.")
    if place.type == "cuda" and (
        not torch.cuda.is_available() or (place.index or 0) >= torch.cuda.device_count()
    ):
        raise SettingsError(f"This machine has no {device}; use --device auto or cpu.")
    return place
