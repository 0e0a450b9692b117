"""Read folders of other systems' outputs, wav and JSON files, and validate each file.

A fault that makes a file unusable is raised, with a sentence that names the file, the fault and the remedy;
one that only makes a score doubtful is reported to `note`.
"""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...audio import Note, read_recording
from ...errors import BadAudio, BadInput, shorten
from ...protocol_events import Word
from ...speech.sound import Sound, Span
from ...units import frames_to_s

MAX_JSON_BYTES = 8 << 20
MAX_AUDIO_S = 600.0
USER_AUDIO = "input.wav"
AGENT_AUDIO = "output.wav"
AGENT_WORDS = "output.json"
ANNOTATIONS = ("pause.json", "turn_taking.json", "interrupt.json")
NO_WORD = frozenset(("PAD", "EPAD", "BOS", "EOS", "<s>", "</s>"))


def sample_folders(root: Path) -> list[Path]:
    """Return the samples' folders, in the order of their numbers.

    Raises: BadInput when there is none, with a hint on where they may be.
    """
    try:
        entries = sorted(root.iterdir(), key=_number_order)
        folders = [path for path in entries if path.is_dir() and not path.name.startswith(".")]
    except NotADirectoryError:
        raise BadInput(
            f"{shorten(root)} is a file; give the folder that holds one folder for each sample."
        ) from None
    except OSError as error:
        raise BadInput(
            f"{shorten(root)} cannot be read ({error.strerror}); give the folder that holds the samples'"
            " folders."
        ) from None
    if folders:
        return folders
    if any(path.name in (AGENT_WORDS, AGENT_AUDIO) for path in entries):
        raise BadInput(
            f"{shorten(root)} is the folder of a single sample; give the folder above it, as"
            f" ROOT/ID/{AGENT_WORDS}."
        )
    raise BadInput(
        f"{shorten(root)} holds no samples; put each into a folder of its own, as ROOT/ID/{AGENT_WORDS}."
    )


def _number_order(path: Path) -> list[tuple[int, str]]:
    # digits compare as numbers, so that sample 2 comes before sample 10
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"([0-9]+)", path.name)
        if part
    ]


def label(path: Path) -> str:
    """Return a sample file's name for messages: its folder and its file name."""
    return "".join(letter if letter.isprintable() else "?" for letter in f"{path.parent.name}/{path.name}")


# -- JSON ------------------------------------------------------------------------------------------


def read_words(path: Path, note: Note) -> list[Word]:
    """Return the agent's words in order of time; a null end counts as the start.

    What `offline` writes, a list with one text piece per frame, is understood too.
    Raises: BadInput when the file is missing, or is not `{"text", "chunks": [{"text", "timestamp": [s,
    e]}]}`.
    """
    data = read_json(path)
    if isinstance(data, list) and all(isinstance(piece, str) for piece in data):
        return words_of_stream(data)
    chunks = data.get("chunks") if isinstance(data, dict) else None
    if not isinstance(chunks, list):
        raise BadInput(
            f'{label(path)} has no list "chunks"; write {{"text": …, "chunks": [{{"text": …, "timestamp":'
            " [start, end]}]}."
        )
    words = []
    for number, chunk in enumerate(chunks):
        start_s, end_s = _timestamp(chunk, path, f"chunk {number}")
        text = chunk.get("text", "?")
        if not isinstance(text, str):
            raise BadInput(
                f"{label(path)}: the text of chunk {number} is {shorten(text)}; it must be a string."
            )
        words.append(Word(text, start_s, start_s if end_s is None else end_s))
    if any(later.start_s < word.start_s for word, later in pairwise(words)):
        note(
            f"{label(path)}: the timestamps run backwards; the words were put in order of time, check what"
            " wrote the file."
        )
        words.sort(key=lambda word: word.start_s)
    return words


def words_of_stream(pieces: list[str]) -> list[Word]:
    """Return the words of a text stream with one piece per frame; a leading space begins a new word."""
    words: list[Word] = []
    for frame, piece in enumerate(pieces):
        # SentencePiece marks the beginning of a word with this character
        text = piece.replace("▁", " ")
        if piece in NO_WORD or not text.strip():
            continue
        start_s = frames_to_s(frame)
        end_s = frames_to_s(frame + 1)
        if words and not text.startswith(" "):
            words[-1] = Word(words[-1].text + text, words[-1].start_s, end_s)
        else:
            words.append(Word(text.strip(), start_s, end_s))
    return words


def read_events(path: Path, with_end: bool) -> list[Span]:
    """Return the annotated spans; without `with_end`, a null end counts as the start.

    Raises: BadInput when the file is missing, empty or is not a list of `{"timestamp": [s, e]}`.
    """
    data = read_json(path)
    if not isinstance(data, list) or not data:
        raise BadInput(
            f'{label(path)} holds no list of events; write [{{"text": …, "timestamp": [start, end]}}].'
        )
    events = []
    for number, event in enumerate(data):
        start_s, end_s = _timestamp(event, path, f"event {number}")
        if end_s is None and with_end:
            raise BadInput(
                f"{label(path)}: event {number} has no end; write its timestamp as [start, end] in seconds."
            )
        events.append((start_s, start_s if end_s is None else end_s))
    return events


def _timestamp(entry: Any, path: Path, what: str) -> tuple[float, float | None]:
    times = entry.get("timestamp") if isinstance(entry, dict) else None
    if not (
        isinstance(times, list)
        and len(times) == 2
        and _is_time(times[0])
        and (times[1] is None or _is_time(times[1]))
    ):
        raise BadInput(
            f"{label(path)}: the timestamp of {what} is {shorten(times)}; write [start, end] in seconds,"
            " neither below 0."
        )
    start_s, end_s = times
    if end_s is not None and end_s < start_s:
        raise BadInput(
            f"{label(path)}: {what} ends at {end_s:g} s, before its start at {start_s:g} s; write [start,"
            " end] in seconds."
        )
    return float(start_s), None if end_s is None else float(end_s)


def _is_time(value: Any) -> bool:
    # `bool` is a subclass of `int`, and JSON's true is no time
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e6


def read_human(path: Path) -> dict[str, list[float]] | list[float]:
    """Return the human backchannel distribution: one list for all samples, or one for each sample's id.

    Raises: BadInput.
    """
    data = read_json(path)
    for name, values in data.items() if isinstance(data, dict) else [("the list", data)]:
        usable = (
            isinstance(values, list)
            and values
            and all(_is_time(value) for value in values)
            and sum(values) > 0
        )
        if not usable:
            raise BadInput(
                f"{shorten(path.name)}: {shorten(name)} is no distribution; give a list of numbers from 0 up,"
                " one at least above 0, for all samples or for each sample's id."
            )
    return data


def read_json(path: Path) -> Any:
    """Return a file's content.

    Raises: BadInput when it is missing, too long, not JSON, names something twice or holds NaN.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_JSON_BYTES + 1)
    except FileNotFoundError:
        raise BadInput(f"{label(path)} is missing; {_remedy(path.name)}.") from None
    except OSError as error:
        raise BadInput(f"{label(path)} cannot be read ({error.strerror}); check the file.") from None
    if len(text) > MAX_JSON_BYTES:
        raise BadInput(
            f"{label(path)} is longer than {MAX_JSON_BYTES >> 20} MiB; give the words of one conversation."
        )
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        where = (
            f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        )
        why = str(error) if isinstance(error, _Refused) else f"it is not JSON{where}"
        raise BadInput(f"{label(path)} cannot be used: {why}; write it again.") from None


class _Refused(ValueError):
    pass


def _no_number(text: str) -> float:
    raise _Refused(f"it holds {text}, which is not a number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(shorten(text))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Refused(f"it holds {shorten(next(name for name in names if names.count(name) > 1))} twice")
    return found


def _remedy(name: str) -> str:
    if name == AGENT_WORDS:
        return (
            "write the agent's words with their times into it (the text stream has one entry per 80 ms frame)"
        )
    return (
        "take the annotation from the benchmark's own sample folder"
        if name in ANNOTATIONS
        else "check its name"
    )


# -- audio -----------------------------------------------------------------------------------------


def read_sound(path: Path, note: Note = lambda text: None) -> Sound:
    """Return a file's audio at its own rate, mixed down; what was done to it is reported to `note`.

    Raises: BadAudio when it is missing, empty, too long, holds NaN or cannot be decoded.
    """
    try:
        # a file object: libsndfile refuses names that are not UTF-8
        with path.open("rb") as file:
            found = read_recording(file, MAX_AUDIO_S, note, label(path), keep_rate=True)
    except (FileNotFoundError, IsADirectoryError):
        raise BadAudio(f"{label(path)} is missing; put the sound of that side there, as wav.") from None
    except OSError as error:
        raise BadAudio(f"{label(path)} cannot be read ({error.strerror}); check the file.") from None
    return Sound(found.samples, found.rate_hz, found.channels)
