"""Measure the time until the page answers and the engine is ready, and the memory with a talk running.

    python -m benchmarks.startup [--engine classic] [--talk-s 30] [--json OUT]

Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from websockets.sync.client import connect

from personaplex_app.audio import float_to_pcm16
from personaplex_app.cli.doctor import machine
from personaplex_app.speech.synthesiser import TIMBRES, Synthesiser
from personaplex_app.units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

ROOT = Path(__file__).parent.parent
QUESTION = "How much is the compost bin?"


def measure(engine: str, port: int, talk_s: float) -> dict:
    """Start the app, hold a talk, stop the app; return the figures."""
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "app.py"]
        env = {
            **os.environ,
            "PERSONAPLEX_ENGINE": engine,
            "PERSONAPLEX_PORT": str(port),
            "PERSONAPLEX_DATA": data,
        }
        began_s = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            url = f"127.0.0.1:{port}"
            page_s = _until(f"http://{url}/", began_s)
            ready_s = _until(f"http://{url}/health", began_s)
            idle_mib = _memory_mib(process.pid, "VmRSS")
            turns = _talk(f"ws://{url}/api/chat?codec=pcm&events=1&persona=waste-collection", talk_s)
            return {
                "page_answers_s": round(page_s, 2),
                "engine_ready_s": round(ready_s, 2),
                "idle_mib": idle_mib,
                "talking_peak_mib": _memory_mib(process.pid, "VmHWM"),
                "talk_s": talk_s,
                "turns": turns,
            }
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _until(url: str, began_s: float) -> float:
    while time.perf_counter() - began_s < 120:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return time.perf_counter() - began_s
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise SystemExit(f"{url} did not answer within 120 s")


def _talk(url: str, talk_s: float) -> int:
    """Ask a question every ten seconds, in real time; return how many turns the agent took."""
    question = Synthesiser().speak(QUESTION, TIMBRES[0]).samples
    said = np.zeros(int(talk_s * SAMPLE_RATE_HZ), np.float32)
    for start_s in range(6, int(talk_s) - 4, 10):
        start = start_s * SAMPLE_RATE_HZ
        said[start : start + len(question)] = question[: len(said) - start]
    turns = 0
    with connect(url, max_queue=None) as socket:
        begin_s = time.perf_counter()
        for n, at in enumerate(range(0, len(said), FRAME_SAMPLES), 1):
            socket.send(b"\x01" + float_to_pcm16(said[at : at + FRAME_SAMPLES]))
            time.sleep(max(0.0, begin_s + n * FRAME_S - time.perf_counter()))
        while True:
            try:
                turns += b'"turn_latency", ' in socket.recv(timeout=0.5)
            except TimeoutError:
                return turns


def _memory_mib(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", default="classic")
    parser.add_argument("--port", type=int, default=7871)
    parser.add_argument("--talk-s", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = {
        "command": "python -m benchmarks.startup",
        "machine": machine(),
        **measure(args.engine, args.port, args.talk_s),
    }
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
