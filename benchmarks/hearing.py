"""Measure how the embedded engine hears: turns that are lost, and loops of the recogniser in the captions.

Each turn is spoken into a talk of its own, as fast as the machine allows, with and without noise. Half the
voices are the engine's own; the others are those of flite and espeak-ng, with three accents, where these two
commands are installed. A turn is lost when the talk has no caption of it and no answer; it loops when its
caption has two words or more of what was said once too often.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from rapidfuzz.distance import Levenshtein

from personaplex_app.classic.engine import ClassicEngine
from personaplex_app.classic.phrases import plain_words
from personaplex_app.cli.doctor import machine
from personaplex_app.engine.contract import SessionConfig, Utterance
from personaplex_app.speech.synthesiser import TIMBRES, Synthesiser
from personaplex_app.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

TURNS = (
    "Go on.",
    "Yes.",
    "Speak Spanish.",
    "What time is it?",
    "Hello, can you hear me?",
    "Tell me a joke.",
    "No.",
    "Okay, bye.",
    "How much is it?",
    "What can you help me with?",
    "I want to move into management.",
    "My cat died last week.",
    "Why?",
    "Thank you.",
    "Can you repeat that?",
    "I would like a green curry and two spring rolls, please.",
    "Are you open on Sunday?",
)
# command, voice, whether it has an accent
SPEAKERS = (
    ("flite", "slt", False),
    ("flite", "rms", False),
    ("flite", "awb", True),
    ("espeak-ng", "en-us", False),
    ("espeak-ng", "en-gb-scotland", True),
    ("espeak-ng", "en-029", True),
)
NOISE_DB = 15.0
# a microphone is never quite silent
_FLOOR = 3e-4
_LEAD_S, _TAIL_S = 0.8, 2.4
_LEVEL = 0.1


@dataclass(frozen=True)
class Heard:
    """One turn: what was said, in which voice and noise, and what the captions have."""

    voice: str
    noise: bool
    said: str
    heard: str
    answered: bool

    @property
    def lost(self) -> bool:
        return not self.heard and not self.answered

    @property
    def loops(self) -> bool:
        said, heard = Counter(plain_words(self.said)), Counter(plain_words(self.heard))
        return sum(max(0, heard[word] - times) for word, times in said.items()) >= 2


class Listener:
    """A responder that says nothing of its own and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def greet(self) -> str:
        return ""

    def reply(self, text: str) -> Iterator[str]:
        self.asked.append(text)
        return iter(("I see.",))

    def record_played(self, text: str, interrupted: bool) -> None:
        pass

    def close(self) -> None:
        pass


def main() -> None:
    """Hold the talks and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=1, help="take every so many-th turn alone")
    parser.add_argument("--out", type=Path, help="write every turn to this JSON file")
    asked = parser.parse_args()
    responders: list[Listener] = []

    def make(*_: object) -> Listener:
        responders.append(Listener())
        return responders[-1]

    engine = ClassicEngine(make)
    engine.load(lambda state: None)
    rng = np.random.default_rng(0)
    turns: list[Heard] = []
    for number, (voice, text, sound) in enumerate(spoken()):
        if number % asked.each:
            continue
        for noise in (False, True):
            turns.append(Heard(voice, noise, text, *_talk(engine, responders, noisy(sound, noise, rng))))
            if turns[-1].lost or turns[-1].loops:
                print(turns[-1], flush=True)
    engine.close()
    for noise in (False, True):
        some = [each for each in turns if each.noise is noise]
        errors = sum(Levenshtein.distance(plain_words(t.said), plain_words(t.heard)) for t in some)
        words = sum(len(plain_words(t.said)) for t in some)
        print(
            f"{f'noise at {NOISE_DB:.0f} dB' if noise else 'quiet':15} {len(some)} turns in"
            f" {len({each.voice for each in some})} voices: {sum(each.lost for each in some)} lost,"
            f" {sum(each.loops for each in some)} loops, {errors} of {words} words wrong"
        )
    if asked.out:
        result = {"machine": machine(), "turns": list(map(asdict, turns))}
        asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def spoken() -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield every turn in every voice that is there: the voice, the text, the sound at 24 kHz."""
    synthesiser = Synthesiser()
    for timbre in TIMBRES:
        for text in TURNS:
            yield timbre.voice.name, text, synthesiser.speak(text, timbre).samples
    for command, voice, accent in SPEAKERS:
        if not shutil.which(command):
            print(f"{command} is not installed: its voices are left out")
            continue
        for text in TURNS:
            yield f"{command} {voice}{' (accent)' if accent else ''}", text, _said_by(command, voice, text)


def _said_by(command: str, voice: str, text: str) -> np.ndarray:
    options = ["-voice", voice, "-t", text, "-o", "/dev/stdout"]
    if command == "espeak-ng":
        options = ["-v", voice, "--stdout", text]
    made = subprocess.run([command, *options], capture_output=True, check=True).stdout
    samples, rate_hz = soundfile.read(io.BytesIO(made), dtype="float32")
    return soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)


def noisy(sound: np.ndarray, noise: bool, rng: np.random.Generator) -> np.ndarray:
    """Return a turn at speaking level with the room around it, in noise where asked for."""
    sound = sound * (_LEVEL / np.sqrt(np.mean(np.square(sound))))
    sound = np.pad(sound, (int(_LEAD_S * SAMPLE_RATE_HZ), int(_TAIL_S * SAMPLE_RATE_HZ)))
    level = _LEVEL * 10 ** (-NOISE_DB / 20) if noise else _FLOOR
    sound = sound + rng.normal(0.0, level, len(sound))
    return np.clip(np.pad(sound, (0, -len(sound) % FRAME_SAMPLES)), -1.0, 1.0).astype(np.float32)


def _talk(engine: ClassicEngine, responders: list[Listener], sound: np.ndarray) -> tuple[str, bool]:
    """Return the captions of the user in a talk of their own, and whether there was an answer."""
    session = engine.open(SessionConfig("natural", "You are a helpful person.", realtime=False))
    captions: dict[int, str] = {}
    for frame in sound.reshape(-1, FRAME_SAMPLES):
        for event in session.step(frame).events:
            if isinstance(event, Utterance) and event.speaker == "user":
                captions[event.id] = event.text
    session.close()
    return " ".join(filter(None, captions.values())), bool(responders.pop().asked)


if __name__ == "__main__":
    main()
