"""Callers who come in at the same moment: a few at a time, each answered before many more."""

import anyio
import anyio.lowlevel
import pytest

from personaplex_app.server.arrivals import Arrivals
from personaplex_app.server.channel import Frames

pytestmark = pytest.mark.unit

NEVER_S = 1e6


async def test_callers_come_in_by_turns_and_the_first_answer_lets_in_the_next():
    arrivals = Arrivals(at_once=2, answer_s=NEVER_S)
    inside, most, answered = 0, 0, []

    class Socket:
        async def send_bytes(self, data):
            await anyio.lowlevel.checkpoint()

    async def come(number):
        nonlocal inside, most
        async with arrivals.turn() as give:
            inside += 1
            most = max(most, inside)
            frames = Frames(Socket(), answered=give)
            await anyio.lowlevel.checkpoint()
            inside -= 1
            await frames.send(b"hello")
            await frames.send(b"again")
            answered.append(number)
            await leave.wait()

    leave = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(come, number)
        with anyio.fail_after(10):
            while len(answered) < 20:
                await anyio.lowlevel.checkpoint()
        leave.set()
    assert most == 2
    assert answered == sorted(answered)


async def test_caller_who_is_told_nothing_or_leaves_keeps_nobody_out():
    arrivals = Arrivals(at_once=1, answer_s=0.0)
    with anyio.fail_after(10):
        async with arrivals.turn(), arrivals.turn() as give:
            give()
            give()
    arrivals = Arrivals(at_once=1, answer_s=NEVER_S)
    with anyio.fail_after(10):
        for _ in range(3):
            with anyio.CancelScope() as gone:
                async with arrivals.turn():
                    gone.cancel()
                    await anyio.lowlevel.checkpoint()
        # a second release too many would let in two
        async with arrivals.turn():
            with anyio.move_on_after(0.01) as waited:
                async with arrivals.turn():
                    pass
            assert waited.cancelled_caught
