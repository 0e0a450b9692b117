"""The golden cases on a GPU: the same tokens as the reference's, launched kernel by kernel and recorded."""

import numpy as np
import pytest
import torch

from personaplex_app.model.checkpoint import CheckpointFiles, load_checkpoint
from personaplex_app.model.duplex import Duplex
from personaplex_app.model.generation import GREEDY, RowSampling
from personaplex_app.model.graphs import cuda_graphs

from .support import tiny

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(),
        reason="no GPU that PyTorch can use: the golden cases ran on the CPU only",
    ),
]
FRAMES = 50


@pytest.fixture(scope="module")
def checkpoint():
    return load_checkpoint(CheckpointFiles.of(tiny.GOLDEN), torch.device("cuda"), torch.float32)


def talk(duplex: Duplex, name: str, sampling: RowSampling = GREEDY, row: int = 0) -> list[list[int]]:
    about, _ = tiny.case(name)
    duplex.set_sampling(row, sampling)
    list(
        duplex.prefill(
            row, tiny.prompt((about["voice"] or "").removesuffix(".pt") or None, about["text_prompt"]), 64
        )
    )
    said = []
    for frame in tiny.user_wav().reshape(-1, 1920)[:FRAMES]:
        duplex._outputs.tokens.fill_(-1)  # what is not written must not pass for what was
        spoken = duplex.step({row: frame})[row]
        said.append([spoken.text, *spoken.codes])
    return said


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("name", ["voice_only", "voice_and_text", "text_only", "long_text"])
def test_golden_case_on_a_gpu_is_the_references(checkpoint, name, recorded):
    duplex = Duplex(checkpoint, 2)
    if recorded:
        assert duplex.record(cuda_graphs(torch.device("cuda"))) == ""
    assert np.array_equal(talk(duplex, name, row=1), tiny.case(name)[1]["rows"][:FRAMES, :9])


def test_sampled_talk_on_a_gpu_is_the_one_on_the_cpu(checkpoint):
    sampling = RowSampling(seed=7)
    assert talk(Duplex(checkpoint, 1), "voice_only", sampling) == talk(
        Duplex(tiny.checkpoint(), 1), "voice_only", sampling
    )


def test_failed_recording_on_a_gpu_names_its_cause_and_the_talk_goes_on(checkpoint):
    duplex, device = Duplex(checkpoint, 1), torch.device("cuda")

    def waiting(work):
        def broken():
            work()
            duplex._outputs.tokens.tolist()

        return cuda_graphs(device)(broken)

    assert "capture" in duplex.record(waiting)
    assert torch.cuda.current_stream(device) == torch.cuda.default_stream(device)
    assert np.array_equal(talk(duplex, "voice_only"), tiny.case("voice_only")[1]["rows"][:FRAMES, :9])
