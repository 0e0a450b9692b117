"""The command `evaluate replies`; apart from `evaluate`, since importing it is slow."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..classic.engine import ClassicEngine
from ..engine.contract import Engine
from ..engine.offline import state_line
from ..engine_choice import build, choose
from ..errors import BadInput, StorageError, shorten
from ..evaluation.reply_set.hold import JudgedTurn, hold_by_voice, hold_in_text
from ..evaluation.reply_set.table import as_json, render
from ..evaluation.reply_set.turns import VisitorTalk, choose_talks, load_reply_set
from ..settings import Settings
from ..speech.synthesiser import Synthesiser

BLIND_SAMPLE = 40


def evaluate_replies(settings: Settings, args: argparse.Namespace) -> int:
    """Hold the talks of the reply set, judge each reply, and print the counts.

    Raises: BadInput for an unknown role, or an engine that cannot answer in text.
    """
    reply_set = load_reply_set(args.set)
    talks = choose_talks(args.roles, reply_set.talks)
    if args.sample:
        chosen = set(random.Random(args.seed).sample(range(len(talks)), min(args.sample, len(talks))))  # noqa: S311
        talks = tuple(talk for k, talk in enumerate(talks) if k in chosen)
    if settings.engine == "auto" and not args.voice:
        settings = replace(settings, engine="classic")
    engine = build(choose(settings), settings)
    held: list[JudgedTurn] = []
    try:
        with state_line() as report:
            engine.load(report)
        for talk in talks:
            turns = _hold(talk, engine, args)
            held += turns
            print(f"{talk.role}: {len(held)} turns held", file=sys.stderr, flush=True)
    finally:
        engine.close()
    if args.blind:
        _write_blind(args.blind, held, args.seed)
    about = {
        "set": args.set,
        "engine": engine.identity,
        "level": "voice" if args.voice else "text",
        "seed": args.seed,
    }
    report = as_json(held, reply_set, about)
    print(json.dumps(report, indent=2, ensure_ascii=False) if args.json else render(report, reply_set.kinds))
    return 0


def _hold(talk: VisitorTalk, engine: Engine, args: argparse.Namespace) -> list[JudgedTurn]:
    voice = engine.voices[0].name
    if args.voice:
        # another visitor in each role, and the same one for the same seed
        visitor = args.seed + sum(talk.role.encode())
        return list(hold_by_voice(talk, engine, voice, Synthesiser(), visitor))
    if not isinstance(engine, ClassicEngine):
        raise BadInput(f"The engine {engine.name} has no responder to ask in text; add --voice.")
    return list(hold_in_text(talk, engine.responder, voice))


def _write_blind(path: Path, held: Sequence[JudgedTurn], seed: int) -> None:
    """Write some of the replies, each with its talk's last two turns, without kind and verdict."""
    picked = sorted(random.Random(seed).sample(range(len(held)), min(BLIND_SAMPLE, len(held))))  # noqa: S311
    try:
        path.write_text("".join(f"{line}\n" for k in picked for line in _blind_lines(held, k)), "utf-8")
    except OSError as error:
        raise StorageError(
            f"{shorten(path)} cannot be written ({error.strerror}); give another file."
        ) from None


def _blind_lines(held: Sequence[JudgedTurn], k: int) -> Iterator[str]:
    asked = held[k]
    yield f"## {asked.role} {asked.number}"
    for before in held[max(0, k - 2) : k]:
        if before.role == asked.role:
            yield f"visitor: {before.turn.say}"
            yield f"agent:   {before.reply}"
    yield f"VISITOR: {asked.turn.say}"
    yield f"AGENT:   {asked.reply}"
    yield ""
