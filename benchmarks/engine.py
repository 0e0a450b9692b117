"""Compare the engine with the moshi package at a size that two CPU cores can run; writes results/engine.json.

Run: python -m benchmarks.engine
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from personaplex_app.engine_bench.report import render, run

RESULT = Path(__file__).parent / "results" / "engine.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="mid")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    found = run(args.size, args.device, args.dtype, args.repeats, with_peer=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(render(found, as_json=False))


if __name__ == "__main__":
    main()
