"""Measure how long `evaluate score` takes for 100 conversations of 20 s, each task in a process of its own.

    python -m benchmarks.scoring [--conversations 100] [--json OUT]

The conversations are spoken by the embedded synthesiser: a question, an answer and an interruption each, with
all files of the layout.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from personaplex_app.cli.doctor import machine
from personaplex_app.evaluation.fdb import TASK_NAMES
from personaplex_app.speech.synthesiser import TIMBRES, Synthesiser
from personaplex_app.units import SAMPLE_RATE_HZ

ROOT = Path(__file__).parent.parent
DURATION_S = 20.0
SAYINGS = (
    "Could you tell me when the museum opens tomorrow morning?",
    "It opens at nine, and the tour of the old town begins an hour later at the main gate.",
    "Wait, what about Sunday?",
    "On Sunday it opens at eleven, and the last visitors come in at five in the afternoon.",
)
STARTS_S = (1.0, 5.0, 8.0, 11.0)


def write(folder: Path, conversations: int) -> None:
    """Write the conversations, no two of them alike."""
    synthesiser = Synthesiser()
    spoken = [[synthesiser.speak(text, timbre) for text in SAYINGS] for timbre in TIMBRES]
    rng = np.random.default_rng(0)
    for number in range(conversations):
        sides = {"input.wav": np.zeros(int(DURATION_S * SAMPLE_RATE_HZ), np.float32)}
        sides["output.wav"] = sides["input.wav"].copy()
        spans, chunks = [], []
        for place, (start_s, clip) in enumerate(zip(STARTS_S, spoken[number % len(spoken)], strict=True)):
            at_s = start_s + float(rng.uniform(0.0, 0.5))
            at = int(at_s * SAMPLE_RATE_HZ)
            side = sides["output.wav" if place % 2 else "input.wav"]
            side[at : at + len(clip.samples)] += clip.samples[: len(side) - at]
            spans.append([at_s, at_s + len(clip.samples) / SAMPLE_RATE_HZ])
            if place % 2:
                chunks += [
                    {"text": word.text, "timestamp": [at_s + word.start_s, at_s + word.end_s]}
                    for word in clip.words
                ]
        sample = folder / str(number)
        sample.mkdir(parents=True)
        for name, samples in sides.items():
            soundfile.write(
                sample / name, samples + rng.normal(0, 1e-4, len(samples)), SAMPLE_RATE_HZ, subtype="PCM_16"
            )
        files = {
            "output.json": {"text": "", "chunks": chunks},
            "pause.json": [{"text": "", "timestamp": [spans[0][1], spans[0][1] + 0.5]}],
            "turn_taking.json": [{"text": "", "timestamp": [spans[0][1], spans[0][1]]}],
            "interrupt.json": [{"context": "", "interrupt": SAYINGS[2], "timestamp": spans[2]}],
        }
        for name, content in files.items():
            (sample / name).write_text(json.dumps(content))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--conversations", type=int, default=100)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "in", args.conversations)
        gt = Path(folder) / "gt.json"
        gt.write_text("[1, 2, 3, 2, 1]")
        for task in TASK_NAMES:
            command = [
                sys.executable,
                "-m",
                "personaplex_app",
                "evaluate",
                "score",
                "--json",
                "--task",
                task,
                "--gt",
                str(gt),
            ]
            began_s = time.perf_counter()
            done = subprocess.run(
                [*command, str(Path(folder) / "in")], cwd=ROOT, capture_output=True, check=True
            )
            seconds[task] = round(time.perf_counter() - began_s, 2)
            assert json.loads(done.stdout)["aggregate"]["samples"] == args.conversations
    result = {
        "command": "python -m benchmarks.scoring",
        "machine": machine(),
        "conversations": args.conversations,
        "conversation_s": DURATION_S,
        "seconds": seconds,
    }
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
