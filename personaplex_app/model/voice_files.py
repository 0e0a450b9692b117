"""Read voice files.

A released `.pt` file is a pickle and treated as hostile; once checked, voices are stored as safetensors with
a known sha256.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickletools
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from ..atomic import write_atomically
from ..errors import WeightsError, shorten
from ..foreign_files import absent
from ..voices import MAX_VOICE_BYTES, read_archive
from .config import CACHE_COLUMNS, COLUMN_ROWS, LmConfig
from .lm import Lm
from .prompt import VoicePrompt

MAX_VOICE_FRAMES = 1000
INDEX_FILE = "voices.json"
MAX_PICKLE_BYTES = 16 * 2**10
SELF_TEST_ERROR = 0.05
"""Relative error that adding 17 numbers in bfloat16 can explain; a wrong order of keys makes more than 1."""
ALLOWED_GLOBALS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    *(f"torch {kind}Storage" for kind in ("BFloat16", "Float", "Half", "Long")),
}
# the opcodes by which a pickle names what it wants to import
NAMING_OPCODES = ("GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4")


def parse_pt(name: str, data: bytes, config: LmConfig) -> VoicePrompt:
    """Return the voice in a released `.pt` file.

    Raises: WeightsError when it holds anything but the two tensors of a voice.
    """
    _check_pickle(name, data)
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # `torch.load` documents no errors for a damaged file
        raise WeightsError(
            f"The voice file {name}.pt cannot be read ({type(error).__name__}). Download voices.tgz again."
        ) from error
    if not isinstance(content, dict) or set(content) != {"embeddings", "cache"}:
        raise WeightsError(
            f"The voice file {name}.pt does not hold embeddings and cache and nothing else. Download"
            " voices.tgz again."
        )
    return _checked(name, content["embeddings"], content["cache"], config)


def _check_pickle(name: str, data: bytes) -> None:
    """Refuse what a voice does not need before anything is unpickled.

    That is: globals outside `ALLOWED_GLOBALS`, compressed records, and records that are too large in all.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            records = archive.infolist()
            packed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
            if packed or sum(record.file_size for record in records) > MAX_VOICE_BYTES:
                raise WeightsError(
                    f"The voice file {name}.pt unpacks to more than it holds. Download voices.tgz again."
                )
            if any(
                record.filename.endswith(".pkl") and record.file_size > MAX_PICKLE_BYTES for record in records
            ):
                raise WeightsError(
                    f"The voice file {name}.pt holds a pickle of more than {MAX_PICKLE_BYTES:,} bytes, as no"
                    " voice does. Download voices.tgz again."
                )
            pickles = [archive.read(record) for record in records if record.filename.endswith(".pkl")]
        # `genops` only parses the pickle and never executes it
        for opcode, argument, _ in pickletools.genops(pickles[0]):
            if opcode.name in NAMING_OPCODES and (opcode.name != "GLOBAL" or argument not in ALLOWED_GLOBALS):
                raise WeightsError(
                    f"The voice file {name}.pt calls {shorten(argument)}, which a voice has no need of: it is"
                    " not loaded."
                )
        if len(pickles) != 1:
            raise WeightsError(
                f"The voice file {name}.pt holds {len(pickles)} pickles instead of one. Download voices.tgz"
                " again."
            )
    except (
        zipfile.BadZipFile,
        ValueError,
        IndexError,
        EOFError,
        OSError,
        RuntimeError,
        OverflowError,
    ) as error:
        raise WeightsError(
            f"The voice file {name}.pt cannot be read ({type(error).__name__}). Download voices.tgz again."
        ) from error


def _checked(name: str, embeddings: object, cache: object, config: LmConfig) -> VoicePrompt:
    for what, tensor in (("embeddings", embeddings), ("cache", cache)):
        # not `isinstance`: a subclass may behave in another way than a plain tensor
        if type(tensor) is not torch.Tensor or tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise WeightsError(f"The voice {name}: {what} is not a plain tensor. Download voices.tgz again.")
    assert isinstance(embeddings, torch.Tensor)
    assert isinstance(cache, torch.Tensor)
    shape = tuple(embeddings.shape)
    if len(shape) != 4 or not 2 <= shape[0] <= MAX_VOICE_FRAMES or shape[1:] != (1, 1, config.width):
        limit = f"[2 to {MAX_VOICE_FRAMES}, 1, 1, {config.width}]"
        raise WeightsError(
            f"The voice {name}: embeddings has the shape {list(shape)}; it must be {limit}. It belongs to"
            " another model."
        )
    if (
        embeddings.dtype not in (torch.bfloat16, torch.float16, torch.float32)
        or not torch.isfinite(embeddings).all()
    ):
        raise WeightsError(
            f"The voice {name}: embeddings must be finite bfloat16, float16 or float32 numbers. Download"
            " voices.tgz again."
        )
    if tuple(cache.shape) != (1, COLUMN_ROWS, CACHE_COLUMNS) or cache.dtype != torch.int64:
        raise WeightsError(
            f"The voice {name}: cache must be int64 [1, {COLUMN_ROWS}, {CACHE_COLUMNS}]. Download voices.tgz"
            " again."
        )
    text = cache[0, 0]
    audio = cache[0, 1:]
    if cache.min() < 0 or text.max() > config.text_card or audio.max() > config.card:
        raise WeightsError(
            f"The voice {name}: cache holds tokens that the model does not have. It belongs to another model."
        )
    return VoicePrompt(embeddings[:, 0, 0].contiguous(), cache[0].contiguous())


def self_test(lm: Lm, voices: dict[str, VoicePrompt]) -> None:
    """Check that the voices fit the model: its embedding tables must give their first and last embeddings.

    It fails where keys are in another order or numbers were read as another type.
    Raises: WeightsError naming the first voice that does not fit.
    Source: every voice begins at the start tokens; the last input is column (T − 1) mod 4.
    """
    config = lm.config
    start = torch.full((COLUMN_ROWS,), config.audio_start)
    start[0] = config.text_start
    for name, voice in voices.items():
        last = voice.columns[:, (len(voice.embeddings) - 1) % CACHE_COLUMNS]
        with torch.inference_mode():
            ours = lm.embed(torch.stack([start, last]).to(lm.device)).float().cpu()
        theirs = voice.embeddings[[0, -1]].float()
        error = float((ours - theirs).norm() / theirs.norm())
        if not error < SELF_TEST_ERROR:
            raise WeightsError(
                f"Self-test failed: the model's embeddings differ from the voice {name} by {error:.0%}; "
                f"up to {SELF_TEST_ERROR:.0%} is rounding. "
                "The weights or the voices are altered or belong to different models; download both again."
            )


def to_safetensors(voice: VoicePrompt) -> bytes:
    """Return a voice as a safetensors file."""
    return save(
        {
            "embeddings": voice.embeddings[:, None, None].contiguous(),
            "cache": voice.columns[None].contiguous(),
        }
    )


def from_safetensors(name: str, data: bytes, config: LmConfig) -> VoicePrompt:
    """Return the voice in a file that `to_safetensors` made.

    Raises: WeightsError when it is not one.
    """
    if len(data) > MAX_VOICE_BYTES:
        raise WeightsError(
            f"The voice file {shorten(name)} has {len(data):,} bytes; the limit is {MAX_VOICE_BYTES:,}."
        )
    try:
        content = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(
            f"The voice file {shorten(name)} is not a safetensors file ({type(error).__name__}); export it"
            " again."
        ) from error
    if set(content) != {"embeddings", "cache"}:
        raise WeightsError(
            f"The voice file {shorten(name)} does not hold embeddings and cache and nothing else; export it"
            " again."
        )
    return _checked(name, content["embeddings"], content["cache"], config)


def open_voices(archive: Path, store: Path, config: LmConfig) -> dict[str, VoicePrompt]:
    """Return the released voices from an archive, using `store` as a cache of checked safetensors files.

    The cache counts only where it was made from an archive with the same sha256.
    Raises: WeightsError when the archive is damaged.
    """
    source = _sha256_of(archive)
    try:
        return _from_store(store, source, config)
    # whatever is wrong with the cache, the archive has the voices
    except (OSError, ValueError, KeyError, TypeError, AttributeError, WeightsError):
        voices = {name: parse_pt(name, data, config) for name, data in read_archive(archive).items()}
    _into_store(store, source, voices)
    return voices


def _from_store(store: Path, source: str, config: LmConfig) -> dict[str, VoicePrompt]:
    index = json.loads((store / INDEX_FILE).read_text("utf-8"))
    if index["archive_sha256"] != source:
        raise ValueError("made of another archive")
    voices = {}
    for name, sha256 in index["voices"].items():
        data = (store / f"{name}.safetensors").read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError("altered since")
        voices[name] = from_safetensors(name, data, config)
    return voices


def _into_store(store: Path, source: str, voices: dict[str, VoicePrompt]) -> None:
    """Write the voices to the cache, the index last, so that an incomplete cache is made again.

    A cache that cannot be written only costs time at the next start.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
        sums = {}
        for name, voice in voices.items():
            data = to_safetensors(voice)
            write_atomically(store / f"{name}.safetensors", data)
            sums[name] = hashlib.sha256(data).hexdigest()
        index = json.dumps({"archive_sha256": source, "voices": sums}, indent=1)
        write_atomically(store / INDEX_FILE, index.encode())
    except OSError:
        return


def _sha256_of(path: Path) -> str:
    if not path.is_file():
        raise WeightsError(absent(path))
    if path.stat().st_size > 16 * MAX_VOICE_BYTES:
        raise WeightsError(
            f"{path.name} has {path.stat().st_size:,} bytes; the released one has 6 to 8 million. Download it"
            " again."
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()
