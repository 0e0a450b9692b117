"""The command line: `python -m personaplex_app COMMAND`."""

from __future__ import annotations

import argparse
import gc
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any

from . import __version__, logs
from .errors import EngineUnavailable, PersonaplexError, SettingsError, SettingsFileError
from .evaluation.fdb import TASK_NAMES
from .settings import ENV_PREFIX, Settings

DEFAULT_PROMPT = "You are a wise and friendly teacher. Answer questions or provide advice in a clear and engaging way."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 success, 2 bad usage, 1 failure with one line on stderr."""
    args = _parser().parse_args(argv)
    try:
        settings = Settings.read(os.environ, vars(args))
    except SettingsError as error:
        print(f"personaplex-app: {error}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level, settings.log_format == "json")
    try:
        return args.run(settings, args)
    except PersonaplexError as error:
        print(f"personaplex-app: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsFileError) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="personaplex_app", description="Talk with PersonaPlex-7B, compare its voices, and measure it.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the app", formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_settings(serve)
    serve.set_defaults(run=_serve)
    doctor = commands.add_parser("doctor", help="say what this machine has, which engine it takes, and why")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument("--gpu-gib", type=_at_least(1, float), metavar="GIB", help="plan for a GPU with so many GiB free, not this machine")
    _add_settings(doctor)
    doctor.set_defaults(run=_doctor)
    space = commands.add_parser("space", help="write a Hugging Face Space that runs this app, and upload it")
    space.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder, or one that this command wrote")
    space.add_argument("--push", metavar="REPO", help="upload it to OWNER/NAME, with the token of HF_TOKEN; a new Space is private")
    space.set_defaults(run=_space)
    offline = commands.add_parser("offline", help="answer recordings, as the reference's moshi.offline does")
    _add_offline(offline)
    offline.set_defaults(run=_offline)
    bench = commands.add_parser("bench", help="measure the PersonaPlex engine, beside the moshi package where it is installed")
    bench.add_argument("--json", action="store_true", help="print one JSON object")
    bench.add_argument("--size", choices=("tiny", "mid", "7b"), default="mid", help="shapes of the random weights, mid unless given")
    bench.add_argument("--repeats", type=_at_least(1, int), default=10, help="how many calls a median is taken over, 10 unless given")
    bench.add_argument("--sessions", type=_at_least(1, int), default=4, help="places to make room for, 4 unless given")
    bench.add_argument("--no-peer", action="store_true", help="leave the moshi package out")
    bench.add_argument("--agreement", action="store_true", help="compare int8 and int4 with the checkpoint's unquantised weights instead")
    _add_some(bench, "checkpoint", "hf_token", "device", "dtype", "quantize", "cpu_offload", "data")
    bench.set_defaults(run=_bench)
    _add_evaluate(commands.add_parser("evaluate", help="score conversations"))
    return parser


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    score = commands.add_parser("score", help="Full-Duplex-Bench scores of a folder of anyone's outputs")
    score.add_argument("root", type=Path, metavar="ROOT", help="folder of the samples, one folder each")
    score.add_argument("--task", required=True, choices=TASK_NAMES, help="what the samples test")
    score.add_argument("--gt", type=Path, metavar="FILE", help="human backchannel distribution, JSON: a list, or one for each ID")
    score.add_argument("--json", action="store_true", help="print one JSON object")
    score.set_defaults(run=_score)
    run = commands.add_parser("run", help="hold our own scenarios with an engine, measure them, and write a report")
    run.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for conversations and report; run again to go on")
    run.add_argument("--scenarios", nargs="+", default=[], metavar="NAME", help="names or kinds of scenarios; all unless given")
    run.add_argument("--voices", nargs="+", default=[], metavar="NAME", help="voices, or all; the engine's first unless given")
    run.add_argument("--seeds", type=_at_least(1, int), default=1, metavar="N", help="takes of each scenario, 1 unless given")
    run.add_argument("--live", action="store_true", help="in real time, for latencies on the wall clock")
    run.add_argument("--parallel", type=_at_least(1, int), default=0, metavar="N", help="at once; all slots, or one with --live")
    run.add_argument("--no-dnsmos", action="store_true", help="leave out the estimate of sound quality, which takes longest")
    run.add_argument("--json", action="store_true", help="print the report as one JSON object")
    _add_sampling(run)
    _add_some(
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


def _add_some(parser: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        _add_setting(parser, next(f for f in fields(Settings) if f.name == name))


def _add_offline(parser: argparse.ArgumentParser) -> None:
    for flag, help_ in (
        ("input-wav", "recording of the user"),
        ("output-wav", "where the answer goes"),
        ("output-text", "its text, as JSON"),
    ):
        parser.add_argument(f"--{flag}", required=True, nargs="+", metavar="PATH", help=f"{help_}; several in one call share the model")
    parser.add_argument("--text-prompt", default=DEFAULT_PROMPT, help="role of the agent")
    parser.add_argument("--voice-prompt", default="", help="a voice as NAME.pt, or a wav to clone")
    parser.add_argument("--voice-prompt-dir", help="folder of the voice file; voices.tgz of the checkpoint when absent")
    for flag in ("tokenizer", "moshi-weight", "mimi-weight"):
        parser.add_argument(f"--{flag}", metavar="FILE", help="taken instead of the checkpoint's own")
    _add_sampling(parser)
    parser.add_argument("--greedy", action="store_true", help="no sampling")
    parser.add_argument("--seed", type=int, default=-1, help="the same seed gives the same answer; -1 for none")
    parser.add_argument("--hf-repo", dest="checkpoint", metavar="REPO", help="the same as --checkpoint, as the reference calls it")
    _add_some(parser, "engine", "checkpoint", "device", "dtype", "quantize", "cpu_offload", "remote_url", "remote_insecure")


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    for flag, default in (("temp-audio", 0.8), ("temp-text", 0.7)):
        parser.add_argument(
            f"--{flag}", type=_at_least(0, float), default=default, help=f"temperature, {default} unless given; 0 is greedy"
        )
    for flag, default in (("topk-audio", 250), ("topk-text", 25)):
        parser.add_argument(
            f"--{flag}", type=_at_least(0, int), default=default, help=f"sample from so many, {default} unless given; 0 is all"
        )


def _at_least(least: float, kind: type[float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not least <= value < 10**6:
            raise ValueError
        return value

    return number


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for f in fields(Settings):
        # a secret on a command line is read by everybody on the machine; what the platform says has no flag
        if f.repr and "help" in f.metadata:
            _add_setting(parser, f)


def _add_setting(parser: argparse.ArgumentParser, f: Field[Any]) -> None:
    flag = "--" + f.name.replace("_", "-")
    help_ = f"{f.metadata['help']} (or {ENV_PREFIX}{f.name.upper()})"
    if f.default is False:
        parser.add_argument(flag, dest=f.name, action="store_const", const="1", help=help_)
    else:
        parser.add_argument(flag, dest=f.name, metavar=f.name.upper(), help=help_.replace("%", "%%"))


def _serve(settings: Settings, args: argparse.Namespace) -> int:
    # analytics must be off before Gradio is imported, and importing it takes seconds that other commands need not pay
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from .server.certificates import certificate_of

    certificate_of(settings)  # one that cannot be used is told at once too
    with _quick_import():
        from .launch import serve

    if settings.log_format == "json":
        logs.catch_prints()
    serve(settings)
    return 0


def _space(settings: Settings, args: argparse.Namespace) -> int:
    from .cli.space import check_repo, push_space, write_space
    from .model.hub_repo import hub_access

    if args.push is not None:
        check_repo(args.push)
    files = write_space(args.folder)
    print(f"The Space is complete in {args.folder}: {len(files)} files. To run it: pip install -r requirements.txt && python app.py")
    if args.push is None:
        print("Upload it with --push OWNER/NAME, or with git to a Space that you made.")
    else:
        print(f"Uploaded to {push_space(args.folder, args.push, hub_access(settings))}. A new Space is private; its settings change that.")
        print("For PersonaPlex itself it needs HF_TOKEN as a secret and a GPU; its README says how.")
    return 0


@contextmanager
def _quick_import() -> Iterator[None]:
    """Import without what nobody needs then: Gradio's rewriting of .pyi files for editors, and a search for garbage in what stays."""
    original = inspect.getfile

    def getfile(of: Any) -> str:
        if isinstance(of, type) and of.__module__.startswith("gradio."):
            raise OSError  # as of a class without a file, for which Gradio writes nothing
        return original(of)

    gc.disable()
    inspect.getfile = getfile
    try:
        yield
    finally:
        inspect.getfile = original
        gc.freeze()
        gc.enable()


def _offline(settings: Settings, args: argparse.Namespace) -> int:
    from .engine.contract import Sampling
    from .engine.offline import OfflineTask, Role, answer_all, engine_answer
    from .engine_choice import build, choose

    if not len(args.input_wav) == len(args.output_wav) == len(args.output_text):
        print("personaplex-app: Give as many --output-wav and --output-text as --input-wav.", file=sys.stderr)
        return 2
    jobs = [OfflineTask(*map(Path, paths)) for paths in zip(args.input_wav, args.output_wav, args.output_text, strict=True)]
    temperatures = (0.0, 0.0) if args.greedy else (args.temp_audio, args.temp_text)
    sampling = Sampling(*temperatures, args.topk_audio, args.topk_text, None if args.seed == -1 else args.seed)
    role = Role(args.voice_prompt, args.text_prompt, sampling, Path(args.voice_prompt_dir) if args.voice_prompt_dir else None)
    # who names no engine wants what the reference does
    choice = choose(replace(settings, engine="personaplex") if settings.engine == "auto" and settings.checkpoint else settings)
    if choice.name == "personaplex":
        from .engine.offline_personaplex import load_for, personaplex_answer

        checkpoint = load_for(settings, args.tokenizer, args.moshi_weight, args.mimi_weight)
        answer_all(jobs, personaplex_answer(checkpoint, role))
        return 0
    engine = build(choice, settings)
    try:
        engine.load(lambda state: None)
        answer_all(jobs, engine_answer(engine, role))
    finally:
        engine.close()
    return 0


def _bench(settings: Settings, args: argparse.Namespace) -> int:
    try:
        from .engine_bench.quantization_agreement import measure_agreement, render_agreement
        from .engine_bench.report import render, run
    except ImportError as error:
        raise EngineUnavailable(f"bench needs the package {error.name}; run: pip install -r requirements-personaplex.txt") from error

    if args.agreement:
        found = measure_agreement(settings)
        print(json.dumps(found, indent=2) if args.json else render_agreement(found))
        return 0
    quantize = "none" if settings.quantize == "auto" else settings.quantize
    print(render(run(args.size, settings.device, settings.dtype, args.repeats, not args.no_peer, args.sessions, quantize), args.json))
    return 0


def _score(settings: Settings, args: argparse.Namespace) -> int:
    from .evaluation.fdb.score import score_folder
    from .evaluation.fdb.table import problem_lines, render

    scores = score_folder(args.task, args.root, args.gt)
    for line in problem_lines(scores.problems):
        print(line, file=sys.stderr)
    print(json.dumps(scores.as_json(), indent=2) if args.json else render(scores))
    return 0


def _evaluate_run(settings: Settings, args: argparse.Namespace) -> int:
    from .cli.evaluate import evaluate_run

    return evaluate_run(settings, args)


def _evaluate_report(settings: Settings, args: argparse.Namespace) -> int:
    from .cli.evaluate import evaluate_report

    return evaluate_report(settings, args)


def _doctor(settings: Settings, args: argparse.Namespace) -> int:
    from .cli.doctor import report

    print(report(settings, as_json=args.json, gpu_gib=args.gpu_gib))
    return 0


if __name__ == "__main__":
    sys.exit(main())
