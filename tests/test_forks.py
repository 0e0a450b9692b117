"""The tests' own forks: every test is run once and told of, whatever happens to the process that runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[1]

FILES = {
    "conftest.py": """
from pathlib import Path

import pytest
from tests.support.forks import pytest_addoption, pytest_runtestloop

@pytest.fixture(scope="session", autouse=True)
def shared():
    yield
    with open(Path(__file__).with_name("ended"), "a") as ended:
        ended.write("x")
""",
    "test_good.py": """
import pytest

def test_passes(): print("unseen")

@pytest.mark.skip(reason="not today")
def test_is_skipped(): pass

@pytest.mark.parametrize("number", range(20))
def test_many(number): pass
""",
    "test_bad.py": """
def test_fails():
    print("seen")
    assert 1 == 2

def test_after_it(): pass
""",
    "test_dies.py": """
import os

def test_before(): pass

def test_dies(): os._exit(0)

def test_never_run(): pass
""",
}


def pytest_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--forks=2", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def test_forks_tell_of_every_test_and_of_a_process_that_died(folder):
    run = pytest_run(folder)
    assert run.returncode == 1
    assert "3 failed, 23 passed, 1 skipped" in run.stdout
    assert "FAILED test_bad.py::test_fails - assert 1 == 2" in run.stdout
    assert "- Captured stdout call -" in run.stdout
    assert run.stdout.count("unseen") == 1
    assert "SKIPPED [1] test_good.py:6: not today" in run.stdout
    died = "The process that ran this test, or was to run it, died."
    assert f"FAILED test_dies.py::test_dies - {died}" in run.stdout
    assert f"FAILED test_dies.py::test_never_run - {died}" in run.stdout


def test_forks_end_what_they_share_and_stop_where_that_is_asked_for(folder):
    run = pytest_run(folder, "test_good.py", "test_bad.py")
    assert "1 failed, 22 passed, 1 skipped" in run.stdout
    assert (folder / "ended").read_text() == "xx"
    assert "1 failed in" in pytest_run(folder, "-x", "test_bad.py").stdout
    nothing = pytest_run(folder, "test_good.py", "-k", "nothing")
    assert nothing.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
