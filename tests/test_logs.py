"""The log: one JSON object a line or text, a talk's id on its lines, and never what an exception quotes."""

import json
import logging
import subprocess
import sys

import anyio
import anyio.to_thread
import pytest

from personaplex_app import logs
from personaplex_app.classic.workers import Worker

from .support.app_process import ROOT
from .support.patience import PATIENCE_S


def record(error: BaseException | None = None, **extra) -> logging.LogRecord:
    made = logging.LogRecord("app.part", logging.WARNING, __file__, 1, "It rained on %s.", ("Monday",), None)
    made.exc_info = (type(error), error, error.__traceback__) if error else None
    made.__dict__.update(extra)
    return made


def fault() -> ValueError:
    try:
        try:
            raise KeyError("my secret")
        except KeyError as before:
            raise ValueError("my other secret") from before
    except ValueError as error:
        return error


def test_logs_json_line_holds_the_event_and_its_fields():
    line = json.loads(logs.JsonLines().format(record(fields={"reason": "stopped", "duration_s": 1.5})))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "app.part",
        "message": "It rained on Monday.",
        "reason": "stopped",
        "duration_s": 1.5,
    }


@pytest.mark.parametrize("form", [logs.JsonLines(), logs.TextLines()])
def test_logs_exception_is_told_by_type_and_place_without_its_message(form):
    said = form.format(record(fault()))
    assert "secret" not in said
    assert "ValueError" in said
    assert "KeyError" in said
    assert "test_logs.py:" in said
    assert "in fault" in said


async def test_logs_talk_id_follows_into_threads_and_stays_within_its_task():
    lane = Worker("test")

    async def talk(id_: str, found: list):
        logs.TALK.set(id_)
        found.append(
            await anyio.to_thread.run_sync(lambda: json.loads(logs.JsonLines().format(record()))["talk"])
        )
        found.append(lane.submit(lambda: logs.TextLines().format(record())).result().split()[-1])

    one, two = [], []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(talk, "1", one)
        tasks.start_soon(talk, "2", two)
    lane.close()
    assert (one, two) == (["1", "talk=1"], ["2", "talk=2"])
    assert "talk" not in json.loads(logs.JsonLines().format(record()))


@pytest.mark.process
def test_logs_as_json_take_up_prints_warnings_and_faults():
    program = """
import threading, warnings
from personaplex_app import logs
logs.configure("info", True, prints=True)
print("one", "two")
print("half", end="")
warnings.warn("careful")
threading.Thread(target=lambda: {}["my secret"]).start()
raise ValueError("my other secret")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["logger"] for line in lines] == ["stdout", "py.warnings", "fault", "fault"]
    assert lines[0]["message"] == "one two"
    assert {lines[2]["exception"][0], lines[3]["exception"][0]} == {"KeyError", "ValueError"}
    assert (done.stdout, "secret" in done.stderr) == ("", False)
