"""Run the tests in forks of the process that has collected them: `pytest --forks 4`.

Collecting imports the whole program and costs as much as two thousand unit tests; here it is done once, and
the forks share its memory. Each takes one file after the other, and its reports are shown as if the tests had
run here.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

import pytest
from _pytest.runner import pytest_sessionfinish as tear_down

from .kinds import longest_kind

NEXT_FILE, DONE = "next file", "done"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--forks", type=int, default=0, help="run the tests in so many processes")


@dataclass
class Fork:
    """A process that runs tests, and those that it has been given and has not reported."""

    pid: int
    connection: Connection
    left: dict[str, pytest.Item] = field(default_factory=dict)
    kind: str | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the collected tests. Without `--forks`, or when collecting failed, pytest's own loop does."""
    options = session.config.option
    if not options.forks or options.collectonly or session.testsfailed:
        return None
    waiting = deque(list(file) for _, file in groupby(session.items, lambda item: item.path))
    files = list(waiting)
    terminal = session.config.pluginmanager.getplugin("terminalreporter")
    terminal.showfspath = False  # files end in any order
    terminal.flush()  # else each fork has what is not yet written, and writes it too
    gc.freeze()  # a fork that looks for garbage among what was collected makes all of it its own
    running = [_fork(session, files) for _ in range(min(options.forks, len(files)))]
    gc.unfreeze()
    try:
        while running:
            for connection in wait([fork.connection for fork in running]):
                fork = next(each for each in running if each.connection is connection)
                if not _serve(session, fork, waiting):
                    running.remove(fork)
                    os.waitpid(fork.pid, 0)
    finally:
        for fork in running:
            os.kill(fork.pid, signal.SIGINT)
            os.waitpid(fork.pid, 0)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    return True


def _serve(session: pytest.Session, fork: Fork, waiting: deque[list[pytest.Item]]) -> bool:
    """Take one message of a fork; return whether it goes on."""
    try:
        message = fork.connection.recv()
    except (EOFError, ConnectionError):
        for report in _unreported(fork):
            session.ihook.pytest_runtest_logreport(report=report)
        return False
    if message == DONE:
        return False
    if message == NEXT_FILE:
        items = _next(waiting, fork) if waiting and not session.shouldfail else []
        fork.left.update((item.nodeid, item) for item in items)
        with suppress(ConnectionError):  # it has died, which the next message tells
            fork.connection.send([item.nodeid for item in items])
        return True
    hook = session.config.hook
    report = hook.pytest_report_from_serializable(config=session.config, data=message)
    if report.when == "teardown":
        del fork.left[report.nodeid]
    session.ihook.pytest_runtest_logreport(report=report)
    return True


def _next(waiting: deque[list[pytest.Item]], fork: Fork) -> list[pytest.Item]:
    """Take a file of the kind of the one before while there are some.

    Few forks then set up what all files of a kind share: models, the app.
    """
    items = next((file for file in waiting if longest_kind(file) == fork.kind), waiting[0])
    waiting.remove(items)
    fork.kind = longest_kind(items)
    return items


def _unreported(fork: Fork) -> Iterator[pytest.TestReport]:
    """Return failures in place of the reports of a process that died."""
    sentence = "The process that ran this test, or was to run it, died."
    for item in fork.left.values():
        yield pytest.TestReport(item.nodeid, item.location, {}, "failed", sentence, "call")


def _fork(session: pytest.Session, files: list[list[pytest.Item]]) -> Fork:
    ours, theirs = Pipe()
    if pid := os.fork():
        theirs.close()
        return Fork(pid, ours)
    ours.close()
    status = 1
    try:
        _run(session, {item.nodeid: item for file in files for item in file}, theirs)
        status = 0
    except KeyboardInterrupt:
        pass
    finally:
        with suppress(BaseException):
            tear_down(session)
        # without what is to be done once, at the end of the process that collected
        os._exit(status)


def _run(session: pytest.Session, items: dict[str, pytest.Item], told: Connection) -> None:
    """Run one file after the other until there is none left."""
    plugins = session.config.pluginmanager
    plugins.unregister(name="terminalreporter")
    plugins.register(_Reporter(session.config, told))
    if capture := plugins.getplugin("capturemanager"):
        # what is printed goes into a file, and its forks would write to the same place in it
        capture.stop_global_capturing()
        capture.start_global_capturing()
        capture.suspend_global_capture()

    def next_file() -> deque[pytest.Item]:
        told.send(NEXT_FILE)
        return deque(items[nodeid] for nodeid in told.recv())

    mine = next_file()
    while mine and not session.shouldfail and not session.shouldstop:
        item = mine.popleft()
        # asked for before the last one runs: what the next file shares with this one need not be set up anew
        mine = mine or next_file()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=mine[0] if mine else None)
    told.send(DONE)


class _Reporter:
    """Sends the reports to the process that collected."""

    def __init__(self, config: pytest.Config, told: Connection) -> None:
        self._config = config
        self._told = told

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "setup" and report.passed:
            return  # nobody shows it
        hook = self._config.hook
        self._told.send(hook.pytest_report_to_serializable(config=self._config, report=report))
