"""Fuzz a reader of what comes from outside: what it raises besides its documented errors ends the run.

    python -m tests.support.fuzz_readers {messages,opus,voices} RUNS FOLDER

The input that did it is in FOLDER; give it to the reader in tests/support/readers.py to see it again.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 1 << 14
SLOWEST_S = 10
MOST_MEMORY_MB = 2048


def main(reader: str, runs: int, folder: Path) -> None:
    """Fuzz one reader; the process ends with it."""
    import atheris

    with atheris.instrument_imports(include=["personaplex_app"]):
        from personaplex_app.errors import PersonaplexError

        from . import readers

        read, seeds = readers.FUZZED[reader], readers.seeds(reader)  # they import what they need

    corpus = folder / f"corpus-{reader}"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)

    def read_input(data: bytes) -> None:
        with suppress(PersonaplexError):
            read(data)

    limits = (f"-max_len={MOST_BYTES}", f"-timeout={SLOWEST_S}", f"-rss_limit_mb={MOST_MEMORY_MB}")
    options = (f"-runs={runs}", f"-artifact_prefix={folder}/", *limits)
    atheris.Setup([sys.argv[0], *options, str(corpus)], read_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
