"""Measure what the remote engine adds to a talk's latency on one machine.

An echo app is measured directly, and through a second app whose remote engine connects to it.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from personaplex_app.audio import float_to_pcm16, pcm16_to_float
from personaplex_app.protocol import Kind
from personaplex_app.units import FRAME_S, FRAME_SAMPLES
from tests.support.app_process import app_process
from tests.support.peers import call

CLICK_EVERY_FRAMES = 10
LOUD = 0.2


def main(argv: Sequence[str] | None = None) -> int:
    """Measure both and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args(argv).seconds
    with (
        TemporaryDirectory() as folder,
        app_process(Path(folder)) as echo,
        app_process(Path(folder), engine="remote", remote_url=echo.url) as face,
    ):
        echo.until_ready()
        face.until_ready()
        told: dict[str, Any] = {
            name: there_and_back_ms(app.url, seconds) for name, app in (("direct", echo), ("bridged", face))
        }
    told["added_median_ms"] = round(told["bridged"]["median"] - told["direct"]["median"], 1)
    print(json.dumps(told))
    return 0


def there_and_back_ms(url: str, seconds: float) -> dict[str, float]:
    """Return how long a click in the user's sound takes to come back, including the frame that it is in."""
    sent_s: list[float] = []
    took_ms: list[float] = []
    with call(url, codec="pcm") as caller:
        caller.until(Kind.HANDSHAKE)

        def speak() -> None:
            began_s = time.monotonic()
            for n in range(round(seconds / FRAME_S)):
                frame = np.zeros(FRAME_SAMPLES, np.float32)
                if n % CLICK_EVERY_FRAMES == 0:
                    frame[900:1200] = 0.5 * np.sin(np.arange(300) * 0.3)
                    sent_s.append(time.monotonic())
                caller.say(Kind.AUDIO, float_to_pcm16(frame))
                time.sleep(max(0.0, began_s + (n + 1) * FRAME_S - time.monotonic()))

        speaking = threading.Thread(target=speak)
        speaking.start()
        for _ in range(round(seconds / FRAME_S) - 1):
            caller.until(Kind.AUDIO)
            if np.abs(pcm16_to_float(caller.audio.pop())).max() > LOUD and len(took_ms) < len(sent_s):
                took_ms.append((time.monotonic() - sent_s[len(took_ms)]) * 1000)
        speaking.join()
    median, p95 = np.percentile(took_ms, [50, 95])
    return {
        "clicks": len(took_ms),
        "median": round(float(median), 1),
        "p95": round(float(p95), 1),
        "max": round(max(took_ms), 1),
    }


if __name__ == "__main__":
    raise SystemExit(main())
