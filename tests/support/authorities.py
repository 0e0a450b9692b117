"""One certificate authority in place of all: reading them costs each client 25 ms, and the tests reach nobody
who has a certificate of theirs.
"""

from __future__ import annotations

import os
from pathlib import Path

import certifi

NAME = "SSL_CERT_FILE"
KEPT = "TESTS_SSL_CERT_FILE"
END = "-----END CERTIFICATE-----\n"


def trust_one(folder: Path) -> None:
    """Let this process, and what it starts, read one authority from a file in `folder`."""
    one = folder / "authority.pem"
    one.write_text(Path(certifi.where()).read_text().partition(END)[0] + END)
    os.environ[KEPT] = os.environ.get(NAME, "")
    os.environ[NAME] = str(one)


def outside() -> dict[str, str]:
    """Return the environment of a program that reaches beyond this machine."""
    env = dict(os.environ)
    kept = env.pop(KEPT)
    return {**env, NAME: kept} if kept else {name: value for name, value in env.items() if name != NAME}
