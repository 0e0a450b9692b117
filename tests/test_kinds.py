"""What the suite does with kinds of tests: `tests/support/kinds.py`."""

import re
import socket
import threading
from types import SimpleNamespace

import pytest

from .support import kinds

pytestmark = pytest.mark.unit


class Item:
    """As much of a test as kinds look at."""

    def __init__(self, *markers: str, file: str = "") -> None:
        self.nodeid = f"{file}::test_it" if file else "test_it"
        self.markers = [SimpleNamespace(name=name) for name in markers]

    def iter_markers(self):
        return iter(self.markers)

    def get_closest_marker(self, name: str):
        return next((marker for marker in self.markers if marker.name == name), None)

    def add_marker(self, marker) -> None:
        self.markers.append(marker.mark)


def test_kinds_test_without_one_is_a_unit_test_and_one_of_two_is_refused():
    items = [Item("parametrize"), Item("process", "skipif")]
    kinds.give_kinds(items)
    assert [kinds.kind_of(item) for item in items] == ["unit", "process"]
    with pytest.raises(pytest.UsageError, match="test_it is marked soak and unit; give it one kind"):
        kinds.give_kinds([Item("unit", "soak")])


@pytest.mark.parametrize(
    ("expression", "runs"), [("", False), ("unit", False), ("not browser", False), ("soak", True)]
)
def test_kinds_soak_runs_only_when_it_is_asked_for(expression, runs):
    items = [Item("unit"), Item("soak")]
    assert kinds.unasked_soak(items, expression) == ([] if runs else items[1:])


def test_kinds_files_that_wait_and_files_that_compute_take_turns_and_short_ones_are_last():
    asked = [("a", "unit"), ("b", "slow"), ("c", "slow"), ("d", "unit"), ("d", "browser"), ("e", "browser")]
    items = kinds.in_turn([Item(kind, file=file) for file, kind in asked])
    assert [item.nodeid[0] for item in items] == ["b", "d", "d", "e", "c", "a"]
    assert [kinds.kind_of(item) for item in items if item.nodeid[0] == "d"] == ["unit", "browser"]


def test_kinds_unit_test_starts_no_process_and_stays_on_this_machine():
    guard = kinds.Guard()
    away = ("192.0.2.7", 80)
    guard._hook("subprocess.Popen", ("/bin/true",))
    with guard.guarding("test_it"):
        for event, args in (("os.posix_spawn", ()), ("socket.getaddrinfo", ("hub.example", 443))):
            with pytest.raises(
                RuntimeError, match=r"The unit test test_it (starts a process|reaches for hub)"
            ):
                guard._hook(event, args)
        with socket.socket() as stream:
            with pytest.raises(RuntimeError, match=re.escape(away[0])):
                guard._hook("socket.connect", (stream, away))
            guard._hook("socket.connect", (stream, ("127.0.0.1", 80)))
        guard._hook("socket.getaddrinfo", ("localhost", 80))
        assert len(guard.broken) == 3
    assert guard.broken == []
    guard._hook("subprocess.Popen", ("/bin/true",))


def test_kinds_summary_names_unit_tests_that_compute_for_long():
    def report(kind: str, own_s: float, shared_s: float = 0.0):
        used = [("kind", kind), ("own_cpu_s", own_s), ("cpu_s", own_s + shared_s)]
        return SimpleNamespace(user_properties=used, when="teardown", nodeid=f"a {kind} one")

    told = list(kinds.spent([report("unit", 0.5, 4.0), report("unit", 2.5), report("slow", 9.0), object()]))
    assert told[:2] == ["unit: 2 tests, 7 s of CPU", "slow: 1 tests, 9 s of CPU"]
    assert told[2:] == ["A unit test computes 2.5 s, more than 2; mark it `slow`: a unit one"]


def test_kinds_thread_that_is_left_is_found():
    before = set(threading.enumerate())
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    assert kinds.left_threads(before) == [thread]
    over.set()
    thread.join()
    assert kinds.left_threads(before) == []
