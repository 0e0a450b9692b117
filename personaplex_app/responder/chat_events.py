"""Read the answer to a chat completion, streamed or whole, in whatever form a server gives it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .language_model import LlmFailed

MAX_EVENT_BYTES = 262_144
NO_EVENTS = "its answer was not a stream of events"
_BOM = b"\xef\xbb\xbf"
_OTHER_FIELD = re.compile(rb"\s*(?::|event:|id:|retry:)")


@dataclass(frozen=True)
class Delta:
    """One event of an answer: its text, whether thoughts came, and why the reply ends, "" if it goes on.

    `known`: the event has the form of a chat completion, OpenAI's or Ollama's own.
    """

    text: str = ""
    thinks: bool = False
    finish: str = ""
    known: bool = True


def events(chunks: Iterator[bytes]) -> Iterator[str]:
    """Yield the events of an answer: of server-sent events the data, of JSON by lines each line, and one
    answer as a whole from a server that does not stream.

    After each chunk comes "", so that the caller can check the time.
    Raises: LlmFailed when an event is too long.
    """
    waiting = b""
    whole = b""
    held = ""
    streams = at_start = False
    for chunk in chunks:
        data = waiting + chunk
        *lines, waiting = (data if at_start else data.removeprefix(_BOM)).split(b"\n")
        at_start = at_start or bool(lines)
        yield ""
        for line in lines:
            if line.startswith(b"data:"):
                streams = True
                # an event may have several lines of data, and a server may leave the empty line out
                held = f"{held}\n{_data(line)}".strip()
                if _is_whole(held):
                    yield held
                    held = ""
            elif held and not line.strip():
                yield held
                held = ""
            elif not streams and not _OTHER_FIELD.match(line):
                text = line.decode("utf-8", "replace").strip()
                if not whole and text.startswith("{") and _is_whole(text):
                    yield text
                else:
                    whole += line
        if len(waiting) + len(whole) + len(held) > MAX_EVENT_BYTES:
            raise LlmFailed(NO_EVENTS)
    if waiting.startswith(b"data:"):
        held = f"{held}\n{_data(waiting)}".strip()
    elif not streams:
        held = (whole + waiting).decode("utf-8", "replace").strip()
    if held:
        yield held


def read_delta(event: Any) -> Delta:
    """Return what one event says, which is no error. Raises: ValueError and its like for another shape."""
    choices = event.get("choices")
    message = event.get("message")
    if isinstance(message, dict) and "done" in event:
        finish = str(event.get("done_reason") or "stop") if event["done"] else ""
        return Delta(_text_of(message.get("content")), bool(message.get("thinking")), finish)
    if not choices:
        return Delta(known="choices" in event)
    # of several answers the first
    choice = next((each for each in choices if not each.get("index")), None)
    if choice is None:
        return Delta()
    content = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
    thinks = bool(content.get("reasoning_content") or content.get("reasoning"))
    finish = str(choice.get("finish_reason") or ("stop" if choice.get("message") else ""))
    text = _text_of(content.get("content") or content.get("refusal"))
    return Delta(text, thinks, "" if finish.lower() in ("null", "none") else finish)


class WholeCharacters:
    """Joins the halves of characters that come in two events, and leaves out what is none."""

    def __init__(self) -> None:
        self._half = ""

    def push(self, text: str) -> str:
        """Take the next text; return it with whole characters only."""
        if not text:
            return ""
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore").replace("\ufffd", "")


def _data(line: bytes) -> str:
    return line[5:].decode("utf-8", "replace").strip()


def _is_whole(text: str) -> bool:
    """Return whether an event goes on in no further line: what is no JSON never does."""
    if not re.match(r"\{|\[\s*(?:\{|$)", text):
        return True
    if text[-1] not in "}]":
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _text_of(content: Any) -> str:
    """Return the text of a message's content: a string, or a list of parts of which some are thoughts."""
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        texts = (
            (part if isinstance(part, str) else part.get("text") or "") for part in content if _is_text(part)
        )
        return "".join(
            str(text.get("value") or "") if isinstance(text, dict) else str(text) for text in texts
        )
    return content if isinstance(content, str) else ""


def _is_text(part: Any) -> bool:
    return isinstance(part, str) or part.get("type") in (None, "text", "output_text", "text_delta")
