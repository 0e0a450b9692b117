"""Load a checkpoint: language model, codec and tokenizer, each from its file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import WeightsError, shorten
from .config import LM_FILE, MIMI_FILE, TOKENIZER_FILE
from .lm import Lm
from .loading import load_lm, load_mimi
from .mimi import Mimi
from .tokenizer import TextTokenizer

WHOLE_BYTES = 64 * 2**20
"""Files up to this size are hashed whole by `fingerprint`; of larger ones `BLOCKS` blocks are."""
# 1 MiB in all
BLOCKS = 256
BLOCK_BYTES = 4096


@dataclass(frozen=True)
class CheckpointFiles:
    """The path of each part of a checkpoint; `folder` also holds the configuration files."""

    folder: Path
    lm: Path
    mimi: Path
    tokenizer: Path

    @classmethod
    def of(cls, folder: Path) -> CheckpointFiles:
        """Return the paths of a folder in the layout of the released checkpoint.

        Raises: WeightsError when there is no such folder.
        """
        if not folder.is_dir():
            raise WeightsError(
                f"There is no checkpoint folder {shorten(folder)}. Give a folder that holds {LM_FILE}, or a"
                " Hub repository."
            )
        return cls(folder, folder / LM_FILE, folder / MIMI_FILE, folder / TOKENIZER_FILE)


@dataclass(frozen=True)
class Checkpoint:
    """The loaded parts of a checkpoint."""

    files: CheckpointFiles
    lm: Lm
    mimi: Mimi
    tokenizer: TextTokenizer


def load_checkpoint(
    files: CheckpointFiles,
    device: torch.device,
    dtype: torch.dtype,
    report: Callable[[float], None] | None = None,
    quantize: str = "none",
    offloaded: int = 0,
) -> Checkpoint:
    """Load all parts of a checkpoint.

    `report` is called with the share of the language model that is loaded, 0 to 1. `offloaded` of its layers
    stay in host memory.

    Raises: WeightsError, EngineError.
    """
    # small files first: an error in them is reported before 16 GB are read
    tokenizer = TextTokenizer(files.tokenizer)
    mimi = load_mimi(files.folder, device, files.mimi)
    lm = load_lm(files.folder, device, dtype, files.lm, report, quantize, offloaded)
    if len(tokenizer) != lm.config.text_card:
        raise WeightsError(
            f"{files.tokenizer.name} has {len(tokenizer)} pieces and the model {lm.config.text_card}; they"
            " belong to different checkpoints."
        )
    return Checkpoint(files, lm, mimi, tokenizer)


def fingerprint(*files: Path) -> bytes:
    """Return a hash of the files' content: of all of it where it is small, else of its size, its beginning
    and blocks spread over it.

    Weights that were trained further differ everywhere, and reading 17 GB takes as long as loading them.
    """
    found = hashlib.sha256()
    for path in files:
        size_bytes = path.stat().st_size
        found.update(str(size_bytes).encode())
        with path.open("rb") as file:
            if size_bytes <= WHOLE_BYTES:
                found.update(file.read())
                continue
            for block in range(BLOCKS):
                # blocks spread over the file distinguish two sets of weights without reading all 16 GB
                file.seek(size_bytes * block // BLOCKS)
                found.update(file.read(BLOCK_BYTES))
    return found.digest()
