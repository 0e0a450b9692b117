"""Steering a row's text: what is forced is spoken, in order, and nobody else's tokens change."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from personaplex_app.model.config import EPAD, PAD
from personaplex_app.model.duplex import Duplex
from personaplex_app.model.generation import GREEDY, RowSampling
from personaplex_app.model.steering import BACKCHANNELS, FREE, NONE, Gate, Steer, gate_table, steered

from .support import tiny

CARD = 50
WORDS = [token for token in range(CARD) if token not in (EPAD, PAD)]


def decide(wish: int, steer: Steer, gates=None) -> int:
    gates = torch.ones(len(Gate), CARD, dtype=torch.bool) if gates is None else gates
    numbers = torch.tensor([[steer.forced, steer.following, steer.epad, steer.gate]])
    return int(steered(torch.tensor([wish]), numbers, gates)[0])


@pytest.mark.parametrize("wish", [EPAD, PAD, 7])
def test_nothing_is_changed_where_nothing_is_steered(wish):
    assert decide(wish, FREE) == wish


@pytest.mark.parametrize("wish", [EPAD, PAD, 7])
def test_forced_token_comes_whatever_the_model_wants(wish):
    assert decide(wish, Steer(forced=9, following=11, gate=Gate.HOLD)) == 9
    assert decide(wish, Steer(forced=EPAD)) == EPAD


def test_following_word_comes_when_the_model_wants_any_word():
    assert [decide(wish, Steer(following=9)) for wish in (PAD, EPAD, 7, 9)] == [PAD, EPAD, 9, 9]
    # two EPAD in a row would be none of the model's own
    assert decide(EPAD, Steer(following=9, epad=False)) == 9


def test_gate_lets_only_its_tokens_pass():
    gates = torch.ones(len(Gate), CARD, dtype=torch.bool)
    gates[Gate.HOLD] = False
    gates[Gate.HOLD, 8] = True
    held = Steer(gate=Gate.HOLD)
    assert [decide(wish, held, gates) for wish in (PAD, EPAD, 7, 8)] == [PAD, EPAD, PAD, 8]


@given(
    st.sampled_from([EPAD, PAD, *WORDS]),
    st.sampled_from([NONE, EPAD, PAD, 5]),
    st.sampled_from([NONE, 6]),
    st.booleans(),
    st.sampled_from(list(Gate)),
)
def test_decided_token_is_the_models_the_lines_or_silence(wish, forced, following, epad, gate):
    token = decide(wish, Steer(forced, following, epad, gate))
    assert token in {forced} if forced != NONE else {wish, following, PAD} - {NONE}


def test_gates_know_signs_of_listening_and_what_goes_on_with_a_word():
    tokenizer = tiny.checkpoint().tokenizer
    gates = gate_table(tokenizer, len(tokenizer))
    assert gates[Gate.FREE].all()
    # this vocabulary spells words in letters, of which other words could be made
    assert not gates[Gate.HOLD].any()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            tokenizer, "words", lambda word: [BACKCHANNELS.index(word)] if word in ("yes", "oh") else [1, 2]
        )
        assert gate_table(tokenizer, len(tokenizer))[Gate.HOLD].nonzero()[:, 0].tolist() == [
            BACKCHANNELS.index("yes"),
            BACKCHANNELS.index("oh"),
        ]
    going_on = [tokenizer.piece(token) for token in gates[Gate.FINISH].nonzero()[:, 0].tolist()]
    assert going_on
    assert not [piece for piece in going_on if piece.startswith(" ")]


SAMPLINGS = [GREEDY, RowSampling(seed=1), RowSampling(text_topk=0, text_temperature=1.5, seed=5)]


def talk(duplex: Duplex, row: int, sampling: RowSampling, frames: int, steer=lambda frame: FREE, beside=()):
    """Hold a talk in one row, beside rows that are stepped too; return [text, codes, decided] a frame."""
    about, _ = tiny.case("voice_and_text")
    prompt = tiny.prompt(about["voice"].removesuffix(".pt"), about["text_prompt"])
    for each in (row, *beside):
        duplex.set_sampling(each, sampling)
        list(duplex.prefill(each, prompt, 1000))
    said = []
    for frame, user in enumerate(tiny.user_wav().reshape(-1, 1920)[:frames]):
        steers = {row: steer(frame), **{each: Steer(forced=PAD) for each in beside}}
        out = duplex.step(dict.fromkeys(steers, np.ascontiguousarray(user)), steers)[row]
        said.append((out.text, out.codes, out.decided))
    return said


@pytest.fixture(scope="module")
def two():
    return Duplex(tiny.checkpoint(), 2)


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [GREEDY, SAMPLINGS[-1]], ids=["greedy", "sampled"])
def test_steered_row_says_what_is_forced_and_is_itself_until_then(two, sampling):
    free = talk(two, 0, sampling, 24)
    line = [EPAD, 17, 18, PAD, PAD, 21]
    here = range(9, 15)
    forced = talk(
        two, 0, sampling, 24, lambda frame: Steer(forced=line[frame - 9]) if frame in here else FREE
    )
    # decided in one frame, it surfaces in the next
    assert [decided for _, _, decided in forced[9:15]] == line
    assert [text for text, _, _ in forced[10:16]] == line
    assert [text for text, _, _ in free[1:]] == [decided for _, _, decided in free[:-1]]
    assert [each[:2] for each in forced[:9]] == [each[:2] for each in free[:9]]
    # the text is spoken: from the frame in which it is decided the codes are others
    assert forced[10:16] != free[10:16]
    # what the model would have said all the same, forced: seeds stay aligned
    same = talk(two, 0, sampling, 24, lambda frame: Steer(forced=free[frame][2]) if frame in here else FREE)
    assert same == free


@pytest.mark.slow
def test_steering_one_row_leaves_its_neighbour_as_it_was(two):
    alone = talk(two, 1, SAMPLINGS[1], 16)
    assert talk(two, 1, SAMPLINGS[1], 16, beside=[0]) == alone


@pytest.mark.slow
def test_held_row_is_quiet_but_for_signs_of_listening(two):
    tokenizer = tiny.checkpoint().tokenizer
    gates = gate_table(tokenizer, len(tokenizer))
    # the window of the tiny checkpoint's cache is written anew meanwhile
    held = talk(two, 0, SAMPLINGS[2], 60, lambda frame: Steer(gate=Gate.HOLD))
    assert all(gates[Gate.HOLD, decided] or decided in (PAD, EPAD) for _, _, decided in held)
