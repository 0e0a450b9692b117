"""Reverse proxies: the path that the app is served under, and the headers of trusted proxies."""

from __future__ import annotations

import logging
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

log = logging.getLogger(__name__)

PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)


class ProxyHeaders(ProxyHeadersMiddleware):
    """ASGI middleware, the outermost: behind it a request looks as it did when it left the browser.

    X-Forwarded-For, -Proto, -Host and -Prefix of `trusted` proxies are used, those of others ignored. The
    prefix, or rather `root_path` where it is set, becomes the scope's `root_path` and the beginning of its
    `path`, also where the proxy removed it.
    """

    def __init__(self, app: ASGIApp, trusted: tuple[str, ...], root_path: str) -> None:
        super().__init__(app, list(trusted))  # type: ignore[arg-type]
        self._root_path = root_path
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)  # type: ignore[arg-type]
        headers = MutableHeaders(scope=scope)
        prefix = self._root_path
        # before the base class, which replaces the peer's address by the forwarded one
        if (scope.get("client") or ("",))[0] in self.trusted_hosts:
            if host := _first(headers, "x-forwarded-host"):
                headers["host"] = host
                del headers["x-forwarded-host"]
            forwarded = _first(headers, "x-forwarded-prefix").rstrip("/")
            if not prefix and PREFIX.fullmatch(forwarded):
                prefix = forwarded
        elif "x-forwarded-for" in headers:
            self._warn()
        if prefix:
            path = scope["path"]
            # some proxies remove the prefix from the path, others leave it there
            whole = path == prefix or path.startswith(prefix + "/")
            scope = {**scope, "root_path": prefix, "path": path if whole else prefix + path}
        return await super().__call__(scope, receive, send)  # type: ignore[arg-type]

    def _warn(self) -> None:
        """Log once that a proxy is not trusted: all its visitors count as one caller."""
        if not self._warned:
            self._warned = True
            log.warning(
                "A request came with X-Forwarded-For from an address that is not trusted; the header was"
                " ignored. If that is your proxy, name it with --trusted-proxies: until then all its visitors"
                " count as one caller."
            )


def _first(headers: MutableHeaders, name: str) -> str:
    """The header's value that is nearest to the browser."""
    return headers.get(name, "").split(",")[0].strip()
