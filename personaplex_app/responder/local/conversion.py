"""Make an ONNX model with 8-bit weights of a Llama or Qwen2 checkpoint, without PyTorch.

One tensor at a time is in memory as float32. Own code, since exporters need PyTorch and transformers (2 GB of
packages), and the `safetensors` package needs PyTorch for bfloat16.

Source: the file format is documented at https://huggingface.co/docs/safetensors, the operators of
`com.microsoft` in ONNX Runtime's ContribOperators.md. Weights are quantised in blocks of 32, each with its
scale: its greatest magnitude over 127.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import WeightsError, reason_of
from .onnx_file import CONTRIB, OnnxWriter

WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FILE = "model.safetensors", "config.json", "tokenizer.json"
MODEL_FILE = "model.onnx"
MAX_TOKENS = 2_048
"""The longest context: role, talk and reply."""
_ARCHITECTURES = ("LlamaForCausalLM", "Qwen2ForCausalLM")
_DTYPES = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
_BLOCK = 32
_ZERO_POINT = 128
# int8 activations, the fastest of the operator's levels on a CPU
_ACCURACY_LEVEL = 4


@dataclass(frozen=True)
class DecoderShape:
    """The sizes of a checkpoint's decoder."""

    layers: int
    heads: int
    heads_kv: int
    width: int
    head_width: int
    vocabulary: int
    rope_base: float
    norm_epsilon: float
    tied: bool

    @classmethod
    def of(cls, config: dict[str, Any]) -> DecoderShape:
        """Return the shape of a `config.json`. Raises: ValueError for a model of another kind."""
        if not set(config["architectures"]) & set(_ARCHITECTURES):
            raise ValueError(f"its architecture is {', '.join(config['architectures'])}")
        if config.get("rope_scaling") or config.get("use_sliding_window"):
            raise ValueError("it scales its positions or slides its window")
        heads = config["num_attention_heads"]
        shape = cls(
            config["num_hidden_layers"],
            heads,
            config.get("num_key_value_heads", heads),
            config["hidden_size"],
            config.get("head_dim") or config["hidden_size"] // heads,
            config["vocab_size"],
            float(config.get("rope_theta", 10_000)),
            config["rms_norm_eps"],
            config.get("tie_word_embeddings", False),
        )
        if shape.width % _BLOCK or config["intermediate_size"] % _BLOCK:
            raise ValueError(f"its widths are no multiples of {_BLOCK}")
        return shape


def convert(checkpoint: Path, folder: Path) -> None:
    """Write the converted model of the files in `checkpoint` into the existing `folder`.

    Raises: WeightsError when the checkpoint is of another architecture, or is cut off; OSError.
    """
    try:
        shape = DecoderShape.of(json.loads((checkpoint / CONFIG_FILE).read_text("utf-8")))
        tensors = _Tensors(checkpoint / WEIGHTS_FILE)
        with OnnxWriter(folder / MODEL_FILE) as writer:
            _Conversion(writer, shape, tensors).write()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # plain ones are raised here; a name that is missing is one of the checkpoint's own
        why = str(error) if type(error) in (ValueError, KeyError) else reason_of(error)
        raise WeightsError(
            f"The language model in {checkpoint} cannot be read ({why}); it must be"
            f" a Llama or Qwen2 checkpoint in one {WEIGHTS_FILE}."
        ) from error


class _Tensors:
    """The tensors of a safetensors file, read one by one."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            if header_bytes > path.stat().st_size:
                raise ValueError("its header is cut off")
            self._header: dict[str, Any] = json.loads(file.read(header_bytes))
        self._data = np.memmap(path, np.uint8, mode="r", offset=8 + header_bytes)

    def __contains__(self, name: str) -> bool:
        return name in self._header

    def read(self, name: str) -> np.ndarray:
        """Return a tensor as float32."""
        about = self._header[name]
        start, end = about["data_offsets"]
        values = self._data[start:end].view(_DTYPES[about["dtype"]]).reshape(about["shape"])
        if about["dtype"] == "BF16":  # the upper half of a float32
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32)


class _Conversion:
    """Writes one decoder: tokens and each layer's past keys and values in, the last token's logits and the
    present keys and values out.
    """

    def __init__(self, writer: OnnxWriter, shape: DecoderShape, tensors: _Tensors) -> None:
        self._writer = writer
        self._shape = shape
        self._tensors = tensors

    def write(self) -> None:
        writer, shape = self._writer, self._shape
        writer.input("input_ids", "int64", (1, "new"))
        writer.input("last_position", "int32", (1,))
        writer.input("total_tokens", "int32", ())
        angles = np.outer(
            np.arange(MAX_TOKENS), shape.rope_base ** -(np.arange(0, shape.head_width, 2) / shape.head_width)
        )
        writer.weight("cos", np.cos(angles).astype(np.float32))
        writer.weight("sin", np.sin(angles).astype(np.float32))
        stream = self._embedding()
        for layer in range(shape.layers):
            stream = self._layer(layer, stream)
        last = writer.node("Gather", (stream, writer.constant("last", np.array([-1]))), ("newest",), axis=1)
        hidden = self._norm("model.norm", last)
        if shape.tied:
            self._product("logits", hidden, "model.embed_tokens", shape.vocabulary)
        else:
            self._linear("logits", hidden, "lm_head")
        writer.output("logits", "float32", (1, 1, shape.vocabulary))

    def _embedding(self) -> str:
        """Add the tokens' vectors. The weights are shared with the logits' where these are tied."""
        name, writer = "model.embed_tokens", self._writer
        self._quantised(name, self._tensors.read(f"{name}.weight"))
        blocks = writer.node("Gather", (f"{name}.blocks", "input_ids"), ("token_blocks",))
        scales = writer.node("Gather", (f"{name}.scales", "input_ids"), ("token_scales",))
        writer.node("Cast", (blocks,), ("token_floats",), to=1)
        zero = writer.constant("zero_point", np.array(_ZERO_POINT, np.float32))
        writer.node("Sub", ("token_floats", zero), ("token_centred",))
        axis = writer.constant("last_axis", np.array([-1]))
        writer.node("Unsqueeze", (scales, axis), ("token_scale",))
        writer.node("Mul", ("token_centred", "token_scale"), ("token_scaled",))
        flat = writer.constant("width", np.array([1, -1, self._shape.width]))
        return writer.node("Reshape", ("token_scaled", flat), ("embedded",))

    def _layer(self, layer: int, stream: str) -> str:
        shape, writer = self._shape, self._writer
        prefix, kv = f"model.layers.{layer}", (1, shape.heads_kv, "past", shape.head_width)
        hidden = self._norm(f"{prefix}.input_layernorm", stream)
        projected = [
            self._linear(f"{prefix}.{name}", hidden, f"{prefix}.self_attn.{name}_proj") for name in "qkv"
        ]
        past = [writer.input(f"past.{layer}.{name}", "float32", kv) for name in ("key", "value")]
        present = [f"present.{layer}.{name}" for name in ("key", "value")]
        for name in present:
            writer.output(name, "float32", (1, shape.heads_kv, "total", shape.head_width))
        attended = writer.node(
            "GroupQueryAttention",
            (*projected, *past, "last_position", "total_tokens", "cos", "sin"),
            (f"{prefix}.attended", *present),
            CONTRIB,
            num_heads=shape.heads,
            kv_num_heads=shape.heads_kv,
            do_rotary=1,
        )
        mixed = self._linear(f"{prefix}.mixed", attended, f"{prefix}.self_attn.o_proj")
        stream = writer.node("Add", (stream, mixed), (f"{prefix}.after_attention",))
        hidden = self._norm(f"{prefix}.post_attention_layernorm", stream)
        gate = self._linear(f"{prefix}.gate", hidden, f"{prefix}.mlp.gate_proj")
        up = self._linear(f"{prefix}.up", hidden, f"{prefix}.mlp.up_proj")
        sigmoid = writer.node("Sigmoid", (gate,), (f"{prefix}.sigmoid",))
        swish = writer.node("Mul", (gate, sigmoid), (f"{prefix}.swish",))
        gated = writer.node("Mul", (swish, up), (f"{prefix}.gated",))
        down = self._linear(f"{prefix}.down", gated, f"{prefix}.mlp.down_proj")
        return writer.node("Add", (stream, down), (f"{prefix}.out",))

    def _norm(self, name: str, stream: str) -> str:
        scale = self._writer.weight(f"{name}.weight", self._tensors.read(f"{name}.weight"))
        return self._writer.node(
            "SimplifiedLayerNormalization",
            (stream, scale),
            (f"{name}.out",),
            axis=-1,
            epsilon=self._shape.norm_epsilon,
        )

    def _linear(self, out: str, hidden: str, name: str) -> str:
        weight = self._tensors.read(f"{name}.weight")
        self._quantised(name, weight)
        if f"{name}.bias" not in self._tensors:
            return self._product(out, hidden, name, *weight.shape)
        product = self._product(f"{out}.product", hidden, name, *weight.shape)
        bias = self._writer.weight(f"{name}.bias", self._tensors.read(f"{name}.bias"))
        return self._writer.node("Add", (product, bias), (out,))

    def _quantised(self, name: str, weight: np.ndarray) -> None:
        rows = weight.shape[0]
        blocks = weight.reshape(rows, -1, _BLOCK)
        scales = np.abs(blocks).max(axis=2) / 127
        scales[scales == 0] = 1
        quantised = np.rint(blocks / scales[:, :, None] + _ZERO_POINT).astype(np.uint8)
        self._writer.weight(f"{name}.blocks", quantised)
        self._writer.weight(f"{name}.scales", scales)

    def _product(self, out: str, hidden: str, name: str, rows: int, width: int = 0) -> str:
        return self._writer.node(
            "MatMulNBits",
            (hidden, f"{name}.blocks", f"{name}.scales"),
            (out,),
            CONTRIB,
            K=width or self._shape.width,
            N=rows,
            bits=8,
            block_size=_BLOCK,
            accuracy_level=_ACCURACY_LEVEL,
        )
