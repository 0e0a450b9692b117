"""Scripted scenarios: the user's side from `scenarios.yaml`, spoken by the embedded synthesiser.

The exact times of all events are known. The scenarios are not Full-Duplex-Bench's samples. A take is one way
to speak a scenario, with one of the embedded voices and its own noise.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ..audio import float_to_pcm16
from ..errors import BadInput, SettingsError, shorten
from ..personas import find, load_personas
from ..protocol_events import Word
from ..speech.synthesiser import TIMBRES, Synthesiser, Timbre
from ..units import SAMPLE_RATE_HZ
from ..yaml_fields import load_yaml

# as many as were there when the first results were made
USER_TIMBRES = tuple(timbre for timbre in TIMBRES if not timbre.is_man)
SCENARIOS_FILE = Path(__file__).with_name("scenarios.yaml")

Kind = Literal[
    "pause",
    "turn_end",
    "interruption",
    "user_backchannel",
    "agent_backchannel",
    "side_speech",
    "silence",
    "noise",
    "persona",
]
KINDS: tuple[str, ...] = get_args(Kind)
KIND_TITLES: dict[Kind, str] = {
    "pause": "Pauses inside a turn",
    "turn_end": "Ends of turns",
    "interruption": "Interruptions",
    "user_backchannel": "The user murmurs along",
    "agent_backchannel": "Long turns to listen to",
    "side_speech": "Speech of others",
    "silence": "Silence",
    "noise": "Noise",
    "persona": "Questions on the role",
}
SPOKEN = ("say", "interrupt", "hum", "aside")
TIMED = ("pause", "wait")
NOISES = ("hiss", "knocks")
MAX_PART_S = 30.0
MAX_TEXT_CHARS = 300
LEAD_S = 7.0
"""Silence before the user's first part, in which the agent may speak a greeting."""
AUDIBLE = 0.01
# a little noise throughout, because no microphone delivers digital silence
_FLOOR = 0.0003
_ASIDE_GAIN = 10 ** (-16 / 20)
_NOISE_LEVEL = 10 ** (-34 / 20)


@dataclass(frozen=True)
class Part:
    """One action of the user: speech (`say`, `interrupt`, `hum`, `aside`), silence (`pause`, `wait`) or
    `noise`. `ways` are other wordings of `text`.
    """

    do: str
    text: str = ""
    length_s: float = 0.0
    facts: tuple[int | str, ...] = ()
    unknown: bool = False
    ways: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """A conversation's script. `inverted` are regular expressions for what only the other role would say."""

    name: str
    kind: str
    title: str
    persona: str
    script: tuple[Part, ...]
    inverted: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The hash of the script, which does not depend on the take."""
        script = asdict(self)
        # a script with one wording has the hash that it had before there were others: its results stay valid
        script["script"] = [
            {name: value for name, value in part.items() if name != "ways" or value}
            for part in script["script"]
        ]
        return hashlib.sha256(json.dumps(script, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class UserEvent:
    """An event on the user's side with its exact times, from the first audible sample to the last."""

    what: str
    start_s: float
    end_s: float
    text: str = ""
    facts: tuple[int | str, ...] = ()
    unknown: bool = False


@dataclass(frozen=True)
class SpokenScenario:
    """The user's side of one take of a scenario.

    Shapes: `samples` is float32 [N] at 24 kHz.
    """

    scenario: Scenario
    take: int
    user_voice: str
    samples: np.ndarray
    happened: tuple[UserEvent, ...]
    words: tuple[Word, ...]

    @property
    def sha256(self) -> str:
        """The hash of the sound as 16-bit samples."""
        return hashlib.sha256(float_to_pcm16(self.samples)).hexdigest()

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def from_s(self) -> float:
        """When the user's first event begins; agent speech that began before is a greeting."""
        return self.happened[0].start_s


# -- reading the scripts ---------------------------------------------------------------------------


def load_scenarios(path: Path = SCENARIOS_FILE) -> tuple[Scenario, ...]:
    """Return the scenarios of a file, in its order.

    Raises: SettingsError naming the scenario and what is wrong with it.
    """
    entries = load_yaml(path)
    if not isinstance(entries, list) or not entries:
        raise SettingsError(f"The scenarios file {path.name} must be a list with at least one scenario.")
    personas = load_personas()
    found = tuple(
        _scenario(entry, number, {persona.name for persona in personas})
        for number, entry in enumerate(entries, 1)
    )
    names = [scenario.name for scenario in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SettingsError(
            f"Scenario {shorten(twice)}: there are {names.count(twice)} of that name; names must differ."
        )
    return found


def choose_scenarios(names: Iterable[str], scenarios: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
    """Return the scenarios with these names or of these kinds, all for none given, in the file's order.

    Raises: BadInput naming what there is.
    """
    wanted = set(names)
    if unknown := wanted - {s.name for s in scenarios} - {s.kind for s in scenarios}:
        known = ", ".join(dict.fromkeys(s.kind for s in scenarios))
        raise BadInput(
            f"There is no scenario {shorten(min(unknown))}; give names of scenarios.yaml or kinds: {known}."
        )
    return tuple(s for s in scenarios if not wanted or s.name in wanted or s.kind in wanted)


def _scenario(entry: Any, number: int, personas: set[str]) -> Scenario:
    who = f"Scenario {shorten(entry.get('name') if isinstance(entry, dict) else number)}"
    if not isinstance(entry, dict) or set(entry) - {"name", "kind", "title", "persona", "script", "inverted"}:
        raise SettingsError(
            f"{who}: it must be a mapping of name, kind, title, persona, script and perhaps inverted."
        )
    for field in ("name", "kind", "title", "persona"):
        if not isinstance(entry.get(field), str) or not entry[field].strip():
            raise SettingsError(
                f"{who}, field {field}: it must be text and not empty, not {shorten(entry.get(field))}."
            )
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry["name"]):
        raise SettingsError(f"{who}, field name: use lower-case letters, digits and single hyphens.")
    if entry["kind"] not in KINDS:
        raise SettingsError(f"{who}, field kind: {shorten(entry['kind'])} is not one of {', '.join(KINDS)}.")
    if entry["persona"] not in personas:
        raise SettingsError(f"{who}, field persona: there is no persona {shorten(entry['persona'])}.")
    inverted = entry.get("inverted", [])
    try:
        [re.compile(pattern) for pattern in inverted]
    except (re.error, TypeError):
        raise SettingsError(f"{who}, field inverted: it must be a list of regular expressions.") from None
    script = entry.get("script")
    if not isinstance(script, list) or not script:
        raise SettingsError(f"{who}, field script: it must be a list of parts.")
    parts = tuple(_part(part, who) for part in script)
    return Scenario(entry["name"], entry["kind"], entry["title"], entry["persona"], parts, tuple(inverted))


def _part(entry: Any, who: str) -> Part:
    kinds = [do for do in (*SPOKEN, *TIMED, "noise") if isinstance(entry, dict) and do in entry]
    if len(kinds) != 1 or set(entry) - {kinds[0], "facts", "unknown", "seconds", "ways"}:
        raise SettingsError(
            f"{who}: the part {shorten(entry)} must have one of {', '.join((*SPOKEN, *TIMED, 'noise'))}."
        )
    do = kinds[0]
    value = entry[kinds[0]]
    if do in SPOKEN:
        ways = tuple(entry.get("ways", ()))
        for text in (value, *ways):
            if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT_CHARS:
                raise SettingsError(
                    f"{who}: {do} must be text of at most {MAX_TEXT_CHARS} characters, not {shorten(text)}."
                )
        facts = tuple(entry.get("facts", ()))
        return Part(do, value, facts=facts, unknown=bool(entry.get("unknown", False)), ways=ways)
    length = entry.get("seconds") if do == "noise" else value
    if (
        not isinstance(length, int | float)
        or not 0 < length <= MAX_PART_S
        or (do == "noise" and value not in NOISES)
    ):
        raise SettingsError(
            f"{who}: {do} {shorten(value)} must last from 0 to {MAX_PART_S:g} seconds; a noise is"
            f" {' or '.join(NOISES)}."
        )
    return Part(do, value if do == "noise" else "", float(length))


# -- saying them -----------------------------------------------------------------------------------


def user_timbre(scenario: Scenario, take: int) -> Timbre:
    """Return the voice of a take; it does not change when other scenarios are added or removed."""
    # crc32, because Python's own hash of a text changes with every process
    return USER_TIMBRES[(zlib.crc32(scenario.name.encode()) + take) % len(USER_TIMBRES)]


def worded(scenario: Scenario, take: int) -> tuple[Part, ...]:
    """Return the script in the wording of a take; it does not change when other scenarios are added."""
    at = zlib.crc32(scenario.name.encode()) + take
    return tuple(
        replace(part, text=(part.text, *part.ways)[at % (len(part.ways) + 1)]) for part in scenario.script
    )


def persona_prompt(scenario: Scenario) -> str:
    """Return the role prompt of a scenario's persona."""
    return find(scenario.persona).prompt


def speak(scenario: Scenario, take: int, synthesiser: Synthesiser) -> SpokenScenario:
    """Synthesise the user's side of a take; the samples are reproducible on one machine."""
    timbre = user_timbre(scenario, take)
    # a person nearby needs another voice than the user
    other = USER_TIMBRES[(USER_TIMBRES.index(timbre) + 2) % len(USER_TIMBRES)]
    rng = np.random.default_rng([zlib.crc32(scenario.name.encode()), take])
    sounds: list[np.ndarray] = [_silence(LEAD_S)]
    timed: list[tuple[Part, float, float]] = []
    words: list[Word] = []
    at_s = LEAD_S
    for part in worded(scenario, take):
        sound = _silence(part.length_s)
        audible_s = (0.0, part.length_s)
        if part.do in SPOKEN:
            clip = synthesiser.speak(part.text, other if part.do == "aside" else timbre)
            words += [Word(word.text, at_s + word.start_s, at_s + word.end_s) for word in clip.words]
            loud = np.flatnonzero(np.abs(clip.samples) > AUDIBLE) / SAMPLE_RATE_HZ
            sound = clip.samples * (_ASIDE_GAIN if part.do == "aside" else 1.0)
            audible_s = (float(loud[0]), float(loud[-1]))
        elif part.do == "noise":
            sound = _noise(part, rng)
        timed.append((part, at_s + audible_s[0], at_s + audible_s[1]))
        sounds.append(sound)
        at_s += len(sound) / SAMPLE_RATE_HZ
    samples = np.concatenate(sounds)
    samples = np.clip(samples + rng.normal(0.0, _FLOOR, len(samples)), -1.0, 1.0).astype(np.float32)
    return SpokenScenario(scenario, take, timbre.voice.name, samples, _happened(timed), tuple(words))


def _silence(length_s: float) -> np.ndarray:
    return np.zeros(int(length_s * SAMPLE_RATE_HZ), np.float32)


def _happened(timed: list[tuple[Part, float, float]]) -> tuple[UserEvent, ...]:
    """Return the events that the parts make up.

    A turn continues over its pauses, and a scenario of nothing but waiting is one event of silence.
    """
    events: list[UserEvent] = []
    turn: UserEvent | None = None
    for part, start_s, end_s in timed:
        if part.do == "wait":
            turn = None
        elif part.do == "pause":
            # a pause lasts from the last audible sample before it to the first one after it
            events.append(UserEvent("pause", turn.end_s if turn else start_s, end_s))
        elif part.do == "say" and turn:
            events[-1] = replace(events[-1], end_s=start_s) if events[-1].what == "pause" else events[-1]
            text = f"{turn.text} {part.text}"
            facts = turn.facts + part.facts
            longer = replace(turn, end_s=end_s, text=text, facts=facts, unknown=turn.unknown or part.unknown)
            events[events.index(turn)] = turn = longer
        else:
            what = {"say": "turn", "interrupt": "interruption"}.get(part.do, part.do)
            events.append(UserEvent(what, start_s, end_s, part.text, part.facts, part.unknown))
            turn = events[-1] if part.do == "say" else None
    return tuple(events) or (UserEvent("silence", timed[0][1], timed[-1][2]),)


def _noise(part: Part, rng: np.random.Generator) -> np.ndarray:
    samples = int(part.length_s * SAMPLE_RATE_HZ)
    if part.text == "hiss":
        spectrum = np.fft.rfft(rng.normal(0.0, 1.0, samples))
        hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
        sound = np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 80.0)), samples)  # pink above 80 Hz
        return (sound / np.sqrt(np.mean(sound**2)) * _NOISE_LEVEL).astype(np.float32)
    sound = np.zeros(samples, np.float32)
    decay = np.exp(-np.arange(int(0.08 * SAMPLE_RATE_HZ)) / (0.012 * SAMPLE_RATE_HZ))
    for start in range(0, samples - len(decay), int(0.7 * SAMPLE_RATE_HZ)):
        sound[start : start + len(decay)] += (0.4 * decay * rng.normal(0.0, 1.0, len(decay))).astype(
            np.float32
        )
    return np.clip(sound, -0.9, 0.9)
