"""Turn sentences into vectors that lie close together where the sentences mean the same.

The network is MiniLM-L6 (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, Apache-2.0), whose
weights come inside a package, or from the Hub.
It runs in CTranslate2, which the recogniser needs anyway, with int8 weights.
"""

from __future__ import annotations

import json
import struct
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np

from .encoder_weights import EncoderFiles, packaged_files
from .example_vectors import ExampleVectors

WIDTH = 384
_LAYERS = 6
_HEADS = 12
# what CTranslate2 asks for, and its numbers of an activation, a way to merge embeddings, and types
_GELU = 3
_ADD = 1
_CONFIG = {"unk_token": "[UNK]", "bos_token": "[CLS]", "eos_token": "[SEP]", "layer_norm_epsilon": 1e-12}
_TYPES = {"float32": 0, "int8": 1, "int16": 2}
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

    def __init__(self, files: EncoderFiles | None = None, examples: ExampleVectors | None = None) -> None:
        """Load the network, by default of the installed package, which takes about a second.

        `examples` are vectors that are known before, by default those that ship with the app.
        Raises: WeightsError when the package is not installed, or its file is not the one that was tested.
        """
        import ctranslate2
        from tokenizers import Tokenizer

        files = files or packaged_files()
        self._tokenizer = Tokenizer.from_str(files.tokenizer.decode("utf-8"))
        tensors = _tensors(files.weights)
        vocabulary = self._tokenizer.get_vocab()
        network = {
            "model.bin": _model_file(_variables(tensors)),
            "config.json": json.dumps(_CONFIG).encode(),
            "vocabulary.json": json.dumps(sorted(vocabulary, key=lambda each: vocabulary[each])).encode(),
        }
        # the package's own settings fill every text up to 128 tokens
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        # one thread, as for the other models: they share the cores with the talks' ticks
        self._network = ctranslate2.Encoder(
            "sentences", compute_type="int8", inter_threads=1, intra_threads=1, files=network
        )
        self._examples = examples or ExampleVectors()
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the sentences' vectors; the dot product of two is their similarity, -1 to 1.

        Shapes: float32 [N, 384], each row of length 1.
        """
        with self._lock:
            found = {text: self._known[text] for text in texts if text in self._known}
        examples = self._examples.find({*texts} - found.keys())
        # of similar length together, since a batch is as long as its longest sentence
        fresh = sorted({*texts} - found.keys() - examples.keys(), key=len)
        for start in range(0, len(fresh), _BATCH):
            batch = fresh[start : start + _BATCH]
            found.update(zip(batch, self._run(batch), strict=True))
        with self._lock:
            for text in found:
                self._known[text] = found[text]
                self._known.move_to_end(text)
            while len(self._known) > _CACHED:
                self._known.popitem(last=False)
        found |= examples
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
    header = json.loads(content[8:begin])
    return {
        name: np.frombuffer(
            content, np.float32, int(np.prod(entry["shape"])), begin + entry["data_offsets"][0]
        ).reshape(entry["shape"])
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }


def _variables(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | np.generic]:
    """Return the network's variables under CTranslate2's names, the large ones quantised to int8.

    Source: `BertLoader` in ctranslate2.converters.transformers, which needs torch to do the same.
    """
    found: dict[str, np.ndarray | np.generic] = {
        "encoder/activation": np.int8(_GELU),
        "encoder/embeddings_merge": np.int8(_ADD),
        "encoder/multi_query_attention": np.int8(False),
        "encoder/num_heads": np.int16(_HEADS),
        "encoder/pre_norm": np.int8(False),
        "encoder/scale_embeddings": np.int8(False),
        "encoder/position_encodings/encodings": tensors["embeddings.position_embeddings.weight"],
    }
    matrices = {
        "embeddings_0": ["embeddings.word_embeddings"],
        "embeddings_1": ["embeddings.token_type_embeddings"],
    }
    norms = {"layernorm_embedding": "embeddings.LayerNorm"}
    for number in range(_LAYERS):
        ours = f"layer_{number}"
        theirs = f"encoder.layer.{number}"
        matrices[f"{ours}/self_attention/linear_0"] = [
            f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")
        ]
        matrices[f"{ours}/self_attention/linear_1"] = [f"{theirs}.attention.output.dense"]
        matrices[f"{ours}/ffn/linear_0"] = [f"{theirs}.intermediate.dense"]
        matrices[f"{ours}/ffn/linear_1"] = [f"{theirs}.output.dense"]
        norms[f"{ours}/self_attention/layer_norm"] = f"{theirs}.attention.output.LayerNorm"
        norms[f"{ours}/ffn/layer_norm"] = f"{theirs}.output.LayerNorm"
    for ours, parts in matrices.items():
        weight = np.concatenate([tensors[f"{part}.weight"] for part in parts])
        # each row to the range of int8
        scale = 127 / np.abs(weight).max(axis=1)
        found[f"encoder/{ours}/weight"] = np.rint(weight * scale[:, None]).astype(np.int8)
        found[f"encoder/{ours}/weight_scale"] = scale
        if f"{parts[0]}.bias" in tensors:
            found[f"encoder/{ours}/bias"] = np.concatenate([tensors[f"{part}.bias"] for part in parts])
    for ours, theirs in norms.items():
        found[f"encoder/{ours}/gamma"] = tensors[f"{theirs}.weight"]
        found[f"encoder/{ours}/beta"] = tensors[f"{theirs}.bias"]
    return found


def _model_file(variables: Mapping[str, np.ndarray | np.generic]) -> bytes:
    """Return CTranslate2's model file of these variables.

    Source: `ModelSpec._serialize` in ctranslate2.specs.model_spec, which imports torch where that is
    installed: seconds and hundreds of megabytes.
    """

    def named(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode("ascii") + b"\0"

    # the format's version, the network's kind and revision
    parts = [struct.pack("<I", 6), named("TransformerEncoderSpec"), struct.pack("<II", 1, len(variables))]
    for name, value in variables.items():
        shape = struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        kind = struct.pack("<BI", _TYPES[value.dtype.name], value.nbytes)
        parts += [named(name), shape, kind, value.tobytes()]
    # no variable has a second name
    return b"".join([*parts, struct.pack("<I", 0)])
