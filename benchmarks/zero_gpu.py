"""Measure what ZeroGPU's worker process adds to a frame, and whether aborted talks leave a GPU leased.

    python -m benchmarks.zero_gpu [--frames 500] [--talks 100] [--json OUT]

The `spaces` package is the real one, its API is played by a local server, and the device is the CPU:
`tests/support/zero_gpu.py` says what is patched. Frames go to an echo in the worker, which computes nothing,
so that all of the time is the way there and back; they are paced as in a talk. The talks run on the tiny
checkpoint and are aborted at random.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np

from personaplex_app.cli.doctor import machine
from personaplex_app.engine.contract import SessionConfig
from personaplex_app.engine.echo import EchoEngine
from personaplex_app.units import FRAME_S, FRAME_SAMPLES
from tests.support.zero_gpu import leased_talk, patch_torch, zero_gpu_api, zero_gpu_app, zero_gpu_env

FRAME = bytes(2 * FRAME_SAMPLES)


class LeasableEcho(EchoEngine):
    """An echo that can be leased."""

    def preload(self, report: object) -> None:
        """Do nothing: an echo has no weights."""


def fork_ms(frames: int) -> dict[str, float]:
    """Step a leased echo in real time; return how long a frame takes to the worker and back."""
    with zero_gpu_api() as api:
        os.environ.update(zero_gpu_env(api))
        patch_torch()
        from personaplex_app.engine.leased import LeasedEngine
        from personaplex_app.engine.zero_gpu import ZeroGpu

        engine = LeasedEngine(LeasableEcho(), ZeroGpu(), 1)
        lease = engine.lease(120)
        holder = threading.Thread(target=lambda: [None for _ in engine.hold(lease.token)])
        holder.start()
        session = lease.engine.open(SessionConfig("echo", ""))
        frame, took_ms = np.zeros(FRAME_SAMPLES, np.float32), []
        began_s = time.perf_counter()
        for n in range(frames):
            time.sleep(max(0.0, began_s + n * FRAME_S - time.perf_counter()))
            before_s = time.perf_counter()
            session.step(frame)
            took_ms.append((time.perf_counter() - before_s) * 1000)
        lease.end()
        holder.join()
        engine.close()
        p50, p95, p99 = np.percentile(took_ms, [50, 95, 99]).round(3).tolist()
        return {
            "frames": frames,
            "p50_ms": p50,
            "p95_ms": p95,
            "p99_ms": p99,
            "max_ms": round(max(took_ms), 3),
        }


def aborted(talks: int) -> dict[str, object]:
    """Hold talks and abort them at random; return how their leases ended."""
    chance, ends = random.Random(1), Counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        zero_gpu_api() as api,
        zero_gpu_app(Path(folder), api) as app,
    ):
        began_s = time.monotonic()
        for _ in range(talks):
            api.idle = chance.random() < 0.9
            how = chance.choice(
                ["gone before the GPU came", "gone at once", "gone while talking", "stopped", "worker killed"]
            )
            ends[how] += 1
            with leased_talk(app, lease_s=30) as caller:
                if how != "gone before the GPU came":
                    caller.until_event("ready", timeout_s=30)
                if how in ("gone while talking", "worker killed"):
                    for _ in range(chance.randrange(1, 5)):
                        caller.say(1, FRAME)
                        caller.take()
                if how == "worker killed":
                    api.kill_worker()
                if how == "stopped":
                    caller.order("stop")
                    caller.until_closed()
        leases = Counter(api.until_released(30))
        app.until_free()
        return {
            "talks": talks,
            "aborted": dict(ends),
            "leases": dict(leases),
            "took_s": round(time.monotonic() - began_s, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--talks", type=int, default=100)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = {
        "command": "python -m benchmarks.zero_gpu",
        "machine": machine(),
        "simulated": "the API and the GPU; the package, the forks, the server and the engine are real",
        "ends": aborted(args.talks),
        "fork": fork_ms(args.frames),
    }
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
