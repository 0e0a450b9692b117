"""Log formats: text, or one JSON object a line. Lines of a talk carry its id, and no line holds its content.

An exception is logged as its type and stack frames. Its message is left out, since it may quote what a client
sent.
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

# set where a talk begins; asyncio tasks inherit it, and `Worker.submit` passes it to worker threads
TALK: ContextVar[str] = ContextVar("talk", default="")
# a recursion that went too deep has a thousand frames
MAX_PLACES = 20
MAX_STRAY_CHARS = 2_000
# these loggers write whole URLs, and the Hub's contain signatures
TALKATIVE = ("httpx", "httpx2", "httpcore", "httpcore2")


def event(log: logging.Logger, text: str, **fields: Any) -> None:
    """Log an event of the app, with fields for figures and names that are no user's content."""
    log.info(text, extra={"fields": fields})


def configure(level: str, as_json: bool, prints: bool = False) -> None:
    """Log to stderr from now on.

    With `as_json` warnings and uncaught exceptions become log lines too, and with `prints` every printed
    line, so that stderr is JSON alone.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    if as_json:
        # else Python writes them to stderr as they are, between the JSON lines
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
        if prints:
            _catch_prints()


def _catch_prints() -> None:
    # else `logging` prints a record that it cannot format, which would be logged again, without end
    logging.raiseExceptions = False
    sys.stdout, sys.stderr = (cast(TextIO, _Stray(name)) for name in ("stdout", "stderr"))


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and talk, event fields and exception if any."""

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
    """The same in one line of text."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = {**getattr(record, "fields", {}), **({"talk": TALK.get()} if TALK.get() else {})}
        return super().formatMessage(record) + "".join(f" {name}={value}" for name, value in fields.items())

    def formatException(self, ei: Any) -> str:
        return "    " + "\n    ".join(places(ei[1])) if ei[1] else ""


def places(error: BaseException) -> Iterator[str]:
    """Yield an exception's type, its stack frames, innermost first, and the types of its causes.

    Never its message, which may quote what a client sent.
    """
    yield type(error).__name__
    for frame in reversed(traceback.extract_tb(error.__traceback__)[-MAX_PLACES:]):
        yield f"at {Path(frame.filename).name}:{frame.lineno} in {frame.name}"
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while before is not None:
        yield f"after {type(before).__name__}"
        before = before.__cause__ or (None if before.__suppress_context__ else before.__context__)


def _log_uncaught(
    kind: type[BaseException], fault: BaseException | None, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("fault").error(
            "an exception was not caught", exc_info=(kind, fault or kind(), trace)
        )


class _Stray(io.TextIOBase):
    """A text stream that turns each printed line into a log line."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(name)
        self._rest = ""
        self._lock = threading.Lock()

    def write(self, s: str) -> int:
        with self._lock:
            *lines, self._rest = (self._rest + s).split("\n")
            # a program that never ends its line must not fill the memory
            self._rest = self._rest[-MAX_STRAY_CHARS:]
        for line in lines:
            if line.strip():
                self._log.info("%s", line[:MAX_STRAY_CHARS])
        return len(s)

    def writable(self) -> bool:
        return True
