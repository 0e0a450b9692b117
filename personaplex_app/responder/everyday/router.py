"""Route a turn by meaning: to the intent, feeling or topic whose example sentence is nearest to it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...yaml_fields import load_yaml
from ..sentence_encoder import SentenceEncoder
from .feelings import load_feelings
from .intents import load_intents
from .statements import load_topics

MEANINGS_FILE = Path(__file__).with_name("meanings.yaml")

# cosine similarity from which an example is near enough; below, people meant something else too often
NEAR = 0.5
NEAR_TOLD = 0.62
# similarity from which it goes before the role's notes and the rules of its words
SURE = 0.64
# from here it is the same but for a word
SAME = 0.75
# so far must the best name lie before the next best one
MARGIN = 0.05
# what a turn tells about is taken up as a topic from this similarity
TOPIC = 0.42
# what must not be taken for something else: it is recognised by its words alone
_BY_RULE_ONLY = frozenset(("emergency", "insult", "love", "laugh", "greeting", "apology", "languages"))


class Router:
    """Nearest neighbour over example sentences."""

    def __init__(self, encoder: SentenceEncoder, examples: Mapping[str, Sequence[str]]) -> None:
        """`examples` are names with the sentences that stand for them; they are encoded here."""
        self._encoder = encoder
        self._names = np.array([name for name, sentences in examples.items() for _ in sentences])
        self._vectors = encoder.encode([each for sentences in examples.values() for each in sentences])

    def route(self, text: str, least: float = NEAR, margin: float = MARGIN) -> str:
        """Return the name whose example is nearest to a text, "" when none is near enough.

        An example that is almost the text itself needs no `margin` before other names.
        """
        similarity = self._vectors @ self._encoder.encode([text])[0]
        best = self._names[similarity.argmax()]
        others = similarity[self._names != best]
        most = similarity.max()
        alone = most >= SAME or most - others.max(initial=-1.0) >= margin
        return str(best) if most >= least and alone else ""


class Routers:
    """What an encoder's talks are routed by.

    To `meant`, an intent or feeling; to `topics`; to `orders`, what is done with an order.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        """Encode all examples, which takes about a second."""
        own = load_yaml(MEANINGS_FILE)
        feelings = {each.name: each.examples for each in load_feelings()}
        examples: dict[str, list[str]] = {
            "": [*own["none"], *(text for each in load_topics() for text in each.examples)]
        }
        for each in load_intents():
            if each.name not in _BY_RULE_ONLY:
                examples[each.name] = [*each.examples, *own["intents"].get(each.name, ())]
        for name, sentences in own["feelings"].items():
            examples[name] = [*feelings.get(name, ()), *sentences]
        self.meant = Router(encoder, examples)
        self.orders = Router(encoder, {"": own["none"], **own["orders"]})
        self.topics = Router(encoder, {each.name: each.examples for each in load_topics()})


_making = threading.Lock()


@lru_cache(maxsize=1)
def _made(encoder: SentenceEncoder) -> Routers:
    return Routers(encoder)


def routers(encoder: SentenceEncoder) -> Routers:
    """Return the routers of an encoder, made by the first call: an engine makes it while it is loaded."""
    with _making:
        return _made(encoder)
