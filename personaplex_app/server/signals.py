"""SIGTERM and SIGINT as events: the first tells the app to stop, the second to stop at once, the third is not
waited for.
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

    A handler of Python's runs when the main thread looks up from what it does, which a wait for an event
    never does if the signal came just before it. So the handlers do nothing, and a thread reads the bytes
    that the interpreter writes for each signal.
    """
    stop = threading.Event()
    at_once = threading.Event()
    heard, written = os.pipe()
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written)
    # a fork has the same pipe, and what it is told is not meant for this process
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def watch() -> None:
        os.read(heard, 1)
        stop.set()
        os.read(heard, 1)
        at_once.set()
        select.select([heard], [], [], AT_ONCE_S)
        os._exit(1)

    threading.Thread(target=watch, name="signals", daemon=True).start()
    return stop, at_once
