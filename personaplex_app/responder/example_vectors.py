"""The vectors of the example sentences that all talks share, made once and shipped beside them.

Encoding them takes seconds of a core, which each start of the app would pay. A sentence that the file does
not have, such as one that was just added to the examples, is encoded as any other;
`scripts/make_example_vectors.py` writes the file anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

VECTORS_FILE = Path(__file__).with_name("example_vectors.npz")
_STEPS = 127


class ExampleVectors:
    """Finds sentences' vectors by a hash of their text."""

    def __init__(self, path: Path | None = VECTORS_FILE) -> None:
        """Read the file, which takes half a megabyte; None for no vectors."""
        self._places: dict[int, int] = {}
        if path:
            with np.load(path) as file:
                self._vectors = file["vectors"]
                self._places = {int(key): place for place, key in enumerate(file["keys"])}

    def find(self, texts: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the vectors of those sentences that the file has. Shapes: float32 [384], of length 1."""
        places = {text: place for text in texts if (place := self._places.get(_key(text))) is not None}
        vectors = {text: self._vectors[place].astype(np.float32) for text, place in places.items()}
        return {text: vector / np.linalg.norm(vector) for text, vector in vectors.items()}


def write_vectors(vectors: Mapping[str, np.ndarray], path: Path = VECTORS_FILE) -> None:
    """Write the file: 64 bits of each text's hash, and its vector in steps of its largest part / 127."""
    texts = sorted(vectors, key=_key)
    rows = np.stack([vectors[text] for text in texts])
    rounded = np.rint(rows * (_STEPS / np.abs(rows).max(axis=1, keepdims=True))).astype(np.int8)
    np.savez_compressed(path, keys=np.array([_key(text) for text in texts], np.uint64), vectors=rounded)


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
