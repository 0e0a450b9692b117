"""Run a real nginx as a reverse proxy in front of the app."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .app_process import ROOT
from .patience import PATIENCE_S, until

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
ABSENT = "nginx is not installed; sh scripts/ensure-nginx.sh installs it where it can"
CONFIG = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""


def readme_servers(**values: object) -> str:
    """Return the configuration in docs/hosts.md with other values for port, certificate, key and app."""
    text = re.search(
        r"<!-- test: nginx -->\n```nginx\n(.*?)```", (ROOT / "docs" / "hosts.md").read_text(), re.DOTALL
    )[1]  # type: ignore[index]
    examples = {
        "listen": "listen 443 ssl",
        "certificate": "/etc/ssl/voice.example.org.pem",
        "key": "/etc/ssl/voice.example.org.key",
        "app": "http://127.0.0.1:7860/",
    }
    for name, example in examples.items():
        assert text.count(example) == 1, example
        text = text.replace(example, str(values[name]))
    return text


@contextmanager
def nginx(folder: Path, servers: str) -> Iterator[None]:
    """Run nginx with `servers`, its server blocks and other directives of the http block."""
    assert NGINX
    config = folder / "nginx.conf"
    # its workers would be somebody who cannot write into the folder
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(CONFIG.format(folder=folder, user=user, servers=servers))
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(
            [NGINX, "-p", folder, "-c", config], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        # written once it listens
        until((folder / "nginx.pid").exists, (folder / "nginx.log").read_text)
        yield
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)
