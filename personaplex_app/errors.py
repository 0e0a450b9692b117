"""All errors that the app raises on purpose, in one tree: class, code, exit status and close code.

class                      code               exit  close
PersonaplexError           error              1     1008
├── BadInput               bad_input          1     1008
│   ├── UnknownVoice       unknown_voice      1     1008
│   ├── UnknownPersona     unknown_persona    1     1008
│   ├── BadPrompt          bad_prompt         1     1008
│   ├── BadAudio           bad_audio          1     1008
│   ├── BadVoiceFile       bad_voice_file     1     1008
│   ├── NoCloning          no_cloning         1     1008
│   ├── NotAllowed         not_allowed        1     1008
│   ├── TooLarge           too_large          1     1009
│   ├── ProtocolError      protocol           1     1008
│   │   ├── WrongFrame     protocol           1     1003
│   │   └── MessageTooBig  protocol           1     1009
│   ├── BadVote            bad_vote           1     1008
│   ├── NotFound           not_found          1     1008
│   │   └── NoRecording    no_recording       1     1008
│   ├── TalkRunning        talk_running       1     1008
│   └── CannotResume       cannot_resume      1     1008
├── SettingsError          settings           1     1008
│   ├── UsageError         settings           2     1008
│   └── SettingsFileError  settings_file      2     1008
├── CapacityError          capacity           1     1013
├── EngineError            engine             1     1011
│   ├── GpuUnavailable     no_gpu             1     1013
│   ├── EngineHung         engine_hung        1     1011
│   ├── EngineUnavailable  engine_unavailable 1     1011
│   └── WeightsError       weights            1     1011
├── SpaceRefused           space_refused      1     1008
└── StorageError           storage            1     1008
    └── StorageFull        storage_full       1     1008

A message is a sentence for people: what happened, the offending value (shortened), the limit, and the next
thing to do. `code` is the stable word that clients get with it. A command that fails by an error ends with
its `exit_code`, a connection is closed with its `close_code`.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import ssl
import sys
import threading
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn


class CloseCode(IntEnum):
    """The codes of a WebSocket's close that are used here (RFC 6455, section 7.4)."""

    NORMAL = 1000
    UNSUPPORTED = 1003
    POLICY = 1008
    TOO_BIG = 1009
    FAULT = 1011
    TRY_LATER = 1013


class PersonaplexError(Exception):
    """Base of all errors whose message is shown to people."""

    code = "error"
    close_code = CloseCode.POLICY
    exit_code = 1


class BadInput(PersonaplexError):
    """Input from a user or client that cannot be used; nothing was lost or changed."""

    code = "bad_input"


class UnknownVoice(BadInput):
    """The engine has no voice of that name."""

    code = "unknown_voice"


class UnknownPersona(BadInput):
    """There is no persona of that name."""

    code = "unknown_persona"


class BadPrompt(BadInput):
    """A role prompt is empty or too long."""

    code = "bad_prompt"


class BadAudio(BadInput):
    """Audio in another format, too long, or with samples that are not numbers."""

    code = "bad_audio"


class BadVoiceFile(BadInput):
    """A file that is not a cloned voice, or the voice of another model."""

    code = "bad_voice_file"


class NoCloning(BadInput):
    """The present engine cannot clone voices."""

    code = "no_cloning"


class NotAllowed(BadInput):
    """A key is required, and was missing or wrong."""

    code = "not_allowed"


class TooLarge(BadInput):
    """A request's body is over the limit of its route."""

    code = "too_large"
    close_code = CloseCode.TOO_BIG


class ProtocolError(BadInput):
    """A message that breaks the wire protocol."""

    code = "protocol"


class WrongFrame(ProtocolError):
    """A text message where the protocol has binary ones, or the reverse."""

    close_code = CloseCode.UNSUPPORTED


class MessageTooBig(ProtocolError):
    """A message larger than the limit."""

    close_code = CloseCode.TOO_BIG


class BadVote(BadInput):
    """A vote that cannot count: for another pair, a second one, or before both sides were played."""

    code = "bad_vote"


class NotFound(BadInput):
    """There is no such talk, or it is somebody else's: the answer is the same for both."""

    code = "not_found"


class NoRecording(NotFound):
    """The talk exists, but has no recording."""

    code = "no_recording"


class TalkRunning(BadInput):
    """The request is possible only for a talk that has ended."""

    code = "talk_running"


class CannotResume(BadInput):
    """A token with which no talk can be resumed, whatever the reason: the answer is the same for all."""

    code = "cannot_resume"


class SettingsError(PersonaplexError):
    """A setting, or a file of the package, cannot be used."""

    code = "settings"


class UsageError(SettingsError):
    """A flag or an environment variable has a value that cannot be used."""

    exit_code = 2


class SettingsFileError(SettingsError):
    """A file that a setting names cannot be used; the message names its line and field."""

    code = "settings_file"
    exit_code = 2


class CapacityError(PersonaplexError):
    """All slots or other limited resources are in use; trying again in `retry_after_s` can succeed."""

    code = "capacity"
    close_code = CloseCode.TRY_LATER

    def __init__(self, message: str, retry_after_s: float = 30.0) -> None:
        super().__init__(message)
        self.retry_after_s = math.ceil(max(1.0, retry_after_s))


class EngineError(PersonaplexError):
    """An engine cannot start or continue; the session ends, other sessions go on."""

    code = "engine"
    close_code = CloseCode.FAULT


class GpuUnavailable(EngineError):
    """No GPU is lent to this visitor now; the message says when to try again."""

    code = "no_gpu"
    close_code = CloseCode.TRY_LATER


class EngineHung(EngineError):
    """A call of the engine has not come back; whoever waited for it waits no longer."""

    code = "engine_hung"


class EngineUnavailable(EngineError):
    """This machine cannot run the engine; the message says what it needs."""

    code = "engine_unavailable"


class WeightsError(EngineError):
    """A weight file is missing, or is not the expected file."""

    code = "weights"


class SpaceRefused(PersonaplexError):
    """The Hub refuses the upload of a Space; the folder that was written stays."""

    code = "space_refused"


class StorageError(PersonaplexError):
    """The data folder cannot be read or written."""

    code = "storage"


class StorageFull(StorageError):
    """The folder for talks has reached its size limit; deleting talks makes room."""

    code = "storage_full"


def shorten(value: object, limit: int = 40) -> str:
    """Return `value` for an error message: quoted, printable, at most `limit` characters."""
    text = repr(value if isinstance(value, str) else str(value))
    return text if len(text) <= limit else text[: limit - 2] + "…" + text[-1]


def reason_of(error: Exception) -> str:
    """Return why something that is not ours failed, in a few words for a sentence of ours: the system's own
    for a file, OpenSSL's, else the kind of error. A library's text may hold places in its source, addresses
    of memory or what a user sent.
    """
    if isinstance(error, ssl.SSLError):
        return error.reason.replace("_", " ").lower() if error.reason else "OpenSSL cannot read it"
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return reason if isinstance(reason, str) else type(error).__name__


def exit_code_of(program: Callable[[], int | None]) -> int:
    """Run a program and return its exit status; an error is printed to stderr as one line."""
    try:
        return program() or 0
    except PersonaplexError as error:
        print(f"personaplex-app: {error}", file=sys.stderr)
        return error.exit_code


def end(status: int) -> NoReturn:
    """End the process with an exit status, as `sys.exit` does, also while threads compute.

    A thread inside a library in C++ would abort the process when Python is taken down under it.
    """
    if threading.active_count() == 1:
        sys.exit(status)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever reads it has gone
            stream.flush()
    os._exit(status)
