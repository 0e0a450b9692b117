"""The app whose talks drop what they cannot keep up with of the user's sound, for tests of pages: on a busy
machine an engine is slower than a microphone, and what a person does would wait behind ever more sound.

    python -m tests.support.serve_keeping_up serve --engine=personaplex
"""

import sys

import numpy as np

from personaplex_app.__main__ import main
from personaplex_app.server.queues import AudioQueue
from personaplex_app.units import SAMPLE_RATE_HZ

KEPT_S = 0.5
_put = AudioQueue.put


async def _put_or_drop(queue: AudioQueue, samples: np.ndarray) -> None:
    if not queue._live or queue._waiting_samples < KEPT_S * SAMPLE_RATE_HZ:
        await _put(queue, samples)


if __name__ == "__main__":
    AudioQueue.put = _put_or_drop
    sys.exit(main())
