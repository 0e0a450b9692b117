"""ZeroGPU: GPUs that the Hub lends to the visitors of a Space for seconds, through the `spaces` package.

Imported only on that platform (`platform_detection.this_platform`). Its rules are these: the weights go to an
emulated `cuda` on the main thread before the page is launched, and to the device in the worker; nothing is
compiled; CUDA graphs are recorded in each fresh worker after its fork, since a record belongs to the process
that made it, and this process has no device to record on. Source: the `spaces` package 0.51.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..errors import EngineError, EngineUnavailable, GpuUnavailable, shorten
from .leased import Serve, WorkerLease

try:
    import spaces
except ImportError as error:
    raise EngineUnavailable(
        f"SPACES_ZERO_GPU is set but the package {error.name} is missing; run: pip install -r"
        " requirements-zerogpu.txt"
    ) from error

QUOTA = re.compile(r"\((?P<asked_s>-?\d+)s requested vs\. (?P<left_s>-?\d+)s left\)")
WAIT = re.compile(r"Try again in (?:(?P<days>\d+) days?, )?(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)")


class ZeroGpu:
    """Lends ZeroGPU's devices. A single function is decorated, so that all leases share its workers."""

    def lend(self, serve: Serve) -> Serve:
        """Return `serve` as a GPU function whose duration is its own second argument."""
        # the platform calls `duration` with the function's own arguments
        return spaces.GPU(serve, duration=lambda path, lease_s: round(lease_s))

    def explain(self, error: Exception) -> EngineError:
        """Return the error to show when no GPU was lent.

        The package raises Gradio errors without codes, so that only their texts distinguish the causes.
        """
        title = str(getattr(error, "title", ""))
        message = str(getattr(error, "message", error))
        if quota := QUOTA.search(message):
            return GpuUnavailable(
                f"You have {quota['left_s']} s of GPU time left, and this needs {quota['asked_s']} s. Come"
                f" back {_when(message)}."
            )
        for known, sentence in SENTENCES.items():
            if known in f"{title}: {message}":
                return GpuUnavailable(sentence)
        if title == "ZeroGPU worker error":
            return EngineError(f"The GPU's worker stopped ({shorten(message)}). Start again.")
        return GpuUnavailable(f"No GPU was granted ({shorten(message, 80)}). Try again in a few minutes.")


SENTENCES = {
    "runs limit": (
        "You have used the GPU as often as you may for now. Come back later, or sign in to the Hub for more."
    ),
    "illegal duration": "So long a talk on the GPU is not allowed for you. Choose a shorter one.",
    "reached its GPU limit": (
        "The GPU time of this Space is used up for now. Come back later, or sign in to the Hub."
    ),
    "pending credits": (
        "Too much of your GPU time is taken by tasks that still run. Come back when one has ended."
    ),
    "No GPU was available": "No GPU is free: none became so within a minute. Come back in a few minutes.",
    "Expired ZeroGPU proxy token": (
        "This page has been open too long for the GPU. Load it again, and start once more."
    ),
}
"""Parts of the package's messages, and the sentence for the visitor; the first match counts."""

_UNITS_S = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


def _when(message: str) -> str:
    found = WAIT.search(message)
    if not found:
        return "later"
    seconds = sum(int(found[unit] or 0) * length_s for unit, length_s in _UNITS_S.items())
    total_minutes = -(-seconds // 60)
    parts = [f"{total_minutes // 60} h"] if total_minutes >= 60 else []
    return f"in {' '.join([*parts, f'{total_minutes % 60} min'])}"


@spaces.GPU
def _nothing() -> Iterator[WorkerLease]:
    """Do nothing, as a GPU function.

    The platform stops a Space without any GPU function, and a Space without a checkpoint has no other.
    """
    yield from ()
