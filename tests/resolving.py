"""What pip would install, for another Python and another machine: resolved from the registry's metadata, nothing downloaded."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


def resolve(requirements: list[Path], python: str, *options: str | Path) -> dict[str, str]:
    """Return the versions by name, on 64-bit Linux; skips where the registry cannot be reached."""
    command = [Path(sys.executable).parent / "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:"]
    command += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28", *options]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, timeout=120)
    if re.search(r"[Ff]ailed to fetch|error sending request", done.stderr):
        pytest.skip("the package registry, which is asked, cannot be reached")
    assert done.returncode == 0, done.stderr
    return dict(line.split("==") for line in done.stdout.split())
