"""The commands `evaluate score`, `evaluate run` and `evaluate report`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..evaluation.fdb import TASK_NAMES
from ..settings import Settings
from .arguments import add_sampling, add_some_settings, at_least


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the three commands."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    score = commands.add_parser("score", help="Full-Duplex-Bench scores of a folder of anyone's outputs")
    score.add_argument("root", type=Path, metavar="ROOT", help="folder of the samples, one folder each")
    score.add_argument("--task", required=True, choices=TASK_NAMES, help="what the samples test")
    score.add_argument(
        "--gt",
        type=Path,
        metavar="FILE",
        help="human backchannel distribution, JSON: a list, or one for each ID",
    )
    score.add_argument("--json", action="store_true", help="print one JSON object")
    score.set_defaults(run=_score)
    run = commands.add_parser(
        "run", help="hold our own scenarios with an engine, measure them, and write a report"
    )
    run.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder for conversations and report; run again to go on",
    )
    run.add_argument(
        "--scenarios",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names or kinds of scenarios; all unless given",
    )
    run.add_argument(
        "--voices",
        nargs="+",
        default=[],
        metavar="NAME",
        help="voices, or all; the engine's first unless given",
    )
    run.add_argument(
        "--seeds",
        type=at_least(1, int),
        default=1,
        metavar="N",
        help="takes of each scenario, 1 unless given",
    )
    run.add_argument("--live", action="store_true", help="in real time, for latencies on the wall clock")
    run.add_argument(
        "--parallel",
        type=at_least(1, int),
        default=0,
        metavar="N",
        help="at once; all slots, or one with --live",
    )
    run.add_argument(
        "--no-dnsmos",
        action="store_true",
        help="leave out the estimate of sound quality, which takes longest",
    )
    run.add_argument("--json", action="store_true", help="print the report as one JSON object")
    add_sampling(run)
    add_some_settings(
        run,
        "engine",
        "checkpoint",
        "device",
        "dtype",
        "quantize",
        "cpu_offload",
        "slots",
        "remote_url",
        "remote_insecure",
        "judge_url",
        "judge_model",
    )
    run.set_defaults(run=_evaluate_run)
    report = commands.add_parser("report", help="write the report of a folder that evaluate run made")
    report.add_argument("out", type=Path, metavar="DIR")
    report.add_argument("--json", action="store_true", help="print it as one JSON object")
    report.set_defaults(run=_evaluate_report)


def _score(settings: Settings, args: argparse.Namespace) -> int:
    from ..evaluation.fdb.score import score_folder
    from ..evaluation.fdb.table import problem_lines, render

    scores = score_folder(args.task, args.root, args.gt)
    for line in problem_lines(scores.problems):
        print(line, file=sys.stderr)
    print(json.dumps(scores.as_json(), indent=2) if args.json else render(scores))
    return 0


def _evaluate_run(settings: Settings, args: argparse.Namespace) -> int:
    # everything that measures takes seconds to import
    from .evaluate_run import evaluate_run

    return evaluate_run(settings, args)


def _evaluate_report(settings: Settings, args: argparse.Namespace) -> int:
    from .evaluate_run import evaluate_report

    return evaluate_report(settings, args)
