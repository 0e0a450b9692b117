"""What holds for every test: the model hub, its cache and its login are never this machine's own, and a core
does one thing.

And what tests of several files share: the embedded engine behind its page, a browser whose microphone plays a
tone, a Hub.
"""

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis.internal import charmap

from .support import warm_start
from .support.authorities import trust_one
from .support.forks import pytest_addoption, pytest_runtestloop  # noqa: F401
from .support.kinds import Guard, cpu_s, give_kinds, in_turn, kind_of, left_threads, spent, unasked_soak
from .support.patience import until
from .support.reliability import table

if TYPE_CHECKING:  # what these import must see the environment that is set below
    from playwright.sync_api import Browser

    from personaplex_app.model.hub_repo import HubAccess

    from .support.app_process import AppProcess
    from .support.hub_server import Hub


OWN_FOLDER = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    # read when huggingface_hub is imported, here and in the processes that tests start
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        del os.environ[name]
    os.environ["HF_HOME"] = str(Path(__file__).parent / ".cache" / "hub")
    # a model that happens to run on this machine changes no test
    os.environ["PERSONAPLEX_FIND_LLM"] = "0"
    os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"  # nobody answers there
    # the tests run several at a time, and threads that wait for each other on busy cores take twenty times as
    # long
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # the app is started dozens of times and need not be compiled each time
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    config.stash[OWN_FOLDER] = tempfile.mkdtemp(prefix="px-")
    os.environ["TMPDIR"] = tempfile.tempdir = config.stash[OWN_FOLDER]
    trust_one(Path(tempfile.tempdir))
    os.chmod(tempfile.tempdir, 0o1777)  # as /tmp: some tests work as somebody without rights
    # a shell starts what it runs in the background deaf to ctrl-C, and so would be what the tests start
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # the same examples in every run, but for the long runs, which look for new ones
    hypothesis.settings.register_profile(
        "patient",
        deadline=None,
        derandomize="soak" not in config.option.markexpr,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("patient")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing in the system's folder for temporary files, whoever wrote it: the tests, or what they
    started.
    """
    shutil.rmtree(config.stash[OWN_FOLDER], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # what is marked here is selected by `-m` afterwards
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    give_kinds(items)
    left_out = unasked_soak(items, config.option.markexpr)
    config.hook.pytest_deselected(items=left_out)
    # files are handed out in this order: waiting overlaps with computing, and no worker is left alone with a
    # long file at the end
    items[:] = in_turn([item for item in items if item not in left_out])


# what many tests use and only when they do: seconds of importing
LATE_IMPORTS = ("faster_whisper", "hibari", "pyloudnorm")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start what starts apps, and import what takes long, once for all forks and not in each."""
    options = session.config.option
    if not options.forks or options.collectonly:
        return
    if {"process", "browser"} & {kind_of(item) for item in session.items}:
        warm_start.prepare()
    for name in LATE_IMPORTS:
        import_module(name)
    charmap.charmap()  # hypothesis makes it of all characters, and keeps it for the next run
    charmap.intervals_from_codec("utf-8")
    warm_start.read_once()


def leave_browser() -> None:
    """Close the browser that files of tests share, where one of them has started it."""
    if browser := sys.modules.get("tests.support.browser"):
        browser.leave_browser()


GUARD = Guard()
BEGAN_CPU_S = pytest.StashKey[float]()
LAST_FILE = pytest.StashKey[Path]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.stash[BEGAN_CPU_S] = cpu_s()
    if kind_of(item) != "browser" and item.path != item.session.stash.get(LAST_FILE, None):
        leave_browser()
    item.session.stash[LAST_FILE] = item.path
    if not item.get_closest_marker("unit"):
        return (yield)
    with GUARD.guarding(item.nodeid):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    began_s = cpu_s()
    try:
        return (yield)
    finally:
        # without what the first test of a file sets up for all, and the last one brings down
        item.user_properties.append(("own_cpu_s", cpu_s() - began_s))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        GUARD.broken.clear()
    elif report.when == "teardown":
        report.user_properties += [("kind", kind_of(item)), ("cpu_s", cpu_s() - item.stash[BEGAN_CPU_S])]
        # what it may not do is refused at once, but a program may take that for a fault that it lives with
        if GUARD.broken:
            report.outcome, report.longrepr = "failed", GUARD.broken[0]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    for line in (*table(reports), *spent(reports)):
        terminalreporter.write_line(line)


@pytest.fixture(scope="module", autouse=True)
def _no_thread_left() -> Iterator[None]:
    """Fail where a file's tests leave a thread behind."""
    before = set(threading.enumerate())
    yield
    browser = sys.modules.get("tests.support.browser")
    known = browser.threads_of_browser() if browser else ()
    until(lambda: not left_threads(before, known), lambda: f"threads: {left_threads(before, known)}")


@pytest.fixture(scope="session", autouse=True)
def _no_browser_left() -> Iterator[None]:
    yield
    leave_browser()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[AppProcess]":
    """The embedded engine behind its page, ready; a file whose app differs makes its own.

    Its log and data are of all tests in this process: look in them only for what is the test's own.
    """
    from .support.app_process import app_process

    with app_process(
        tmp_path_factory.mktemp("classic"), engine="classic", connects_per_minute=600
    ) as running:
        running.until_ready()
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Browser]":
    """A browser whose microphone plays a tone of 440 Hz."""
    from .support.browser import chromium, tone, write_microphone

    with chromium(write_microphone(tmp_path_factory.mktemp("microphone") / "tone.wav", tone())) as running:
        yield running


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Iterator[Hub]":
    """A Hub that holds the tiny checkpoint; nothing of the machine's own login is read."""
    from huggingface_hub import constants

    from .support.tiny_hub import tiny_hub

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-login"))
    with tiny_hub() as made:
        yield made


@pytest.fixture
def access(server: "Hub", tmp_path: Path) -> "HubAccess":
    from personaplex_app.model.hub_repo import HubAccess

    return HubAccess("", tmp_path / "receipts", tmp_path / "cache", server.url, retry_delays_s=(0.0, 0.0))
