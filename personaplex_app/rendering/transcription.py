"""Transcribe the user's side of a rendering and measure turn latencies, where the engine reports neither."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from dataclasses import replace

import numpy as np

from ..engine.contract import Capabilities, TurnLatency, Utterance
from ..errors import WeightsError
from ..protocol_events import Word
from ..speech.sound import AGENT_GAP_S, USER_GAP_S, Sound, Span, merged
from ..speech.speech_finder import SpeechFinder, align_to_sound
from ..units import SAMPLE_RATE_HZ
from .render import Rendering

log = logging.getLogger(__name__)

# beyond the utterance ids of any engine, so that ids stay unique within a talk
FIRST_ID = 1_000_000
# the recogniser takes 30 s at once; the margins keep the first and last sounds of words
LONGEST_S = 25.0
MARGIN_S = 0.2
USERS_REMEMBERED = 8


class Transcriber:
    """Finds and recognises speech in whole files; its models are loaded at the first use.

    Calls run one at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._finder: SpeechFinder | None = None
        self._known: OrderedDict[bytes, tuple[list[Span], tuple[Utterance, ...]]] = OrderedDict()

    def complete(self, rendering: Rendering, capabilities: Capabilities) -> Rendering:
        """Return a rendering with the user's words and turn latencies added.

        An engine that reports them itself, or whose agent does not speak, is left as it is. If recognition
        fails, the rendering is returned without them.
        """
        if capabilities.user_captions or not capabilities.agent_captions:
            return rendering
        try:
            with self._lock:
                turns, user_utterances = self._user(rendering.user)
                answers = merged(self._speech(rendering.agent), AGENT_GAP_S)
        except Exception as error:
            log.warning("the user's side of a rendering cannot be transcribed (%s)", type(error).__name__)
            return rendering
        everything = sorted(
            (*rendering.utterances, *user_utterances), key=lambda each: (each.start_s, each.end_s)
        )
        return replace(rendering, utterances=tuple(everything), turn_latencies=turn_latencies(turns, answers))

    def hears_speech(self, samples: np.ndarray) -> bool:
        """Return whether a recording has speech in it, or whether that cannot be found out here.

        Shapes: `samples` is float32 [N] at 24 kHz.
        """
        try:
            return bool(self._segments(samples))
        except (WeightsError, ImportError):
            return True

    def user_turns(self, samples: np.ndarray) -> list[Span]:
        """Return the user's turns in a recording; none where speech cannot be found here.

        Shapes: `samples` is float32 [N] at 24 kHz.
        """
        return self._joined(samples, USER_GAP_S)

    def agent_speech(self, samples: np.ndarray) -> list[Span]:
        """Return the spans of an agent's speech; none where speech cannot be found here.

        Shapes: `samples` is float32 [N] at 24 kHz.
        """
        return self._joined(samples, AGENT_GAP_S)

    def _joined(self, samples: np.ndarray, gap_s: float) -> list[Span]:
        try:
            with self._lock:
                return merged(self._speech(samples), gap_s)
        except (WeightsError, ImportError):
            return []

    def _user(self, samples: np.ndarray) -> tuple[list[Span], tuple[Utterance, ...]]:
        # many voices answer the same recording, which is transcribed once
        key = hashlib.sha256(samples.tobytes()).digest()
        if key not in self._known:
            turns = merged(self._speech(samples), USER_GAP_S)
            self._known[key] = turns, self._recognise(samples, turns)
            while len(self._known) > USERS_REMEMBERED:
                self._known.popitem(last=False)
        return self._known[key]

    def _speech(self, samples: np.ndarray) -> list[Span]:
        """Return the spans of speech, from first to last audible sample."""
        return align_to_sound(self._segments(samples), Sound(samples, SAMPLE_RATE_HZ, 1))

    def _segments(self, samples: np.ndarray) -> list[Span]:
        self._finder = self._finder or SpeechFinder()
        return self._finder.segments(Sound(samples, SAMPLE_RATE_HZ, 1))

    def _recognise(self, samples: np.ndarray, turns: list[Span]) -> tuple[Utterance, ...]:
        if not turns:
            return ()
        from ..speech.recogniser import Recogniser

        recogniser = Recogniser()
        utterances: list[Utterance] = []
        for turn_start_s, turn_end_s in turns:
            words: list[Word] = []
            for at_s in np.arange(turn_start_s, turn_end_s, LONGEST_S):
                begin_s = max(0.0, float(at_s) - MARGIN_S)
                end_s = min(turn_end_s, float(at_s) + LONGEST_S) + MARGIN_S
                transcript = recogniser.transcribe(
                    samples[int(begin_s * SAMPLE_RATE_HZ) : int(end_s * SAMPLE_RATE_HZ)]
                )
                words += [
                    Word(word.text, word.start_s + begin_s, min(word.end_s + begin_s, end_s))
                    for word in transcript.words
                ]
            if words:
                text = " ".join(word.text for word in words)
                utterances.append(
                    Utterance(
                        FIRST_ID + len(utterances), "user", text, turn_start_s, turn_end_s, True, tuple(words)
                    )
                )
        return tuple(utterances)


def turn_latencies(user: list[Span], agent: list[Span]) -> tuple[TurnLatency, ...]:
    """Return the times from each end of the user's speech to the agent's next start.

    Each start is matched with the latest end before it.
    """
    answers: dict[float, float] = {}
    for _, end_s in sorted(user):
        start_s = min((start_s for start_s, _ in agent if start_s > end_s), default=None)
        if start_s is not None:
            answers[start_s] = end_s
    return tuple(TurnLatency(end_s, start_s) for start_s, end_s in answers.items())
