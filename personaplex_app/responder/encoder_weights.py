"""Where the sentence encoder's weights come from: an installed package, or the Hub, once."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import WeightsError
from ..model.hub_repo import HubAccess
from ..model.transfer import digest
from ..speech.weights import SENTENCES
from .local.conversion import TOKENIZER_FILE, WEIGHTS_FILE
from .local.weights import HubModel, download_files, telling_of

# Source: the Hub's files of this commit, which several public projects pin with these hashes; the package
# holds the same.
ENCODER = HubModel(
    "sentence-transformers/all-MiniLM-L6-v2",
    "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    {
        TOKENIZER_FILE: (466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        WEIGHTS_FILE: (90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    },
    "Apache-2.0",
)


@dataclass(frozen=True)
class EncoderFiles:
    """The content of the tokenizer's file and of the weights' file."""

    tokenizer: bytes
    weights: bytes


def packaged_files() -> EncoderFiles:
    """Return the files in the installed package. Raises: WeightsError."""
    with zipfile.ZipFile(SENTENCES.verified()) as package:
        return EncoderFiles(package.read(TOKENIZER_FILE), package.read(WEIGHTS_FILE))


def encoder_folder(data: Path, model: HubModel = ENCODER) -> Path:
    """Return the folder of the downloaded files, whether they are there or not."""
    return data / "sentence-encoder" / model.commit[:12]


def is_downloaded(data: Path, model: HubModel = ENCODER) -> bool:
    """Return whether each of the files is there; their content is verified when they are loaded."""
    return all((encoder_folder(data, model) / name).is_file() for name in model.files)


def downloaded_files(
    data: Path, access: HubAccess, report: Callable[[int], None] = lambda at: None, model: HubModel = ENCODER
) -> EncoderFiles:
    """Return the files from the data folder, after downloading what is not there.

    `report` may raise to end the download.
    Raises: EngineUnavailable when they cannot be downloaded, WeightsError when a file is another one.
    """
    folder = encoder_folder(data, model)
    with telling_of(model, folder, f"run: pip install {SENTENCES.distribution}"):
        folder.mkdir(parents=True, exist_ok=True)
        download_files(model, folder, access, report)
        for name, (_, sha256) in model.files.items():
            if digest(folder / name, sha256, lambda at: None) != sha256:
                (folder / name).unlink()
                raise WeightsError(
                    f"{folder / name} is not the file that was tested; it was deleted, and the next start "
                    f"downloads it"
                    " again."
                )
        return EncoderFiles((folder / TOKENIZER_FILE).read_bytes(), (folder / WEIGHTS_FILE).read_bytes())
