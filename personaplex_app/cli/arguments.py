"""The flags that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

from ..settings import ENV_PREFIX, Settings


def add_some(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the flags of the settings that are named."""
    for name in names:
        add_setting(parser, next(f for f in fields(Settings) if f.name == name))


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the flags of temperatures and top-k."""
    for flag, default in (("temp-audio", 0.8), ("temp-text", 0.7)):
        parser.add_argument(
            f"--{flag}",
            type=at_least(0, float),
            default=default,
            help=f"temperature, {default} unless given; 0 is greedy",
        )
    for flag, default in (("topk-audio", 250), ("topk-text", 25)):
        parser.add_argument(
            f"--{flag}",
            type=at_least(0, int),
            default=default,
            help=f"sample from so many, {default} unless given; 0 is all",
        )


def at_least(least: float, kind: type[float]) -> Callable[[str], float]:
    """Return a parser of numbers that are not below `least`."""

    def number(text: str) -> float:
        value = kind(text)
        if not least <= value < 10**6:
            raise ValueError
        return value

    return number


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every setting that may be read by everybody on the machine."""
    for f in fields(Settings):
        # a secret would be read by everybody; what the platform says has no flag
        if f.repr and "help" in f.metadata:
            add_setting(parser, f)


def add_setting(parser: argparse.ArgumentParser, f: Field[Any]) -> None:
    """Add one setting's flag, described as in `Settings`."""
    flag = "--" + f.name.replace("_", "-")
    help_ = f"{f.metadata['help']} (or {ENV_PREFIX}{f.name.upper()})"
    if f.default is False:
        parser.add_argument(flag, dest=f.name, action="store_const", const="1", help=help_)
    else:
        parser.add_argument(flag, dest=f.name, metavar=f.name.upper(), help=help_.replace("%", "%%"))
