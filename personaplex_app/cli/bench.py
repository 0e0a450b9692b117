"""The command `bench`: measure the PersonaPlex engine on this machine."""

from __future__ import annotations

import argparse
import json

from ..errors import EngineUnavailable
from ..settings import Settings
from .arguments import add_some_settings, at_least


def add_bench(parser: argparse.ArgumentParser) -> None:
    """Add what is measured, and how often."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--size",
        choices=("tiny", "mid", "7b"),
        default="mid",
        help="shapes of the random weights, mid unless given",
    )
    parser.add_argument(
        "--repeats",
        type=at_least(1, int),
        default=10,
        help="how many calls a median is taken over, 10 unless given",
    )
    parser.add_argument(
        "--sessions", type=at_least(1, int), default=4, help="places to make room for, 4 unless given"
    )
    parser.add_argument("--no-peer", action="store_true", help="leave the moshi package out")
    parser.add_argument(
        "--agreement",
        action="store_true",
        help="compare int8 and int4 with the checkpoint's unquantised weights instead",
    )
    add_some_settings(parser, "checkpoint", "hf_token", "device", "dtype", "quantize", "cpu_offload", "data")


def bench(settings: Settings, args: argparse.Namespace) -> int:
    """Measure and print."""
    try:
        from ..engine_bench.quantization_agreement import measure_agreement, render_agreement
        from ..engine_bench.report import render, run
    except ImportError as error:
        raise EngineUnavailable(
            f"bench needs the package {error.name}; run: pip install -r requirements-personaplex.txt"
        ) from error

    if args.agreement:
        found = measure_agreement(settings)
        print(json.dumps(found, indent=2) if args.json else render_agreement(found))
        return 0
    quantize = "none" if settings.quantize == "auto" else settings.quantize
    print(
        render(
            run(
                args.size,
                settings.device,
                settings.dtype,
                args.repeats,
                not args.no_peer,
                args.sessions,
                quantize,
            ),
            args.json,
        )
    )
    return 0
