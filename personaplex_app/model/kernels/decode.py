# type: ignore
"""All of the engine's Triton kernels, for a few rows and positions. Importing this needs Triton (see
`own_kernels`).
"""

from .attention import attend, attend_steps, rotate_and_write
from .pointwise import rms_norm, silu_times
from .products import product, product_int4
from .sampler import sample

__all__ = [
    "attend",
    "attend_steps",
    "product",
    "product_int4",
    "rms_norm",
    "rotate_and_write",
    "sample",
    "silu_times",
]
