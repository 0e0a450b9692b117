"""A recording program killed at any moment: what it said was saved is there afterwards."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from personaplex_app.principal import NOBODY
from personaplex_app.sessions.library import Library

pytestmark = pytest.mark.process

KEY = "a-key-of-the-crashing-one"
OWNER = NOBODY.with_owner_key(KEY)
ROUNDS = 10
RECORDING = """
import sys
from pathlib import Path
import numpy as np
from personaplex_app.protocol_events import Frame, Mark, Saved, TurnLatency, Utterance
from personaplex_app.principal import NOBODY
from personaplex_app.sessions.library import Library
from personaplex_app.sessions.records import TalkMeta
from personaplex_app.units import FRAME_SAMPLES
library = Library(Path(sys.argv[1]))
log = library.begin(NOBODY.with_owner_key(sys.argv[2]), True, TalkMeta("classic", "Nora"))
print("talk", log.id, flush=True)
chance = np.random.default_rng()
for n in range(5_000):
    spoken = Utterance(n, "user", f"words {n}", n, n + 1, True)
    said = (spoken, Mark("overlap", "user", n, n + 1), TurnLatency(n, n + 1))
    events = said if n % 7 == 0 else ()
    frame = chance.uniform(-1, 1, FRAME_SAMPLES).astype(np.float32)
    assert {type(told) for told in log.see([Frame(frame, frame, 0.01), *events])} <= {Saved}
    print("step", n, log.saved_s, flush=True)
"""


def record_and_kill(folder, after_steps):
    """Kill the program when it has told of `after_steps` steps; return the talk's id, its last step and the
    seconds it called saved.
    """
    program = subprocess.Popen(
        [sys.executable, "-c", RECORDING, folder, KEY],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        text=True,
    )
    lines = [program.stdout.readline() for _ in range(after_steps + 1)]
    os.kill(program.pid, signal.SIGKILL)
    rest, _ = program.communicate()
    lines += rest.splitlines(keepends=True)
    whole = [line.split() for line in lines if line.endswith("\n")]
    assert whole[0][0] == "talk"
    assert len(whole) > after_steps
    return whole[0][1], int(whole[-1][1]), float(whole[-1][2])


def test_library_killed_at_any_moment_lost_nothing_it_acknowledged(tmp_path):
    chance = random.Random(5)
    told = {}
    for _ in range(ROUNDS):  # each start also takes up what the killed one before it left
        talk_id, last_step, saved_s = record_and_kill(tmp_path / "kept", chance.randint(15, 200))
        told[talk_id] = (last_step, saved_s)
    library = Library(tmp_path / "kept")
    assert {t.id: t.status for t in library.talks(OWNER)} == dict.fromkeys(told, "interrupted")
    for talk_id, (last_step, saved_s) in told.items():
        found = library.get(OWNER, talk_id)
        acknowledged = [f"words {n}" for n in range(0, last_step + 1, 7)]
        assert [u.text for u in found.utterances][: len(acknowledged)] == acknowledged
        assert len(found.marks) == len(found.turn_latencies) == len(found.utterances) <= len(acknowledged) + 1
        with library.open_audio(OWNER, talk_id) as file:
            heard_s = soundfile.info(file).duration
        assert heard_s >= saved_s
        assert found.duration_s >= heard_s
    assert max(saved_s for _, saved_s in told.values()) > 1
    assert not list((tmp_path / "kept").glob("*.part"))
    library.close()
