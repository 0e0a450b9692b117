"""Recorded frames.

A CUDA graph repeats kernels on fixed places; the tape here repeats PyTorch's operations in the same way.
"""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from personaplex_app.model.checkpoint import Checkpoint
from personaplex_app.model.config import LmConfig, MimiConfig
from personaplex_app.model.duplex import Duplex, Shape
from personaplex_app.model.generation import GREEDY, RowSampling
from personaplex_app.model.lm import Lm
from personaplex_app.model.mimi import Mimi

from .support import tiny

pytestmark = pytest.mark.slow
WAITS = (
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::is_nonzero",
    "aten::equal",
)
FROM_HOST = ("aten::lift_fresh", "aten::lift", "aten::_to_copy.device")


class Tape(TorchDispatchMode):
    """Notes every operation with the very tensors it was given; `replay` does them again, on what lies there
    by then.
    """

    def __init__(self):
        super().__init__()
        self.steps = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        assert func._schema.name not in (*WAITS, *FROM_HOST), f"{func} is not for a step"
        self.steps.append((func, args, kwargs or {}, made))
        return made

    def replay(self):
        now = {}  # what an operation made on the tape → what it made this time

        def current(x):
            return now.get(id(x), x) if isinstance(x, torch.Tensor) else x

        with torch.inference_mode():
            for func, args, kwargs, made in self.steps:
                again = func(*tree_map(current, args), **tree_map(current, kwargs))
                for old, new in zip(tree_iter(made), tree_iter(again), strict=True):
                    if isinstance(old, torch.Tensor):
                        now[id(old)] = new

    def shapes(self):
        return [
            (func, [tuple(x.shape) for x in tree_iter((args, made)) if isinstance(x, torch.Tensor)])
            for func, args, _, made in self.steps
        ]


def tape(work):
    with Tape() as recorded:
        work()
    return recorded.replay


def talk(duplex, row, name, frames, sampling=GREEDY):
    about, arrays = tiny.case(name)
    duplex.set_sampling(row, sampling)
    list(duplex.prefill(row, tiny.prompt(about["voice"].removesuffix(".pt"), about["text_prompt"]), 1000))
    users = tiny.user_wav().reshape(-1, 1920)[:frames]
    return [duplex.step({row: user})[row] for user in users], arrays


def test_duplex_recorded_frames_are_the_references(monkeypatch):
    duplex = Duplex(tiny.checkpoint(), 2)
    assert duplex.record(tape) == ""
    assert {shape.batch for shape in duplex._recorded} == {1, 2}
    monkeypatch.setattr(duplex, "_compute", lambda shape: pytest.fail("not replayed"))
    for row, name in ((1, "voice_only"), (0, "voice_and_text")):
        spoken, arrays = talk(duplex, row, name, 15)
        assert np.array_equal([[s.text, *s.codes] for s in spoken], arrays["rows"][:15, :9])
        assert np.abs(np.concatenate([s.pcm for s in spoken]) - arrays["pcm"][: 15 * 1920]).max() < 1e-4


def test_duplex_recorded_frames_sample_as_computed_ones_and_wider_choices_are_computed():
    recorded, computed = Duplex(tiny.checkpoint(), 1), Duplex(tiny.checkpoint(), 1)
    recorded.record(tape)
    ran = []
    plain = recorded._compute
    recorded._compute = lambda shape: ran.append(shape) or plain(shape)
    for sampling, runs in ((RowSampling(seed=5), 0), (RowSampling(text_topk=0, seed=5), 10)):
        a, b = (talk(duplex, 0, "voice_only", 10, sampling)[0] for duplex in (recorded, computed))
        assert [(s.text, s.codes) for s in a] == [(s.text, s.codes) for s in b]
        assert len(ran) == runs


def test_duplex_step_is_the_same_operations_whatever_lies_on_the_device():
    """Neither the position, nor who speaks, nor what is said may change what a recorded step does."""
    duplex = Duplex(tiny.checkpoint(), 2)
    shape, seen = Shape(2, 39, 32, 256), []
    for active in ([False, False], [True, False], [True, True]):
        duplex._inputs.active[:] = torch.tensor(active)
        duplex._inputs.pcm.normal_()
        with torch.inference_mode(), Tape() as steps:
            duplex._compute(shape)
        seen.append(steps.shapes())
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) > 500


def test_duplex_step_never_leaves_its_device():
    """On the device without numbers, every question to it is an error, and every tensor that comes from the
    host is seen.
    """
    with torch.device("meta"):
        lm = Lm(
            LmConfig(
                48,
                3,
                2,
                88,
                40,
                depformer_width=32,
                depformer_heads=2,
                depformer_layers=1,
                depformer_hidden=88,
            ).trimmed()
        )
        mimi = Mimi(MimiConfig(filters=2, width=16, hidden=24, heads=2, layers=1))
    duplex = Duplex(Checkpoint(None, lm, mimi, None), 2)
    with torch.inference_mode(), Tape() as steps:
        duplex._compute(Shape(2, 39, 32, 256))
    tensors = [
        x
        for _, args, kwargs, made in steps.steps
        for x in tree_iter((args, kwargs, made))
        if isinstance(x, torch.Tensor)
    ]
    assert {x.device.type for x in tensors} == {"meta"}


def test_duplex_that_cannot_be_recorded_speaks_all_the_same():
    duplex, tries = Duplex(tiny.checkpoint(), 2), []

    def fail_at_the_second(work):
        tries.append(work)
        if len(tries) == 2:
            raise RuntimeError("operation not permitted when stream is capturing")
        return tape(work)

    assert "operation not permitted" in duplex.record(fail_at_the_second)
    spoken, arrays = talk(duplex, 0, "voice_only", 5)
    assert np.array_equal([[s.text, *s.codes] for s in spoken], arrays["rows"][:5, :9])
