"""The commands `evaluate run` and `evaluate report`; apart from `evaluate`, since importing them is slow."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from ..engine.contract import Sampling
from ..engine.offline import state_line
from ..engine_choice import build, choose
from ..errors import BadInput
from ..evaluation.conversation import Stopped
from ..evaluation.judge import Judge
from ..evaluation.report import JSON, write_report
from ..evaluation.run import Evaluator, RunPlan, RunProgress, run
from ..evaluation.scenarios import choose_scenarios, load_scenarios
from ..evaluation.summary_text import text_of
from ..responder.chat_api import LlmSettings
from ..settings import Settings

MAX_SEEDS = 1_000


def evaluate_run(settings: Settings, args: argparse.Namespace) -> int:
    """Hold and measure conversations, then write the report and print it.

    Raises: BadInput when no conversation could be held.
    """
    scenarios = choose_scenarios(args.scenarios, load_scenarios())
    judge = (
        # a judge may take longer than an answer in a talk
        Judge(LlmSettings(settings.judge_url, settings.judge_key, settings.judge_model, total_s=60.0))
        if settings.judge_url
        else None
    )
    engine = build(choose(settings), settings)
    try:
        with state_line() as report:
            engine.load(report)
        names = [voice.name for voice in engine.voices]
        voices = tuple(names if args.voices == ["all"] else args.voices or names[:1])
        sampling = Sampling(args.temp_audio, args.temp_text, args.topk_audio, args.topk_text)
        plan = RunPlan(scenarios, voices, tuple(range(args.seeds)), args.live, sampling)
        evaluator = Evaluator(dnsmos=not args.no_dnsmos, judge=judge)
        try:
            failures = run(plan, engine, args.out, _print_progress, evaluator, judge, args.parallel)
        except (KeyboardInterrupt, Stopped):
            print(
                "\npersonaplex-app: Stopped. Finished conversations are kept; the same command continues.",
                file=sys.stderr,
            )
            return 1
    finally:
        engine.close()
        if judge:
            judge.close()
    for trial, error in failures:
        print(f"Failed: {trial.name}: {error}", file=sys.stderr)
    if failures and len(failures) == len(plan.conversations):
        raise BadInput(
            f"None of the {len(failures)} conversations could be held; the first: {failures[0][1]}"
        )
    command = "python -m personaplex_app " + shlex.join(sys.argv[1:])
    _write_and_print(args.out, command, args.json)
    if failures:
        print(
            f"personaplex-app: {len(failures)} of {len(plan.conversations)} conversations failed and are not"
            " in the report; the same command tries them again.",
            file=sys.stderr,
        )
    return 1 if failures else 0


def evaluate_report(settings: Settings, args: argparse.Namespace) -> int:
    """Write the report of a folder's present content, and print it."""
    _write_and_print(args.out, "", args.json)
    return 0


def _write_and_print(out: Path, command: str, as_json: bool) -> None:
    page = write_report(out, command)
    report = (out / JSON).read_text("utf-8")
    print(report if as_json else f"{text_of(json.loads(report))}\n\nReport: {page}")


def _print_progress(progress: RunProgress) -> None:
    """Print the progress to stderr: one line that is overwritten on a terminal, else a line each time."""
    left = "" if progress.left_s is None else f", about {_minutes(progress.left_s)} left"
    kept = f" ({progress.kept} from before)" if progress.kept else ""
    failed = f", {progress.failed} failed" if progress.failed else ""
    line = f"{progress.done} of {progress.total} conversations{kept}{failed}{left}"
    if sys.stderr.isatty():
        print(
            f"\r{line:<78}",
            end="\n" if progress.done + progress.failed == progress.total else "",
            file=sys.stderr,
            flush=True,
        )
    else:
        print(line, file=sys.stderr, flush=True)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
