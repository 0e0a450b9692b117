"""Authentication of every request: the checks of host and origin, the login when one is set, and the
principal.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import math
import secrets
from functools import partial

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..addresses import OPAQUE_ORIGIN, Origin, caller_of, is_loopback, plain_origin, split_host
from ..errors import shorten
from ..principal import Limits, Principal
from ..settings import Settings
from .connect_rate import Recent
from .http import refuse_request

log = logging.getLogger(__name__)

COOKIE = "personaplex_login"
WRONG_LOGINS_PER_MINUTE = 20
MOST_LOGGED = 32


class AuthMiddleware:
    """ASGI middleware. With neither `auth` nor `api_key` set only host and origin are checked.

    A browser logs in once by HTTP basic and gets a cookie, since it sends no such header with a WebSocket;
    programs send the key as a bearer token, `X-API-Key` or `api_key=`, or the login as HTTP basic. After too
    many wrong ones from an address, all from there are refused for a while; the cookie goes on working.
    `open_paths` need neither. The caller's `Principal` is put into the scope's state.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        allowed_origins: tuple[str, ...] = (),
        open_paths: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._auth = settings.auth
        self._api_key = settings.api_key
        self._gateway_key = settings.gateway_key
        self._limits = Limits(settings.connects_per_minute)
        self._allowed_origins = {plain_origin(origin) for origin in allowed_origins}
        named = self._allowed_origins - {OPAQUE_ORIGIN}
        self._allowed_hosts = {Origin.parse(origin).host for origin in named}
        self._on_loopback = is_loopback(settings.host) and not settings.share
        self._open_paths = open_paths
        self._wrong_logins = Recent()
        self._logged: set[tuple[str, str]] = set()
        # a new secret each start: a restart logs everybody out, and no cookie outlives a changed password
        self._cookie = hmac.digest(secrets.token_bytes(32), b"login", hashlib.sha256).hex()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        refuse = partial(refuse_request, scope, receive, send)
        if not self._host_fits(scope, headers):
            return await refuse(
                421,
                "host",
                "This app listens on its own machine alone, where this is not its name; open it as localhost,"
                " or name the address in PERSONAPLEX_ALLOWED_ORIGINS.",
            )
        if not self._origin_fits(scope, headers):
            self._log_refused(headers)
            return await refuse(
                403,
                "origin",
                "This page's origin may not use this app; its owner can name it in"
                " PERSONAPLEX_ALLOWED_ORIGINS. A proxy in front must pass the Host header on, port and all.",
            )
        connection = HTTPConnection(scope)
        has_gateway_key = has_key(connection, self._gateway_key, self._api_key)
        connection.state.principal = caller = self._principal_of(connection, has_gateway_key)
        if self._has_cookie(headers):
            return await self._app(scope, receive, send)
        open_to_all = not (self._auth or self._api_key) or self._is_open(scope)
        has_login = self._has_login(headers)
        fits = has_login or has_gateway_key
        if self._sends_secret(connection):
            wait_s = self._wrong_logins.wait_s(caller.address, WRONG_LOGINS_PER_MINUTE)
            if wait_s:
                return await refuse(
                    429,
                    "too_many_logins",
                    f"Too many wrong logins or keys came from this address; wait {math.ceil(wait_s)} s.",
                    {"Retry-After": str(math.ceil(wait_s))},
                )
            if not fits:
                self._wrong_logins.add(caller.address)
        if open_to_all or has_key(connection, self._api_key):
            return await self._app(scope, receive, send)
        if has_login:
            return await self._app(scope, receive, self._with_cookie(send, scope))
        # where only a key is set, a browser must not ask for a user and a password
        ask = {"WWW-Authenticate": 'Basic realm="personaplex-app", charset="UTF-8"'} if self._auth else {}
        await refuse(
            401, "login", "This app asks for a login; give its user and password, or its API key.", ask
        )

    def _principal_of(self, connection: HTTPConnection, has_gateway_key: bool) -> Principal:
        """Return who calls.

        The owner's key is read from a header: a page of another site cannot send that unasked, as it could a
        cookie.
        """
        caller = Principal(
            address=caller_of(connection.client.host) if connection.client else "",
            scopes=frozenset({"gateway"}) if has_gateway_key else frozenset(),
            limits=self._limits,
        )
        return caller.with_owner_key(connection.headers.get("x-owner-key", ""))

    def _host_fits(self, scope: Scope, headers: Headers) -> bool:
        """Return whether the Host header is one of this machine, where the app listens on loopback only.

        The owner of a site can let its name resolve to 127.0.0.1 (DNS rebinding), so that its page passes for
        the app's own. Such a page must name the port that the app listens on; a proxy passes its own port on.
        With TLS the browser compares the name with the certificate.
        """
        address, port = scope.get("server") or ("", None)
        if not self._on_loopback or _is_secure(scope) or not is_loopback(address):
            return True
        try:
            name, asked_port = split_host(headers.get("host", "localhost"))
        except ValueError:
            return False
        return (asked_port or 80) != port or is_loopback(name) or name in self._allowed_hosts

    def _origin_fits(self, scope: Scope, headers: Headers) -> bool:
        origin = headers.get("origin")
        # browsers send it with every WebSocket and with what another site's page asks for; programs need not
        if origin is None:
            return True
        try:
            if plain_origin(origin) in self._allowed_origins:
                return True
            page = Origin.parse(origin)
            # a proxy may have ended TLS without saying so, therefore the page's scheme is used for both
            app = Origin.of(page.scheme, headers.get("host", ""))
        except ValueError:
            return False
        # whoever is on the network could have altered a page that came without TLS
        downgraded = _is_secure(scope) and page.scheme != "https"
        return page == app and not downgraded

    def _log_refused(self, headers: Headers) -> None:
        """Log each refused pair of origin and host once, for the owner of a proxy that changes the host."""
        pair = (shorten(headers["origin"], 80), shorten(headers.get("host", ""), 80))
        if pair not in self._logged and len(self._logged) < MOST_LOGGED:
            self._logged.add(pair)
            log.warning(
                "refused a request of a page of %s to the host %s. If both are this app, the proxy in front"
                " must pass the Host header on, port and all; another site's page must be named with"
                " --allowed-origins.",
                *pair,
            )

    def _is_open(self, scope: Scope) -> bool:
        # ASGI's `path` includes `root_path`
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return scope["type"] == "http" and path in self._open_paths

    def _has_cookie(self, headers: Headers) -> bool:
        # split by hand: it has no quotes or escapes, which take some versions of Python quadratic time
        pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        return any(name == COOKIE and _same(value, self._cookie) for name, _, value in pairs)

    def _sends_secret(self, connection: HTTPConnection) -> bool:
        """Return whether a request tries a login or key; some hosts add bearer tokens of their own."""
        header = connection.headers
        named = header.get("x-api-key") or connection.query_params.get("api_key")
        needed = self._auth or self._api_key
        return bool((needed and header.get("authorization")) or ((needed or self._gateway_key) and named))

    def _has_login(self, headers: Headers) -> bool:
        kind, _, encoded = headers.get("authorization", "").partition(" ")
        if not self._auth or kind.lower() != "basic":
            return False
        try:
            return _same(base64.b64decode(encoded, validate=True).decode(), self._auth)
        except (binascii.Error, ValueError):
            return False

    def _with_cookie(self, send: Send, scope: Scope) -> Send:
        secure = "; Secure" if _is_secure(scope) else ""
        path = scope.get("root_path") or "/"
        value = f"{COOKIE}={self._cookie}; Path={path}; HttpOnly; SameSite=Strict{secure}".encode()

        # a program may open a WebSocket with its login in the handshake
        async def send_with_cookie(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message = {**message, "headers": [*message.get("headers", []), (b"set-cookie", value)]}
            await send(message)

        return send_with_cookie


def has_key(connection: HTTPConnection, *wanted: str) -> bool:
    """Return whether a caller sent one of the keys, as a bearer token, `X-API-Key` or `api_key=`."""
    bearer = connection.headers.get("authorization", "").removeprefix("Bearer ")
    given = (bearer, connection.headers.get("x-api-key", ""), connection.query_params.get("api_key", ""))
    return any(_same(each, key) for each in given for key in wanted if key)


def _is_secure(scope: Scope) -> bool:
    return scope.get("scheme") in ("https", "wss")


def _same(given: str, wanted: str) -> bool:
    # in constant time, so that the time to refuse does not tell how much of a guess was right
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
