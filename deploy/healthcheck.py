"""Ask the app of this container how it is: exit code 0 when it takes talks, 1 when it does not."""

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
    """Ask over http, then over https, with the login or key of the environment."""
    settings = Settings.read(os.environ)
    headers = {"X-API-Key": settings.api_key} if settings.api_key else {}
    if settings.auth:
        headers["Authorization"] = "Basic " + base64.b64encode(settings.auth.encode()).decode()
    # the certificate is not for this name; nothing leaves the container
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    for scheme in ("http", "https"):
        request = Request(f"{scheme}://127.0.0.1:{settings.port}/health", headers=headers)  # noqa: S310
        try:
            with urlopen(request, timeout=TIMEOUT_S, context=anyone):  # noqa: S310
                return 0
        except HTTPError as error:  # it answers, and says that it is not ready
            error.close()
            return 1
        except (OSError, HTTPException):
            continue
    return 1


if __name__ == "__main__":
    sys.exit(main())
