"""The command line: `python -m personaplex_app COMMAND`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from .. import __version__, logs
from ..errors import exit_code_of
from ..settings import Settings
from .arguments import add_settings, at_least
from .bench import add_bench, bench
from .evaluate import add_evaluate
from .offline import add_offline, offline
from .serve import serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 success, 2 bad usage, 1 failure with one line on stderr."""
    args = _parser().parse_args(argv)
    return exit_code_of(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    settings = Settings.read(os.environ, vars(args))

    # of the other commands, what is printed is the result, and no part of a log
    logs.configure(settings.log_level, settings.log_format == "json", prints=args.run is serve)
    return args.run(settings, args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="personaplex_app", description="Talk with PersonaPlex-7B, compare its voices, and measure it."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve_ = commands.add_parser("serve", help="run the app")
    add_settings(serve_)
    serve_.set_defaults(run=serve)
    doctor = commands.add_parser("doctor", help="report this machine, the chosen engine, and why")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument(
        "--gpu-gib",
        type=at_least(1, float),
        metavar="GIB",
        help="plan for a GPU with so many GiB of free memory instead of this machine",
    )
    add_settings(doctor)
    doctor.set_defaults(run=_doctor)
    space = commands.add_parser("space", help="write a Hugging Face Space that runs this app, and upload it")
    space.add_argument(
        "folder", type=Path, metavar="DIR", help="new or empty folder, or one that this command wrote before"
    )
    space.add_argument(
        "--push",
        metavar="REPO",
        help="upload it to the Space OWNER/NAME with the token in HF_TOKEN; a new Space is private",
    )
    space.set_defaults(run=_space)
    offline_ = commands.add_parser("offline", help="answer recordings, as the reference's moshi.offline does")
    add_offline(offline_)
    offline_.set_defaults(run=offline)
    bench_ = commands.add_parser(
        "bench", help="measure the PersonaPlex engine, and the moshi package for comparison if installed"
    )
    add_bench(bench_)
    bench_.set_defaults(run=bench)
    add_evaluate(commands.add_parser("evaluate", help="score conversations"))
    return parser


def _space(settings: Settings, args: argparse.Namespace) -> int:
    from ..model.hub_repo import hub_access
    from .space import check_repo, push_space, write_space

    if args.push is not None:
        check_repo(args.push)
    files = write_space(args.folder)
    print(
        f"The Space is complete in {args.folder}: {len(files)} files. To run it: pip install -r"
        " requirements.txt && python app.py"
    )
    if args.push is None:
        print("Upload it with --push OWNER/NAME, or with git to a Space that you made.")
    else:
        print(
            f"Uploaded to {push_space(args.folder, args.push, hub_access(settings))}. A new Space is private;"
            " its settings change that."
        )
        print("For PersonaPlex itself it needs HF_TOKEN as a secret and a GPU; its README says how.")
    return 0


def _doctor(settings: Settings, args: argparse.Namespace) -> int:
    from .doctor import report

    print(report(settings, as_json=args.json, gpu_gib=args.gpu_gib))
    return 0
