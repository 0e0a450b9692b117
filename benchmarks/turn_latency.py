"""Measure turn latency and barge-in of the embedded engine, in real time.

Spoken questions are synthesised in several voices, given a little room noise and fed to a session frame by
frame, one frame each 80 ms. What is measured comes from the audio that went in and came out, on the session's
frame clock, not from the engine's own events: turn latency is from the question's last audible sample to the
answer's first; barge-in stop is from the user's first audible sample to the agent's last.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from personaplex_app.classic.engine import ClassicEngine
from personaplex_app.cli.doctor import machine
from personaplex_app.engine.contract import Mark, Notice, Session, SessionConfig, Step, TurnLatency, Utterance
from personaplex_app.personas import find
from personaplex_app.responder.rules import make_responder
from personaplex_app.speech.synthesiser import TIMBRES, Synthesiser
from personaplex_app.units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ
from personaplex_app.voices import EMBEDDED_NAMES

QUESTIONS = {
    "waste-collection": (
        "How much is the compost bin?",
        "When is my recycling picked up?",
        "Can I throw away batteries?",
        "You missed my bin this week.",
        "What does a second recycling bin cost?",
        "Where is the depot?",
        "When are the bills sent?",
        "What is your name?",
    ),
    "restaurant": (
        "When are you open?",
        "Can I book a table for two people tonight?",
        "Do you have vegetarian dishes?",
        "Hello, what is the name of the restaurant?",
        "How much is the soup?",
        "Is there a parking place near you?",
        "Thank you, that was all I wanted to know.",
        "Could you repeat that, please?",
    ),
    "chat": (
        "What did you do this weekend?",
        "I went hiking with my sister.",
        "Do you like music?",
        "It has been raining here all day.",
        "Tell me something about yourself.",
        "My name is Peter.",
        "What should I cook tonight?",
        "I am reading a good book.",
    ),
}
# −40 dB: speech that has faded out is below it, and the room noise never reaches it
_SILENT = 0.01
_NOISE = 0.0003
_GIVE_UP_S = 6.0
_BARGE_AFTER_S = 1.2
_GREETING_S = 12.0
INTERRUPTIONS = (
    "Hold on, please, that is enough.",
    "What about the price of it?",
    "Sorry, I have to stop you there for a moment.",
    "Actually, I wanted to know something else.",
)


@dataclass
class Talk:
    """Feeds a session in real time and records both sides."""

    session: Session
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    frames: list[Step] = field(default_factory=list)
    step_s: list[float] = field(default_factory=list)
    late: int = 0
    due_s: float = field(default_factory=time.perf_counter)

    @property
    def now_s(self) -> float:
        return len(self.frames) * FRAME_S

    def feed(self, frame: np.ndarray) -> Step:
        """Pass one frame to the session when it is due."""
        self.due_s += FRAME_S
        wait_s = self.due_s - time.perf_counter()
        if wait_s > 0:
            time.sleep(wait_s)
        elif wait_s < -FRAME_S:
            self.late += 1
        frame = frame + self.rng.normal(0.0, _NOISE, FRAME_SAMPLES).astype(np.float32)
        begun = time.perf_counter()
        step = self.session.step(np.clip(frame, -1.0, 1.0).astype(np.float32))
        self.step_s.append(time.perf_counter() - begun)
        self.frames.append(step)
        return step

    def say(self, samples: np.ndarray) -> tuple[float, float]:
        """Play a clip; return the times of its first and last audible sample on the frame clock."""
        loud = np.flatnonzero(np.abs(samples) > _SILENT)
        start_s = self.now_s
        for frame in np.pad(samples, (0, -len(samples) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES):
            self.feed(frame)
        return start_s + loud[0] / SAMPLE_RATE_HZ, start_s + (loud[-1] + 1) / SAMPLE_RATE_HZ

    def listen(self, seconds: float) -> None:
        """Stay silent."""
        for _ in range(round(seconds / FRAME_S)):
            self.feed(np.zeros(FRAME_SAMPLES, np.float32))

    def agent_since(self, start_s: float) -> float | None:
        """Return when the agent's first audible sample after `start_s` was, None when there is none yet."""
        first = int(start_s / FRAME_S)
        if first >= len(self.frames):
            return None
        sound = np.concatenate([step.agent for step in self.frames[first:]])
        loud = np.flatnonzero(np.abs(sound) > _SILENT)
        loud = loud[loud >= (start_s - first * FRAME_S) * SAMPLE_RATE_HZ]
        return first * FRAME_S + loud[0] / SAMPLE_RATE_HZ if len(loud) else None

    def agent_stop(self, start_s: float, silent_s: float = 0.6) -> float | None:
        """Return the agent's last audible sample before it was silent for a while, at or after `start_s`."""
        first = int(start_s / FRAME_S)
        sound = np.concatenate([step.agent for step in self.frames[first:]])
        loud = np.flatnonzero(np.abs(sound) > _SILENT)
        gaps = np.flatnonzero(
            np.diff(np.append(loud, len(sound) + SAMPLE_RATE_HZ)) > silent_s * SAMPLE_RATE_HZ
        )
        return first * FRAME_S + (loud[gaps[0]] + 1) / SAMPLE_RATE_HZ if len(gaps) else None

    def wait_for_agent(self, start_s: float) -> float | None:
        """Stay silent until the agent speaks; return when, None when it does not."""
        while self.now_s - start_s < _GIVE_UP_S:
            if (began_s := self.agent_since(start_s)) is not None:
                return began_s
            self.listen(FRAME_S)
        return None

    def wait_for_end(self, most_s: float = 20.0) -> None:
        """Stay silent until the agent's utterance is final."""
        end_s = self.now_s + most_s
        while self.now_s < end_s and not any(
            isinstance(e, Utterance) and e.speaker == "agent" and e.final for e in self.frames[-1].events
        ):
            self.listen(FRAME_S)
        self.listen(0.8)


def measure(quick: bool = False) -> dict:
    """Return every figure, ready for JSON."""
    synthesiser = Synthesiser()
    engine = ClassicEngine(make_responder)
    begun = time.perf_counter()
    engine.load(lambda _: None)
    load_s = time.perf_counter() - begun
    turns = []
    stops = []
    step_s = []
    late = 0
    for number, (name, questions) in enumerate(QUESTIONS.items()):
        persona = find(name)
        voice = persona.voice_among(EMBEDDED_NAMES) or EMBEDDED_NAMES[0]
        session = engine.open(SessionConfig(voice, persona.prompt, persona.name))
        talk = Talk(session)
        talk.wait_for_agent(0.0)
        talk.wait_for_end(_GREETING_S)
        for index, question in enumerate(questions[:2] if quick else questions):
            timbre = TIMBRES[(index + number) % len(TIMBRES)]
            turns.append(_ask(talk, question, synthesiser.speak(question, timbre).samples))
            if index % 2:
                words = INTERRUPTIONS[len(stops) % len(INTERRUPTIONS)]
                stop = _barge_in(talk, synthesiser.speak(words, timbre).samples)
                stops.append({"persona": name, "voice": timbre.voice.name, "said": words, **stop})
            else:
                talk.wait_for_end()
        session.close()
        step_s += talk.step_s
        late += talk.late
    rss_bytes = _rss_bytes()
    engine.close()
    return _summary(turns, stops, step_s) | {
        "late_frames": late,
        "load_s": round(load_s, 2),
        "rss_mb": round(rss_bytes / 1e6),
        "machine": {**machine(), "load_average": [round(x, 1) for x in os.getloadavg()]},
        "turns": turns,
        "barge_in": stops,
    }


def _ask(talk: Talk, question: str, samples: np.ndarray) -> dict:
    _, end_s = talk.say(samples)
    spoken = len(talk.frames)
    began_s = talk.wait_for_agent(end_s)
    events = [
        (n, event) for n, step in enumerate(talk.frames[spoken - 40 :], spoken - 40) for event in step.events
    ]
    reported = [event.latency_s for _, event in events if isinstance(event, TurnLatency)]
    texts = [
        (n, event.text) for n, event in events if isinstance(event, Utterance) and event.speaker == "user"
    ]
    known_s = [(n + 1) * FRAME_S for n, text in texts if text == texts[-1][1]]
    return {
        "question": question,
        "recognised": texts[-1][1] if texts else "",
        "latency_s": None if began_s is None else round(began_s - end_s, 3),
        "reported_s": round(reported[-1], 3) if reported else None,
        "text_known_s": round(known_s[0] - end_s, 3) if known_s else None,
    }


def _barge_in(talk: Talk, samples: np.ndarray) -> dict:
    talk.listen(_BARGE_AFTER_S)
    speaking = talk.agent_since(talk.now_s - 0.3) is not None
    before = len(talk.frames)
    onset_s, _ = talk.say(samples)
    talk.listen(FRAME_S)
    stop_s = talk.agent_stop(onset_s - 0.3)
    if talk.wait_for_agent(talk.now_s) is not None:
        talk.wait_for_end()
    events = [event for step in talk.frames[before:] for event in step.events]
    return {
        "recognised": [
            e.text for e in events if isinstance(e, Utterance) and e.speaker == "user" and e.final
        ],
        "marks": [
            f"{e.kind} {e.start_s - onset_s:.2f} to {e.end_s - onset_s:.2f}"
            for e in events
            if isinstance(e, Mark)
        ],
        "notices": [e.code for e in events if isinstance(e, Notice)],
        "agent_was_speaking": speaking,
        "stop_s": round(stop_s - onset_s, 3) if stop_s is not None and speaking else None,
    }


def _summary(turns: list[dict], stops: list[dict], step_s: list[float]) -> dict:
    latency = [turn["latency_s"] for turn in turns if turn["latency_s"] is not None]
    stop = [stop["stop_s"] for stop in stops if stop["stop_s"] is not None]
    text = [turn["text_known_s"] for turn in turns if turn["text_known_s"] is not None]
    error = [
        abs(turn["reported_s"] - turn["latency_s"])
        for turn in turns
        if turn["reported_s"] is not None and turn["latency_s"] is not None
    ]
    return {
        "questions": len(turns),
        "answered": len(latency),
        "turn_latency_s": _spread(latency),
        "barge_in_stop_s": _spread(stop),
        "text_known_after_s": _spread(text),
        "reported_latency_error_s": _spread(error),
        "step_ms": _spread([1e3 * s for s in step_s]),
    }


def _spread(values: list[float]) -> dict | None:
    if not values:
        return None
    return {
        "n": len(values),
        "median": round(float(np.median(values)), 3),
        "p95": round(float(np.percentile(values, 95)), 3),
        "max": round(float(max(values)), 3),
    }


def _rss_bytes() -> int:
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if status.exists() else 0


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument(
        "--quick", action="store_true", help="two questions a persona, to try the benchmark itself"
    )
    arguments = parser.parse_args()
    result = measure(arguments.quick)
    for turn in result["turns"]:
        print(
            f"{turn['latency_s']!s:>7} s  text after {turn['text_known_s']!s:>6} s  {turn['question']} |"
            f" {turn['recognised']}"
        )
    for stop in result["barge_in"]:
        print(
            f"{stop['stop_s']!s:>7} s  {stop['voice']}  {stop['said']} | {stop['recognised']} {stop['marks']}"
            f" {stop['notices']}"
        )
    for key in (
        "questions",
        "answered",
        "turn_latency_s",
        "barge_in_stop_s",
        "text_known_after_s",
        "reported_latency_error_s",
        "step_ms",
    ):
        print(f"{key}: {result[key]}")
    for key in ("late_frames", "load_s", "rss_mb", "machine"):
        print(f"{key}: {result[key]}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
