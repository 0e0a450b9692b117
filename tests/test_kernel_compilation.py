"""The engine's own kernels are compiled for every kind of card that they may meet; none is needed for it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed: the engine's own kernels were not compiled")

pytestmark = pytest.mark.process
ROOT = Path(__file__).parent.parent
CARDS = {75: "T4", 80: "A100", 86: "A10G", 89: "L4", 90: "H100", 100: "B200", 120: "RTX PRO 6000"}


@pytest.fixture(scope="module")
def compiled() -> dict[str, dict[str, int]]:
    """All kernels for all cards, in a process of its own, where Triton is not told to interpret."""
    env = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tests.test_kernel_compilation"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: f"sm_{card}_{CARDS[card]}")
def test_kernels_compile(compiled, card):
    assert len(compiled[str(card)]) >= 12
    assert all(size > 1000 for size in compiled[str(card)].values())


def run(cards: list[int]) -> dict[int, dict[str, int]]:
    """Return the size of each kernel's machine code in bytes, by card and kernel."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.runtime.jit import JITFunction

    from personaplex_app.model.kernels import decode

    sizes: dict[int, dict[str, int]] = {card: {} for card in cards}

    def compile_it(kernel, *args, grid, warmup, **options):
        values = dict(zip(kernel.arg_names, args, strict=True))
        constants, signature, attributes = {}, {}, {}
        for k, parameter in enumerate(kernel.params):
            value = values[parameter.name]
            if parameter.is_constexpr:
                constants[(k,)] = value
                signature[parameter.name] = "constexpr"
                continue
            signature[parameter.name] = kind_of(value)
            if isinstance(value, torch.Tensor) or (isinstance(value, int) and value % 16 == 0):
                attributes[(k,)] = [["tt.divisibility", 16]]
        for card in cards:
            source = ASTSource(kernel, signature, constants, attributes)
            done = triton.compile(source, target=GPUTarget("cuda", card, 32), options=options)
            number = sum(name.startswith(kernel.__name__) for name in sizes[card])
            sizes[card][f"{kernel.__name__}_{number}"] = len(done.asm["cubin"])

    JITFunction.run = compile_it
    call_all(decode)
    return sizes


def kind_of(value) -> str:
    if isinstance(value, torch.Tensor):
        kinds = {
            torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16", torch.int8: "i8",
            torch.int32: "i32", torch.int64: "i64", torch.bool: "i1",
        }  # fmt: skip
        return "*" + kinds[value.dtype]
    return "fp32" if isinstance(value, float) else "i32"


def call_all(kernels) -> None:
    """Call each kernel once with the shapes and number types of a frame."""
    x = torch.empty(1, 1, 4096, dtype=torch.float16)
    weight, scale = torch.empty(4096, 4096, dtype=torch.float16), torch.empty(4096)
    kernels.product(x, weight, None, x)
    kernels.product(x.float(), weight.float(), None, x.float(), scale)
    kernels.product(x, weight.to(torch.int8), scale, None)
    kernels.product_int4(
        x, torch.empty(4096, 2048, dtype=torch.int8), torch.empty(4096, 64, dtype=torch.bfloat16)
    )
    kernels.rms_norm(x, x[0, 0], 1e-8)
    kernels.silu_times(x)
    cache = torch.empty(2, 1, 3000, 32, 128, dtype=torch.float16)
    turn, slots = torch.empty(1, 1, 1, 64), torch.zeros(1, 1, dtype=torch.int64)
    q = kernels.rotate_and_write(torch.empty(1, 1, 12288, dtype=torch.float16), turn, turn, slots, cache)
    kernels.attend(q, cache, torch.ones(1, dtype=torch.int32), slots)
    codec, both = torch.empty(2, 1, 250, 8, 64), torch.zeros(1, 2, dtype=torch.int64)
    kernels.attend(torch.empty(1, 2, 8, 64), codec, torch.ones(1, dtype=torch.int32), both)
    kernels.attend_steps(
        torch.empty(1, 3072, dtype=torch.float16), torch.empty(2, 1, 8, 16, 64, dtype=torch.float16), 3
    )
    one = torch.ones(1, dtype=torch.int64)
    kernels.sample(torch.empty(1, 2048), scale[:1], one, one, 1, one)


if __name__ == "__main__":
    begun_s = time.process_time()
    print(json.dumps(run([int(card) for card in sys.argv[1:]] or list(CARDS))))
    print(f"{time.process_time() - begun_s:.1f} s of CPU", file=sys.stderr)
