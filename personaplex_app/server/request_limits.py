"""How large a request may be, on every route, Gradio's among them, and how much one address may upload."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import CapacityError, PersonaplexError, TooLarge
from .http import check_announced, error_response, principal_of, refuse_request, too_large

log = logging.getLogger(__name__)

# Gradio works on a body on the event loop, up to 2 ms a KiB; a role prompt in JSON escapes takes 24 KiB
MAX_BODY_BYTES = 32 << 10
MAX_COOKIE_BYTES = 16 << 10
OWN_ROUTES = "/api/"
"""Routes of ours: each has its own limit, in `http.limited_body`."""
UPLOAD_PATH = "/gradio_api/upload"

MAX_UPLOAD_BYTES = 50 << 20
MAX_UPLOAD_FILES = 8
UPLOADS_KEPT_S = 15 * 60
MOST_UPLOADED_BYTES = 1 << 30
MOST_UPLOADED_BYTES_EACH = 200 << 20
MOST_UPLOADED_FILES_EACH = 60
UPLOADS_AT_ONCE = 8
UPLOADS_AT_ONCE_EACH = 2
_BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,70})')


class CookieLimit:
    """ASGI middleware: no cookie gets further that would take long to parse.

    Python before 3.10.15, 3.11.10 and 3.12.6 takes time by the square of the escapes in one (CVE-2024-7592).
    No standard cookie has any, so those that do are left out; too many bytes of cookies are refused.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._logged = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = MutableHeaders(scope=scope)
            cookies = "; ".join(headers.getlist("cookie"))
            if len(cookies) > MAX_COOKIE_BYTES:
                self._log_once()
                return await refuse_request(
                    scope,
                    receive,
                    send,
                    431,
                    "cookies",
                    f"The cookies have {len(cookies)} bytes, {MAX_COOKIE_BYTES} is the limit; delete this"
                    " site's.",
                )
            if "\\" in cookies:
                headers["cookie"] = "; ".join(pair.strip() for pair in cookies.split(";") if "\\" not in pair)
        await self._app(scope, receive, send)

    def _log_once(self) -> None:
        if not self._logged:
            self._logged = True
            log.warning("refused a request with more than %d bytes of cookies", MAX_COOKIE_BYTES)


@dataclass
class _Upload:
    """What one request uploads."""

    address: str
    began_s: float
    bytes: int = 0
    files: int = 0
    running: bool = True
    taken: bool = False
    """Whether the answer was that all of it is there."""

    def end(self) -> None:
        """Count it no longer as running, and not at all if nothing of it was kept."""
        self.running = False
        if not self.taken:
            self.bytes = self.files = 0


@dataclass
class UploadShares:
    """What was uploaded to Gradio lately, for as long as it is kept, and how much more there may be."""

    _uploads: deque[_Upload] = field(default_factory=deque)

    def begin(self, address: str, now_s: float | None = None) -> _Upload:
        """Count an upload. Raises: CapacityError when there is no room for one more."""
        now_s = time.monotonic() if now_s is None else now_s
        kept = (each for each in self._uploads if each.running or now_s - each.began_s < UPLOADS_KEPT_S)
        self._uploads = deque(kept)
        mine = [each for each in self._uploads if each.address == address]
        running = Counter(each.address for each in self._uploads if each.running)
        if running[address] >= UPLOADS_AT_ONCE_EACH or running.total() >= UPLOADS_AT_ONCE:
            raise CapacityError("Other files are being sent here; try again in a few seconds.")
        upload = _Upload(address, now_s)
        if self.room(upload) <= 0 or sum(each.files for each in mine) >= MOST_UPLOADED_FILES_EACH:
            wait_s = UPLOADS_KEPT_S - (now_s - self._uploads[0].began_s)
            raise CapacityError(
                f"Too much was uploaded here lately; it is deleted after {UPLOADS_KEPT_S // 60} minutes. Try"
                f" again in {1 + wait_s // 60:.0f} minutes.",
                wait_s,
            )
        self._uploads.append(upload)
        return upload

    def room(self, upload: _Upload) -> int:
        """Return how many bytes an upload may have."""
        total = sum(each.bytes for each in self._uploads if each is not upload)
        mine = sum(
            each.bytes for each in self._uploads if each.address == upload.address and each is not upload
        )
        return min(MAX_UPLOAD_BYTES, MOST_UPLOADED_BYTES - total, MOST_UPLOADED_BYTES_EACH - mine)


class BodyLimit:
    """ASGI middleware: a body over the limit is answered by 413, whether or not it says its length first.

    It stands behind the login, so that nobody's uploads count who may not upload.
    """

    def __init__(self, app: ASGIApp, shares: UploadShares) -> None:
        self._app = app
        self._shares = shares

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or path.startswith(OWN_ROUTES):
            return await self._app(scope, receive, send)
        upload = None
        try:
            if scope["method"] == "POST" and path.rstrip("/") == UPLOAD_PATH:
                upload = self._shares.begin(principal_of(HTTPConnection(scope)).address)
            limit = self._shares.room(upload) if upload else MAX_BODY_BYTES
            await _Bounded(self._app, limit, upload)(scope, receive, send)
        except PersonaplexError as error:
            await error_response(error)(scope, receive, send)
        finally:
            if upload:
                upload.end()


class _Bounded:
    """One request whose body is counted as the app reads it."""

    def __init__(self, app: ASGIApp, limit_bytes: int, upload: _Upload | None) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._upload = upload
        self._bytes = 0
        self._files = 0
        self._tail = b""
        self._refused: TooLarge | None = None
        self._answered = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app. Raises: TooLarge when the body is, and nothing was answered yet."""
        headers = Headers(scope=scope)
        check_announced(headers, self._limit_bytes)
        boundary = _BOUNDARY.search(headers.get("content-type", "")) if self._upload else None
        delimiter = b"--" + boundary[1].encode("latin-1") if boundary else b""

        async def counted() -> Message:
            message = await receive()
            self._count(message.get("body", b""), delimiter)
            # ends whoever reads the body; Gradio deletes what it has of an upload at this error alone
            if self._upload and (self._refused or message["type"] == "http.disconnect"):
                raise MultiPartException(str(self._refused or "The upload was broken off."))
            if self._refused:
                raise HTTPException(413, str(self._refused))
            return message

        async def send_unless_refused(message: Message) -> None:
            if not self._refused or self._answered:
                self._answered = True
                if self._upload and message.get("status") == HTTPStatus.OK:
                    self._upload.taken = True
                await send(message)

        try:
            await self._app(scope, counted, send_unless_refused)
        except HTTPException:
            if not self._refused:
                raise
        except MultiPartException:
            pass  # nobody is there to hear of an upload that was broken off
        if self._refused and not self._answered:
            raise self._refused

    def _count(self, piece: bytes, delimiter: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > self._limit_bytes:
            self._refused = too_large(self._limit_bytes)
        if self._upload:
            self._upload.bytes = self._bytes
        if self._upload and delimiter:
            seen = self._tail + piece
            self._files += seen.count(delimiter)
            self._tail = seen[-len(delimiter) + 1 :]
            # the last delimiter ends the body
            self._upload.files = max(self._files - 1, 0)
            if self._upload.files > MAX_UPLOAD_FILES:
                self._refused = TooLarge(
                    f"One request may bring {MAX_UPLOAD_FILES} files; send the others alone."
                )
