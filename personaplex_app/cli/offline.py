"""The command `offline`: answer recordings without real time, as the reference's `moshi.offline` does."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from ..settings import Settings
from .arguments import add_sampling, add_some_settings

DEFAULT_PROMPT = (
    "You are a wise and friendly teacher. Answer questions or provide advice in a clear and engaging way."
)


def add_offline(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the reference's command, and this app's own."""
    for flag, help_ in (
        ("input-wav", "recording of the user"),
        ("output-wav", "file for the answer"),
        ("output-text", "JSON file for the answer's text"),
    ):
        parser.add_argument(
            f"--{flag}",
            required=True,
            nargs="+",
            metavar="PATH",
            help=f"{help_}; give several to load the model once for all",
        )
    parser.add_argument("--text-prompt", default=DEFAULT_PROMPT, help="role prompt of the agent")
    parser.add_argument("--voice-prompt", default="", help="voice as NAME.pt, or a wav file to clone")
    parser.add_argument(
        "--voice-prompt-dir", help="folder of the voice file; default the checkpoint's voices.tgz"
    )
    for flag in ("tokenizer", "moshi-weight", "mimi-weight"):
        parser.add_argument(f"--{flag}", metavar="FILE", help="file to use instead of the checkpoint's own")
    add_sampling(parser)
    parser.add_argument("--greedy", action="store_true", help="do not sample: temperatures of 0")
    parser.add_argument(
        "--seed", type=int, default=-1, help="seed of the sampling, for the same answer again; -1 for none"
    )
    parser.add_argument(
        "--hf-repo",
        dest="checkpoint",
        metavar="REPO",
        help="the reference's name for --checkpoint",
    )
    add_some_settings(
        parser,
        "engine",
        "checkpoint",
        "device",
        "dtype",
        "quantize",
        "cpu_offload",
        "remote_url",
        "remote_insecure",
    )


def offline(settings: Settings, args: argparse.Namespace) -> int:
    """Answer the recordings, with the model loaded once for all."""
    from ..engine.contract import Sampling
    from ..engine.offline import OfflineTask, Role, answer_all, engine_answer
    from ..engine_choice import build, choose
    from ..rendering.transcription import Transcriber

    if not len(args.input_wav) == len(args.output_wav) == len(args.output_text):
        print("personaplex-app: Give as many --output-wav and --output-text as --input-wav.", file=sys.stderr)
        return 2
    tasks = [
        OfflineTask(*map(Path, paths))
        for paths in zip(args.input_wav, args.output_wav, args.output_text, strict=True)
    ]
    temperatures = (0.0, 0.0) if args.greedy else (args.temp_audio, args.temp_text)
    sampling = Sampling(
        *temperatures, args.topk_audio, args.topk_text, None if args.seed == -1 else args.seed
    )
    role = Role(
        args.voice_prompt,
        args.text_prompt,
        sampling,
        Path(args.voice_prompt_dir) if args.voice_prompt_dir else None,
    )
    hears_speech = Transcriber().hears_speech
    # a checkpoint without --engine asks for what the reference would do with it
    choice = choose(
        replace(settings, engine="personaplex")
        if settings.engine == "auto" and settings.checkpoint
        else settings
    )
    if choice.name == "personaplex":
        from ..engine.offline_personaplex import load_for, personaplex_answer

        checkpoint = load_for(settings, args.tokenizer, args.moshi_weight, args.mimi_weight)
        answer_all(tasks, personaplex_answer(checkpoint, role), hears_speech)
        return 0
    engine = build(choice, settings)
    try:
        engine.load(lambda state: None)
        answer_all(tasks, engine_answer(engine, role), hears_speech)
    finally:
        engine.close()
    return 0
