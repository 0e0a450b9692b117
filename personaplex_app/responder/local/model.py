"""One small language model for the whole process: it is loaded and run on one thread, for all talks in turn.

A step is one token, or a piece of a prompt. Between steps the thread takes the next talk, and looks whether
a reply is still wanted, so that an interrupted one ends within a step. Replies go before prompts that are
read ahead. The thread gives way to all others, since a talk's 80 ms must not wait for it.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import PersonaplexError, WeightsError
from ..language_model import Cancelled, LlmFailed, Message
from .conversion import MAX_TOKENS
from .decoder import Context, Decoder, forget

_log = logging.getLogger(__name__)
MAX_NEW_TOKENS = 80
# a prompt is read in pieces, so that a reply to another talk waits no longer than for one of them
PIECE_TOKENS = 16
_END, _START = "<|im_end|>", "<|im_start|>"
# of what it has said in this reply; greedy choice would repeat itself
_REPETITION_PENALTY = 1.1
_NICE = 10
_MAX_THREADS = 4
_POLL_S = 0.05
# tokens until the first clause is there, as a rule
_CLAUSE_TOKENS = 8
_MEASURED_STEPS = 4
GetFolder = Callable[[], Path]
"""Returns the folder of the converted model, after downloading it where it must be; raises a
PersonaplexError."""


@dataclass
class _Work:
    """A reply or a prompt to read, as steps. The pieces of a reply go to `pieces`, None after the last."""

    steps: Iterator[None]
    is_wanted: Callable[[], bool]
    pieces: queue.SimpleQueue[str | Exception | None] = field(default_factory=queue.SimpleQueue)


class LocalModel:
    """The model. `problem` says why it cannot answer, "" when it can; `failed`: it never will.

    `asked_for`: somebody has chosen it, and a talk shows why it cannot be used.
    """

    is_small = True
    max_reply_chars = 300
    max_history_chars = 1_600
    first_clause_s = 1.2

    def __init__(self, get_folder: GetFolder, threads: int | None = None, asked_for: bool = True) -> None:
        self._get_folder = get_folder
        self.asked_for = asked_for
        self._threads = threads or max(1, min(_MAX_THREADS, (os.cpu_count() or 1) // 2))
        self._decoder: Decoder | None = None
        self._replies: deque[_Work] = deque()
        self._read_ahead: deque[_Work] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self.problem = "it is not loaded yet"
        self.failed = False
        self._token_s = 0.0
        self._read_s = 0.0

    def start(self) -> None:
        """Begin to load, in a thread of its own. A second call does nothing."""
        with self._changed:
            if self._thread is None and not self._closed:
                # a daemon: a download that hangs must not keep the process
                self._thread = threading.Thread(target=self._run, name="language-model", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread after its step. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread:
            self._thread.join(timeout=2.0)

    def chat(self, in_time: bool = True) -> LocalChat:
        """Return one talk's line to the model; unless `in_time` a reply may take as long as it takes."""
        return LocalChat(self, in_time)

    @property
    def decoder(self) -> Decoder | None:
        return self._decoder

    def clause_s(self, unread_tokens: int) -> float:
        """Return how long a first clause takes when so many tokens of its prompt are unread."""
        return unread_tokens * self._read_s + _CLAUSE_TOKENS * self._token_s

    def submit(self, work: _Work, ahead: bool = False) -> None:
        """Queue work for the thread."""
        with self._changed:
            (self._read_ahead if ahead else self._replies).append(work)
            self._changed.notify()

    # -- on the model's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        _give_way()
        try:
            self._load()
        except Exception as error:
            # of errors that are not ours the text may hold anything
            self.failed = True
            self.problem = str(error) if isinstance(error, PersonaplexError) else type(error).__name__
            _log.warning("the language model cannot be used: %s", self.problem)
        while self._step():
            pass

    def _load(self) -> None:
        folder = self._get_folder()
        began_s = time.monotonic()
        decoder = Decoder(folder, self._threads)
        if None in map(decoder.tokenizer.token_to_id, (_START, _END)):
            raise WeightsError(
                f"The tokenizer in {folder} has no {_START} and {_END}: the model must be one for talks in"
                " ChatML, as Qwen's and SmolLM2's instruct models are."
            )
        self._read_s = _seconds(decoder, PIECE_TOKENS) / PIECE_TOKENS
        self._token_s = _seconds(decoder, 1)
        self._decoder = decoder
        _log.info(
            "the language model is ready after %.1f s, with %d thread(s): %.0f ms a token, its first words in"
            " %.1f s",
            time.monotonic() - began_s,
            self._threads,
            self._token_s * 1000,
            self.clause_s(PIECE_TOKENS),
        )
        self.problem = ""
        if self.clause_s(PIECE_TOKENS) > self.first_clause_s:
            self.problem = (
                f"this machine needs {self.clause_s(PIECE_TOKENS):.1f} s for its first words, and"
                f" {self.first_clause_s} s are the longest wait"
            )
            self.failed = True
            _log.warning("the language model will not answer: %s", self.problem)

    def _step(self) -> bool:
        """Do one step of the work that is next; return False when the thread must end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._replies or self._read_ahead)
            if self._closed:
                for work in (*self._replies, *self._read_ahead):
                    work.pieces.put(LlmFailed("it was closed"))
                return False
            waiting = self._replies or self._read_ahead
            work = waiting.popleft()
        try:
            if work.is_wanted():
                next(work.steps)
                with self._changed:
                    waiting.append(work)
                return True
            work.pieces.put(None)
        except StopIteration:
            work.pieces.put(None)
        except LlmFailed as error:
            work.pieces.put(error)
        except Exception as error:
            _log.warning("the language model failed: %s", type(error).__name__)
            work.pieces.put(LlmFailed("it failed in this process"))
        return True


class LocalChat:
    """One talk's line to the model: what the model has read of the talk is kept, and read once.

    `cut_short`: the last reply ended at its limit of tokens.
    """

    def __init__(self, model: LocalModel, in_time: bool) -> None:
        self._model = model
        self._in_time = in_time
        self._context = Context()
        self._newest: object = None
        self._closed = False
        self.cut_short = False

    def pieces(self, messages: Sequence[Message], cancelled: Cancelled) -> Iterator[str]:
        """Yield the text of one reply as it comes; "" for signs of life without text.

        Raises: LlmFailed when the model is not there, or has more to read than the wait for a first clause
        allows.
        """
        if self._model.problem and (self._in_time or self._model.decoder is None):
            failed = self._model.failed
            told = failed and self._model.asked_for
            raise LlmFailed(self._model.problem, lasting=failed, retry_s=0.0, told=told)
        token = self._newest = object()
        work = self._work(token, lambda work: self._reply(messages, work), cancelled)
        self._model.submit(work)
        try:
            while True:
                try:
                    piece = work.pieces.get(timeout=_POLL_S)
                except queue.Empty:
                    yield ""
                    continue
                if piece is None:
                    return
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            if self._newest is token:
                self._newest = None

    def prepare(self, messages: Sequence[Message]) -> None:
        """Read what is known of the next prompt ahead, while nobody waits for it."""
        if self._model.problem:
            return
        token = self._newest = object()
        self._model.submit(self._work(token, lambda _: self._read_ahead(messages)), ahead=True)

    def make_room_for_thoughts(self) -> bool:
        """Return False: the model is none that thinks."""
        return False

    def close(self) -> None:
        """End what is being made. May be called twice and from another thread."""
        self._closed = True

    def _work(
        self, token: object, steps: Callable[[_Work], Iterator[None]], cancelled: Cancelled = lambda: False
    ) -> _Work:
        work = _Work(iter(()), lambda: self._newest is token and not (self._closed or cancelled()))
        work.steps = steps(work)
        return work

    # -- on the model's thread ---------------------------------------------------------------------

    def _decoder(self) -> Decoder:
        decoder = self._model.decoder
        if decoder is None:
            raise LlmFailed(self._model.problem)
        return decoder

    def _encode(self, prompt: str) -> list[int]:
        tokens = self._decoder().tokenizer.encode(prompt, add_special_tokens=False).ids
        if len(tokens) > MAX_TOKENS - MAX_NEW_TOKENS:
            raise LlmFailed("the role is too long for it", lasting=True)
        return tokens

    def _read_ahead(self, messages: Sequence[Message]) -> Iterator[None]:
        yield from self._read(self._encode(_prompt(messages)))

    def _read(self, tokens: Sequence[int]) -> Iterator[None]:
        """Read tokens from where they differ from what was read."""
        forget(self._context, self._known(tokens))
        while unread := tokens[len(self._context.tokens) :][:PIECE_TOKENS]:
            self._decoder().read(self._context, unread)
            yield

    def _known(self, tokens: Sequence[int]) -> int:
        """Return how many of the first tokens have been read."""
        pairs = zip(tokens, self._context.tokens, strict=False)
        same = (k for k, (new, old) in enumerate(pairs) if new != old)
        return next(same, min(len(tokens), len(self._context.tokens)))

    def _reply(self, messages: Sequence[Message], work: _Work) -> Iterator[None]:
        decoder = self._decoder()
        tokenizer = decoder.tokenizer
        tokens = self._encode(f"{_prompt(messages)}{_START}assistant\n")
        unread = len(tokens) - self._known(tokens)
        if self._in_time and self._model.clause_s(unread) > self._model.first_clause_s:
            raise LlmFailed("it has not read the role and the talk yet", retry_s=0.0, told=False)
        # the last one gives the logits of the first new one
        yield from self._read(tokens[:-1])
        logits = decoder.read(self._context, tokens[-1:])
        said: list[int] = []
        text = ""
        end = tokenizer.token_to_id(_END)
        self.cut_short = True
        while len(said) < MAX_NEW_TOKENS:
            logits = logits.copy()
            repeated = list(set(said))
            logits[repeated] -= abs(logits[repeated]) * (_REPETITION_PENALTY - 1)
            said.append(int(logits.argmax()))
            if said[-1] == end:
                self.cut_short = False
                return
            longer = tokenizer.decode(said)
            # a letter may take several tokens
            if not longer.endswith("\ufffd"):
                work.pieces.put(longer[len(text) :])
                text = longer
            yield
            logits = decoder.read(self._context, said[-1:])


def _prompt(messages: Sequence[Message]) -> str:
    """Return messages in ChatML, which the models that this runs were trained on."""
    return "".join(f"{_START}{each['role']}\n{_plain(each['content'])}{_END}\n" for each in messages)


def _plain(content: str) -> str:
    # a role or a visitor cannot speak for somebody else
    return content.replace(_START, "").replace(_END, "")


def _seconds(decoder: Decoder, tokens: int) -> float:
    """Return the time that reading so many tokens takes, in seconds, the best of some."""
    token = decoder.tokenizer.encode(_START, add_special_tokens=False).ids[0]
    context = Context()
    times = []
    for _ in range(_MEASURED_STEPS):
        began_s = time.monotonic()
        decoder.read(context, [token] * tokens)
        times.append(time.monotonic() - began_s)
    return min(times)


def _give_way() -> None:
    """Let all other threads go first, where the system has priorities of threads (Linux)."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
