"""Measure the released 7B shapes on this machine, with random weights that are loaded as the app does.

    python -m benchmarks.full_size [--folder FOLDER] [--device cpu] [--dtype bfloat16] [--quantize none]
    [--steps 3] [--size mid]

Writes one JSON object to standard output. The file takes 16.7 GB of disk and is deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch

from personaplex_app.cli.doctor import machine
from personaplex_app.model.compute import DTYPES
from personaplex_app.model.config import LM_FILE, LmConfig
from personaplex_app.model.generation import GREEDY, Rows
from personaplex_app.model.lm import Lm
from personaplex_app.model.loading import load_lm
from personaplex_app.model.plan import read_sizes
from personaplex_app.model.prompt import build_prompt

BLOCK_NUMBERS = 1 << 22
PEAK_RESET = Path("/proc/self/clear_refs")
SMALLER = {
    "tiny": {
        "dim": 64,
        "num_heads": 2,
        "num_layers": 2,
        "depformer_dim": 32,
        "depformer_num_heads": 2,
        "depformer_num_layers": 2,
    },
    "mid": {
        "dim": 2048,
        "num_heads": 16,
        "num_layers": 12,
        "depformer_dim": 512,
        "depformer_num_heads": 8,
        "depformer_num_layers": 6,
    },
}


def write_weights(folder: Path, config: LmConfig) -> int:
    """Write a model file of random numbers, a block at a time, and return its bytes.

    The numbers repeat every block: their values do not matter to time or memory, and drawing billions of them
    would take longer than the measurement.
    """
    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in Lm(config).state_dict().items()}
    header, offset = {}, 0
    for key, shape in shapes.items():
        end = offset + 2 * shape.numel()
        header[key] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    if shutil.disk_usage(folder).free < offset + 2**30:
        raise SystemExit(
            f"The weights need {offset / 1e9:.1f} GB in {folder}, which has less; take another folder with"
            " --folder."
        )
    block = torch.randn(BLOCK_NUMBERS, generator=torch.Generator().manual_seed(0))
    text = json.dumps(header).encode()
    with (folder / LM_FILE).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key, shape in shapes.items():
            scale = 1.0 if key.endswith("alpha") else shape[-1] ** -0.5
            data = (
                (torch.ones(BLOCK_NUMBERS) if key.endswith("alpha") else block * scale)
                .bfloat16()
                .view(torch.uint8)
                .numpy()
                .tobytes()
            )
            left = 2 * shape.numel()
            while left:
                left -= file.write(data[:left])
    return offset


def memory_bytes(field: str) -> int:
    """Return a memory figure of this process: VmHWM (peak, with mapped files) or RssAnon (now, without
    them).
    """
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def measure(
    folder: Path, device: torch.device, dtype: torch.dtype, quantize: str, steps: int
) -> dict[str, object]:
    """Load the folder's model, prefill one row and step it."""
    highest = most_for_one = 0
    peak, resident = memory_bytes("VmHWM"), memory_bytes("VmRSS")
    PEAK_RESET.write_text("5")

    def sample(_: float) -> None:
        nonlocal highest, most_for_one, peak, resident
        reached = memory_bytes("VmHWM")
        most_for_one, peak = max(most_for_one, reached - resident), max(peak, reached)
        highest, resident = max(highest, memory_bytes("RssAnon")), memory_bytes("VmRSS")
        PEAK_RESET.write_text("5")

    begun = time.perf_counter()
    lm = load_lm(folder, device, dtype, report=sample, quantize=quantize)
    load_s = time.perf_counter() - begun
    weights_bytes = sum(t.numel() * t.element_size() for t in (*lm.parameters(), *lm.buffers()))
    load_most_for_one = most_for_one
    rows = Rows(lm, 1)
    rows.set_sampling(0, GREEDY)
    prompt = build_prompt(lm.config, [])
    begun = time.perf_counter()
    rows.prefill(0, prompt)
    prefill_s = time.perf_counter() - begun
    codes, one = (
        torch.zeros(1, 8, dtype=torch.int64, device=device),
        torch.ones(1, dtype=torch.bool, device=device),
    )
    step_s = []
    for _ in range(steps):
        begun = time.perf_counter()
        finite = bool(rows.step(codes, one, [0]).finite.all())  # waits for the device
        step_s.append(round(time.perf_counter() - begun, 4))
        sample(1.0)
        if not finite:
            raise SystemExit("The random model's numbers overflowed.")
    return {
        "load_s": round(load_s, 1),
        "weights_bytes": weights_bytes,
        # on a CPU this includes the weights
        "load_most_host_bytes_for_one_tensor": load_most_for_one,
        "prefill_positions": prompt.positions,
        "prefill_s": round(prefill_s, 2),
        "step_s": step_s,
        "peak_resident_with_mapped_file_bytes": peak,
        "peak_anonymous_bytes": highest,
        "gpu_peak_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", help="where the file goes; a temporary folder when absent")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=DTYPES)
    parser.add_argument("--quantize", default="none", choices=("none", "int8", "int4"))
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument(
        "--size", default="7b", choices=("7b", *SMALLER), help="smaller ones try the script out"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        if args.size in SMALLER:
            (folder / "config.json").write_text(json.dumps(SMALLER[args.size]))
        sizes = read_sizes(folder)
        file_bytes = write_weights(folder, sizes.lm)
        found = measure(folder, torch.device(args.device), DTYPES[args.dtype], args.quantize, args.steps)
    about = {
        "size": args.size,
        "device": args.device,
        "dtype": args.dtype,
        "quantize": args.quantize,
        "threads": torch.get_num_threads(),
    }
    planned = sizes.weights_bytes(args.quantize, DTYPES[args.dtype].itemsize)
    json.dump(
        {**about, "machine": machine(), "file_bytes": file_bytes, "planned_weights_bytes": planned, **found},
        sys.stdout,
        indent=1,
    )
    print()


if __name__ == "__main__":
    main()
