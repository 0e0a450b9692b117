"""A rendering in the forms that people take home, and as what a page draws it from."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import soundfile

from ..sessions import export
from ..units import FRAME_MS, SAMPLE_RATE_HZ
from .render import Rendering


def wav(rendering: Rendering, both: bool = True) -> bytes:
    """Return the sound as a 16-bit wav file: the user left and the agent right, or the agent alone."""
    samples = np.column_stack((rendering.user, rendering.agent)) if both else rendering.agent
    file = io.BytesIO()
    soundfile.write(file, to_int16(samples), SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Return a rendering's samples as the 16-bit numbers that they are."""
    return (samples * 32768.0).round().astype(np.int16)


FORMS: dict[str, tuple[Callable[[Rendering], bytes], str]] = {
    "wav": (wav, "audio/wav"),
    "agent.wav": (lambda rendering: wav(rendering, both=False), "audio/wav"),
    "json": (lambda rendering: export.to_json(rendering.as_talk()).encode(), "application/json"),
    "srt": (
        lambda rendering: export.to_srt(rendering.as_talk()).encode(),
        "application/x-subrip; charset=utf-8",
    ),
    "txt": (lambda rendering: export.to_txt(rendering.as_talk()).encode(), "text/plain; charset=utf-8"),
}


def describe(rendering: Rendering) -> dict[str, Any]:
    """Return everything that is known of a rendering, with its lane, ready for JSON."""
    talk = rendering.as_talk()
    p50, p95, p99 = (
        (round(float(ms), 2) for ms in np.percentile(rendering.step_ms, [50, 95, 99]))
        if rendering.step_ms
        else (0, 0, 0)
    )
    return {
        **export.describe(talk),
        "key": rendering.key,
        "step_ms": {"p50": p50, "p95": p95, "p99": p99},
        # how often faster than it is spoken
        "speed": round(len(rendering.step_ms) * FRAME_MS / max(sum(rendering.step_ms), 1e-3), 2),
        "lane": export.lane(talk, io.BytesIO(wav(rendering))),
    }
