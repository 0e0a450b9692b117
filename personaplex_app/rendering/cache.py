"""A disk cache of renderings: for each key a FLAC file with both sides and a JSON file, verified when
read.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ..atomic import write_atomically
from ..engine.contract import Mark, Sampling, TurnLatency, Utterance
from ..errors import StorageError
from ..principal import NOBODY, Principal, Sharers
from ..protocol_events import Word
from ..sessions.records import TalkMeta
from ..sessions.shares import least_missed
from ..sessions.temp_folder import TempFolder
from ..units import SAMPLE_RATE_HZ
from .render import MAX_USER_S, SCHEMA, Rendering

log = logging.getLogger(__name__)

MAX_ABOUT_BYTES = 32 << 20
MAX_TEMPORARY_BYTES = 512 << 20
TEMPORARY_AGE_S = 15 * 60
# two channels of 16 bits: FLAC is never much larger than the samples themselves
MAX_SOUND_BYTES = MAX_USER_S * SAMPLE_RATE_HZ * 4 + (1 << 16)


class RenderCache:
    """Holds up to `limit_bytes` in `folder`, evicting the least recently used of whoever has most there.

    With `keep_s`, entries also expire that long after their last use, by a clock that nobody sets. Methods
    may be called from any thread. An entry is complete or absent: the JSON file, which holds the sound's
    hash, is written last.
    """

    def __init__(
        self,
        folder: Path | TempFolder,
        limit_bytes: int,
        keep_s: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._temporary = folder if isinstance(folder, TempFolder) else None
        self._folder = folder.path if isinstance(folder, TempFolder) else folder
        self._limit_bytes = limit_bytes
        self._keep_s = keep_s
        self._now = now
        self._used_s: dict[str, float] = {}
        self._sharers: dict[str, Sharers] = {}
        self._lock = threading.Lock()

    def has(self, key: str) -> bool:
        """Return whether there is an entry, without reading it."""
        return self._about(key).is_file()

    def get(self, key: str) -> Rendering | None:
        """Return a cached rendering, None where there is none.

        A damaged entry is deleted and treated as absent.
        """
        about = self._about(key)
        sound = self._sound(key)
        try:
            rendering = _read(key, about, sound)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, soundfile.LibsndfileError) as error:
            log.warning("rendering %s is damaged (%s) and was deleted", key[:12], type(error).__name__)
            self._delete(key)
            return None
        self.touch(key)
        return rendering

    def touch(self, key: str) -> None:
        """Mark an entry, if it exists, as used now."""
        self._used_s[key] = self._now()
        now_s = time.time()
        for path in (self._about(key), self._sound(key)):
            with suppress(OSError):
                os.utime(path, (now_s, now_s))

    def put(self, rendering: Rendering, caller: Principal = NOBODY) -> None:
        """Store a rendering that a caller asked for, evicting others where room is needed.

        Raises: StorageError when the folder cannot be written, or the rendering exceeds the limit.
        """
        sound = io.BytesIO()
        both = np.column_stack((rendering.user, rendering.agent))
        # as `float_to_pcm16` did: what is read is what was put
        soundfile.write(
            sound, (both * 32768.0).round().astype(np.int16), SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16"
        )
        body = _to_json(rendering, hashlib.sha256(sound.getvalue()).hexdigest())
        data = json.dumps({"sha256": _hash(body), "rendering": body}, ensure_ascii=False).encode()
        with self._lock:
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._make_room(len(data) + len(sound.getvalue()), but=rendering.key)
                self._used_s[rendering.key] = self._now()
                self._sharers[rendering.key] = caller.sharers
                # the sound first: without its JSON it is no entry
                write_atomically(self._sound(rendering.key), sound.getvalue())
                write_atomically(self._about(rendering.key), data)
            except OSError as error:
                raise StorageError(
                    f"A rendering cannot be kept: {error.strerror or 'the disk refused it'}. Make room on its"
                    " disk and try again."
                ) from error

    def close(self) -> None:
        """Delete everything, where the folder is a temporary one."""
        if self._temporary:
            self._temporary.wipe()

    def purge(self) -> None:
        """Delete expired entries, and temporary files that a killed program left behind."""
        with self._lock:
            now_s = self._now()
            for path in self._folder.glob("*"):
                with suppress(OSError):
                    if path.suffix == ".part":
                        if time.time() - path.stat().st_mtime > 60:
                            path.unlink()
                        continue
                    used_s = self._used_s.setdefault(path.stem, now_s)
                    if self._keep_s is not None and now_s - used_s > self._keep_s:
                        path.unlink()
            there = {path.stem for path in self._folder.glob("*")}
            for known in (self._used_s, self._sharers):
                for key in known.keys() - there:
                    known.pop(key, None)

    def _make_room(self, needed_bytes: int, but: str) -> None:
        if needed_bytes > self._limit_bytes:
            raise StorageError(
                f"A rendering has {needed_bytes:,} bytes; all that may be kept are {self._limit_bytes:,}."
                " Take a shorter recording."
            )
        entries: dict[str, tuple[float, int]] = {}
        for path in self._folder.glob("*.*"):
            try:
                stat = path.stat()
            except OSError:
                continue
            key = path.name.split(".")[0]
            used_s, size_bytes = entries.get(key, (0.0, 0))
            entries[key] = max(used_s, stat.st_mtime), size_bytes + stat.st_size
        entries.pop(but, None)
        total_bytes = sum(size_bytes for _, size_bytes in entries.values())
        # sorted by the time of the last use, which is the files' modification time
        keys = sorted(entries, key=lambda key: entries[key])
        while keys and total_bytes + needed_bytes > self._limit_bytes:
            key = least_missed(
                keys, lambda key: self._sharers.get(key, ()), lambda key: float(entries[key][1])
            )
            self._delete(key)
            keys.remove(key)
            total_bytes -= entries[key][1]

    def _delete(self, key: str) -> None:
        # the JSON first: a sound without one is not an entry, so a crash in between leaves none half deleted
        for path in (self._about(key), self._sound(key)):
            path.unlink(missing_ok=True)

    def _about(self, key: str) -> Path:
        return self._folder / f"{_checked(key)}.json"

    def _sound(self, key: str) -> Path:
        return self._folder / f"{_checked(key)}.flac"


def temporary_renderings() -> RenderCache:
    """Return a cache that does not outlive the program.

    Raises: OSError when its folder cannot be made.
    """
    return RenderCache(TempFolder(Path(tempfile.gettempdir())), MAX_TEMPORARY_BYTES, TEMPORARY_AGE_S)


def _checked(key: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", key):
        raise ValueError("a rendering's key has 64 hexadecimal digits")
    return key


def _hash(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _to_json(rendering: Rendering, sound_sha256: str) -> dict[str, Any]:
    body = {
        "schema": SCHEMA,
        "key": rendering.key,
        "sound_sha256": sound_sha256,
        "meta": asdict(rendering.meta),
        "rendered_at_s": rendering.rendered_at_s,
        "utterances": [asdict(each) for each in rendering.utterances],
        "marks": [asdict(each) for each in rendering.marks],
        "turn_latencies": [asdict(each) for each in rendering.turn_latencies],
        "step_ms": rendering.step_ms,
    }
    # tuples become lists, so that the hash equals that of what is read back
    return json.loads(json.dumps(body))


def _read(key: str, about: Path, sound: Path) -> Rendering:
    """Raises: FileNotFoundError, or another error when the entry is not what was written."""
    document = json.loads(_bounded(about, MAX_ABOUT_BYTES))
    body = document["rendering"]
    if document["sha256"] != _hash(body) or body["schema"] != SCHEMA or body["key"] != key:
        raise ValueError("the JSON is not what was written")
    data = _bounded(sound, MAX_SOUND_BYTES)
    if hashlib.sha256(data).hexdigest() != body["sound_sha256"]:
        raise ValueError("the sound is not what was written")
    both, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    if rate_hz != SAMPLE_RATE_HZ or both.shape[1] != 2:
        raise ValueError("the sound has another form")
    meta = body["meta"] | {"sampling": Sampling(**body["meta"]["sampling"])}
    return Rendering(
        key=key,
        meta=TalkMeta(**meta),
        rendered_at_s=body["rendered_at_s"],
        user=np.ascontiguousarray(both[:, 0]),
        agent=np.ascontiguousarray(both[:, 1]),
        utterances=tuple(
            Utterance(**each | {"words": tuple(Word(**word) for word in each["words"])})
            for each in body["utterances"]
        ),
        marks=tuple(Mark(**each) for each in body["marks"]),
        turn_latencies=tuple(TurnLatency(**each) for each in body["turn_latencies"]),
        step_ms=tuple(body["step_ms"]),
    )


def _bounded(path: Path, limit_bytes: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise ValueError("the file is larger than it can be")
    return data
