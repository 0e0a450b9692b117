"""Uploads of large bodies: few at once, each within a limit of bytes and of time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from starlette.requests import Request

from ..errors import BadInput, CapacityError
from .http import limited_body

MAX_UPLOADS = 4
UPLOAD_PATIENCE_S = 60.0


class Uploads:
    """Limits how many uploads of one kind run at once; `what` names the others in the error."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._running = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Count one upload while it runs. Raises: CapacityError when too many run."""
        if self._running >= MAX_UPLOADS:
            raise CapacityError(f"{MAX_UPLOADS} other {self._what} here; try again in a few seconds.")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


async def uploaded(request: Request, limit_bytes: int) -> bytes:
    """Return an upload's body. Raises: BadInput when it is too large or takes too long."""
    try:
        with anyio.fail_after(UPLOAD_PATIENCE_S):
            return await limited_body(request, limit_bytes)
    except TimeoutError:
        raise BadInput(
            f"The upload took longer than {UPLOAD_PATIENCE_S:.0f} s; try again with a smaller file."
        ) from None
