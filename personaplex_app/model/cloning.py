"""Clone a voice: bring a recording to the loudness of the training data, encode it, and store the codes.

A cloned voice is the recording's Mimi codes in a small safetensors file.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ..audio import at_loudness
from ..errors import BadAudio, BadVoiceFile, shorten
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ
from ..voices import CLONE_LUFS, MAX_CLONE_BYTES
from .config import AGENT_CODEBOOKS
from .mimi import Mimi

# shorter ones cannot be measured for loudness, whose blocks have 400 ms
MIN_VOICE_S = 0.5
MAX_VOICE_S = 60.0
MAX_VOICE_FRAMES = round(MAX_VOICE_S * SAMPLE_RATE_HZ / FRAME_SAMPLES)
FORMAT = "personaplex-app cloned voice 1"
MAX_METADATA_CHARS = 1_000


def voice_codes(mimi: Mimi, samples: np.ndarray) -> Tensor:
    """Return a recording's codes at −24 LUFS, its last frame padded.

    Shapes: `samples` float32 [N] at 24 kHz → int64 [8, frames].
    Raises: BadAudio when it is too short, too long, or silent.
    """
    seconds = len(samples) / SAMPLE_RATE_HZ
    if not MIN_VOICE_S <= seconds <= MAX_VOICE_S:
        raise BadAudio(
            f"The voice recording is {seconds:.1f} s long; it must be between {MIN_VOICE_S} and"
            f" {MAX_VOICE_S:.0f} s."
        )
    scaled = at_loudness(samples, CLONE_LUFS)
    pcm = torch.from_numpy(np.pad(scaled, (0, -len(scaled) % FRAME_SAMPLES))).to(mimi.device)
    one = torch.ones(1, dtype=torch.bool, device=mimi.device)
    with torch.inference_mode():
        return mimi.encode(pcm[None], mimi.empty_encoder_state(1), one)[0]


def codec_sha256(mimi: Mimi) -> str:
    """Return a hash of the codec's codebooks: codes mean the same sound only where it is equal."""
    layers = [*mimi.quantizer.rvq_first.vq.layers, *mimi.quantizer.rvq_rest.vq.layers][:AGENT_CODEBOOKS]
    digest = hashlib.sha256()
    for layer in layers:
        # the numbers of the file itself: what is computed of them may differ in the last bit between
        # devices
        digest.update(layer.state_dict()["_codebook.embedding_sum"].float().cpu().numpy().tobytes())
    return digest.hexdigest()


def to_file(codes: Tensor, codec: str) -> bytes:
    """Return a cloned voice as a safetensors file.

    Shapes: `codes` int64 [8, frames]; `codec` is a `codec_sha256`.
    """
    return save({"codes": codes.to(torch.int16).cpu().contiguous()}, {"format": FORMAT, "codec": codec})


def from_file(data: bytes, codec: str, card: int) -> Tensor:
    """Return the codes of a cloned voice's file, int64 [8, frames], each below `card`.

    Raises: BadVoiceFile when it is anything else, or was made with another codec.
    """
    if len(data) > MAX_CLONE_BYTES:
        raise BadVoiceFile(
            f"The voice file has {len(data):,} bytes; the limit is {MAX_CLONE_BYTES:,}. Choose one that was"
            " exported here."
        )
    try:
        content = load(data)
        metadata = _metadata(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadVoiceFile(
            "That is not a safetensors file; choose a voice that was exported here."
        ) from error
    codes = content.get("codes")
    if (
        codes is None
        or len(content) != 1
        or metadata.get("format") != FORMAT
        or set(metadata) != {"format", "codec"}
    ):
        raise BadVoiceFile("That safetensors file is not a cloned voice; choose one that was exported here.")
    if metadata["codec"] != codec:
        raise BadVoiceFile(
            "That voice was made with another model, whose codes mean other sounds here. Clone it again from"
            " its recording."
        )
    shape = tuple(codes.shape)
    if (
        codes.dtype != torch.int16
        or len(shape) != 2
        or shape[0] != AGENT_CODEBOOKS
        or not 1 <= shape[1] <= MAX_VOICE_FRAMES
    ):
        limit = f"int16 [{AGENT_CODEBOOKS}, 1 to {MAX_VOICE_FRAMES}]"
        raise BadVoiceFile(
            f"The voice's codes are {shorten(codes.dtype)} {list(shape)}; they must be {limit}. Export it"
            " again."
        )
    if codes.min() < 0 or codes.max() >= card:
        raise BadVoiceFile(
            f"The voice holds codes outside 0 to {card - 1}, which the model does not have. Export it again."
        )
    return codes.long()


def _metadata(data: bytes) -> dict[str, str]:
    """Return the metadata of a safetensors header, which `safetensors.torch.load` does not return.

    Source: the format is an 8-byte little-endian length, a JSON header, and the tensors.
    """
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    found = header.get("__metadata__") or {}
    if sum(len(key) + len(value) for key, value in found.items()) > MAX_METADATA_CHARS:
        raise BadVoiceFile(
            f"The voice file's notes are longer than {MAX_METADATA_CHARS:,} characters. Choose one that was"
            " exported here."
        )
    return found
