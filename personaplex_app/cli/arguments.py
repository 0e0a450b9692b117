"""Flags that several commands share: those of the settings and those of the sampling."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

from ..settings import ENV_PREFIX, GROUPS, Settings


def add_some_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add a flag for each of the named settings."""
    for name in names:
        add_setting(parser, next(f for f in fields(Settings) if f.name == name))


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the sampling: temperatures and top-k of audio and text."""
    for flag, default in (("temp-audio", 0.8), ("temp-text", 0.7)):
        parser.add_argument(
            f"--{flag}",
            type=at_least(0, float),
            default=default,
            help=f"sampling temperature, default {default}; 0 is greedy",
        )
    for flag, default in (("topk-audio", 250), ("topk-text", 25)):
        parser.add_argument(
            f"--{flag}",
            type=at_least(0, int),
            default=default,
            help=f"sample from so many of the likeliest tokens, default {default}; 0 is all",
        )


def at_least(least: float, kind: type[float]) -> Callable[[str], float]:
    """Return an argparse type for numbers of `kind` from `least` up to a million."""

    def number(text: str) -> float:
        value = kind(text)
        # the bound also refuses "inf" and "nan", which float() accepts
        if not least <= value < 10**6:
            raise ValueError
        return value

    return number


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the flags of all settings in their groups.

    A secret gets no flag, since every user of the machine can read command lines: its variable is named
    below the group's title.
    """
    settings = {f.name: f for f in fields(Settings)}
    for title, names in GROUPS.items():
        secrets = [settings[name] for name in names if not settings[name].repr]
        variables = [f"{variable_of(secret)} ({secret.metadata['help']})" for secret in secrets]
        group = parser.add_argument_group(
            title, "only in the environment: " + ", ".join(variables) if variables else None
        )
        for name in names:
            if settings[name].repr:
                add_setting(group, settings[name])
    grouped = {name for names in GROUPS.values() for name in names}
    for name, setting in settings.items():
        if name not in grouped and setting.repr:
            add_setting(parser, setting)


def variable_of(setting: Field[Any]) -> str:
    """Return the environment variable of a setting."""
    return ENV_PREFIX + setting.name.upper()


def add_setting(parser: argparse._ActionsContainer, f: Field[Any]) -> None:
    """Add one setting's flag, with its help text and its environment variable."""
    flag = "--" + f.name.replace("_", "-")
    help_ = f"{f.metadata['help']} (or {variable_of(f)})"
    if f.default is False:
        # the constant is text, as a variable's value is: `Settings.read` parses both
        parser.add_argument(flag, dest=f.name, action="store_const", const="1", help=help_)
    else:
        # argparse takes % for a format
        parser.add_argument(flag, dest=f.name, metavar=f.name.upper(), help=help_.replace("%", "%%"))
