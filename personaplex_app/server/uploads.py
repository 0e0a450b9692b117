"""Uploads of large bodies: few at once, each within a limit of bytes and of time."""

from __future__ import annotations

import anyio
from starlette.requests import Request

from ..errors import BadInput
from .http import limited_body

MAX_UPLOADS = 4
UPLOAD_PATIENCE_S = 60.0


async def uploaded(request: Request, limit_bytes: int) -> bytes:
    """Return an upload's body. Raises: BadInput when it is too large or takes too long."""
    try:
        with anyio.fail_after(UPLOAD_PATIENCE_S):
            return await limited_body(request, limit_bytes)
    except TimeoutError:
        raise BadInput(
            f"The upload took longer than {UPLOAD_PATIENCE_S:.0f} s; try again with a smaller file."
        ) from None
