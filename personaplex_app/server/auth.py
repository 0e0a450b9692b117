"""Authentication of every request: the origin check, the login when one is set, and the principal."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..principal import Limits, Principal
from ..settings import Settings

COOKIE = "personaplex_login"


class AuthMiddleware:
    """ASGI middleware. With neither `auth` nor `api_key` set only the origin is checked.

    A browser logs in once by HTTP basic and gets a cookie, since it sends no such header with a WebSocket;
    programs send the key as a bearer token, `X-API-Key` or `api_key=`, or the login as HTTP basic.
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
        self._allowed_origins = allowed_origins
        self._open_paths = open_paths
        # a new secret each start: a restart logs everybody out, and no cookie outlives a changed password
        self._cookie = hmac.digest(secrets.token_bytes(32), b"login", hashlib.sha256).hex()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        if not self._origin_fits(scope, headers):
            text = (
                "This page's origin may not use this app; its owner can name it in"
                " PERSONAPLEX_ALLOWED_ORIGINS. A proxy in front must pass the Host header on, port and all."
            )
            return await self._refuse(scope, receive, send, 403, "origin", text)
        connection = HTTPConnection(scope)
        connection.state.principal = self._principal_of(connection)
        open_to_all = not (self._auth or self._api_key) or self._is_open(scope)
        if open_to_all or self._has_cookie(headers) or _has_key(connection, self._api_key):
            return await self._app(scope, receive, send)
        if self._has_login(headers):
            return await self._app(scope, receive, self._with_cookie(send, scope))
        return await self._refuse(
            scope,
            receive,
            send,
            401,
            "login",
            "This app asks for a login; give its user and password, or its API key.",
        )

    def _principal_of(self, connection: HTTPConnection) -> Principal:
        """Return who calls.

        The owner's key is read from a header: a page of another site cannot send that unasked, as it could a
        cookie.
        """
        has_gateway_key = _has_key(connection, self._gateway_key, self._api_key)
        caller = Principal(
            address=connection.client.host if connection.client else "",
            scopes=frozenset({"gateway"}) if has_gateway_key else frozenset(),
            limits=self._limits,
        )
        return caller.with_owner_key(connection.headers.get("x-owner-key", ""))

    def _origin_fits(self, scope: Scope, headers: Headers) -> bool:
        origin = headers.get("origin")
        # browsers send it with every WebSocket and with what another site's page asks for; programs need not
        if origin is None:
            return True
        try:
            site = urlsplit(origin)
        except ValueError:
            return False
        # whoever is on the network could have altered a page that came without TLS
        downgraded = _is_secure(scope) and site.scheme != "https"
        return (site.netloc == headers.get("host", "") and not downgraded) or origin.rstrip(
            "/"
        ) in self._allowed_origins

    def _is_open(self, scope: Scope) -> bool:
        # ASGI's `path` includes `root_path`
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return scope["type"] == "http" and path in self._open_paths

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self._cookie)

    def _has_login(self, headers: Headers) -> bool:
        kind, _, encoded = headers.get("authorization", "").partition(" ")
        if not self._auth or kind.lower() != "basic":
            return False
        try:
            return _same(base64.b64decode(encoded, validate=True).decode(), self._auth)
        except (binascii.Error, UnicodeDecodeError):
            return False

    def _with_cookie(self, send: Send, scope: Scope) -> Send:
        secure = "; Secure" if _is_secure(scope) else ""
        path = scope.get("root_path") or "/"
        value = f"{COOKIE}={self._cookie}; Path={path}; HttpOnly; SameSite=Strict{secure}".encode()

        async def send_with_cookie(message: Message) -> None:
            # a program may open a WebSocket with its login in the handshake
            if message["type"] in ("http.response.start", "websocket.accept"):
                message = {**message, "headers": [*message.get("headers", []), (b"set-cookie", value)]}
            await send(message)

        return send_with_cookie

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, status: int, code: str, text: str
    ) -> None:
        if scope["type"] == "websocket":
            # closing before accepting makes the server answer 403
            await receive()
            return await send({"type": "websocket.close", "code": 1008, "reason": text[:120]})
        # where only a key is set, a browser must not ask for a user and a password
        headers = (
            {"WWW-Authenticate": 'Basic realm="personaplex-app", charset="UTF-8"'}
            if status == 401 and self._auth
            else {}
        )
        await JSONResponse({"error": code, "message": text}, status, headers)(scope, receive, send)


def _has_key(connection: HTTPConnection, *wanted: str) -> bool:
    """Return whether a caller sent one of the keys, as a bearer token, `X-API-Key` or `api_key=`."""
    bearer = connection.headers.get("authorization", "").removeprefix("Bearer ")
    given = (bearer, connection.headers.get("x-api-key", ""), connection.query_params.get("api_key", ""))
    return any(_same(each, key) for each in given for key in wanted if key)


def _is_secure(scope: Scope) -> bool:
    return scope.get("scheme") in ("https", "wss")


def _same(given: str, wanted: str) -> bool:
    # in constant time, so that the time to refuse does not tell how much of a guess was right
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
