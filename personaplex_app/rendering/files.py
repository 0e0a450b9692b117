"""Exports of a rendering, as sound, JSON, subtitles and text, and the data that a page draws it from."""

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


def file_name(rendering: Rendering, form: str) -> str:
    """Return a friendly name for a form of FORMS."""
    return export.file_name(rendering.meta, rendering.rendered_at_s, form)


def about(rendering: Rendering) -> dict[str, Any]:
    """Return everything that is known of a rendering but its sound, in the keys of a talk, ready for JSON."""
    return {
        "id": rendering.key[:16],
        "status": "done",
        "kept": False,
        "has_audio": True,
        **export.opening(rendering, rendering.rendered_at_s),
        "end_reason": "rendered",
        "stars": None,
        "comment": "",
        **export.contents(rendering),
    }


FORMS: dict[str, tuple[Callable[[Rendering], bytes], str]] = {
    "wav": (wav, "audio/wav"),
    "agent.wav": (lambda rendering: wav(rendering, both=False), "audio/wav"),
    "json": (lambda rendering: export.to_json(about(rendering)).encode(), "application/json"),
    "srt": (lambda rendering: export.to_srt(rendering).encode(), "application/x-subrip; charset=utf-8"),
    "txt": (
        lambda rendering: export.to_txt(rendering, rendering.rendered_at_s, "done").encode(),
        "text/plain; charset=utf-8",
    ),
}


def describe(rendering: Rendering) -> dict[str, Any]:
    """Return everything that is known of a rendering, with its lane, ready for JSON."""
    p50, p95, p99 = (
        (round(float(ms), 2) for ms in np.percentile(rendering.step_ms, [50, 95, 99]))
        if rendering.step_ms
        else (0, 0, 0)
    )
    return {
        **about(rendering),
        "key": rendering.key,
        "step_ms": {"p50": p50, "p95": p95, "p99": p99},
        # how many times faster than real time
        "speed": round(len(rendering.step_ms) * FRAME_MS / max(sum(rendering.step_ms), 1e-3), 2),
        "lane": export.lane(rendering, io.BytesIO(wav(rendering))),
    }
