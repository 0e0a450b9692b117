"""What was freed goes back to the system, whichever thread had it."""

import platform
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's"),
]

WORK = """
import sys, threading
import numpy as np
from personaplex_app.server.memory import give_back_memory

def held_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

def work(seed):
    chance = np.random.default_rng(seed)
    for _ in range(60):
        recording = np.ones(int(chance.integers(1 << 18, 3 << 20)), np.float32)
        kept.append([bytes(200) for _ in range(200)][::50])
        del recording

if sys.argv[1] == "given back":
    give_back_memory()
kept = []
before_mb = held_mb()
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(held_mb() - before_mb)
"""


def kept_mb(how):
    program = [sys.executable, "-c", WORK, how]
    return float(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


def test_memory_of_recordings_goes_back_when_their_threads_have_ended():
    assert kept_mb("given back") < 20 < kept_mb("as it is")
