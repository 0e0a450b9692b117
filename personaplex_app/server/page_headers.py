"""What browsers are told about every answer: who may show it in a frame, and that it needs nothing from
elsewhere.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's page has scripts in its text and makes functions of strings; all else comes from the app itself
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self'"
    " 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:;"
    " connect-src 'self' data: blob:; worker-src 'self' blob:; frame-src 'self' data: blob:; object-src"
    " 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {ancestors}"
)
# pages of the visitor's own machine: a notebook, or a site that is being built
LOCAL_PAGES = ("http://localhost:*", "http://127.0.0.1:*")
HSTS_S = 30 * 24 * 3600


class PageHeaders:
    """ASGI middleware: sets the headers that an answer has not.

    `ancestors` are the origins of pages that may show the app in a frame, besides its own and those of the
    visitor's machine; `*` is all. Browsers are told
    to come by https only from then on where `certified`: with a certificate that they do not know, people
    could not get past their warning any more.
    """

    def __init__(self, app: ASGIApp, ancestors: tuple[str, ...] = (), certified: bool = True) -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": POLICY.format(
                ancestors=" ".join(("'self'", *LOCAL_PAGES, *ancestors))
            ),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }
        self._certified = certified

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if self._certified and scope.get("scheme") == "https":
                    headers.setdefault("Strict-Transport-Security", f"max-age={HSTS_S}")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
