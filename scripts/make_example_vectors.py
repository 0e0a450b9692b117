"""Write the vectors of the example sentences that all talks share: python -m scripts.make_example_vectors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from personaplex_app.responder.example_vectors import ExampleVectors, write_vectors
from personaplex_app.responder.rules import prepare
from personaplex_app.responder.sentence_encoder import WIDTH, SentenceEncoder


class Listing:
    """Stands where an encoder does and lists what it is asked for."""

    def __init__(self) -> None:
        self.texts: set[str] = set()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """List the texts. Shapes: float32 [N, 384] of zeros."""
        self.texts.update(texts)
        return np.zeros((len(texts), WIDTH), np.float32)


def shared_examples() -> list[str]:
    """Return the sentences that are encoded before the first talk."""
    listing: Any = Listing()
    prepare(listing)
    return sorted(listing.texts)


if __name__ == "__main__":
    examples = shared_examples()
    encoder = SentenceEncoder(examples=ExampleVectors(None))
    write_vectors(dict(zip(examples, encoder.encode(examples), strict=True)))
