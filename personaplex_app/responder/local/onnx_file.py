"""Write an ONNX model whose weights stand in a file beside it.

Own code, since the `onnx` package (25 MB with what it needs) would be installed for one file that is written
once. Only what a decoder's graph needs is here.

Source: `onnx.proto` (https://github.com/onnx/onnx) in the encoding of protocol buffers: each field is its
number and wire type, then a varint, four bytes, or a length and bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

_TYPES = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7}
_FLOAT_ATTRIBUTE, _INT_ATTRIBUTE = 1, 2
_IR_VERSION, _OPSET, _CONTRIB_OPSET = 8, 17, 1
CONTRIB = "com.microsoft"
_ALIGN_BYTES = 4096
Shape = Sequence[int | str]


class OnnxWriter:
    """Collects a graph and writes the weights as they come, so that they are never all in memory.

    To be used as a context manager; the model is written at its end.
    """

    def __init__(self, model: Path) -> None:
        self._model = model
        self._weights_name = f"{model.name}.data"
        self._weights: BinaryIO = (model.parent / self._weights_name).open("wb")
        self._nodes: list[bytes] = []
        self._initializers: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []

    def __enter__(self) -> OnnxWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._weights.close()
        if error is None:
            self._write_model()

    def input(self, name: str, dtype: str, shape: Shape) -> str:
        self._inputs.append(_value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: str, shape: Shape) -> None:
        self._outputs.append(_value_info(name, dtype, shape))

    def weight(self, name: str, values: np.ndarray) -> str:
        """Write a constant and return its name."""
        self._weights.write(bytes(-self._weights.tell() % _ALIGN_BYTES))
        about = {
            "location": self._weights_name,
            "offset": str(self._weights.tell()),
            "length": str(values.nbytes),
        }
        external = (_text(1, key) + _text(2, value) for key, value in about.items())
        self._initializers.append(
            b"".join(_varint_field(1, size) for size in values.shape)
            + _varint_field(2, _TYPES[values.dtype.name])
            + _text(8, name)
            + b"".join(_bytes(13, entry) for entry in external)
            + _varint_field(14, 1)  # its data is external
        )
        self._weights.write(np.ascontiguousarray(values).data)
        return name

    def constant(self, name: str, values: np.ndarray) -> str:
        """Add a small constant that stands in the model itself, where shapes are taken from it."""
        dims = b"".join(_varint_field(1, size) for size in values.shape)
        about = _varint_field(2, _TYPES[values.dtype.name]) + _text(8, name)
        self._initializers.append(dims + about + _bytes(9, values.tobytes()))
        return name

    def node(
        self,
        operator: str,
        inputs: Iterable[str],
        outputs: Sequence[str],
        domain: str = "",
        **attributes: int | float,
    ) -> str:
        """Add an operation and return its first output's name."""
        self._nodes.append(
            b"".join(_text(1, name) for name in inputs)
            + b"".join(_text(2, name) for name in outputs)
            + _text(3, outputs[0])
            + _text(4, operator)
            + b"".join(_bytes(5, _attribute(name, value)) for name, value in attributes.items())
            + (_text(7, domain) if domain else b"")
        )
        return outputs[0]

    def _write_model(self) -> None:
        parts = ((1, self._nodes), (5, self._initializers), (11, self._inputs), (12, self._outputs))
        graph = b"".join(_bytes(number, each) for number, all_ in parts for each in all_)
        opsets = (("", _OPSET), (CONTRIB, _CONTRIB_OPSET))
        self._model.write_bytes(
            _varint_field(1, _IR_VERSION)
            + _bytes(7, graph + _text(2, "decoder"))
            + b"".join(_bytes(8, _text(1, name) + _varint_field(2, version)) for name, version in opsets)
        )


def _attribute(name: str, value: int | float) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _key(2, 5) + struct.pack("<f", value) + _varint_field(20, _FLOAT_ATTRIBUTE)
    return _text(1, name) + _varint_field(3, value) + _varint_field(20, _INT_ATTRIBUTE)


def _value_info(name: str, dtype: str, shape: Shape) -> bytes:
    sizes = (_varint_field(1, size) if isinstance(size, int) else _text(2, size) for size in shape)
    tensor = _varint_field(1, _TYPES[dtype]) + _bytes(2, b"".join(_bytes(1, size) for size in sizes))
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint_field(number: int, value: int) -> bytes:
    return _key(number, 0) + _varint(value)


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _bytes(number: int, value: bytes) -> bytes:
    return _key(number, 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are ten bytes of their two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
