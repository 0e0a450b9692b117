"""Turn sentences into vectors that lie close together where the sentences mean the same.

The network is MiniLM-L6 (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, Apache-2.0), whose
weights come inside a package. It runs in CTranslate2, which the recogniser needs anyway, with int8 weights.
"""

from __future__ import annotations

import json
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..speech.weights import SENTENCES

WIDTH = 384
_LAYERS = 6
_HEADS = 12
# a sentence of a talk or of a prompt has far fewer; what lies past it is cut
_MAX_TOKENS = 128
# sentences of one call to the network, which holds its activations for all of them
_BATCH = 16
# 3 MiB of vectors: some hundred facts and examples, and what users say
_CACHED = 2_000


class SentenceEncoder:
    """Makes vectors of sentences; one instance serves all talks, from any thread.

    It remembers the vectors of the sentences that were used last.
    """

    def __init__(self) -> None:
        """Load the network, which takes about two seconds.

        Raises: WeightsError when the package is not installed, or its file is not the one that was tested.
        """
        import ctranslate2
        from tokenizers import Tokenizer

        with zipfile.ZipFile(SENTENCES.verified()) as package:
            self._tokenizer = Tokenizer.from_str(package.read("tokenizer.json").decode("utf-8"))
            spec = _specification(_tensors(package.read("model.safetensors")), self._tokenizer.get_vocab())
        # the package's own settings fill every text up to 128 tokens
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        # CTranslate2 loads its own format only; 23 MB are written in the time that finding a kept copy takes
        with TemporaryDirectory(prefix="personaplex-sentences-") as folder:
            spec.save(folder)
            files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        # one thread, as for the other models: they share the cores with the talks' ticks
        self._network = ctranslate2.Encoder(
            "sentences", compute_type="int8", inter_threads=1, intra_threads=1, files=files
        )
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the sentences' vectors; the dot product of two is their similarity, -1 to 1.

        Shapes: float32 [N, 384], each row of length 1.
        """
        with self._lock:
            found = {text: self._known[text] for text in texts if text in self._known}
        # of similar length together, since a batch is as long as its longest sentence
        fresh = sorted({*texts} - found.keys(), key=len)
        for start in range(0, len(fresh), _BATCH):
            batch = fresh[start : start + _BATCH]
            found.update(zip(batch, self._run(batch), strict=True))
        with self._lock:
            for text in found:
                self._known[text] = found[text]
                self._known.move_to_end(text)
            while len(self._known) > _CACHED:
                self._known.popitem(last=False)
        return np.stack([found[text] for text in texts]) if texts else np.zeros((0, WIDTH), np.float32)

    def _run(self, texts: list[str]) -> list[np.ndarray]:
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        states = np.array(self._network.forward_batch(tokens).last_hidden_state)
        # what stands past a shorter sentence's end is padding
        means = [state[: len(ids)].mean(axis=0) for state, ids in zip(states, tokens, strict=True)]
        return [mean / np.linalg.norm(mean) for mean in means]


def _tensors(content: bytes) -> dict[str, np.ndarray]:
    """Return the float32 tensors of a safetensors file.

    Source: https://huggingface.co/docs/safetensors, the format: a length, a header in JSON, the data.
    """
    begin = 8 + int.from_bytes(content[:8], "little")
    # a copy, since bytes cannot be quantised in place
    data = bytearray(content[begin:])
    header = json.loads(content[8:begin])
    return {
        name: np.frombuffer(data, np.float32, int(np.prod(entry["shape"])), entry["data_offsets"][0]).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }


def _specification(tensors: Mapping[str, np.ndarray], vocabulary: Mapping[str, int]) -> Any:
    """Return the network as CTranslate2 describes one, with int8 weights.

    Source: `BertLoader` in ctranslate2.converters.transformers, which needs torch to do the same.
    """
    from ctranslate2.specs import common_spec, transformer_spec

    def linear(target: Any, *names: str) -> None:
        target.weight = np.concatenate([tensors[f"{name}.weight"] for name in names])
        target.bias = np.concatenate([tensors[f"{name}.bias"] for name in names])

    def normalised(target: Any, name: str) -> None:
        target.gamma = tensors[f"{name}.weight"]
        target.beta = tensors[f"{name}.bias"]

    encoder: Any = transformer_spec.TransformerEncoderSpec(
        _LAYERS,
        _HEADS,
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
    )
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = tensors["embeddings.word_embeddings.weight"]
    encoder.embeddings[1].weight = tensors["embeddings.token_type_embeddings.weight"]
    encoder.position_encodings.encodings = tensors["embeddings.position_embeddings.weight"]
    normalised(encoder.layernorm_embedding, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        name = f"encoder.layer.{number}"
        attention = f"{name}.attention.self"
        linear(layer.self_attention.linear[0], f"{attention}.query", f"{attention}.key", f"{attention}.value")
        linear(layer.self_attention.linear[1], f"{name}.attention.output.dense")
        normalised(layer.self_attention.layer_norm, f"{name}.attention.output.LayerNorm")
        linear(layer.ffn.linear_0, f"{name}.intermediate.dense")
        linear(layer.ffn.linear_1, f"{name}.output.dense")
        normalised(layer.ffn.layer_norm, f"{name}.output.LayerNorm")
    spec: Any = transformer_spec.TransformerEncoderModelSpec(encoder)
    spec.register_vocabulary(sorted(vocabulary, key=lambda token: vocabulary[token]))
    spec.config.unk_token = "[UNK]"  # noqa: S105 - a token of text
    spec.config.layer_norm_epsilon = 1e-12
    spec.validate()
    spec.optimize("int8")
    return spec
