"""Many rows in one batch: each speaks as it would alone, whoever comes and goes beside it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_app.model.config import COLUMN_ROWS
from personaplex_app.model.duplex import Duplex
from personaplex_app.model.generation import GREEDY, Rows, RowSampling
from personaplex_app.model.sampling import frame_key, gumbel, sample

from .support import tiny

pytestmark = pytest.mark.slow
ROWS = 4
FRAMES = 40  # the whole of the window, which is 39 positions, is written anew meanwhile
SAMPLINGS = [
    GREEDY,
    RowSampling(seed=1),
    RowSampling(audio_temperature=1.3, text_temperature=0.4, audio_topk=20, text_topk=0, seed=2**62 + 5),
    RowSampling(audio_temperature=0.7, text_temperature=0.0, audio_topk=0, text_topk=3, seed=-9),
]
PROMPTS = [
    ("NATF0", "You enjoy having a good conversation."),
    ("VARF2", ""),
    (None, "You are a wise and friendly teacher."),
]


def user(number: int) -> torch.Tensor:
    """A user of their own. Shapes: int64 [8, FRAMES]."""
    return tiny.user_codes().roll(7 * number, dims=1)[:, :FRAMES]


@pytest.fixture(scope="module")
def alone():
    """What each combination of prompt and sampling says alone."""
    known = {}

    def of(who: int) -> list[list[int]]:
        if who not in known:
            known[who] = tiny.talk(tiny.prompt(*PROMPTS[who % 3]), SAMPLINGS[who % 4], user(who))
        return known[who]

    return of


@settings(max_examples=2, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 11), st.integers(0, ROWS - 1), st.integers(0, 12), st.integers(1, FRAMES)),
        min_size=3,
        max_size=4,
    )
)
def test_rows_joining_and_leaving_each_speak_as_alone(alone, visits):
    """A visit is who comes, to which row, how many frames after the last one came, and for how long."""
    rows = Rows(tiny.checkpoint().lm, ROWS)
    seated: dict[int, list] = {}  # row → [who, frames said, frames to say]
    clock = 0

    def run(until: int) -> None:
        nonlocal clock
        while clock < until and seated:
            # each row skips a beat now and then, as a caller whose audio is late does
            here = [row for row in seated if (clock + row) % 5]
            codes = torch.zeros(ROWS, 8, dtype=torch.int64)
            active = torch.zeros(ROWS, dtype=torch.bool)
            for row in here:
                codes[row], active[row] = user(seated[row][0])[:, seated[row][1]], True
            step = rows.step(codes, active, here)
            for row in here:
                who, said, stay = seated[row]
                assert tiny.frame(step, row) == alone(who)[said]
                assert step.finite[row]
                seated[row][1] += 1
                if said + 1 == stay:
                    del seated[row]
            clock += 1

    for who, row, later, stay in visits:
        run(clock + later)
        seated.pop(row, None)
        rows.set_sampling(row, SAMPLINGS[who % 4])
        for _ in rows.prefill_chunks(row, tiny.prompt(*PROMPTS[who % 3]), 16):
            run(clock + 1)
        seated[row] = [who, 0, stay]
    run(10**6)


def test_rows_same_seed_replays_and_another_differs():
    prompt = tiny.prompt(*PROMPTS[0])
    first, again, other = (tiny.talk(prompt, RowSampling(seed=seed), user(0)) for seed in (3, 3, 4))
    assert first == again
    assert sum(a != b for a, b in zip(first, other, strict=True)) > FRAMES // 2


def test_rows_restored_snapshot_continues_as_the_prefilled_row():
    prompt = tiny.prompt(*PROMPTS[0])
    rows = Rows(tiny.checkpoint().lm, 3)
    rows.prefill(0, prompt)
    snapshot = rows.snapshot(0)
    for t in range(10):
        rows.step(user(1)[:, t].expand(3, 8), torch.tensor([True, False, True]), [0, 2])
    rows.restore(2, snapshot)
    rows.set_sampling(2, SAMPLINGS[1])
    said = []
    for t in range(FRAMES):
        codes = torch.zeros(3, 8, dtype=torch.int64)
        codes[2] = user(0)[:, t]
        said.append(tiny.frame(rows.step(codes, torch.tensor([False, False, True]), [2]), 2))
    assert said == tiny.talk(prompt, SAMPLINGS[1], user(0))
    assert snapshot.bytes == snapshot.data.shape[2] * tiny.checkpoint().lm.config.kv_bytes_per_frame(4)


@pytest.mark.parametrize("chunk", [1, 7, 39, 40, 1000])
def test_rows_prefill_in_any_chunks_equals_stepping_through(chunk):
    """The window wraps twice here: 110 positions, 39 of them visible."""
    lm, prompt = tiny.checkpoint().lm, tiny.prompt(*PROMPTS[0])
    rows = Rows(lm, 1)
    with torch.inference_mode():
        inputs = torch.cat([prompt.embeddings.float(), lm.embed(prompt.columns)])
        stepped = lm.empty_cache(1)
        for position, x in enumerate(inputs):
            span = lm.span(torch.tensor([position]), tiny.ONE, stepped, stepped.read_slots(position + 1))
            lm.transformer(x[None, None], stepped, span)
        list(rows.prefill_chunks(0, prompt, chunk))
    window = stepped.window
    assert (rows.state.cache.data[:, :, :, :window] - stepped.data[:, :, :, :window]).abs().max() < 1e-5
    assert rows.positions == [len(inputs)] == [int(rows.state.position[0])]


def test_rows_idle_row_keeps_everything():
    rows = Rows(tiny.checkpoint().lm, 2)
    rows.prefill(1, tiny.prompt(*PROMPTS[1]))
    state = rows.state
    window = state.cache.window
    before = [
        state.cache.data[:, :, 1, :window].clone(),
        state.column[1].clone(),
        state.delayed[1].clone(),
        state.position[1].clone(),
    ]
    rows.prefill(0, tiny.prompt(*PROMPTS[0]))
    for t in range(5):
        rows.step(user(0)[:, t].expand(2, 8), torch.tensor([True, False]), [0])
    after = [state.cache.data[:, :, 1, :window], state.column[1], state.delayed[1], state.position[1]]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_rows_row_whose_numbers_break_is_named_and_alone():
    rows = Rows(tiny.checkpoint().lm, 2)
    for row in (0, 1):
        rows.prefill(row, tiny.prompt(*PROMPTS[0]))
    rows.state.cache.data[0, 1, 0, 3] = math.nan
    said = []
    for t in range(5):
        step = rows.step(user(0)[:, t].expand(2, 8), torch.ones(2, dtype=torch.bool), [0, 1])
        assert step.finite.tolist() == [False, True]
        said.append(tiny.frame(step, 1))
    assert said == tiny.talk(tiny.prompt(*PROMPTS[0]), GREEDY, user(0)[:, :5])


def test_duplex_row_that_broke_is_clean_for_a_shorter_prompt():
    """Where the next prompt does not write over every slot, a masked NaN would still spread."""
    duplex = Duplex(tiny.checkpoint(), 1)
    short, silence = tiny.prompt(None, ""), {0: np.zeros(1920, np.float32)}
    assert short.positions < 30
    list(duplex.prefill(0, short, 100))
    duplex.rows.state.cache.data[0, 1, 0, [3, 30]] = math.nan
    assert not duplex.step(silence)[0].finite
    list(duplex.prefill(0, short, 100))
    assert duplex.step(silence)[0].finite


def test_rows_sampling_changes_while_talking():
    rows = Rows(tiny.checkpoint().lm, 1)
    rows.prefill(0, tiny.prompt(*PROMPTS[0]))
    greedy = tiny.talk(tiny.prompt(*PROMPTS[0]), GREEDY, user(0))
    said = []
    for t in range(20):
        if t == 10:
            rows.set_sampling(0, RowSampling(audio_temperature=2.0, text_temperature=2.0, seed=1))
        said.append(tiny.frame(rows.step(user(0)[None, :, t], tiny.ONE, [0]), 0))
    assert said[:10] == greedy[:10]
    assert said[11:] != greedy[11:20]


def noise_of(seed: int, position: torch.Tensor, stream: int):
    key = frame_key(torch.full_like(position, seed), position)[:, None]
    return lambda token: gumbel(key, torch.tensor([[stream]]), token[:, None])[:, 0]


def test_sample_draws_follow_the_softmax_of_the_most_likely():
    draws = 20_000
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, 1.5, -4.0])
    many = logits.expand(draws, 6)
    temperature, topk = torch.full((draws,), 0.8), torch.full((draws,), 4)
    chosen = sample(many, temperature, topk, 5, noise_of(77, torch.arange(draws), 2))
    share = torch.bincount(chosen, minlength=6) / draws
    expected = torch.softmax((logits / 0.8).masked_fill(logits < 0.0, -torch.inf), dim=0)
    assert (share - expected).abs().max() < 0.015
    assert share[[3, 5]].tolist() == [0, 0]


def test_sample_streams_seeds_and_positions_are_independent():
    flat = torch.zeros(4000, 64)
    ones, none = torch.ones(4000), torch.full((4000,), 64)
    position = torch.arange(4000)
    draws = [
        sample(flat, ones, none, 64, noise_of(seed, position, stream)) for seed in (0, 1) for stream in (0, 1)
    ]
    for a in range(4):
        for b in range(a):
            assert (draws[a] == draws[b]).float().mean() < 0.03
        assert (draws[a][1:] == draws[a][:-1]).float().mean() < 0.03


def test_embed_sums_every_row_of_a_column():
    lm = tiny.checkpoint().lm
    column = torch.arange(COLUMN_ROWS)
    expected = lm.text_emb.weight[0] + sum(lm.emb[k].weight[k + 1] for k in range(COLUMN_ROWS - 1))
    assert torch.allclose(lm.embed(column), expected, atol=1e-6)
