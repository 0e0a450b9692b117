"""What stands before the app: the path it is served under, and what trusted proxies say of a caller."""

from __future__ import annotations

import logging
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ..addresses import Peers, plain_address, split_host

log = logging.getLogger(__name__)

PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)
# what somebody in front says of a request; the last is Gradio's own way to the same
_X_FORWARDED = ("for", "host", "proto", "prefix", "port", "server", "scheme", "ssl")
FORWARDED = (*(f"x-forwarded-{name}" for name in _X_FORWARDED), "forwarded", "x-real-ip", "x-gradio-server")
FOR_LINKS = ("x-forwarded-host", "x-forwarded-proto")


class ProxyHeaders(ProxyHeadersMiddleware):
    """ASGI middleware, the outermost: behind it a request looks as it did when it left the browser.

    A peer of `trusted` proxies is believed what it says in X-Forwarded-For, -Proto, -Host and -Prefix; from
    any other such headers do not get further, except the host's and the scheme's where `relayed` tells that
    nobody but a relay reaches the app: they are for the page's own links. The prefix, or `root_path` before
    it, becomes the scope's `root_path` and the beginning of its `path`, also where the proxy took it off.
    """

    def __init__(self, app: ASGIApp, trusted: tuple[str, ...], root_path: str, relayed: bool = False) -> None:
        super().__init__(app, list(trusted))  # type: ignore[arg-type]
        self._trusted = Peers(trusted)
        self._root_path = root_path
        self._dropped = [name for name in FORWARDED if not (relayed and name in FOR_LINKS)]
        self._wondered = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)  # type: ignore[arg-type]
        headers = MutableHeaders(scope=scope)
        prefix = self._root_path
        peer, *port = scope.get("client") or ("", 0)
        if peer:
            scope["client"] = (plain_address(peer), *port)
        if peer in self._trusted:
            host = _first(headers, "x-forwarded-host")
            if host and _is_host(host):
                headers["host"] = host
            del headers["x-forwarded-host"]
            if chain := ",".join(headers.getlist("x-forwarded-for")):
                headers["x-forwarded-for"] = ", ".join(plain_address(each) for each in chain.split(","))
            said = _first(headers, "x-forwarded-prefix").rstrip("/")
            if not prefix and PREFIX.fullmatch(said):
                prefix = said
        else:
            if "x-forwarded-for" in headers:
                self._wonder()
            for name in self._dropped:
                del headers[name]
        if prefix:
            path = scope["path"]
            whole = path == prefix or path.startswith(prefix + "/")
            scope = {**scope, "root_path": prefix, "path": path if whole else prefix + path}
        return await super().__call__(scope, receive, send)  # type: ignore[arg-type]

    def _wonder(self) -> None:
        """Tell once of a proxy that is not trusted: all its visitors count as one."""
        if not self._wondered:
            self._wondered = True
            log.warning(
                "A request came with X-Forwarded-For from an address that is not trusted; the header was"
                " ignored. If that is your proxy, name it with --trusted-proxies: until then all its visitors"
                " count as one caller."
            )


def _first(headers: MutableHeaders, name: str) -> str:
    """The header's value that is nearest to the browser."""
    return headers.get(name, "").split(",")[0].strip()


def _is_host(text: str) -> bool:
    try:
        split_host(text)
    except ValueError:
        return False
    return True
