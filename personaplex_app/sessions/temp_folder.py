"""A private folder that does not outlive its program, however that ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import weakref
from pathlib import Path

# unchanged since the first version, so that what earlier versions left behind is found too
PREFIX = "personaplex-app-passing-"


class TempFolder:
    """Made with mode 0700 under `root`, deleted by `wipe`, at exit, or by the next program that starts here.

    Raises: OSError when it cannot be made.
    """

    def __init__(self, root: Path) -> None:
        _sweep(root)
        fresh = Path(tempfile.mkdtemp(prefix="personaplex-app-new-", dir=root))
        lock_fd = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock_fd, fcntl.LOCK_EX)
        # renamed only now that it is locked: another program's `_sweep` would delete it unlocked
        self.path = fresh.rename(root / fresh.name.replace("new-", "passing-"))
        self.wipe = weakref.finalize(self, _wipe, self.path, lock_fd, os.getpid())


def _wipe(path: Path, lock_fd: int, pid: int) -> None:
    if os.getpid() == pid:  # a forked child's exit is not the program's
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock_fd)


def _sweep(root: Path) -> None:
    """Delete the folders of programs that ended without doing so: ours, and locked by nobody."""
    for path in root.glob(PREFIX + "*"):
        try:
            # no links: in a folder that all may write to, one could lead to somebody else's files
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            # in a folder that all may write to, somebody else's may have the same prefix
            if os.fstat(fd).st_uid == os.geteuid():
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
