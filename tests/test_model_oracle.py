"""The model against the `moshi` package on random tiny checkpoints, before its window (which differs by one
key) wraps.
"""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from personaplex_app.model.config import LM_FILE, MIMI_FILE, LmConfig, MimiConfig, gated_width
from personaplex_app.model.generation import Rows
from personaplex_app.model.lm import Lm
from personaplex_app.model.loading import load_lm, load_mimi
from personaplex_app.model.mimi import Mimi
from personaplex_app.model.prompt import Prompt

from .support import oracle, tiny, wide
from .support.wide import random_weights

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]  # the package's own warnings are not ours
if not oracle.FOLDER.is_dir():
    pytest.skip("the moshi package is not installed: `make test` does that", allow_module_level=True)

FEW = settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def lm_shapes(draw) -> tuple[LmConfig, dict]:
    heads, head_width = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([8, 16]))
    small_heads, small_head_width = draw(st.sampled_from([1, 2])), draw(st.sampled_from([8, 16]))
    width, small = heads * head_width, small_heads * small_head_width
    scale, small_ff = draw(st.sampled_from([4.0, 4.125])), draw(st.sampled_from([4, 5])) * small
    config = LmConfig(
        width=width,
        heads=heads,
        layers=draw(st.integers(1, 3)),
        hidden=gated_width(width, scale * width),
        context=64,
        text_card=draw(st.integers(40, 90)),
        card=draw(st.integers(30, 70)),
        depformer_width=small,
        depformer_heads=small_heads,
        depformer_layers=draw(st.integers(1, 3)),
        depformer_hidden=gated_width(small, small_ff),
        depformer_steps=draw(st.sampled_from([8, 16])),
    )
    return config, wide.names(config, scale, small_ff)


@FEW
@given(lm_shapes(), st.integers(1, 50), st.integers(0, 2**31))
def test_lm_random_checkpoint_gives_the_oracles_logits(tmp_path, shapes, prompt_length, seed):
    from moshi.models.lm import LMModel

    config, names = shapes
    state = random_weights(lambda: Lm(config), seed)
    save_file(state, tmp_path / LM_FILE)
    (tmp_path / "config.json").write_text(json.dumps(names))
    ours = load_lm(tmp_path, tiny.CPU, torch.float32)
    assert ours.config == replace(config, depformer_steps=8)
    theirs = LMModel(
        device="cpu", dtype=torch.float32, causal=True, depformer_context=config.depformer_steps, **names
    ).eval()
    theirs.load_state_dict(state)

    generator = torch.Generator().manual_seed(seed)
    length = prompt_length + 4
    columns = torch.randint(config.card, (length, 17), generator=generator)
    columns[:, 0] = torch.randint(config.text_card, (length,), generator=generator)
    rows = Rows(ours, 1)
    nothing = torch.full((17,), -1)
    rows.prefill(0, Prompt(None, columns[:prompt_length], columns[prompt_length], nothing))
    with torch.inference_mode(), theirs.streaming(1):
        for t, column in enumerate(columns):
            hidden, text_logits = theirs.forward_text(column[None, :, None])
            if t < prompt_length:
                continue
            rows.state.column[0] = column
            step = rows.step(torch.zeros(1, 8, dtype=torch.int64), tiny.ONE, [0])
            assert (step.text_logits - text_logits[:, 0, 0]).abs().max() < 1e-4
            said = torch.cat([step.text_logits.argmax(-1), *[a.argmax(-1) for a in step.audio_logits]])
            with theirs.depformer.streaming(1):
                for k in range(8):
                    logits = theirs.forward_depformer(k, said[k].view(1, 1, 1), hidden)
                    assert (step.audio_logits[k] - logits[:, 0, 0]).abs().max() < 1e-4


def test_lm_wide_checkpoints_stored_tokens_are_the_oracles(tmp_path):
    """What `test_wide_checkpoint` compares every form of the weights with."""
    from moshi.models.lm import LMModel

    theirs = LMModel(
        device="cpu", dtype=torch.float32, causal=True, depformer_context=8, **wide.write(tmp_path)
    ).eval()
    theirs.load_state_dict(load_file(tmp_path / LM_FILE))
    columns = wide.columns()
    chosen = []
    with torch.inference_mode(), theirs.streaming(1):
        for column, after in pairwise(columns):
            hidden, text_logits = theirs.forward_text(column[None, :, None])
            logits = [text_logits[:, 0, 0]]
            with theirs.depformer.streaming(1):
                for k in range(8):
                    logits.append(theirs.forward_depformer(k, after[k].view(1, 1, 1), hidden)[:, 0, 0])
            chosen.append([int(each.argmax(-1)) for each in logits])
    assert chosen == json.loads(wide.TOKENS.read_text())


@FEW
@given(
    st.sampled_from([(2, 16), (4, 32)]),
    st.integers(1, 2),
    st.integers(1, 2),
    st.sampled_from([8, 11]),
    st.integers(1, 9),
    st.integers(0, 2**31),
)
def test_mimi_random_checkpoint_gives_the_oracles_codes_and_sound(
    tmp_path, size, heads, layers, codebooks, frames, seed
):
    from moshi.models.loaders import get_mimi

    filters, width = size
    config = MimiConfig(
        filters=filters,
        width=width,
        codebook_width=8,
        codebooks=codebooks,
        card=64,
        heads=heads,
        layers=layers,
        hidden=24,
        context=20,
    )
    names = json.loads((tiny.GOLDEN / "mimi.json").read_text())
    names["seanet"] |= {"n_filters": filters, "dimension": width}
    names["quantizer"] |= {
        "dimension": 8,
        "n_q": codebooks,
        "bins": 64,
        "input_dimension": width,
        "output_dimension": width,
    }
    names["transformer"] |= {
        "d_model": width,
        "num_heads": heads,
        "num_layers": layers,
        "dim_feedforward": 24,
        "context": 20,
    }
    names["transformer"] |= {"input_dimension": width, "output_dimensions": [width]}
    state = random_weights(lambda: Mimi(config), seed)
    save_file(state, tmp_path / MIMI_FILE)
    (tmp_path / "mimi.json").write_text(json.dumps(names))
    (tmp_path / "config.json").write_text(json.dumps({"mimi_config_name": "mimi.json"}))
    ours = load_mimi(tmp_path, tiny.CPU)
    theirs = get_mimi(tmp_path / MIMI_FILE, names, "cpu", num_codebooks=8)

    pcm = torch.randn(1, 1920 * frames, generator=torch.Generator().manual_seed(seed))
    encoder, decoder = ours.empty_encoder_state(1), ours.empty_decoder_state(1)
    with torch.inference_mode(), theirs.streaming(1):
        for part in pcm.split(1920, dim=1):
            codes = theirs.encode(part[:, None])
            assert torch.equal(ours.encode(part, encoder, tiny.ONE), codes)
            assert (ours.decode(codes, decoder, tiny.ONE) - theirs.decode(codes)[:, 0]).abs().max() < 1e-4
