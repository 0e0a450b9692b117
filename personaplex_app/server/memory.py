"""Memory that is free goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

# of glibc's malloc.h
_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3
ARENAS = 2
MAPPED_BYTES = 1 << 20


def give_back_memory() -> None:
    """Let glibc return what was freed: recordings are tens of megabytes, and each thread that worked on one
    would otherwise keep as much. Elsewhere than on glibc nothing is to be done.

    To be called once, before threads begin.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, ARENAS)
        # set, it no longer grows with what is freed
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
