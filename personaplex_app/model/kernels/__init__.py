"""The engine's own GPU kernels for a frame, in Triton, each with PyTorch's operations as its reference.

A frame of one talk reads 15 GB of weights and computes little. Besides that, PyTorch spends its time on
launching thousands of small kernels. Each kernel here does the work of about a dozen of PyTorch's operations,
for up to `MOST_ROWS` rows. They are used where Triton is installed, can compile, and computes correctly on
this GPU (`own_kernels`).
"""

from __future__ import annotations

import logging
import os
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from .self_check import check

log = logging.getLogger(__name__)

MOST_ROWS = 8


def own_kernels(x: Tensor) -> ModuleType | None:
    """Return the kernels where they can take `x`, a few positions of all rows; else None, for PyTorch's.

    Shapes: `x` [..., D].
    """
    if x.numel() > MOST_ROWS * x.shape[-1]:
        return None
    return _kernels(x.device)


@cache
def _kernels(device: torch.device) -> ModuleType | None:
    # Triton's interpreter runs the kernels on a CPU, which the tests use
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if device.type != "cuda" and not interpreted:
        return None
    try:
        from . import decode

        # a driver or a card may compute wrongly without an error
        check(decode, device)
    # the compiler and the driver raise errors of many kinds, and PyTorch's kernels do without both
    except Exception as error:
        log.warning("frames run on PyTorch's kernels: %s: %s", type(error).__name__, str(error)[:200])
        return None
    return decode
