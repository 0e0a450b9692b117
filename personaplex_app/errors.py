"""Everything this program raises on purpose, as one tree.

Each message is a sentence for a person: what happened, the offending value (shortened), the limit, and the
next thing to do.
`code` is the stable word that goes over the wire beside it; a connection that ends by it is closed with its
`close_code`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum


class CloseCode(IntEnum):
    """The codes of a WebSocket's close that are used here (RFC 6455, section 7.4)."""

    NORMAL = 1000
    UNSUPPORTED = 1003
    POLICY = 1008
    TOO_BIG = 1009
    FAULT = 1011
    TRY_LATER = 1013


class PersonaplexError(Exception):
    """Base of every error that is meant to be shown."""

    code = "error"
    close_code = CloseCode.POLICY
    exit_code = 1


class BadInput(PersonaplexError):
    """What a person or a client sent cannot be used; nothing was lost or changed."""

    code = "bad_input"


class UnknownVoice(BadInput):
    code = "unknown_voice"


class UnknownPersona(BadInput):
    code = "unknown_persona"


class BadPrompt(BadInput):
    code = "bad_prompt"


class BadAudio(BadInput):
    code = "bad_audio"


class BadVoiceFile(BadInput):
    """A file is no cloned voice, or one of another model."""

    code = "bad_voice_file"


class NoCloning(BadInput):
    """The engine that speaks cannot clone voices."""

    code = "no_cloning"


class NotAllowed(BadInput):
    """That needs a key, and it was not there or not the right one."""

    code = "not_allowed"


class ProtocolError(BadInput):
    """A message breaks the wire protocol."""

    code = "protocol"


class WrongFrame(ProtocolError):
    """A text message where binary ones are spoken, or the other way round."""

    close_code = CloseCode.UNSUPPORTED


class MessageTooBig(ProtocolError):
    """A message is larger than the limit."""

    close_code = CloseCode.TOO_BIG


class BadVote(BadInput):
    """A vote that cannot count: not of the pair that is shown, said before, or before both sides were
    heard.
    """

    code = "bad_vote"


class NotFound(BadInput):
    """No such talk, or it belongs to somebody else: the two are never told apart."""

    code = "not_found"


class NoRecording(NotFound):
    """The talk is there, its sound is not."""

    code = "no_recording"


class TalkRunning(BadInput):
    """That can only be done to a talk that has ended."""

    code = "talk_running"


class SettingsError(PersonaplexError):
    """A flag, an environment variable or a file of ours has a value that cannot be used."""

    code = "settings"


class UsageError(SettingsError):
    """The program was called with a flag or an environment variable that cannot be used."""

    exit_code = 2


class SettingsFileError(SettingsError):
    """A file that a setting names cannot be used; the message has its line and field."""

    code = "settings_file"
    exit_code = 2


class CapacityError(PersonaplexError):
    """No room now; trying later can succeed."""

    code = "capacity"
    close_code = CloseCode.TRY_LATER


class EngineError(PersonaplexError):
    """An engine cannot start or go on; the session ends, others do not."""

    code = "engine"
    close_code = CloseCode.FAULT


class GpuUnavailable(EngineError):
    """No GPU is lent to this visitor now; the message says when to come back."""

    code = "no_gpu"
    close_code = CloseCode.TRY_LATER


class EngineUnavailable(EngineError):
    """This machine cannot run that engine; the message says what would unlock it."""

    code = "engine_unavailable"


class WeightsError(EngineError):
    """A weight file is missing or is not the file that was expected."""

    code = "weights"


class SpaceRefused(PersonaplexError):
    """The Hub does not take a Space; the folder that was written stays."""

    code = "space_refused"


class StorageError(PersonaplexError):
    """The data folder cannot be read or written."""

    code = "storage"


class StorageFull(StorageError):
    """The folder for talks has reached its limit; deleting some makes room."""

    code = "storage_full"


def shorten(value: object, limit: int = 40) -> str:
    """Return `value` for an error message: printable, quoted, at most `limit` characters."""
    text = repr(value if isinstance(value, str) else str(value))
    return text if len(text) <= limit else text[: limit - 2] + "…" + text[-1]


def exit_code_of(program: Callable[[], int | None]) -> int:
    """Run a program; return 0 or what it returns, or after one line on stderr the exit code of its error."""
    try:
        return program() or 0
    except PersonaplexError as error:
        print(f"personaplex-app: {error}", file=sys.stderr)
        return error.exit_code
