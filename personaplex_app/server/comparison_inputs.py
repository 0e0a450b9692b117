"""What is said in comparisons: recordings of visitors, in memory alone, and scenarios, spoken once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from .. import audio
from ..errors import BadInput, shorten
from ..evaluation.scenarios import Scenario, load_scenarios, speak
from ..principal import Principal, Sharers
from ..sessions.shares import least_missed
from ..speech.speech_finder import NO_SPEECH
from ..speech.synthesiser import Synthesiser
from ..units import SAMPLE_RATE_HZ
from .app_state import AppState

MAX_RECORDING_S = 120.0
MAX_RECORDINGS = 8
SPOKEN_KEPT = 8


@dataclass(frozen=True)
class ComparisonInput:
    """What the user says. A recording is private, and stored nowhere that outlives the process."""

    id: str
    title: str
    persona: str
    samples: np.ndarray
    private: bool
    sharers: Sharers = ()
    question: str = ""
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """How long it is, in seconds, as a client is told it."""
        return round(len(self.samples) / SAMPLE_RATE_HZ, 2)


class ComparisonInputs:
    """The inputs that one app knows."""

    def __init__(self, app_state: AppState) -> None:
        self.scenarios = {scenario.name: scenario for scenario in load_scenarios()}
        self._app_state = app_state
        self._recordings: OrderedDict[str, ComparisonInput] = OrderedDict()
        self._recording = threading.Lock()
        self._spoken: OrderedDict[str, ComparisonInput] = OrderedDict()
        self._synthesiser: Synthesiser | None = None
        # the synthesiser takes one call at a time
        self._speaking = threading.Lock()

    def add_recording(self, caller: Principal, data: bytes, title: str) -> ComparisonInput:
        """Return a recording as an input, for the caller's owner. Raises: BadInput, BadAudio."""
        owner = caller.required_owner
        notes: list[str] = []
        samples = audio.decode(data, MAX_RECORDING_S, notes.append, "Your recording")
        if not self._app_state.transcriber.hears_speech(samples):
            notes.append(NO_SPEECH)
        # with the owner in it, so that an id cannot be guessed from the sound
        id_ = hashlib.sha256(owner.encode() + audio.float_to_pcm16(samples)).hexdigest()[:32]
        title = title[:60] or "Recording"
        made = ComparisonInput(id_, title, "", samples, True, caller.sharers, notes=tuple(notes))
        with self._recording:
            self._recordings[id_] = made
            self._recordings.move_to_end(id_)
            while len(self._recordings) > MAX_RECORDINGS:
                del self._recordings[
                    least_missed(list(self._recordings.values()), lambda each: each.sharers).id
                ]
        return made

    def get(self, kind: str, name: str) -> ComparisonInput:
        """Return an input of a kind, "scenario" or "recording". Raises: BadInput."""
        self.check(kind, name)
        if kind == "recording":
            return self._recordings[name]
        with self._speaking:
            if name not in self._spoken:
                self._spoken[name] = self._say(self.scenarios[name])
                while len(self._spoken) > SPOKEN_KEPT:
                    self._spoken.popitem(last=False)
            return self._spoken[name]

    def check(self, kind: str, name: str) -> None:
        """Check that there is such an input. Raises: BadInput."""
        if kind == "recording" and name not in self._recordings:
            raise BadInput(
                "That recording is no longer here: recordings are kept nowhere but in memory. Record or"
                " upload it again."
            )
        if kind == "scenario" and name not in self.scenarios:
            raise BadInput(f"There is no scenario {shorten(name)}; choose one of the list.")

    def _say(self, scenario: Scenario) -> ComparisonInput:
        self._synthesiser = self._synthesiser or Synthesiser()
        spoken = speak(scenario, 0, self._synthesiser)
        said = " ".join(
            event.text for event in spoken.happened if event.what in ("turn", "interruption") and event.text
        )
        return ComparisonInput(
            spoken.sha256, scenario.title, scenario.persona, spoken.samples, False, question=said
        )
