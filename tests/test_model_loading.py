"""Loading: the released layout to the letter, and a sentence for everything that can be wrong with a file."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from sentencepiece import SentencePieceProcessor

from benchmarks import full_size
from personaplex_app.errors import BadPrompt, WeightsError
from personaplex_app.model.checkpoint import CheckpointFiles, load_checkpoint
from personaplex_app.model.config import (
    LM_FILE,
    MIMI_FILE,
    TOKENIZER_FILE,
    LmConfig,
    MimiConfig,
    read_lm_config,
    read_mimi_config,
)
from personaplex_app.model.generation import GREEDY, Rows
from personaplex_app.model.lm import Lm
from personaplex_app.model.loading import load_lm, load_mimi
from personaplex_app.model.mimi import Mimi
from personaplex_app.model.quantize import SLAB_WEIGHTS

from .support import tiny

RELEASED = Path(__file__).parent / "data" / "released_tensors.yaml"


@pytest.fixture
def folder(tmp_path):
    """A copy of the golden checkpoint to spoil."""
    for name in ("config.json", "mimi.json", LM_FILE, MIMI_FILE, TOKENIZER_FILE):
        shutil.copy(tiny.GOLDEN / name, tmp_path / name)
    return tmp_path


def load(folder):
    return load_checkpoint(CheckpointFiles.of(folder), tiny.CPU, torch.float32)


def spoil(folder, change, file=LM_FILE):
    state = load_file(folder / file)
    change(state)
    save_file(state, folder / file)


def each(name: str) -> list[str]:
    """Return the names that one with numbers in braces stands for: `{2}` is 0 and 1."""
    counted = re.search(r"\{(\d+)\}", name)
    if not counted:
        return [name]
    numbered = (name.replace(counted[0], str(number), 1) for number in range(int(counted[1])))
    return [whole for part in numbered for whole in each(part)]


def test_lm_of_the_7b_constants_has_the_released_files_tensors():
    released = {
        name: shape for names, shape in yaml.safe_load(RELEASED.read_text()).items() for name in each(names)
    }
    with torch.device("meta"):
        ours = {key: list(tensor.shape) for key, tensor in Lm(LmConfig()).state_dict().items()}
    assert len(released) == 475
    assert ours == released
    assert 2 * sum(torch.Size(shape).numel() for shape in ours.values()) == 16_742_817_792


def test_lm_of_the_7b_constants_takes_the_known_cache_per_frame():
    assert LmConfig().kv_bytes_per_frame(2) == 524_288


def test_mimi_of_the_released_constants_has_the_released_size():
    with torch.device("meta"):
        tensors = Mimi(MimiConfig()).state_dict()
    assert 380e6 < 4 * sum(tensor.numel() for tensor in tensors.values()) < 390e6
    assert sum(".vq.layers." in key for key in tensors) == 3 * 32


def test_load_released_config_without_architecture_means_7b(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "personaplex", "version": "7b-v1"}')
    assert read_lm_config(tmp_path) == LmConfig()
    assert read_mimi_config(tmp_path) == MimiConfig()


def test_load_keeps_8_of_16_steps_and_speaks_the_same_from_a_file_with_8(folder):
    def trim(state):
        for key in list(state):
            parts = key.split(".")
            if key.startswith("depformer.layers") and parts[3] == "self_attn":
                state[key] = state[key][: len(state[key]) // 2].clone()
            elif (key.startswith("depformer.layers") and parts[3] == "gating" and int(parts[4]) > 7) or (
                parts[0] in ("depformer_in", "linears", "depformer_emb")
                and int(parts[1]) > (6 if parts[0] == "depformer_emb" else 7)
            ):
                del state[key]

    spoil(folder, trim)
    trimmed, whole = load_lm(folder, tiny.CPU, torch.float32), tiny.checkpoint().lm
    assert trimmed.config == whole.config
    assert all(torch.equal(a, b) for a, b in zip(trimmed.parameters(), whole.parameters(), strict=True))


def test_load_bfloat16_and_float16_speak(folder):
    codes = tiny.user_codes()[:, :5]
    prompt = tiny.prompt("NATF0", "")
    for dtype in (torch.bfloat16, torch.float16):
        lm = load_lm(folder, tiny.CPU, dtype)
        assert {p.dtype for p in lm.parameters()} == {dtype}
        rows = Rows(lm, 1)
        rows.set_sampling(0, GREEDY)
        rows.prefill(0, prompt)
        for t in range(5):
            assert rows.step(codes[None, :, t], tiny.ONE, [0]).finite.all()


def test_load_reports_progress_up_to_one(folder):
    shares = []
    load_lm(folder, tiny.CPU, torch.float32, report=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def gone(name):
    return lambda folder: (folder / name).unlink()


def overwritten(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-1000])


def changed(**values):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (gone(LM_FILE), "model.safetensors is missing in"),
        (gone(MIMI_FILE), "tokenizer-e351c8d8-checkpoint125.safetensors is missing in"),
        (gone(TOKENIZER_FILE), "tokenizer_spm_32k_3.model is missing"),
        (cut(LM_FILE), "model.safetensors is cut off or not a safetensors file"),
        (cut(MIMI_FILE), "checkpoint125.safetensors is cut off or not a safetensors file"),
        (
            overwritten(LM_FILE, b"<html>403</html>" * 9),
            "model.safetensors is a web page",
        ),
        (
            overwritten(TOKENIZER_FILE, b"\0nonsense"),
            "tokenizer_spm_32k_3.model is not a SentencePiece model",
        ),
        (overwritten("config.json", b"{"), "config.json cannot be read as JSON"),
        (overwritten("config.json", b"[]"), "config.json must hold a JSON object"),
        (overwritten("mimi.json", b"{}"), "mimi.json has no section seanet"),
        (changed(dim="wide"), "has dim = 'wide'; it must be a positive whole number"),
        (changed(dim=math.nan), "has dim = 'nan'; it must be a positive whole number"),
        (changed(dim=math.inf), "has dim = 'inf'; it must be a positive whole number"),
        (changed(norm="layer_norm"), "has norm = 'layer_norm'; this program implements 'rms_norm_f32' only"),
        (
            changed(mimi_config_name="../mimi.json"),
            "names the codec file '../mimi.json'; it must be a plain file name",
        ),
        (
            changed(num_layers=4),
            "model.safetensors lacks tensors 'transformer.layers.3.gating.linear_in.weight'",
        ),
        (changed(text_card=511), "text_emb.weight has the shape [513, 48]; it must be [512, 48]"),
        (
            lambda f: spoil(f, lambda s: s.pop("out_norm.alpha")),
            "model.safetensors lacks tensor 'out_norm.alpha'.",
        ),
        (
            lambda f: spoil(f, lambda s: s.update(extra=torch.zeros(1))),
            "model.safetensors has the unknown tensor 'extra'.",
        ),
        (
            lambda f: spoil(f, lambda s: s.update({"out_norm.alpha": torch.zeros(48)})),
            "out_norm.alpha has the shape [48]",
        ),
        (
            lambda f: spoil(
                f, lambda s: s.update({"out_norm.alpha": torch.zeros(1, 1, 48, dtype=torch.int8)})
            ),
            "out_norm.alpha is I8",
        ),
        (
            lambda f: spoil(
                f, lambda s: s.update({"depformer.layers.0.self_attn.in_proj_weight": torch.zeros(960, 32)})
            ),
            "has 960 rows in depformer.layers.0.self_attn.in_proj_weight; 8 or 16 steps",
        ),
        (
            lambda f: spoil(f, lambda s: s.pop("depformer.layers.0.self_attn.in_proj_weight")),
            "it is not a PersonaPlex language model",
        ),
    ],
)
def test_load_spoiled_checkpoint_says_what_is_wrong_and_what_to_do(folder, harm, said):
    harm(folder)
    with pytest.raises(WeightsError) as raised:
        load(folder)
    assert said in str(raised.value)
    assert str(raised.value).endswith(".")


def test_load_absent_folder_is_named(tmp_path):
    with pytest.raises(WeightsError, match="There is no checkpoint folder"):
        CheckpointFiles.of(tmp_path / "nowhere")


def test_load_codec_alone_needs_no_config(tmp_path):
    shutil.copy(tiny.GOLDEN / MIMI_FILE, tmp_path / MIMI_FILE)
    with pytest.raises(WeightsError, match="lacks tensors"):
        load_mimi(tmp_path, tiny.CPU)  # without mimi.json the released Mimi is meant


def test_tokenizer_role_prompt_of_too_many_tokens_is_refused():
    with pytest.raises(BadPrompt, match="the limit is 1,000"):
        tiny.checkpoint().tokenizer.prompt_tokens("a 1 " * 1000)


def test_tokenizer_tagged_prompt_is_not_tagged_again():
    tokenizer = tiny.checkpoint().tokenizer
    assert tokenizer.prompt_tokens("  <system> Hello. <system> ") == tokenizer.prompt_tokens("Hello.")
    assert tokenizer.prompt_tokens("") == []


def test_tokenizer_every_token_is_told_as_the_reference_does_and_only_words_are_spoken():
    """The reference prints the piece with ▁ as a space, and names its own for tokens 0 and 3 alone."""
    pieces = SentencePieceProcessor(model_file=str(tiny.GOLDEN / TOKENIZER_FILE))
    tokenizer = tiny.checkpoint().tokenizer
    names = {0: "EPAD", 3: "PAD"}
    assert len(tokenizer) == pieces.get_piece_size() == 512
    for token in range(len(tokenizer)):
        piece = pieces.id_to_piece(token).replace("▁", " ")
        assert tokenizer.piece(token) == names.get(token, piece)
        wordless = pieces.is_control(token) or pieces.is_unknown(token)
        assert tokenizer.spoken(token) == ("" if wordless else piece)
    assert [tokenizer.piece(token) for token in range(4)] == ["EPAD", "<s>", "</s>", "PAD"]


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the system does not tell a process's peak of memory"
)
@pytest.mark.parametrize("quantize", ["none", "int8"])
def test_load_holds_one_tensor_beside_what_it_loads(tmp_path, quantize):
    """The peak counts the mapped file's pages too."""
    names = {
        "dim": 1024,
        "num_heads": 8,
        "num_layers": 3,
        "depformer_dim": 32,
        "depformer_num_heads": 2,
        "depformer_num_layers": 2,
    }
    (tmp_path / "config.json").write_text(json.dumps(names))
    file_bytes = full_size.write_weights(tmp_path, read_lm_config(tmp_path))
    largest_bytes = 32_001 * 1024 * 2
    load_lm(
        tiny.GOLDEN, tiny.CPU, torch.bfloat16, quantize=quantize
    )  # what torch makes at first use is not the file's
    before = full_size.memory_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    lm = load_lm(tmp_path, tiny.CPU, torch.bfloat16, quantize=quantize)
    above = (
        full_size.memory_bytes("VmHWM")
        - before
        - sum(t.numel() * t.element_size() for t in (*lm.parameters(), *lm.buffers()))
    )
    assert file_bytes > 3 * largest_bytes
    # quantising copies the tensor and works in float32, a slab at a time
    assert above < (1.3 * largest_bytes if quantize == "none" else 2 * largest_bytes + 5 * 4 * SLAB_WEIGHTS)
