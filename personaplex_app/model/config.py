"""Architecture of the language model and the codec: as released, or as a checkpoint's JSON files say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import WeightsError, shorten
from ..foreign_files import told_apart

# the first of Mimi's 32, which the model was trained with
AGENT_CODEBOOKS = 8
USER_CODEBOOKS = 8
COLUMN_ROWS = 1 + AGENT_CODEBOOKS + USER_CODEBOOKS
"""A column holds one position's tokens: text, agent codebooks 0–7, user codebooks 0–7."""
CACHE_COLUMNS = 4
"""Columns that a voice file stores, as a ring buffer."""
# by how many steps each row of a column lags: text, agent codebooks 0–7, user codebooks 0–7
DELAYS = (0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1)
EPAD = 0
"""Text token of the last frame before a word. What the vocabulary has no piece for is encoded as it too."""
PAD = 3
"""Text token of a frame in which no word begins or goes on."""
# Mimi's codes of a frame of silence: the agent's rows during the prompt phase, but for the voice
AGENT_SILENCE = (948, 243, 1178, 546, 1736, 1030, 1978, 2008)
USER_TONE = (430, 1268, 381, 1611, 1095, 1495, 56, 472)
"""Mimi's codes of a 440 Hz tone, which fills the user's rows during the prompt phase."""

LM_FILE = "model.safetensors"
MIMI_FILE = "tokenizer-e351c8d8-checkpoint125.safetensors"
TOKENIZER_FILE = "tokenizer_spm_32k_3.model"
VOICES_FILE = "voices.tgz"
CONFIG_FILE = "config.json"


def gated_width(width: int, feedforward: float) -> int:
    """Return the hidden width of a gated feed-forward layer.

    Source: moshi `modules/gating.py`: 21/8 of the width where the nominal hidden width is four times the
    width, else two thirds of the nominal hidden width.
    """
    return 21 * width // 8 if int(feedforward) == 4 * width else 2 * int(feedforward) // 3


@dataclass(frozen=True)
class LmConfig:
    """Language model: temporal transformer and depformer. The defaults are the released 7B model's."""

    width: int = 4096
    heads: int = 32
    layers: int = 32
    hidden: int = 11_264
    context: int = 3000
    rope_period: float = 10_000.0
    text_card: int = 32_000
    card: int = 2048
    depformer_width: int = 1024
    depformer_heads: int = 16
    depformer_layers: int = 6
    depformer_hidden: int = 2816
    depformer_steps: int = 16

    @property
    def text_start(self) -> int:
        return self.text_card

    @property
    def audio_start(self) -> int:
        return self.card

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    def kv_bytes_per_frame(self, element_bytes: int) -> int:
        """Return how many bytes one position of one session takes in the KV cache."""
        return 2 * self.layers * self.width * element_bytes

    def trimmed(self) -> LmConfig:
        """Return the same model without the depformer steps of the user's codebooks, whose codes are not
        used.
        """
        return replace(self, depformer_steps=min(self.depformer_steps, AGENT_CODEBOOKS))


@dataclass(frozen=True)
class MimiConfig:
    """The Mimi codec. The defaults are the released Mimi's."""

    filters: int = 64
    width: int = 512
    ratios: tuple[int, ...] = (8, 6, 5, 4)
    kernel: int = 7
    residual_kernel: int = 3
    last_kernel: int = 3
    residual_layers: int = 1
    compress: int = 2
    dilation_base: int = 2
    codebook_width: int = 256
    codebooks: int = 32
    card: int = 2048
    heads: int = 8
    layers: int = 8
    hidden: int = 2048
    context: int = 250
    rope_period: float = 10_000.0

    @property
    def hop_samples(self) -> int:
        """How many samples one position of the convolutional encoder's output covers."""
        product = 1
        for ratio in self.ratios:
            product *= ratio
        return product


def read_lm_config(folder: Path) -> LmConfig:
    """Return the architecture in a checkpoint's `config.json`, or the released 7B model's where it has none.

    Raises: WeightsError when the file is not the architecture that this code implements.
    """
    path = folder / CONFIG_FILE
    if not path.exists():
        return LmConfig()
    data = read_json(path)
    if "dim" not in data:
        return LmConfig()
    where = f"The architecture in {CONFIG_FILE}"
    _expect(
        where,
        data,
        {
            "delays": list(DELAYS),
            "n_q": 16,
            "gating": "silu",
            "norm": "rms_norm_f32",
            "positional_embedding": "rope",
        },
    )
    _expect(
        where,
        data,
        {"depformer_pos_emb": "none", "depformer_multi_linear": True, "depformer_weights_per_step": True},
    )
    get = _Numbers(where, data)
    width = get("dim")
    depformer_width = get("depformer_dim")
    scale = float(data.get("hidden_scale", 4.125))
    return LmConfig(
        width=width,
        heads=get("num_heads"),
        layers=get("num_layers"),
        hidden=gated_width(width, scale * width),
        context=get("context", 3000),
        rope_period=float(get("max_period", 10_000)),
        text_card=get("text_card", 32_000),
        card=get("card", 2048),
        depformer_width=depformer_width,
        depformer_heads=get("depformer_num_heads"),
        depformer_layers=get("depformer_num_layers"),
        depformer_hidden=gated_width(
            depformer_width, get("depformer_dim_feedforward", int(scale * depformer_width))
        ),
        depformer_steps=get("dep_q", 16),
    )


def read_mimi_config(folder: Path) -> MimiConfig:
    """Return the codec's architecture from the file that `mimi_config_name` names, or the released Mimi's.

    Raises: WeightsError when the file is not the architecture that this code implements.
    """
    name = mimi_config_file(folder)
    if name is None:
        return MimiConfig()
    data = read_json(folder / name)
    parts = {}
    for section in ("seanet", "quantizer", "transformer"):
        part = data.get(section)
        if not isinstance(part, Mapping):
            raise WeightsError(f"{name} has no section {section}; take the codec's own configuration file.")
        parts[section] = part
    where = f"The codec in {name}"
    _expect(where, data, {"sample_rate": 24_000, "channels": 1, "frame_rate": 12.5})
    _expect(
        where,
        parts["seanet"],
        {"activation": "ELU", "norm": "none", "pad_mode": "constant", "true_skip": True, "causal": True},
    )
    _expect(
        where,
        parts["transformer"],
        {"gating": "none", "norm": "layer_norm", "positional_embedding": "rope", "causal": True},
    )
    seanet, quantizer, transformer = (
        _Numbers(where, parts[key]) for key in ("seanet", "quantizer", "transformer")
    )
    config = MimiConfig(
        filters=seanet("n_filters"),
        width=seanet("dimension"),
        ratios=tuple(int(r) for r in parts["seanet"].get("ratios", (8, 6, 5, 4))),
        kernel=seanet("kernel_size", 7),
        residual_kernel=seanet("residual_kernel_size", 3),
        last_kernel=seanet("last_kernel_size", 3),
        residual_layers=seanet("n_residual_layers", 1),
        compress=seanet("compress", 2),
        dilation_base=seanet("dilation_base", 2),
        codebook_width=quantizer("dimension"),
        codebooks=quantizer("n_q"),
        card=quantizer("bins", 2048),
        heads=transformer("num_heads"),
        layers=transformer("num_layers"),
        hidden=transformer("dim_feedforward"),
        context=transformer("context"),
        rope_period=float(transformer("max_period", 10_000)),
    )
    # the transformer runs at 25 Hz, and a strided convolution halves it to the 12.5 Hz of the frames
    if (
        config.hop_samples * 2 != 1920
        or transformer("d_model") != config.width
        or config.codebooks < AGENT_CODEBOOKS
    ):
        raise WeightsError(
            f"{where} does not turn 1920 samples into one frame of {AGENT_CODEBOOKS} codebooks; take Mimi's"
            " own file."
        )
    return config


def mimi_config_file(folder: Path) -> str | None:
    """Return the name of the codec's configuration file in the same folder, None for the released Mimi.

    Raises: WeightsError when it is no plain file name.
    """
    path = folder / CONFIG_FILE
    name = read_json(path).get("mimi_config_name") if path.exists() else None
    if name is not None and (not isinstance(name, str) or not name or Path(name).name != name):
        raise WeightsError(
            f"{CONFIG_FILE} names the codec file {shorten(name)}; it must be a plain file name in the same"
            " folder."
        )
    return name


class _Numbers:
    """Reads positive whole numbers from one JSON object."""

    def __init__(self, where: str, data: Mapping[str, Any]) -> None:
        self._where = where
        self._data = data

    def __call__(self, key: str, default: int | None = None) -> int:
        value = self._data.get(key, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            # before `int`, which cannot take the NaN and Infinity that JSON's reader does
            or not 0 < value < 10**7
            or value != int(value)
        ):
            raise WeightsError(
                f"{self._where} has {key} = {shorten(value)}; it must be a positive whole number."
            )
        return int(value)


def _expect(where: str, data: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        if key in data and data[key] != value:
            raise WeightsError(
                f"{where} has {key} = {shorten(data[key])}; this program implements {shorten(value)} only."
            )


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a configuration file.

    Raises: WeightsError when the file cannot be read or holds anything else.
    """
    try:
        if path.stat().st_size > 1_000_000:
            raise WeightsError(
                f"{path.name} is larger than 1 MB; a configuration is a few lines. Download it again."
            )
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        otherwise = (
            f"{path.name} cannot be read as JSON ({type(error).__name__}); download the checkpoint again."
        )
        raise WeightsError(told_apart(path, otherwise)) from error
    if not isinstance(data, dict):
        raise WeightsError(f"{path.name} must hold a JSON object; download the checkpoint again.")
    return data
