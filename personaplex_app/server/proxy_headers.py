"""Reverse proxies: the path that the app is served under, and the headers of trusted proxies."""

from __future__ import annotations

import logging
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ..addresses import Peers, plain_address, split_host

log = logging.getLogger(__name__)

PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)
# headers that proxies set; the last is Gradio's own
_X_FORWARDED = ("for", "host", "proto", "prefix", "port", "server", "scheme", "ssl")
FORWARDED = (*(f"x-forwarded-{name}" for name in _X_FORWARDED), "forwarded", "x-real-ip", "x-gradio-server")
FOR_LINKS = ("x-forwarded-host", "x-forwarded-proto")
# RFC 7239: for=192.0.2.60;proto=https;host=voice.example, for="[2001:db8::1]:4711"
_PART_OF_FORWARDED = re.compile(
    r"(?P<name>[\w.-]+)\s*=\s*(?P<value>\"(?:[^\"\\]|\\.)*\"|[^\s,;\"]*)|(?P<next>,)", re.ASCII
)
_USUAL_PORTS = ("80", "443")


class ProxyHeaders(ProxyHeadersMiddleware):
    """ASGI middleware, the outermost: behind it a request looks as it did when it left the browser.

    X-Forwarded-For, -Proto, -Host, -Port and -Prefix of `trusted` proxies are used, or Forwarded (RFC 7239)
    of those that send none of the first three; such headers of others are removed, except -Host and -Proto
    where only a relay can reach the app (`relayed`): the page makes its links of them. The prefix, or rather
    `root_path` where it is set, becomes the scope's `root_path` and the beginning of its `path`, also where
    the proxy removed it.
    """

    def __init__(self, app: ASGIApp, trusted: tuple[str, ...], root_path: str, relayed: bool = False) -> None:
        super().__init__(app, list(trusted))  # pyrefly: ignore[bad-argument-type]
        self._trusted = Peers(trusted)
        self._root_path = root_path
        self._dropped = [name for name in FORWARDED if not (relayed and name in FOR_LINKS)]
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)  # pyrefly: ignore[bad-argument-type]
        headers = MutableHeaders(scope=scope)
        prefix = self._root_path
        # before the base class, which replaces the peer's address by the forwarded one
        peer, *port = scope.get("client") or ("", 0)
        if peer:
            scope["client"] = (plain_address(peer), *port)
        if peer in self._trusted:
            _take_forwarded(headers)
            host = _first(headers, "x-forwarded-host") or headers.get("host", "")
            if host and _is_host(host):
                headers["host"] = _with_port(host, _first(headers, "x-forwarded-port"))
            del headers["x-forwarded-host"]
            if scheme := _first(headers, "x-forwarded-proto"):
                # of a chain of proxies each may add its own
                headers["x-forwarded-proto"] = scheme.lower()
            if chain := ",".join(headers.getlist("x-forwarded-for")):
                headers["x-forwarded-for"] = ", ".join(plain_address(each) for each in chain.split(","))
            forwarded = _first(headers, "x-forwarded-prefix").rstrip("/")
            if not prefix and PREFIX.fullmatch(forwarded):
                prefix = forwarded
        else:
            if "x-forwarded-for" in headers or "forwarded" in headers:
                self._warn()
            for name in self._dropped:
                del headers[name]
        if prefix:
            # some proxies remove the prefix from the path, others leave it there
            path = scope["path"]
            whole = path == prefix or path.startswith(prefix + "/")
            scope = {**scope, "root_path": prefix, "path": path if whole else prefix + path}
        return await super().__call__(scope, receive, send)  # pyrefly: ignore[bad-argument-type]

    def _warn(self) -> None:
        """Log once that a proxy is not trusted: all its visitors count as one caller."""
        if not self._warned:
            self._warned = True
            log.warning(
                "A request came with X-Forwarded-For or Forwarded from an address that is not trusted; the"
                " header was ignored. If that is your proxy, name it with --trusted-proxies: until then all"
                " its visitors count as one caller."
            )


def _take_forwarded(headers: MutableHeaders) -> None:
    """Set the three headers that a Forwarded header stands for, unless the proxy speaks in those."""
    text = ",".join(headers.getlist("forwarded"))
    del headers["forwarded"]
    if not text or any(f"x-forwarded-{name}" in headers for name in ("for", "host", "proto")):
        return
    hops: list[dict[str, str]] = [{}]
    for part in _PART_OF_FORWARDED.finditer(text):
        if part["next"]:
            hops.append({})
        else:
            value = part["value"]
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            hops[-1].setdefault(part["name"].lower(), value)
    for name in ("for", "host", "proto"):
        if values := [hop[name] for hop in hops if name in hop]:
            headers[f"x-forwarded-{name}"] = ", ".join(values)


def _with_port(host: str, port: str) -> str:
    """Return a host with the port that the browser used, where only the proxy told of it.

    80 and 443 are what a scheme has without a word, and a proxy behind another one names them wrongly.
    """
    told = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536
    if not told or port in _USUAL_PORTS or split_host(host)[1] is not None:
        return host
    return f"{host}:{port}"


def _first(headers: MutableHeaders, name: str) -> str:
    """The header's value that is nearest to the browser."""
    return headers.get(name, "").split(",")[0].strip()


def _is_host(text: str) -> bool:
    try:
        split_host(text)
    except ValueError:
        return False
    return True
