"""A TCP proxy between browser and app with network faults: delay, jitter, no WebSockets, a line that dies or
goes silent.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from .patience import PATIENCE_S


class Line:
    """What a test does to the connections of a proxy, from its own thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._passing.set()

    def cut(self) -> None:
        """Break all connections; new ones can be made."""
        self._do(lambda: [writer.transport.abort() for writer in list(self._writers)])

    def silence(self, on: bool) -> None:
        """Let nothing pass, nor anything close; or let all pass again."""
        self._do(self._passing.clear if on else self._passing.set)

    def _do(self, work: Callable[[], object]) -> None:
        assert self._loop, "the proxy does not run"
        self._loop.call_soon_threadsafe(work)


@dataclass(frozen=True)
class LinkFaults:
    """The faults in each direction: a delay of `delay_ms` ± `jitter_ms`, evenly distributed, order kept."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    websockets: bool = True
    seed: int = 1
    line: Line = field(default_factory=Line)


@contextmanager
def faulty_proxy(host: str, port: int, wire: LinkFaults) -> Iterator[int]:
    """Run a TCP proxy to host:port in a thread; yield its own port."""
    loop = wire.line._loop = asyncio.new_event_loop()
    ready = threading.Event()
    bound: list[int] = []
    over = asyncio.Event()

    async def serve() -> None:
        chance = random.Random(wire.seed)
        tasks: set[asyncio.Task] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            tasks.add(task)
            try:
                await _carry(reader, writer, host, port, wire, chance)
            except (ConnectionError, asyncio.CancelledError):
                writer.close()
            finally:
                tasks.discard(task)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        bound.append(server.sockets[0].getsockname()[1])
        ready.set()
        await over.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="wire")
    thread.start()
    ready.wait(PATIENCE_S)
    try:
        yield bound[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(PATIENCE_S)
        loop.close()


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    host: str,
    port: int,
    wire: LinkFaults,
    chance: random.Random,
) -> None:
    head = await reader.read(65_536)
    if not wire.websockets and b"upgrade: websocket" in head.lower():
        writer.close()
        return
    await wire.line._passing.wait()
    far_reader, far_writer = await asyncio.open_connection(host, port)
    ends = {writer, far_writer}
    wire.line._writers |= ends
    try:
        far_writer.write(head)
        await asyncio.gather(_pump(reader, far_writer, wire, chance), _pump(far_reader, writer, wire, chance))
    finally:
        wire.line._writers -= ends
        far_writer.close()
        writer.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: LinkFaults, chance: random.Random
) -> None:
    """Forward bytes in one direction, each piece after its delay and never before the piece ahead of it."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1024)

    async def deliver() -> None:
        while True:
            due_s, data = await waiting.get()
            if due_s > loop.time():
                await asyncio.sleep(due_s - loop.time())
            writer.write(data)
            await writer.drain()
            if not data:
                with suppress(OSError):  # the other end may be gone already
                    writer.write_eof()
                return

    task = asyncio.ensure_future(deliver())
    try:
        while True:
            data = await reader.read(65_536)
            await wire.line._passing.wait()
            late_ms = wire.delay_ms + chance.uniform(-wire.jitter_ms, wire.jitter_ms)
            await waiting.put((loop.time() + max(0.0, late_ms) / 1000, data))
            if not data:
                break
        await task
    finally:
        task.cancel()
