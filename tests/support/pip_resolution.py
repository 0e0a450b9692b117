"""Resolve what pip would install on another Python and machine, from the registry's metadata alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .authorities import outside
from .patience import PATIENCE_S


def resolve(requirements: list[Path], python: str, *options: str | Path) -> dict[str, str]:
    """Return the versions by name, on 64-bit Linux; skips where the registry cannot be reached."""
    command = [
        Path(sys.executable).parent / "uv",
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        "--only-binary",
        ":all:",
    ]
    command += [
        "--python-version",
        python,
        "--python-platform",
        "x86_64-manylinux_2_28",
        *options,
        *requirements,
    ]
    # what a version asks for never changes: what an earlier run has fetched is as good, and there at once
    for where in (["--offline"], []):
        done = subprocess.run(
            [*command, *where], env=outside(), capture_output=True, text=True, timeout=PATIENCE_S
        )
        if done.returncode == 0:
            return dict(line.split("==") for line in done.stdout.split())
    if re.search(r"[Ff]ailed to fetch|error sending request", done.stderr):
        pytest.skip("the package registry, which is asked, cannot be reached")
    raise AssertionError(done.stderr)
