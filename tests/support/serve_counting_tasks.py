"""The app, which tells over a socket how many asyncio tasks it has: nothing else tells that.

python -m tests.support.serve_counting_tasks serve --engine=echo
"""

import asyncio
import gc
import os
import socket
import sys
import threading


def address_of(pid: int) -> str:
    """Return the address, without a file, of the socket in a process."""
    return f"\0tasks-of-{pid}"


def tasks_of(pid: int) -> int:
    """Return how many tasks the app in a process has."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(address_of(pid))
        return int(asking.recv(20))


def _answer(listening: socket.socket) -> None:
    while True:
        asking, _ = listening.accept()
        with asking:
            gc.collect()
            alive = [each for each in gc.get_objects() if isinstance(each, asyncio.Task) and not each.done()]
            asking.sendall(str(len(alive)).encode())


if __name__ == "__main__":
    from personaplex_app.__main__ import main

    server = socket.socket(socket.AF_UNIX)
    server.bind(address_of(os.getpid()))
    server.listen()
    threading.Thread(target=_answer, args=(server,), daemon=True).start()
    sys.exit(main())
