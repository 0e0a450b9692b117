"""Stands in for the package of that name on machines without a sound card, for the `moshi` package's own
client.

The microphone is `SOUND_IN`, a wav file, at the pace of real time; what the loudspeaker plays goes to
`SOUND_OUT`. When the recording is over it is as if somebody pressed ctrl-C.
"""

import os
import signal
import threading
import time

import numpy as np
import soundfile


class _Stream:
    def __init__(self, samplerate, channels, blocksize, callback):
        self.rate_hz = int(samplerate)
        self.channels = channels
        self.block = blocksize
        self.callback = callback
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join()

    def _run(self):
        began_s, blocks = time.monotonic(), 0
        while not self._over.is_set() and self.block_is_due():
            blocks += 1
            time.sleep(max(0.0, began_s + blocks * self.block / self.rate_hz - time.monotonic()))
        self.finish()


class InputStream(_Stream):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        samples, _ = soundfile.read(os.environ["SOUND_IN"], dtype="float32")
        self._blocks = list(samples[: len(samples) // self.block * self.block].reshape(-1, self.block, 1))

    def block_is_due(self):
        self.callback(self._blocks.pop(0), self.block, None, None)
        return bool(self._blocks)

    def finish(self):
        os.kill(os.getpid(), signal.SIGINT)


class OutputStream(_Stream):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._played = []

    def block_is_due(self):
        block = np.zeros((self.block, self.channels), np.float32)
        self.callback(block, self.block, None, None)
        self._played.append(block[:, 0])
        return True

    def finish(self):
        soundfile.write(os.environ["SOUND_OUT"], np.concatenate(self._played), self.rate_hz)
