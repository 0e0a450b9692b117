"""Kinds of tests, and what keeps one of a kind to it.

A kind is a marker; each test has exactly one. What none is given to is `unit`, in files that mix kinds.
"""

from __future__ import annotations

import resource
import socket
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from .warm_start import Forked

# from the longest to the shortest
KINDS = ("soak", "browser", "process", "slow", "gpu", "unit")
UNIT_CPU_S = 2.0
WAITS = ("tests/test_page_compare.py",)
"""Files whose few tests wait for a minute: somebody listens before a vote counts."""
STARTS_PROCESS = (
    "subprocess.Popen",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "os.exec",
    "os.system",
    "pty.spawn",
)
# of the process, not of what a test has started
LIBRARY_THREADS = ("tqdm_monitor", "_telemetry_worker")
THIS_MACHINE = ("127.", "::1", "localhost", "0.0.0.0", socket.gethostname())


def give_kinds(items: list[pytest.Item]) -> None:
    """Mark what is not marked as `unit`. Raises: UsageError for a test of two kinds."""
    for item in items:
        kinds = {marker.name for marker in item.iter_markers() if marker.name in KINDS}
        if len(kinds) > 1:
            raise pytest.UsageError(
                f"{item.nodeid} is marked {' and '.join(sorted(kinds))}; give it one kind."
            )
        if not kinds:
            item.add_marker(pytest.mark.unit)


def kind_of(item: pytest.Item) -> str:
    return next(marker.name for marker in item.iter_markers() if marker.name in KINDS)


def longest_kind(items: list[pytest.Item]) -> str:
    """Return the longest kind of a file's tests, "" if they have none."""
    kinds = {marker.name for item in items for marker in item.iter_markers()}
    return next((kind for kind in KINDS if kind in kinds), "")


def in_turn(items: list[pytest.Item]) -> list[pytest.Item]:
    """Order tests so that files which wait and files which compute take turns, and short ones come last.

    Those are files with few tests of each kind, and unit tests. A file is of its tests' longest kind; the
    order within it stays.
    """
    tests: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        tests[item.nodeid.partition("::")[0]].append(item)
    files: dict[str, list[str]] = defaultdict(list)
    for file, own in sorted(tests.items(), key=lambda each: (each[0] not in WAITS, -len(each[1]))):
        files[longest_kind(own)].append(file)
    place = {
        # what takes longest begins early enough not to be left alone at the end
        file: (kind == "unit", number / len(same) * (0.8 if kind == "browser" else 1.0))
        for kind, same in files.items()
        for number, file in enumerate(same)
    }
    return sorted(items, key=lambda item: place[item.nodeid.partition("::")[0]])


def unasked_soak(items: list[pytest.Item], expression: str) -> list[pytest.Item]:
    """Return the long runs, which nothing but their own name in `-m` asks for."""
    return [] if "soak" in expression else [item for item in items if item.get_closest_marker("soak")]


class Guard:
    """Keeps unit tests from starting processes and from reaching beyond this machine."""

    def __init__(self) -> None:
        self._test = ""
        self.broken: list[str] = []
        sys.addaudithook(self._hook)

    @contextmanager
    def guarding(self, test: str) -> Iterator[None]:
        """Refuse, while the block runs, what `test` may not do, and remember it in `broken`."""
        self._test = test
        try:
            yield
        finally:
            self._test, self.broken = "", []

    def _hook(self, event: str, args: tuple) -> None:
        if not self._test:
            return
        if event in STARTS_PROCESS:
            self._refuse(f"starts a process ({event}); mark it `process`, or do without.")
        elif event == "socket.getaddrinfo":
            self._stay(args[0])
        elif event == "socket.connect" and args[0].type is socket.SOCK_STREAM and isinstance(args[1], tuple):
            self._stay(args[1][0])

    def _stay(self, host: object) -> None:
        if isinstance(host, str) and not host.startswith(THIS_MACHINE):
            self._refuse(f"reaches for {host}; a unit test stays on this machine.")

    def _refuse(self, what: str) -> None:
        sentence = f"The unit test {self._test} {what}"
        self.broken.append(sentence)
        raise RuntimeError(sentence)


def cpu_s() -> float:
    """Return the CPU time that this process and those that ended under it have used."""
    usages = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + Forked.spent_s


def spent(reports: Iterable[object]) -> Iterator[str]:
    """Tell how much tests of each kind have computed, and which unit tests compute too long for one."""
    used: dict[str, list[float]] = defaultdict(list)
    own: list[tuple[float, str]] = []
    for report in reports:
        about = dict(getattr(report, "user_properties", ()))
        if "cpu_s" in about and getattr(report, "when", "") == "teardown":
            used[about["kind"]].append(about["cpu_s"])
            if about["kind"] == "unit":
                own.append((about.get("own_cpu_s", 0.0), getattr(report, "nodeid", "")))
    for kind, each in used.items():
        yield f"{kind}: {len(each)} tests, {sum(each):.0f} s of CPU"
    for used_s, test in sorted(own, reverse=True):
        if used_s > UNIT_CPU_S:
            yield f"A unit test computes {used_s:.1f} s, more than {UNIT_CPU_S:g}; mark it `slow`: {test}"


def left_threads(before: set[threading.Thread], known: tuple[str, ...] = ()) -> list[threading.Thread]:
    """Return the threads that run now and did not before, but those with known parts of names."""
    return [
        thread
        for thread in set(threading.enumerate()) - before
        if not any(name in thread.name for name in (*LIBRARY_THREADS, *known))
    ]
