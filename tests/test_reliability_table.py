"""The table that `make reliability` prints: what was measured is in it, however the test ended."""

from types import SimpleNamespace

import pytest

from .support.reliability import measured, table

pytestmark = pytest.mark.unit


@pytest.fixture
def properties():
    return []


@pytest.fixture
def record(properties):
    return lambda name, value: properties.append((name, value))


def rows_of(properties):
    report = SimpleNamespace(when="teardown", user_properties=[("kind", "soak"), *properties])
    return [line for line in table([SimpleNamespace(when="call"), report]) if line.startswith("| ")][1:]


def test_table_row_holds_where_each_figure_meets_its_target(properties, record):
    with measured(record, "slow reader") as row:
        row.at_most("closed after", 4.351, 10, " s")
        row.exactly("close code", 1008, 1008)
        row.told("sound", "2 s")
    (line,) = rows_of(properties)
    assert line.split(" | ") == [
        "| slow reader",
        "closed after ≤ 10 s; close code: 1008",
        "closed after 4.35 s; close code: 1008; sound 2 s",
        "holds |",
    ]


@pytest.mark.parametrize(("figure", "code"), [(10.1, 1008), (9, 1000)])
def test_table_figure_that_misses_its_target_fails_the_test(properties, record, figure, code):
    def measure():
        with measured(record, "slow reader") as row:
            row.at_most("closed after", figure, 10, " s")
            row.exactly("close code", code, 1008)

    with pytest.raises(AssertionError, match=r"closed after 10|close code: 1000"):
        measure()
    assert [line.split("|")[-2] for line in rows_of(properties)] == [" misses "]


def test_table_row_says_why_nothing_was_measured(properties, record):
    with pytest.raises(pytest.skip.Exception), measured(record, "full disk"):
        pytest.skip("nothing may be mounted here")
    with pytest.raises(RuntimeError), measured(record, "soak"):
        raise RuntimeError("the app ended\nand more")
    assert [line.split("|")[-2].strip() for line in rows_of(properties)] == [
        "not run: nothing may be mounted here",
        "broke off: RuntimeError: the app ended",
    ]


def test_table_is_not_there_without_rows():
    assert list(table([SimpleNamespace(when="teardown", user_properties=[("kind", "unit")])])) == []
