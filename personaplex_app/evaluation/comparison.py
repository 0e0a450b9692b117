"""One voice's answer in a comparison: at equal loudness, with its picture, turn latency and words.

Every call blocks.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import soundfile

from ..audio import float_to_pcm16
from ..rendering.render import Rendering
from ..sessions import export
from ..speech.sound import Span
from ..units import SAMPLE_RATE_HZ
from .answer_clip import cut
from .blind_test.design import TrialClip
from .loudness import amplified, gain_db

Channels = Literal["both", "agent"]


@dataclass(frozen=True)
class Matched:
    """A rendering with the gains that bring both sides to the target loudness."""

    rendering: Rendering
    user_gain_db: float
    agent_gain_db: float

    @classmethod
    def of(cls, rendering: Rendering) -> Matched:
        """Measure a rendering's loudness and return it with its gains."""
        return cls(rendering, gain_db(rendering.user), gain_db(rendering.agent))

    def wav(self, channels: Channels = "both") -> bytes:
        """Return the sound as a wav file: the user left and the agent right, or the agent alone."""
        agent = amplified(self.rendering.agent, self.agent_gain_db)
        sound = (
            agent
            if channels == "agent"
            else np.column_stack((amplified(self.rendering.user, self.user_gain_db), agent))
        )
        return sound_file(sound)

    def lane(self, words: bool = True) -> dict[str, Any]:
        """Return the data of the lane; without `words`, only its sound."""
        drawn = export.lane(self.rendering, io.BytesIO(self.wav()))
        # in a blind test the words could give the voice away
        return drawn if words else {**drawn, "utterances": [], "marks": []}

    def within(self, window: Span) -> Matched:
        """Return the part of it in a window, at the target loudness by itself."""
        user, agent = (cut(each, window) for each in (self.rendering.user, self.rendering.agent))
        part = replace(
            self.rendering, user=user, agent=agent, utterances=(), marks=(), turn_latencies=(), step_ms=()
        )
        return Matched.of(part)


def sound_file(samples: np.ndarray) -> bytes:
    """Return a sound as a wav file. Shapes: float32 [N] or [N, channels] at 24 kHz."""
    out = io.BytesIO()
    soundfile.write(out, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return out.getvalue()


def trial_clip(name: str, rendering: Rendering, window: Span) -> TrialClip:
    """Return the answer in a window as a clip of a blind test; `name` says which of the compared it is."""
    start_s, end_s = (round(at_s, 2) for at_s in window)
    agent = cut(rendering.agent, (start_s, end_s))
    sha256 = hashlib.sha256(float_to_pcm16(agent)).hexdigest()
    return TrialClip(name, rendering.key, round(end_s - start_s, 2), gain_db(agent), sha256, start_s)


def measures(rendering: Rendering) -> dict[str, Any]:
    """Return the median turn latency, the agent's words, and the real-time factor."""
    latencies_s = [each.latency_s for each in rendering.turn_latencies]
    text = " ".join(
        each.text.strip() for each in rendering.utterances if each.speaker == "agent" and each.text.strip()
    )
    return {
        "turn_latency_s": round(float(np.median(latencies_s)), 3) if latencies_s else None,
        "turns": len(latencies_s),
        "words": len(text.split()),
        "text": text,
        "rtf": round(rendering.compute_s / rendering.duration_s, 3) if rendering.duration_s else None,
    }
