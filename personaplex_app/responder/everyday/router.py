"""Route a turn by meaning: to the intent or feeling whose example sentence is nearest to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..sentence_encoder import SentenceEncoder

# cosine similarity from which an example is near enough; below, people meant something else too often
NEAR = 0.5
# so far must the best name lie before the next best one
MARGIN = 0.08


class Router:
    """Nearest neighbour over example sentences. The examples are encoded when the router is made."""

    def __init__(self, encoder: SentenceEncoder, examples: Sequence[tuple[str, Sequence[str]]]) -> None:
        """`examples` are names with the sentences that stand for them."""
        self._encoder = encoder
        self._names = tuple(name for name, sentences in examples for _ in sentences)
        self._vectors = encoder.encode([each for _, sentences in examples for each in sentences])

    def route(self, text: str, least: float = 0.0) -> str:
        """Return the name whose example is nearest to a text.

        "" when none is near enough, or nearer than `least`.
        """
        similarity = self._vectors @ self._encoder.encode([text])[0]
        order = np.argsort(-similarity)
        best = self._names[order[0]]
        other = next((similarity[k] for k in order if self._names[k] != best), 0.0)
        near = similarity[order[0]] >= max(NEAR, least) and similarity[order[0]] - other >= MARGIN
        return best if near else ""
