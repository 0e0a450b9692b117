"""Measure the released 7B shapes with random weights on a GPU, and check its answers against the reference's.

    python -m benchmarks.accelerator [--out FOLDER] [--until 450] [--only PART,PART] [--device cuda]

Each part runs in a process of its own with a time limit, so that one that fails or hangs costs only
itself. A line a part goes to standard output and a JSON object a part to FOLDER/accelerator.jsonl (FOLDER is
$OUT where that is set). A part that no longer fits before `--until` seconds is left out and said so. The exit
status is 0 whatever fails: the file says what did.

The parts, in this order (their figures are explained where they are measured):
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS_FILE = "accelerator.jsonl"
SDPA_CHOICES = ("default", "no_cudnn", "efficient")
"""Which attention kernels PyTorch may take: its own choice, all but cuDNN's, or the memory-efficient one."""


@dataclass(frozen=True)
class Part:
    """One part: `benchmarks.accelerator.<module>.measure`, called with `arguments`, for `cap_s` seconds."""

    name: str
    module: str
    cap_s: float
    about: str
    arguments: dict[str, Any]


PARTS = [
    Part(
        "environment",
        "environment",
        60,
        "driver, libraries, ceilings of memory and arithmetic, cost of a graph's node",
        {},
    ),
    Part("golden", "golden", 75, "the golden checkpoint's tokens and codes on this device", {}),
    Part(
        "talk_bfloat16",
        "talk",
        90,
        "one talk: recording, frames, kernels, prompt phases",
        {"dtype": "bfloat16", "whole": True},
    ),
    Part("sessions", "sessions", 120, "as many talks as fit, at the window", {}),
    Part(
        "talk_int8",
        "talk",
        60,
        "one talk in bfloat16 with int8 weights",
        {"dtype": "bfloat16", "quantize": "int8"},
    ),
    Part("kernels", "micro", 75, "attention and matrix-vector kernels apart", {}),
    Part("talk_float16", "talk", 60, "one talk in float16", {"dtype": "float16"}),
    Part(
        "talk_int4",
        "talk",
        60,
        "one talk in bfloat16 with int4 weights",
        {"dtype": "bfloat16", "quantize": "int4"},
    ),
    Part("offload", "offload", 40, "four layers kept in host memory", {}),
]


def main() -> None:
    names = "\n".join(f"  {part.name:14} {part.about} (at most {part.cap_s:.0f} s)" for part in PARTS)
    parser = argparse.ArgumentParser(
        description=f"{__doc__}{names}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path(os.environ.get("OUT", ".")), help="folder of the results"
    )
    parser.add_argument(
        "--until", type=float, default=450.0, help="seconds after which no part is begun or goes on"
    )
    parser.add_argument(
        "--patience", type=float, default=1.0, help="times the parts' limits, for slower machines"
    )
    parser.add_argument("--only", help="names of parts, with commas between; all unless given")
    parser.add_argument(
        "--label", default="", help="a word that each result carries, to tell two versions apart"
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument(
        "--size", default="7b", choices=("tiny", "mid", "7b"), help="smaller ones try the script out"
    )
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--sdpa", default="default", choices=SDPA_CHOICES, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        _run_part(next(part for part in PARTS if part.name == args.part), args)
    else:
        _run_all(args)


def _run_part(part: Part, args: argparse.Namespace) -> None:
    """Measure one part in this process; every finding is written at once, so that a killed process loses
    none.
    """
    with args.result.open("a") as file:

        def note(**found: Any) -> None:
            file.write(json.dumps(found) + "\n")
            file.flush()

        module = importlib.import_module(f"benchmarks.accelerator.{part.module}")
        module.measure(note, device=args.device, size=args.size, sdpa=args.sdpa, **part.arguments)


def _run_all(args: argparse.Namespace) -> None:
    begun_s = time.monotonic()
    wanted = set(args.only.split(",")) if args.only else {part.name for part in PARTS}
    if unknown := wanted - {part.name for part in PARTS}:
        raise SystemExit(f"There is no part {', '.join(sorted(unknown))}; --help lists them.")
    args.out.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        if part.name not in wanted:
            continue
        for sdpa in SDPA_CHOICES:
            left_s = args.until - (time.monotonic() - begun_s)
            found = (
                _in_a_process(part, args, sdpa, min(part.cap_s * args.patience, left_s))
                if left_s > 5
                else {"skipped": "no time left"}
            )
            line = {"part": part.name, "label": args.label, "sdpa": sdpa, **found}
            with (args.out / RESULTS_FILE).open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(_one_line(line), flush=True)
            # a step that cannot be recorded is tried again with other attention kernels, in a fresh process
            if not found.get("not_recorded"):
                break


def _in_a_process(part: Part, args: argparse.Namespace, sdpa: str, cap_s: float) -> dict[str, Any]:
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.jsonl"
        command = [
            sys.executable,
            "-m",
            "benchmarks.accelerator",
            "--part",
            part.name,
            "--result",
            str(result),
        ]
        command += ["--device", args.device, "--size", args.size, "--sdpa", sdpa]
        failed = ""
        try:
            done = subprocess.run(
                command, timeout=cap_s, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            if done.returncode:
                failed = f"exit status {done.returncode}: {done.stdout[-1500:]}"
        except subprocess.TimeoutExpired:
            failed = f"stopped after {cap_s:.0f} s"
        found: dict[str, Any] = {}
        for line in result.read_text().splitlines() if result.exists() else []:
            found |= json.loads(line)
    return found | {"took_s": round(time.monotonic() - begun_s, 1)} | ({"failed": failed} if failed else {})


def _one_line(line: dict[str, Any]) -> str:
    flat = [
        f"{key}={value}"
        for key, value in line.items()
        if isinstance(value, (int, float, str)) and value != "" and key != "part"
    ]
    return f"{line['part']:14} {' '.join(flat)}"


if __name__ == "__main__":
    main()
