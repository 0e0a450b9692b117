"""SIGTERM and SIGINT as events: the first stops the app, the second stops it at once, and a third ends the
process.
"""

from __future__ import annotations

import os
import select
import signal
import threading

AT_ONCE_S = 10.0
"""Whatever hangs after the second signal, an engine or a disk, does not hold up the end for longer."""


def listen() -> tuple[threading.Event, threading.Event]:
    """Return the events that the first and the second signal set. To be called on the main thread, once.

    Python runs a signal's handler on the main thread, between two bytecode instructions; while that thread
    waits for an event, a handler that became due just before is never run. So the handlers do nothing, and a
    thread reads the byte that the interpreter writes for each signal (`signal.set_wakeup_fd`).
    """
    stop = threading.Event()
    at_once = threading.Event()
    read_fd, write_fd = os.pipe()
    # Python refuses a wakeup descriptor that blocks
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd)
    # a fork has the same pipe, and signals to it are not meant for this process
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def watch() -> None:
        os.read(read_fd, 1)
        stop.set()
        os.read(read_fd, 1)
        at_once.set()
        select.select([read_fd], [], [], AT_ONCE_S)
        # not `sys.exit`: neither another thread nor an exit handler may hold up the end any longer
        os._exit(1)

    threading.Thread(target=watch, name="signals", daemon=True).start()
    return stop, at_once
