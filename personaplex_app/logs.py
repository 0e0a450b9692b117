"""What the log looks like: text or one JSON object a line, each line of a talk with its id, and nothing that
anybody said.

An exception is logged as its type and the places it came through. Its message stays out: it may quote what a
person sent.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, cast

# set where a talk begins and carried along by the event loop and to the worker threads
TALK: ContextVar[str] = ContextVar("talk", default="")
MAX_PLACES = 20
MAX_STRAY_CHARS = 2_000
# they log addresses, and the Hub's are signed
TALKATIVE = ("httpx", "httpx2", "httpcore", "httpcore2")


def event(log: logging.Logger, text: str, **fields: Any) -> None:
    """Log something that happened, with figures and names of our own beside it."""
    log.info(text, extra={"fields": fields})


def configure(level: str, as_json: bool, prints: bool = False) -> None:
    """Log to stderr from now on.

    As JSON also what would be told beside: warnings, the fault of a thread, and with `prints` every line that
    is printed.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    if as_json:
        logging.captureWarnings(True)
        sys.excepthook = _log_fault
        threading.excepthook = lambda fault: _log_fault(fault.exc_type, fault.exc_value, fault.exc_traceback)
        if prints:
            _catch_prints()


def _catch_prints() -> None:
    logging.raiseExceptions = False  # it would print what cannot be logged, which would be logged
    sys.stdout, sys.stderr = (cast(TextIO, _Stray(name)) for name in ("stdout", "stderr"))


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message; talk, what the event brings and exception where
    there are such.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": (
                f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if talk := TALK.get():
            line["talk"] = talk
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1]:
            line["exception"] = list(places(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """The same for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = {**getattr(record, "fields", {}), **({"talk": TALK.get()} if TALK.get() else {})}
        return super().formatMessage(record) + "".join(f" {name}={value}" for name, value in fields.items())

    def formatException(self, ei: Any) -> str:
        return "    " + "\n    ".join(places(ei[1])) if ei[1] else ""


def places(error: BaseException) -> Iterator[str]:
    """Yield an exception's type and where it came through, innermost first, then what it came of.

    Never its message.
    """
    yield type(error).__name__
    for frame in reversed(traceback.extract_tb(error.__traceback__)[-MAX_PLACES:]):
        yield f"at {Path(frame.filename).name}:{frame.lineno} in {frame.name}"
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while before is not None:
        yield f"after {type(before).__name__}"
        before = before.__cause__ or (None if before.__suppress_context__ else before.__context__)


def _log_fault(kind: type[BaseException], fault: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("fault").error(
            "an exception was not caught", exc_info=(kind, fault or kind(), trace)
        )


class _Stray(io.TextIOBase):
    """Whole lines that somebody prints, as log lines."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(name)
        self._rest = ""
        self._lock = threading.Lock()

    def write(self, s: str) -> int:
        with self._lock:
            *lines, self._rest = (self._rest + s).split("\n")
            self._rest = self._rest[-MAX_STRAY_CHARS:]
        for line in lines:
            if line.strip():
                self._log.info("%s", line[:MAX_STRAY_CHARS])
        return len(s)

    def writable(self) -> bool:
        return True
