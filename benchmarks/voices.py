"""Measure the embedded engine's voices: who can be told from whom, how natural they are, and what they cost.

Each voice says the same sentences. The fundamental is the median over voiced frames, found by
autocorrelation; the formants are medians of the resonances of a linear prediction. Likeness is the cosine of
two voices' speaker embeddings (Resemblyzer), naturalness DNSMOS's overall score. What the app's own
recogniser hears is compared word by word with what was said. Real-time factor: CPU time on one core, without
loading.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soxr
from rapidfuzz.distance import Levenshtein

from personaplex_app.classic.phrases import plain_words
from personaplex_app.cli.doctor import machine
from personaplex_app.evaluation.machine import memory_use
from personaplex_app.evaluation.similarity import VoiceEncoder, similarity
from personaplex_app.speech.quality import Dnsmos
from personaplex_app.speech.recogniser import Recogniser
from personaplex_app.speech.sound import Sound
from personaplex_app.speech.synthesiser import TIMBRES, Synthesiser
from personaplex_app.units import SAMPLE_RATE_HZ

SENTENCES = (
    "The garden shop opens early in the morning and closes in the evening.",
    "Thank you for calling, how can I help you today?",
    "Your order left the warehouse on Tuesday and should be there by the end of the week.",
    "I am sorry to hear that, it must have been very hard for you.",
    "Would you like a green curry, some noodles, or something without peanuts?",
    "A good interview answer names the situation, what you did, and how it turned out.",
    "She walked along the quiet river until the lights of the village were far behind her.",
    "Please bring a photo identity card, and remember that night flights are not allowed.",
    "Ice floats because it is less dense than the water around it.",
    "Let us try that again, a little more slowly this time.",
)
_PAD_SAMPLES = SAMPLE_RATE_HZ // 5
_FRAME_SAMPLES = SAMPLE_RATE_HZ // 25
_LOWEST_HZ, _HIGHEST_HZ = 65, 400
# a linear prediction of order 10 at 10 kHz has five resonances, one a kilohertz
_FORMANT_RATE_HZ = 10_000
_ORDER = 10
_FORMANTS = 3
_MAX_BANDWIDTH_HZ = 400


@dataclass(frozen=True)
class Figures:
    """What was measured of one voice."""

    voice: str
    f0_hz: float
    formants_hz: tuple[float, ...]
    mos: float
    word_errors: int
    words: int
    real_time_factor: float
    peak: float


def main() -> None:
    """Measure every voice and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    out = parser.parse_args().out
    synthesiser, recogniser, dnsmos = Synthesiser(), Recogniser(), Dnsmos()
    memory_mib = {"loaded": _resident_mib()}
    synthesiser.speak("Yes.", next(timbre for timbre in TIMBRES if timbre.is_vocoded))
    memory_mib["a vocoded voice has spoken"] = _resident_mib()
    encoder = VoiceEncoder()
    figures: list[Figures] = []
    embeddings: dict[str, np.ndarray] = {}
    for timbre in TIMBRES:
        began_s = time.process_time()
        clips = [synthesiser.speak(text, timbre).samples for text in SENTENCES]
        spent_s = time.process_time() - began_s
        joined = np.concatenate([np.pad(clip, _PAD_SAMPLES) for clip in clips])
        heard = [recogniser.transcribe(np.pad(clip, _PAD_SAMPLES), with_words=False).text for clip in clips]
        said = [plain_words(text) for text in SENTENCES]
        errors = [
            Levenshtein.distance(one, plain_words(other)) for one, other in zip(said, heard, strict=True)
        ]
        score = dnsmos.score(joined, SAMPLE_RATE_HZ)
        embedding = encoder.embed(Sound(joined, SAMPLE_RATE_HZ, 1))
        assert score is not None
        assert embedding is not None
        embeddings[timbre.voice.name] = embedding
        f0_hz, formants_hz = resonances(joined)
        figures.append(
            Figures(
                timbre.voice.name,
                f0_hz,
                formants_hz,
                score.overall,
                sum(errors),
                sum(map(len, said)),
                spent_s / sum(len(clip) / SAMPLE_RATE_HZ for clip in clips),
                float(max(np.abs(clip).max() for clip in clips)),
            )
        )
        print(_row(figures[-1]), flush=True)
    alike = {
        one: {other: round(similarity(embeddings[one], embeddings[other]), 2) for other in embeddings}
        for one in embeddings
    }
    for name, row in alike.items():
        print(f"{name:8}", "  ".join(f"{value:.2f}" for value in row.values()))
    print("resident MiB:", {what: round(mib) for what, mib in memory_mib.items()})
    if out:
        result = {
            "machine": machine(),
            "voices": list(map(asdict, figures)),
            "similarity": alike,
            "resident_mib": memory_mib,
        }
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _resident_mib() -> float:
    return (memory_use().now_bytes or 0) / 2**20


def _row(each: Figures) -> str:
    formants = " ".join(f"{hz:5.0f}" for hz in each.formants_hz)
    return (
        f"{each.voice:8} f0 {each.f0_hz:4.0f} Hz  formants {formants} Hz  DNSMOS {each.mos:.2f}"
        f"  word errors {each.word_errors} of {each.words}  RTF {each.real_time_factor:.3f}"
        f"  peak {each.peak:.2f}"
    )


def resonances(samples: np.ndarray) -> tuple[float, tuple[float, ...]]:
    """Return the median fundamental and the median of the first formants over the voiced frames.

    Shapes: `samples` is float32 [N] at 24 kHz.
    """
    f0_hz: list[float] = []
    formants_hz: list[np.ndarray] = []
    for at in range(0, len(samples) - 2 * _FRAME_SAMPLES, _FRAME_SAMPLES):
        part = samples[at : at + 2 * _FRAME_SAMPLES]
        correlation = np.correlate(part, part, "full")[len(part) - 1 :]
        first = SAMPLE_RATE_HZ // _HIGHEST_HZ
        lag = first + int(np.argmax(correlation[first : SAMPLE_RATE_HZ // _LOWEST_HZ]))
        if correlation[0] > 1.0 and correlation[lag] > 0.5 * correlation[0]:
            f0_hz.append(SAMPLE_RATE_HZ / lag)
            found = _formants_hz(soxr.resample(part, SAMPLE_RATE_HZ, _FORMANT_RATE_HZ))
            if len(found) >= _FORMANTS:
                formants_hz.append(found[:_FORMANTS])
    medians = np.median(np.stack(formants_hz), axis=0)
    return float(np.median(f0_hz)), tuple(round(float(hz)) for hz in medians)


def _formants_hz(part: np.ndarray) -> np.ndarray:
    """Return the resonances of one voiced part, the lowest first, by the autocorrelation method."""
    part = np.append(part[:1], part[1:] - 0.97 * part[:-1]) * np.hamming(len(part))
    r = np.correlate(part, part, "full")[len(part) - 1 :][: _ORDER + 1].astype(np.float64)
    matrix = r[np.abs(np.subtract.outer(np.arange(_ORDER), np.arange(_ORDER)))]
    prediction = np.linalg.solve(matrix + 1e-9 * r[0] * np.eye(_ORDER), r[1:])
    roots = np.roots(np.append(1.0, -prediction))
    roots = roots[roots.imag > 0.01]
    hz = np.angle(roots) * _FORMANT_RATE_HZ / (2 * np.pi)
    bandwidth_hz = -np.log(np.abs(roots)) * _FORMANT_RATE_HZ / np.pi
    return np.sort(hz[(bandwidth_hz < _MAX_BANDWIDTH_HZ) & (hz > 90)])


if __name__ == "__main__":
    main()
