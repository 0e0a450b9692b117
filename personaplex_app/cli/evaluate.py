"""The commands `evaluate score`, `evaluate run`, `evaluate report` and `evaluate replies`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..evaluation.fdb import TASK_NAMES
from ..evaluation.reply_set.turns import SETS
from ..settings import Settings
from .arguments import add_sampling, add_some_settings, at_least


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the four commands and their flags."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_score(
        commands.add_parser("score", help="Full-Duplex-Bench scores of a folder of any system's outputs")
    )
    _add_run(
        commands.add_parser(
            "run", help="play the app's scenarios to an engine, measure its answers, and write a report"
        )
    )
    _add_report(commands.add_parser("report", help="write the report of a folder of evaluate run again"))
    _add_replies(commands.add_parser("replies", help="hold visitors' talks and judge each reply"))


def _add_score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder with one folder for each sample")
    parser.add_argument("--task", required=True, choices=TASK_NAMES, help="the benchmark's task")
    parser.add_argument(
        "--gt",
        type=Path,
        metavar="FILE",
        help="JSON file of the human backchannel distribution: one list, or one for each sample's ID",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_score)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder for the conversations and the report; the same command continues a stopped run",
    )
    parser.add_argument(
        "--scenarios",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names or kinds of scenarios; default all",
    )
    parser.add_argument(
        "--voices",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names of voices, or all; default the engine's first",
    )
    parser.add_argument(
        "--seeds",
        type=at_least(1, int),
        default=1,
        metavar="N",
        help="conversations of each scenario and voice, each with its own seed; default 1",
    )
    parser.add_argument(
        "--live", action="store_true", help="run in real time, to measure wall-clock latencies"
    )
    parser.add_argument(
        "--parallel",
        type=at_least(1, int),
        default=0,
        metavar="N",
        help="conversations at once; default all slots, or one with --live",
    )
    parser.add_argument(
        "--no-dnsmos",
        action="store_true",
        help="skip the estimate of sound quality, which takes longest",
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    add_sampling(parser)
    add_some_settings(
        parser,
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
    parser.set_defaults(run=_evaluate_run)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="DIR", help="folder that evaluate run wrote")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.set_defaults(run=_evaluate_report)


def _add_replies(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", choices=SETS, default=SETS[0], help="set of talks to hold (default: %(default)s)"
    )
    parser.add_argument(
        "--roles", nargs="+", default=[], metavar="NAME", help="roles of the set to talk with; default all"
    )
    parser.add_argument(
        "--voice",
        action="store_true",
        help="speak the visitor's turns to the engine; default: ask the embedded engine's responder in text",
    )
    parser.add_argument(
        "--sample",
        type=at_least(1, int),
        default=0,
        metavar="N",
        help="hold N talks, chosen by --seed; default all",
    )
    parser.add_argument(
        "--seed", type=at_least(0, int), default=0, metavar="N", help="of --sample and voices"
    )
    parser.add_argument(
        "--blind",
        type=Path,
        metavar="FILE",
        help="write 40 of the replies without their verdicts to FILE, for a person to judge",
    )
    parser.add_argument("--json", action="store_true", help="print figures and turns as one JSON object")
    add_some_settings(parser, "engine", "responder", "llm_url", "llm_model")
    parser.set_defaults(run=_evaluate_replies)


def _score(settings: Settings, args: argparse.Namespace) -> int:
    from ..evaluation.fdb.score import score_folder
    from ..evaluation.fdb.table import problem_lines, render

    scores = score_folder(args.task, args.root, args.gt)
    for line in problem_lines(scores.problems):
        print(line, file=sys.stderr)
    print(json.dumps(scores.as_json(), indent=2) if args.json else render(scores))
    return 0


def _evaluate_run(settings: Settings, args: argparse.Namespace) -> int:
    # importing all that measures takes seconds, which `score` and `--help` need not spend
    from .evaluate_run import evaluate_run

    return evaluate_run(settings, args)


def _evaluate_report(settings: Settings, args: argparse.Namespace) -> int:
    from .evaluate_run import evaluate_report

    return evaluate_report(settings, args)


def _evaluate_replies(settings: Settings, args: argparse.Namespace) -> int:
    from .evaluate_replies import evaluate_replies

    return evaluate_replies(settings, args)
