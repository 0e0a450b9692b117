"""The GPU benchmark: each part in a process of its own, tried out here on the CPU with a tiny model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent
PATIENT = ("--until", "100000", "--patience", "100")  # a busy machine is no failure of a part


def run(folder: Path, *args: str) -> tuple[list[str], list[dict]]:
    """The lines that were printed, and the results that were kept."""
    command = [sys.executable, "-m", "benchmarks.accelerator", "--size", "tiny", "--out", str(folder), *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = (folder / "accelerator.jsonl").read_text().splitlines()
    return done.stdout.splitlines(), [json.loads(line) for line in lines]


def test_accelerator_keeps_a_line_for_each_part(tmp_path):
    printed, (environment, offload) = run(
        tmp_path, "--device", "cpu", "--only", "environment,offload", "--label", "try", *PATIENT
    )
    assert [line.split()[0] for line in printed] == ["environment", "offload"]
    assert (environment["part"], environment["label"], environment["machine"]) == (
        "environment",
        "try",
        "CPU",
    )
    assert offload["tokens_as_before"] is True
    assert offload["bytes_per_frame"] > 0
    assert "failed" not in environment | offload


def test_accelerator_part_that_fails_costs_only_itself(tmp_path):
    _, (offload,) = run(tmp_path, "--device", "nowhere", "--only", "offload", *PATIENT)
    assert "exit status 1" in offload["failed"]
    assert "nowhere" in offload["failed"]


def test_accelerator_leaves_out_what_no_longer_fits(tmp_path):
    _, found = run(tmp_path, "--device", "cpu", "--until", "0")
    assert len(found) == 9
    assert {line["skipped"] for line in found} == {"no time left"}


def test_accelerator_names_unknown_parts():
    command = [sys.executable, "-m", "benchmarks.accelerator", "--only", "golden,everything"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "There is no part everything" in done.stderr
