"""Write folders in Full-Duplex-Bench's layout for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

RATE_HZ = 24_000


def chunks(*times: tuple[float, float | None], text: str = "word") -> dict[str, Any]:
    """Return the content of an output.json with a word at each time."""
    return {
        "text": " ".join([text] * len(times)),
        "chunks": [{"text": text, "timestamp": list(span)} for span in times],
    }


def every(step_s: float, start_s: float, end_s: float) -> list[tuple[float, float | None]]:
    """Return the times of words that follow each other without pauses from start to end."""
    return [(float(at), float(at + step_s)) for at in np.arange(start_s, end_s - step_s / 2, step_s)]


def tone(
    *spans: tuple[float, float], duration_s: float = 10.0, hz: float = 200.0, rate_hz: int = RATE_HZ
) -> np.ndarray:
    """Return samples with a tone in the spans and silence elsewhere.

    Shapes: float32 [duration_s · rate_hz].
    """
    at_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    inside = (
        np.any([(at_s >= start_s) & (at_s < end_s) for start_s, end_s in spans], axis=0)
        if spans
        else np.zeros(len(at_s), bool)
    )
    return (0.3 * np.sin(2 * np.pi * hz * at_s) * inside).astype(np.float32)


def write(folder: Path, files: dict[str, Any], rate_hz: int = RATE_HZ) -> Path:
    """Write one sample: arrays as wav, bytes as they are, all else as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if isinstance(content, np.ndarray):
            sf.write(
                folder / name, content, rate_hz, subtype="FLOAT" if np.isnan(content).any() else "PCM_16"
            )
        elif isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            (folder / name).write_text(json.dumps(content))
    return folder
