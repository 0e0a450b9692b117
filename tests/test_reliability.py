"""What the app withstands, as a table: each test is a row, with a figure and its target.

    make reliability

The only tests that may compare times that a clock measured: people run them by themselves, on a machine with
nothing else to do. Sizes are variables of the environment, small unless given; the numbers of the full run
stand beside them.
"""

import asyncio
import io
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings

from personaplex_app.errors import PersonaplexError
from personaplex_app.protocol import Kind
from personaplex_app.units import FRAME_S, FRAME_SAMPLES

from .support import protocol_cases, readers
from .support.app_process import ROOT, app_process
from .support.app_routes import METHODS, app_routes
from .support.killed_app import Acknowledged, as_owner, talk_until_killed
from .support.live_callers import (
    CROWD,
    LiveCaller,
    callers_left,
    come_and_go,
    computed_s,
    connected,
    free_after_s,
    held,
    memory_mb,
    raw_caller,
    settled,
)
from .support.patience import PATIENCE_S, until, until_async
from .support.reliability import measured

pytestmark = pytest.mark.soak


def size(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


SOAK_MINUTES = size("SOAK_MINUTES", 10)  # 120
CYCLES = size("CYCLES", 1_000)  # 10,000
KILLS = size("KILLS", 30)  # 200
INTERLEAVINGS = size("INTERLEAVINGS", 50)  # 1,000
PROTOCOL_CASES = size("PROTOCOL_CASES", 20_000)
FUZZ_RUNS = size("FUZZ_RUNS", 100_000)  # 5,000,000, for each reader

COUNTING = {"module": "tests.support.serve_counting_tasks"}
TINY = {"engine": "personaplex", "checkpoint": "tests/golden", "device": "cpu"}


def p99_ms(times_s: list[float]) -> float:
    return float(np.percentile(times_s, 99)) * 1000


# -- many callers ----------------------------------------------------------------------------------


async def test_crowd_is_answered_at_once(tmp_path, record_property):
    took_s: list[float] = []
    answers: list[str] = []
    leave = asyncio.Event()

    async def come(number: int) -> None:
        async with connected(running.url, number) as socket:
            began_s = time.perf_counter()
            answer = ""
            async for message in socket:
                event = json.loads(message[1:]) if message[0] == Kind.METADATA else {}
                answer = "served" if message[0] == Kind.HANDSHAKE else event.get("type", "")
                if answer in ("served", "queued", "ended"):
                    if answer == "ended":
                        assert event["retry_after_s"]
                        answer = event["reason"]
                    break
            took_s.append(time.perf_counter() - began_s)
            answers.append(answer)
            await leave.wait()

    with (
        measured(record_property, "200 sockets at 4 slots") as row,
        app_process(tmp_path, slots=4, **CROWD) as running,
    ):
        running.until_ready()
        before_mb, before_s = memory_mb(running), computed_s(running)
        callers = [asyncio.create_task(come(number)) for number in range(200)]
        while len(answers) < 200:
            await asyncio.sleep(0.05)
            assert not any(caller.done() and caller.exception() for caller in callers)
        grown_mb = memory_mb(running, peak=True) - before_mb
        app_s = computed_s(running) - before_s
        leave.set()
        await asyncio.gather(*callers)
        row.at_most("typed answer p99", p99_ms(took_s), 250, " ms")
        row.exactly(
            "served, queued, refused",
            tuple(answers.count(each) for each in ("served", "queued", "capacity")),
            (4, 32, 164),
        )
        row.at_most("memory", grown_mb, 50, " MB")
        row.told("all of it took", f"{app_s:.2f} s of the app's CPU")
        until(lambda: not callers_left(running))


async def test_soak_of_four_talks_grows_nothing(tmp_path, record_property):
    """A run of minutes cannot tell 1 MB an hour: half a megabyte may be noise."""
    talk_s = min(SOAK_MINUTES * 60, 7_150)  # no talk lasts longer than two hours
    marks: list[tuple[float, object]] = []

    async def watch(running) -> None:
        began_s = time.monotonic()
        while True:
            marks.append((time.monotonic() - began_s, await asyncio.to_thread(held, running)))
            await asyncio.sleep(talk_s / 60)

    with (
        measured(record_property, f"soak of 4 talks, {SOAK_MINUTES} min") as row,
        app_process(
            tmp_path, slots=4, talk_limit_s=7_200, idle_limit_s=3_600, **COUNTING, **CROWD
        ) as running,
    ):
        asked = ({}, {"keep": "1", "owner": "k" * 20}, {"resumable": "1"}, {"codec": "opus"})
        callers = [LiveCaller(running.url, number, **query) for number, query in enumerate(asked)]
        watching = asyncio.create_task(watch(running))
        await asyncio.gather(*(caller.run(talk_s) for caller in callers))
        watching.cancel()
        at_s, seen = zip(*marks[len(marks) // 4 : -1], strict=True)  # after the beginning, before the ends
        third = len(seen) // 3
        first, last = seen[:third], seen[-third:]
        hours = (np.mean(at_s[-third:]) - np.mean(at_s[:third])) / 3600
        grown_mb = np.median([each.memory_mb for each in last]) - np.median(
            [each.memory_mb for each in first]
        )
        row.at_most("memory grown", max(0.0, grown_mb), max(1.0 * hours, 0.5), " MB")
        for name in ("tasks", "threads", "descriptors"):
            most = max(getattr(each, name) for each in last)
            row.at_most(f"{name} grown", most - max(getattr(each, name) for each in first), 0)
        row.exactly("every frame answered", all(caller.answered for caller in callers), True)
        assert all(not caller.error for caller in callers)


async def test_cycles_of_coming_and_going_leave_nothing(tmp_path, record_property):
    async def cycles(numbers: range) -> None:
        async def worker() -> None:
            while left:
                await come_and_go(running.url, left.pop(), http)

        left = list(numbers)
        await asyncio.gather(*(worker() for _ in range(8)))

    with (
        measured(record_property, f"{CYCLES:,} times connect, talk, leave") as row,
        app_process(tmp_path, slots=8, **COUNTING, **CROWD) as running,
    ):
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=running.url, limits=limits, timeout=PATIENCE_S) as http:
            # what is kept on purpose is there after the first ones: the last 64 talks, pools of threads
            await cycles(range(min(400, CYCLES // 2)))
            before = settled(running)
            await cycles(range(CYCLES))
        after = settled(running)
        row.exactly("slots, places and connections left", callers_left(running), 0)
        for name in ("tasks", "threads", "descriptors"):
            row.at_most(f"{name} left", max(0, getattr(after, name) - getattr(before, name)), 0)
        row.at_most("memory left", max(0.0, after.memory_mb - before.memory_mb), 10, " MB")
        assert "Traceback" not in running.log.read_text()


# -- callers that break or do not keep to the pace -------------------------------------------------


def test_connections_that_break_free_their_slot(tmp_path, record_property):
    with (
        measured(record_property, "connections that break") as row,
        app_process(tmp_path, **CROWD) as running,
    ):
        with raw_caller(running.url) as caller:
            caller.break_off_in_mid_frame()
            row.at_most("reset in mid-frame: slot free", free_after_s(running, time.monotonic()), 0.2, " s")
        with raw_caller(running.url):
            row.at_most("half-open: slot free", free_after_s(running, time.monotonic()), 25, " s")


def test_slow_reader_is_closed(tmp_path, record_property):
    with measured(record_property, "slow reader") as row, app_process(tmp_path, **CROWD) as running:
        before_mb = memory_mb(running)
        with raw_caller(running.url, receive_buffer_bytes=4096) as caller:
            began_s = time.monotonic()
            while caller.say_frame() and running.get("/health").json()["slots"]["used"]:
                time.sleep(FRAME_S)
            row.at_most("closed after", free_after_s(running, began_s), 10, " s")
        row.at_most("memory", memory_mb(running, peak=True) - before_mb, 10, " MB")


def test_sender_at_ten_times_the_pace_is_closed(tmp_path, record_property):
    with measured(record_property, "sender at 10 times the pace") as row, app_process(tmp_path) as running:
        with raw_caller(running.url) as caller:
            began_s = time.monotonic()
            until(lambda: caller.close_code() or (caller.say_frame(), time.sleep(FRAME_S / 10))[1])
            row.exactly("close code", caller.close_code(), 1008)
            row.told("after", f"{time.monotonic() - began_s:.1f} s")
        until(lambda: not callers_left(running))


# -- kills, full disks, stops ----------------------------------------------------------------------


async def test_kills_during_writes_lose_nothing_acknowledged(tmp_path, record_property):
    chance = random.Random(1)
    lost: list[str] = []
    told = Acknowledged()
    saved_s = 0.0
    data = tmp_path / "kept"
    with measured(record_property, f"SIGKILL during writes, {KILLS} times") as row:
        for number in range(KILLS + 1):
            with app_process(tmp_path, data=data, slots=4, **CROWD) as running:
                lost += told.missing(running)
                if number < KILLS:
                    told = await talk_until_killed(running, number, chance.uniform(0.2, 3))
                    saved_s += sum(told.saved_s.values())
            with closing(sqlite3.connect(data / "talks.sqlite3")) as database:
                (checked,) = database.execute("PRAGMA integrity_check").fetchone()
            lost += [] if checked == "ok" else [f"kill {number}: {checked}"]
        row.exactly("acknowledged and lost", len(lost), 0)
        row.told("sound called saved", f"{saved_s:.0f} s")
        assert not lost


@contextmanager
def small_disk(folder: Path, mib: int):
    """Yield a folder on a file system of its own, and skip the test where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", folder]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a full disk needs a small file system, which may not be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


async def test_full_disk_stops_the_recording_and_not_the_talk(tmp_path, record_property):
    owner = "owner-on-a-full-disk"
    with (
        measured(record_property, "full disk") as row,
        small_disk(tmp_path / "small", 2) as disk,
        app_process(tmp_path, data=disk / "data", **CROWD) as running,
    ):
        (disk / "filler").write_bytes(bytes(1 << 20))
        caller = await LiveCaller(running.url, keep="1", owner=owner).run(16)
        codes = [notice["code"] for notice in caller.told("notice")]
        row.exactly("told", codes, ["storage"])
        row.exactly("every frame answered", caller.answered, True)
        (ended,) = caller.told("ended")
        row.exactly("talk", ended["reason"], "stopped")
        wav = running.get(f"/api/sessions/{ended['talk_id']}/export.wav", **as_owner(owner))
        heard_s = soundfile.info(io.BytesIO(wav.content)).duration
        row.told("recorded", f"{heard_s:.1f} of {caller.sent_frames * FRAME_S:.1f} s")
        saved = caller.told("saved")
        assert heard_s >= saved[-1]["upto_s"] > 0


async def test_stop_is_told_and_clean(tmp_path, record_property):
    with (
        measured(record_property, "stop (SIGTERM)") as row,
        app_process(tmp_path, drain_s=4, **CROWD) as running,
    ):
        callers = [LiveCaller(running.url, number) for number in range(3)]
        runs = [asyncio.create_task(caller.run()) for caller in callers[:2]]
        await asyncio.gather(*(caller.began.wait() for caller in callers[:2]))
        runs.append(asyncio.create_task(callers[2].run()))
        await until_async(lambda: callers[2].told("queued"))
        running.process.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        while (status := (await asyncio.to_thread(running.get, "/health")).status_code) == 200:
            pass
        row.at_most("not ready after", time.monotonic() - began_s, 0.5, " s")
        row.exactly("health", status, 503)
        await asyncio.gather(*runs)
        reasons = [event["reason"] for caller in callers[:2] for event in caller.told("limit")]
        row.exactly("told", reasons, ["draining"] * 2)
        ends = [caller.told("ended")[0]["reason"] for caller in callers]
        row.exactly("ended", ends, ["draining", "draining", "capacity"])
        row.exactly("exit code", await asyncio.to_thread(running.process.wait, PATIENCE_S), 0)
        row.told("after", f"{time.monotonic() - began_s:.1f} s")


# -- engines ---------------------------------------------------------------------------------------


async def test_two_roles_at_once_say_what_each_says_alone(tmp_path, record_property):
    """The text is the same; sound may differ by the rounding of a batch, one step of int16."""
    chance = np.random.default_rng(5)
    roles = (
        {"voice_prompt": "NATF0", "seed": 11, "text_prompt": "You work for Alpha Parcels; your name is Ada."},
        {"voice_prompt": "NATM1", "seed": 29, "text_prompt": "You are Bruno, who speaks of storms alone."},
    )
    said = [(chance.standard_normal((20, FRAME_SAMPLES)) * 4000).astype("<i2") for _ in roles]

    async def talk(role: int, wait_s: float = 0.0) -> tuple[str, np.ndarray]:
        await asyncio.sleep(wait_s)
        caller = await LiveCaller(running.url, role, **roles[role]).run(frames=said[role])
        assert not caller.error
        return caller.text, np.frombuffer(b"".join(caller.sound[:20]), "<i2").astype(int)

    with (
        measured(record_property, f"{INTERLEAVINGS:,} interleavings of two roles") as row,
        app_process(tmp_path, slots=2, **TINY, **CROWD) as running,
    ):
        running.until_ready()
        alone = [await talk(role) for role in (0, 1)]
        assert alone[0][0] != alone[1][0]
        mixed = 0
        worst = 0
        for _ in range(INTERLEAVINGS):
            together = await asyncio.gather(*(talk(role, chance.uniform(0, 0.5)) for role in (0, 1)))
            for (text, sound), (own_text, own_sound) in zip(together, alone, strict=True):
                mixed += text != own_text
                worst = max(worst, int(np.abs(sound - own_sound).max()))
        row.exactly("talks with other text than alone", mixed, 0)
        row.at_most("sound differs by", worst, 1, "/32768")


async def pong_times_s(url: str, pings: int) -> list[float]:
    """Ask for so many pongs, as a caller of its own, and return how long each took."""
    times_s: list[float] = []
    while len(times_s) < pings:
        # a connection that has not begun its talk: it is closed after 15 s
        async with connected(url, 9, config="message") as socket:
            for _ in range(min(250, pings - len(times_s))):
                began_s = time.perf_counter()
                await (await socket.ping())
                times_s.append(time.perf_counter() - began_s)
                await asyncio.sleep(0.03)
    return times_s


@pytest.mark.parametrize("path", ["/", "/voice/status", "/metrics"])
async def test_flood_of_requests_of_one_address_reaches_nobody_else(tmp_path, record_property, path):
    with (
        measured(record_property, f"eight clients of one address ask for {path}") as row,
        app_process(tmp_path, **CROWD) as running,
    ):
        running.until_ready()
        alone_s = await pong_times_s(running.url, 400)
        flood = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.request_flood", running.url + path, "15"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        beside_s = await pong_times_s(running.url, 400)
        row.told("asked and refused", (await flood.communicate())[0].decode().strip())
        row.at_most("pong p99 later by", max(0.0, p99_ms(beside_s) - p99_ms(alone_s)), 5, " ms")
        row.at_most("longest", max(beside_s) * 1000, 100, " ms")


@pytest.mark.parametrize("engine", [{"engine": "echo"}, TINY], ids=["echo", "personaplex"])
async def test_event_loop_is_free_while_engines_step(tmp_path, record_property, engine):
    with (
        measured(record_property, f"event loop beside two talks, {engine['engine']}") as row,
        app_process(tmp_path, slots=2, **engine, **CROWD) as running,
    ):
        running.until_ready()
        callers = [LiveCaller(running.url, number) for number in (1, 2)]
        runs = [asyncio.create_task(caller.run()) for caller in callers]
        await asyncio.gather(*(caller.began.wait() for caller in callers))
        times_s = await pong_times_s(running.url, 750)
        for caller in callers:
            await caller.order("stop")
        await asyncio.gather(*runs)
        assert all(caller.heard_frames > 100 for caller in callers)
        row.at_most("pong p99", p99_ms(times_s), 20, " ms")


# -- what comes from outside -----------------------------------------------------------------------


async def test_every_route_asks_for_the_login(tmp_path, record_property):
    """In an event loop, or Gradio makes one for its page that nobody closes."""
    with (
        measured(record_property, "every route without credentials") as row,
        app_process(tmp_path, env={"PERSONAPLEX_AUTH": "ann:sesame"}) as running,
    ):
        paths = sorted({path for path, _ in app_routes(tmp_path / "listed")})
        answers = {
            (method, path): running.client.request(method, path, content=b"{}").status_code
            for path in paths
            for method in METHODS
        }
        opened = {asked: status for asked, status in answers.items() if status != 401}
        row.exactly("answered otherwise than 401", len(opened), 0)
        row.told("asked", f"{len(answers):,} requests to {len(paths)} routes")
        assert not opened


def test_hostile_files_write_nothing_outside_and_take_little_memory(tmp_path, record_property):
    with measured(record_property, "hostile voice files and archives") as row:
        command = [sys.executable, "-m", "tests.support.hostile_files", tmp_path]
        program = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert program.returncode == 0, program.stderr[-3000:]
        told = json.loads(program.stdout.splitlines()[-1])
        row.exactly("written outside", told["outside"], [])
        row.exactly("undocumented errors", told["undocumented"], [])
        row.at_most("memory of one", told["worst_mb"], 64, " MB")
        row.told("tried", f"{told['pickles']} pickles, {told['archives']} archives")
        assert told["pickles"] >= 20


def test_generated_messages_raise_documented_errors_only(record_property):
    undocumented: Counter[str] = Counter()
    cases = Counter[str]()

    @settings(max_examples=PROTOCOL_CASES, database=None)
    @given(protocol_cases.cases())
    def read(message: tuple[str, bytes]) -> None:
        reader, data = message
        cases[reader] += 1
        try:
            readers.PROTOCOL[reader](data)
        except PersonaplexError:
            pass
        except Exception as error:
            undocumented[f"{reader}: {type(error).__name__}"] += 1

    with measured(record_property, "generated protocol messages") as row:
        read()
        row.exactly("undocumented errors", dict(undocumented), {})
        row.told("tried", f"{cases.total():,}")


@pytest.mark.parametrize("reader", ["messages", "opus", "voices"])
def test_fuzzer_finds_nothing(tmp_path, record_property, reader):
    with measured(record_property, f"fuzzer (atheris): {reader}") as row:
        pytest.importorskip("atheris", reason="atheris is for Linux on x86-64 alone")
        command = [sys.executable, "-m", "tests.support.fuzz_readers", reader, str(FUZZ_RUNS), tmp_path]
        program = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        done = re.findall(r"^Done (\d+) runs", program.stderr, re.MULTILINE)
        row.exactly("exit code", program.returncode, 0)
        row.told("executions", f"{int(done[-1]) if done else 0:,}")
        assert done, program.stderr[-3000:]
