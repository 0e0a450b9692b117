"""Blind tests on disk: each has its design, and a log of events from which all rounds are rebuilt."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ...atomic import write_atomically
from ...errors import BadInput, NotFound, StorageError, StorageFull, shorten
from .design import Design, plan
from .ranking import Ranking, Vote, pair_urgency, rank
from .round import SCHEMA, Ballot, Event, Round
from .vote_log import LOG_NAME, VoteLog

MAX_TESTS = 500
MAX_OPEN = 16
MAX_ROUNDS = 5_000
MAX_MAKERS = 64
PAIRS_AT_ONCE = 10
"""How many pairs, checks apart, an endless round is planned ahead, by the votes of that moment."""
DESIGN_NAME = "test.json"
MAKERS_NAME = "makers"

log = logging.getLogger(__name__)


class BlindTest:
    """One test on disk. Methods may be called from any thread; `changed` is called after each write."""

    def __init__(
        self,
        folder: Path,
        design: Design,
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ):
        self.design = design
        self._log = VoteLog(folder / LOG_NAME)
        self._makers_file = folder / MAKERS_NAME
        self._changed = changed
        self._clock = clock
        self._lock = threading.RLock()
        self._rounds: dict[str, Round] = {}
        self._events: list[Event] = []
        self._ranking: tuple[int, Ranking] | None = None

    def begin(self, owner: str, trials: int | None) -> Round:
        """Return the listener's unfinished round, or a new one of so many trials; None is without an end.

        Raises: StorageFull when the test has room for no more, StorageError.
        """
        with self._lock, self._log.writing():
            self._read()
            found = self._round(owner)
            if found and found.phase != "revealed":
                return found
            if len(self._rounds) >= MAX_ROUNDS:
                raise StorageFull(
                    f"This test has {MAX_ROUNDS:,} rounds, which is its limit; begin one with other inputs."
                )
            listener = self.listener(owner)
            # log the whole plan, not only its seed: it depends on the votes at this moment
            id_ = secrets.token_hex(8)
            count = PAIRS_AT_ONCE if trials is None else trials
            planned = plan(
                self.design,
                count,
                f"{self.design.id}:{id_}",
                pair_urgency(self._ranked()),
                endless=trials is None,
            )
            whose = {"session": id_, "listener": listener, "test": self.design.id}
            self._write(
                {
                    "schema": SCHEMA,
                    "kind": "begin",
                    "at_s": round(self._clock(), 3),
                    **whose,
                    "trials": [asdict(trial) for trial in planned],
                    **({"endless": True} if trials is None else {}),
                }
            )
            return self._rounds[id_]

    def listener(self, owner: str) -> str:
        """Return a listener's pseudonym in this test.

        It does not reveal the owner key, and differs between tests.
        """
        return hashlib.sha256(f"listener:{self.design.id}:{owner}".encode()).hexdigest()[:16]

    def mine(self, owner: str) -> Round | None:
        """Return the listener's latest round, and log its current trial as shown."""
        with self._lock, self._log.writing():
            self._read()
            found = self._round(owner)
            # logged, since the time to vote counts from it, also after a restart
            if found and (event := found.shown(self._clock())):
                self._write(event)
            return found

    def fetched(self, owner: str, side: str) -> Round:
        """Record that the sound of one side of the listener's current trial was fetched.

        Raises: NotFound, StorageError.
        """
        return self._do(owner, lambda mine: mine.fetched(side, self._clock()) or mine)

    def vote(self, owner: str, ballot: Ballot, must_fetch: bool = False) -> Round:
        """Record a vote; it is on the disk when this returns. With `must_fetch` it needs the sounds to have
        been fetched.

        Raises: BadVote, NotFound, StorageError.
        """
        with self._lock:
            mine = self._do(owner, lambda mine: mine.vote(ballot, self._clock(), must_fetch))
            return self._do(owner, self._more) if mine.wants_more else mine

    def _more(self, mine: Round) -> Event | Round:
        # asked again under the file lock: another process may have been first
        if not mine.wants_more:
            return mine
        seed = f"{self.design.id}:{mine.id}:{len(mine.trials)}"
        urgency = pair_urgency(self._ranked())
        return mine.more(plan(self.design, PAIRS_AT_ONCE, seed, urgency, mine.trials, True), self._clock())

    def made_by(self, owner: str) -> bool:
        """Return whether this owner made the test: the results are theirs to see. Raises: StorageError."""
        return self._maker(owner) in self._makers()

    def note_maker(self, owner: str) -> None:
        """Remember who made the test; equal answers make the same test, so it may have several.

        Raises: StorageError.
        """
        with self._lock:
            makers = self._makers()
            maker = self._maker(owner)
            if maker in makers or len(makers) >= MAX_MAKERS:
                return
            try:
                write_atomically(
                    self._makers_file, "".join(f"{each}\n" for each in (*makers, maker)).encode()
                )
            except OSError as error:
                raise StorageError(
                    f"The test cannot be written to {self._makers_file.parent}: {error.strerror or error}."
                ) from error

    def _maker(self, owner: str) -> str:
        return hashlib.sha256(f"maker:{self.design.id}:{owner}".encode()).hexdigest()

    def _makers(self) -> list[str]:
        try:
            return self._makers_file.read_text("utf-8").split()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(
                f"The file {self._makers_file} cannot be read ({type(error).__name__}); move it away."
            ) from error

    def undo(self, owner: str) -> Round:
        """Undo the last vote.

        Raises: BadInput, NotFound, StorageError.
        """
        return self._do(owner, lambda mine: mine.undo(self._clock()))

    def reveal(self, owner: str) -> Round:
        """Reveal the voices; votes can no longer be undone.

        Raises: BadInput, NotFound, StorageError.
        """
        return self._do(owner, lambda mine: mine if mine.revealed else mine.reveal(self._clock()))

    def rounds(self) -> list[Round]:
        """Return every listener's rounds."""
        with self._lock:
            self._read()
            return list(self._rounds.values())

    def events(self) -> list[Event]:
        """Return all logged events, in order."""
        with self._lock:
            self._read()
            return list(self._events)

    def ranking(self) -> Ranking:
        """Return the ranking of all votes that were not undone, without the hidden checks."""
        with self._lock:
            self._read()
            return self._ranked()

    def _ranked(self) -> Ranking:
        # events are only ever appended, so that their number tells whether the ranking is current
        if self._ranking is None or self._ranking[0] != len(self._events):
            standing = [
                event
                for each in self._rounds.values()
                for event in each.votes.values()
                if event["check"] is None
            ]
            votes = [
                Vote(event["listener"], event["left"], event["right"], event["choice"]) for event in standing
            ]
            self._ranking = len(self._events), rank(votes, self.design.voices)
        return self._ranking[1]

    def _do(self, owner: str, act: Callable[[Round], Event | Round]) -> Round:
        with self._lock, self._log.writing():
            # under the file lock: another process may have written since the last time
            self._read()
            mine = self._round(owner)
            if mine is None:
                raise NotFound("You have not begun this test; begin it to vote.")
            event = act(mine)
            if isinstance(event, dict):
                self._write(event)
            return mine

    def _round(self, owner: str) -> Round | None:
        listener = self.listener(owner)
        return next((each for each in reversed(self._rounds.values()) if each.listener == listener), None)

    def _write(self, event: Event) -> None:
        self._log.append(event)
        self._read()
        self._changed()

    def _read(self) -> None:
        for event in self._log.fresh():
            try:
                if event["kind"] == "begin":
                    self._rounds[event["session"]] = Round.of(self.design, event)
                else:
                    self._rounds[event["session"]].apply(event)
            except (KeyError, TypeError, ValueError) as error:
                log.warning(
                    "%s: an event does not fit and is ignored (%s)", self._log.path, type(error).__name__
                )
                continue
            self._events.append(event)


class BlindTests:
    """All tests in a folder; the few most recent ones stay in memory."""

    def __init__(
        self,
        folder: Path,
        changed: Callable[[Path], None] = lambda path: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._changed = changed
        self._clock = clock
        self._open: OrderedDict[str, BlindTest] = OrderedDict()
        self._lock = threading.Lock()

    def make(self, design: Design, owner: str = "") -> BlindTest:
        """Return the test of a design, made by an owner, and store the design if it is new.

        Raises: StorageFull, StorageError.
        """
        folder = self._folder / design.id
        try:
            if not (folder / DESIGN_NAME).exists():
                if self._folder.exists() and sum(1 for _ in self._folder.iterdir()) >= MAX_TESTS:
                    raise StorageFull(
                        f"There are {MAX_TESTS} blind tests in {self._folder}, which is the limit; delete"
                        " folders there."
                    )
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_atomically(folder / DESIGN_NAME, json.dumps(design.as_json()).encode())
        except OSError as error:
            raise StorageError(
                f"The test cannot be written to {folder}: {error.strerror or error}."
            ) from error
        test = self.get(design.id)
        if owner:
            test.note_maker(owner)
        return test

    def get(self, id_: str) -> BlindTest:
        """Return a test. Raises: NotFound, StorageError."""
        with self._lock:
            if id_ in self._open:
                self._open.move_to_end(id_)
                return self._open[id_]
            test = self._open[id_] = self._load(id_)
            if len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
            return test

    def _load(self, id_: str) -> BlindTest:
        missing = NotFound(
            f"There is no blind test {shorten(id_)} here; begin one from the answers you rendered."
        )
        if len(id_) != 32 or not set(id_) <= set("0123456789abcdef"):
            raise missing
        folder = self._folder / id_
        try:
            design = Design.from_json(json.loads((folder / DESIGN_NAME).read_text("utf-8")))
        except FileNotFoundError:
            raise missing from None
        except (OSError, ValueError, KeyError, TypeError, BadInput) as error:
            raise StorageError(
                f"{folder / DESIGN_NAME} is not a blind test ({type(error).__name__}); move the folder away."
            ) from error
        return BlindTest(folder, design, lambda: self._changed(folder / LOG_NAME), self._clock)
