"""The `moshi` package's own server on a tiny checkpoint with random weights: `serve.py FOLDER PORT`."""

import json
import os
import runpy
import sys
from pathlib import Path

os.environ["NO_TORCH_COMPILE"] = "1"
sys.path.append(str(Path(sys.prefix) / "oracle"))

import torch
from moshi.models.lm import LMModel
from safetensors.torch import save_file

GOLDEN = Path(__file__).parent.parent / "golden"
# eight depformer steps, as the released Moshi has
SHAPE = {"dep_q": 8, "depformer_context": 8}


def main(folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    known = json.loads((GOLDEN / "config.json").read_text())
    names = {
        name: value
        for name, value in known.items()
        if name not in ("model_type", "version", "mimi_config_name")
    } | SHAPE
    weights = LMModel(device="cpu", dtype=torch.bfloat16, **names).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / "lm.safetensors")
    config = {**names, "mimi_config_name": f"file://{GOLDEN / 'mimi.json'}"}
    (folder / "config.json").write_text(json.dumps(config))
    # the server waits for a GPU after its warm-up, whatever device it was given
    torch.cuda.synchronize = lambda *device: None
    sys.argv = [
        "moshi.server",
        "--device=cpu",
        "--static=none",
        f"--port={port}",
        f"--config-path={folder / 'config.json'}",
        f"--moshi-weight={folder / 'lm.safetensors'}",
        f"--mimi-weight={GOLDEN / 'tokenizer-e351c8d8-checkpoint125.safetensors'}",
        f"--tokenizer={GOLDEN / 'tokenizer_spm_32k_3.model'}",
    ]
    runpy.run_module("moshi.server", run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
