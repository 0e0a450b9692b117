"""Sentences that mean the same have vectors that lie close together."""

import numpy as np
import pytest

from personaplex_app.responder import sentence_encoder
from personaplex_app.responder.sentence_encoder import WIDTH, SentenceEncoder

pytestmark = pytest.mark.slow

FACTS = [
    "Night flights and flights over crowds are not allowed.",
    "Damage insurance costs twelve dollars per day.",
    "Renters must be at least eighteen and bring a photo ID.",
]


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder()


def test_encoder_vectors_have_the_stated_shape_and_length(encoder):
    vectors = encoder.encode(FACTS)
    assert vectors.shape == (3, WIDTH)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.encode([]).shape == (0, WIDTH)


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("Can we fly above the guests?", 0),
        ("What if I break it and want protection?", 1),
        ("I'm seventeen, is that okay?", 2),
    ],
)
def test_encoder_question_is_closest_to_the_fact_that_answers_it(encoder, question, fact):
    assert int(np.argmax(encoder.encode(FACTS) @ encoder.encode([question])[0])) == fact


def test_encoder_sentence_has_the_same_vector_alone_and_beside_longer_ones(encoder):
    beside = encoder.encode(
        ["Good morning.", "A sentence that is a good deal longer than the one before it."]
    )
    encoder._known.clear()
    alone = encoder.encode(["Good morning."])
    # int8 rounds activations by their batch
    assert float(alone[0] @ beside[0]) > 0.99


def test_encoder_cuts_a_text_that_is_too_long(encoder):
    assert encoder.encode(["word " * 5_000]).shape == (1, WIDTH)


def test_encoder_remembers_a_bounded_number_of_sentences(encoder, monkeypatch):
    monkeypatch.setattr(sentence_encoder, "_CACHED", 2)
    encoder.encode(FACTS)
    assert len(encoder._known) == 2
    # more than are remembered are still all returned, in order
    assert int(np.argmax(encoder.encode(FACTS) @ encoder.encode([FACTS[1]])[0])) == 1
