"""Health check of the container: exit status 0 when the app takes talks, 1 when it does not."""

import base64
import os
import ssl
import sys
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from personaplex_app.settings import Settings

TIMEOUT_S = 8


def main() -> int:
    """Request /health over http, then over https, with the login or key from the environment."""
    settings = Settings.read(os.environ)
    headers = {"X-API-Key": settings.api_key} if settings.api_key else {}
    if settings.auth:
        headers["Authorization"] = "Basic " + base64.b64encode(settings.auth.encode()).decode()
    # the certificate is for another name than 127.0.0.1, and the request does not leave the container
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    for scheme in ("http", "https"):
        request = Request(f"{scheme}://127.0.0.1:{settings.port}/health", headers=headers)  # noqa: S310
        try:
            with urlopen(request, timeout=TIMEOUT_S, context=unverified):  # noqa: S310
                return 0
        except HTTPError as error:  # it answers, and says that it is not ready
            error.close()
            return 1
        except (OSError, HTTPException):
            continue
    return 1


if __name__ == "__main__":
    sys.exit(main())
