"""The command line: `python -m personaplex_app COMMAND`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import fields

from . import __version__
from .errors import PersonaplexError, SettingsError
from .settings import ENV_PREFIX, Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 success, 2 bad usage, 1 failure with one line on stderr."""
    args = _parser().parse_args(argv)
    try:
        settings = Settings.read(os.environ, vars(args))
    except SettingsError as error:
        print(f"personaplex-app: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return args.run(settings, args)
    except PersonaplexError as error:
        print(f"personaplex-app: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="personaplex_app", description="Talk with PersonaPlex-7B, compare its voices, and measure it.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the app", formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_settings(serve)
    serve.set_defaults(run=_serve)
    doctor = commands.add_parser("doctor", help="say what this machine has, which engine it takes, and why")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    _add_settings(doctor)
    doctor.set_defaults(run=_doctor)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for f in fields(Settings):
        flag = "--" + f.name.replace("_", "-")
        help_ = f"{f.metadata['help']} (or {ENV_PREFIX}{f.name.upper()})"
        if not f.repr:  # a secret on a command line is read by everybody on the machine
            continue
        if f.default is False:
            parser.add_argument(flag, dest=f.name, action="store_const", const="1", help=help_)
        else:
            parser.add_argument(flag, dest=f.name, metavar=f.name.upper(), help=help_.replace("%", "%%"))


def _serve(settings: Settings, args: argparse.Namespace) -> int:
    # analytics must be off before Gradio is imported, and importing it takes seconds that other commands need not pay
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from .server.launch import serve

    serve(settings)
    return 0


def _doctor(settings: Settings, args: argparse.Namespace) -> int:
    from .doctor import report

    print(report(settings, as_json=args.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())
