"""Exports of a conversation, as text, subtitles, JSON and FLAC, and the data that its lane is drawn from."""

from __future__ import annotations

import json
import re
import wave
from datetime import datetime, timezone
from typing import Any, BinaryIO

from ..audio import pcm16_to_float, peaks
from ..engine.contract import Utterance
from ..protocol_events import Speaker
from ..units import SAMPLE_RATE_HZ
from .records import TalkMeta, TalkRecord, Transcript

SCHEMA_VERSION = 1
PEAKS_PER_S = 50
NAMES: dict[Speaker, str] = {"user": "You", "agent": "Agent"}


def file_name(meta: TalkMeta, at_s: float, kind: str) -> str:
    """Return a friendly ASCII name for an export of what happened at `at_s`."""
    # ASCII letters only: the name goes into an HTTP header and onto any file system
    voice = re.sub(r"[^A-Za-z0-9]+", "-", meta.voice).strip("-")[:30]
    return f"personaplex-{_when(at_s):%Y-%m-%d-%H%M}-{voice or 'talk'}.{kind}"


def to_txt(talk: Transcript, at_s: float, status: str) -> str:
    """Return the transcript as a person reads it, under when it was and how it ended."""
    who = [
        f"Engine: {talk.meta.engine}",
        f"voice: {talk.meta.voice}",
        *([f"persona: {talk.meta.persona}"] if talk.meta.persona else []),
    ]
    head = [
        f"Talk of {_when(at_s):%Y-%m-%d %H:%M} UTC, {clock(talk.duration_s)}, {status}",
        ", ".join(who),
    ]
    if talk.meta.prompt:
        head.append(f"Role: {_line(talk.meta.prompt)}")
    lines = [f"[{clock(u.start_s)}] {NAMES[u.speaker]}: {_line(u.text)}" for u in _spoken(talk)]
    return "\n".join([*head, "", *(lines or ["Nothing was said."])]) + "\n"


def to_srt(talk: Transcript) -> str:
    """Return the transcript as subtitles; where both spoke, cues overlap."""
    cues = []
    for number, u in enumerate(_spoken(talk), 1):
        start_ms = max(0, round(u.start_s * 1000))
        # players drop a cue without length
        end_ms = max(start_ms + 1, round(u.end_s * 1000))
        # "-->" in a text would end the cue for some players
        text = _line(u.text).replace("-->", "->")
        cues.append(f"{number}\n{srt_time(start_ms)} --> {srt_time(end_ms)}\n{NAMES[u.speaker]}: {text}\n")
    return "\n".join(cues)


def to_json(described: dict[str, Any]) -> str:
    """Return a description, everything that is known but the sound, as a file."""
    return (
        json.dumps(
            {"schema": SCHEMA_VERSION, "sample_rate_hz": SAMPLE_RATE_HZ, **described},
            ensure_ascii=False,
            indent=1,
        )
        + "\n"
    )


def write_flac(wav: BinaryIO, to: BinaryIO) -> None:
    """Write the recording as FLAC, losslessly and ten seconds at a time."""
    import soundfile  # loads libsndfile, which only this export needs

    with (
        soundfile.SoundFile(wav) as sound,
        soundfile.SoundFile(to, "w", sound.samplerate, sound.channels, "PCM_16", format="FLAC") as flac,
    ):
        for block in sound.blocks(10 * SAMPLE_RATE_HZ, dtype="int16"):
            flac.write(block)


def summary(talk: TalkRecord) -> dict[str, Any]:
    """Return what a list shows of a talk, ready for JSON."""
    return {
        "id": talk.id,
        "status": talk.status,
        "kept": talk.kept,
        "has_audio": talk.has_audio,
        **opening(talk, talk.started_at_s),
        "end_reason": talk.end_reason,
        "stars": talk.stars,
        "comment": talk.comment,
    }


def describe(talk: TalkRecord) -> dict[str, Any]:
    """Return everything that is known of a talk, ready for JSON."""
    return {**summary(talk), **contents(talk)}


def opening(talk: Transcript, at_s: float) -> dict[str, Any]:
    """Return when it was, with which engine, voice and persona, ready for JSON."""
    return {
        "started_at": _when(at_s).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "duration_s": round(talk.duration_s, 3),
        "engine": talk.meta.engine,
        "voice": talk.meta.voice,
        "persona": talk.meta.persona,
    }


def contents(talk: Transcript) -> dict[str, Any]:
    """Return the role prompt, the sampling, the transcript and the events, ready for JSON."""
    turns = [
        {"user_end_s": t.user_end_s, "agent_start_s": t.agent_start_s, "latency_s": round(t.latency_s, 3)}
        for t in talk.turn_latencies
    ]
    return {
        "prompt": talk.meta.prompt,
        "sampling": vars(talk.meta.sampling),
        "turn_latencies": turns,
        "utterances": _utterances(talk),
        "marks": _marks(talk),
    }


def lane(talk: Transcript, wav: BinaryIO | None) -> dict[str, Any]:
    """Return the data of a conversation's lane: both sides' peaks, 0 to 1, and the words with their times.

    Reads the sound a second at a time.
    """
    user: list[float] = []
    agent: list[float] = []
    if wav is not None:
        with wave.open(wav, "rb") as sound:
            while data := sound.readframes(SAMPLE_RATE_HZ):
                both = pcm16_to_float(data).reshape(-1, 2)
                for side, drawn in ((both[:, 0], user), (both[:, 1], agent)):
                    drawn.extend(round(float(p), 3) for p in peaks(side, PEAKS_PER_S, SAMPLE_RATE_HZ))
    sides = {"user": user, "agent": agent}
    return {
        "duration_s": round(talk.duration_s, 3),
        "peaks_per_s": PEAKS_PER_S,
        **sides,
        "utterances": _utterances(talk),
        "marks": _marks(talk),
    }


def clock(seconds: float) -> str:
    """Return a time in a talk as MM:SS.t."""
    tenths = max(0, round(seconds * 10))
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def srt_time(milliseconds: int) -> str:
    """Return a subtitle's time, HH:MM:SS,mmm."""
    seconds, ms = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d},{ms:03d}"


def _when(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, timezone.utc)


def _line(text: str) -> str:
    return " ".join(text.split())


def _spoken(talk: Transcript) -> list[Utterance]:
    return sorted((u for u in talk.utterances if u.text.strip()), key=lambda u: (u.start_s, u.end_s))


def _utterances(talk: Transcript) -> list[dict[str, Any]]:
    return [
        {
            "id": u.id,
            "speaker": u.speaker,
            "start_s": round(u.start_s, 3),
            "end_s": round(u.end_s, 3),
            "text": u.text,
            "words": [[w.text, round(w.start_s, 3), round(w.end_s, 3)] for w in u.words],  # as on the wire
            "typed": u.typed,
            "line": u.line,
        }
        for u in talk.utterances
    ]


def _marks(talk: Transcript) -> list[dict[str, Any]]:
    return [
        {"kind": m.kind, "speaker": m.speaker, "start_s": round(m.start_s, 3), "end_s": round(m.end_s, 3)}
        for m in talk.marks
    ]
