"""The command `bench`: measure how fast the PersonaPlex engine is on this machine."""

from __future__ import annotations

import argparse
import json

from ..engine_choice import measurements_folder
from ..errors import EngineUnavailable
from ..settings import Settings
from .arguments import add_some_settings, at_least


def add_bench(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--size",
        choices=("tiny", "mid", "7b"),
        default="mid",
        help="size of the random weights that are measured, default mid",
    )
    parser.add_argument(
        "--repeats",
        type=at_least(1, int),
        default=10,
        help="calls that each median is taken over, default 10",
    )
    parser.add_argument("--sessions", type=at_least(1, int), default=4, help="rows of the batch, default 4")
    parser.add_argument("--no-peer", action="store_true", help="do not measure the moshi package too")
    parser.add_argument(
        "--agreement",
        action="store_true",
        help="instead, compare int8 and int4 with the checkpoint's unquantised weights",
    )
    add_some_settings(parser, "checkpoint", "hf_token", "device", "dtype", "quantize", "cpu_offload", "data")


def bench(settings: Settings, args: argparse.Namespace) -> int:
    """Measure and print the results.

    Raises: EngineUnavailable when a package is missing.
    """
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
    # random weights have no agreement to choose a quantisation by
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
                measurements_folder(settings),
            ),
            args.json,
        )
    )
    return 0
