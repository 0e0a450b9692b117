"""Download one large file over HTTP, resume it where it was cut, and hash it.

A later process resumes it too.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import get_session, hf_raise_for_status

from ..errors import EngineUnavailable, WeightsError

HTTPError: type[Exception] = HfHubHTTPError.__bases__[0]
"""The base class of all errors of the HTTP client that `huggingface_hub` uses: httpx up to its version 1,
httpx2 from version 2 on. Taken from the Hub's own error, it is right for both.
"""
CHUNK_BYTES = 1 << 20
RETRY_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Pauses after consecutive failures; as soon as more bytes arrive, the count begins anew."""
# statuses after which a server may succeed a little later
BUSY = (408, 429, 500, 502, 503, 504)
ReportBytes = Callable[[int], None]
"""Called with the number of bytes done so far."""


@dataclass(frozen=True)
class Source:
    """A file to download."""

    name: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    size_bytes: int


def download(source: Source, part: Path, retry_delays_s: tuple[float, ...], report: ReportBytes) -> None:
    """Download the rest of `part`, a file that may hold the beginning already.

    Raises: HfHubHTTPError when the Hub refuses, EngineUnavailable when the connection fails again and again,
    WeightsError when the server's file is shorter than published, OSError for an error of the disk.
    """
    if _size(part) > source.size_bytes or not part.exists():
        part.write_bytes(b"")
    failures = 0
    most_bytes = 0
    while _size(part) < source.size_bytes:
        short = False
        cause = ""
        try:
            _stream(source, part, report)
            short = True
        except HfHubHTTPError as error:
            # range not satisfiable: the server's file ends before the part does
            short = error.response.status_code == 416
            cause = f"status {error.response.status_code}"
            if not short and error.response.status_code not in BUSY:
                raise
        except HTTPError as error:
            cause = type(error).__name__
        if _size(part) >= source.size_bytes:
            break
        # a slow line that is cut often still gets there; only a series of failures without progress ends
        # the download
        failures = 0 if _size(part) > most_bytes else failures + 1
        most_bytes = max(most_bytes, _size(part))
        if failures > len(retry_delays_s):
            raise _source_truncated(source, part) if short else _connection_failed(source, part, cause)
        if failures:
            time.sleep(retry_delays_s[failures - 1])


def _stream(source: Source, part: Path, report: ReportBytes) -> None:
    # a compressed answer could not be resumed by byte offsets
    headers = {**source.headers, "Accept-Encoding": "identity"}
    if have_bytes := _size(part):
        headers["Range"] = f"bytes={have_bytes}-"
    with get_session().stream(
        "GET", source.url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
    ) as response:
        hf_raise_for_status(response)
        report(have_bytes)
        # a server that ignores ranges answers 200 and sends the file from its beginning
        with part.open("ab" if response.status_code == 206 else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                report(file.tell())
                if file.tell() > source.size_bytes:  # never fill the disk; the hash will not match
                    return


def _source_truncated(source: Source, part: Path) -> WeightsError:
    amount = f"{_size(part):,} of {source.size_bytes:,} bytes"
    part.unlink(missing_ok=True)
    return WeightsError(
        f"{source.name} is cut off at its source: it ends after {amount}. Nothing of it was kept. Start"
        " again later, or unset HF_ENDPOINT if it names a mirror."
    )


def _connection_failed(source: Source, part: Path, cause: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"The connection to the Hub was cut again and again ({cause}); {_size(part):,} of"
        f" {source.size_bytes:,} bytes of {source.name} are here. Check the network and start again; it goes"
        " on from there."
    )


def digest(path: Path, like: str, report: ReportBytes) -> str:
    """Return a file's sha256, or its git object id where `like` is one (it has 40 digits).

    Raises: WeightsError when it cannot be read.
    """
    try:
        sums = hashlib.sha256()
        if len(like) == 40:
            sums = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        with path.open("rb") as file:
            while block := file.read(CHUNK_BYTES):
                sums.update(block)
                report(file.tell())
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read ({error.strerror or type(error).__name__}). Check the disk and start"
            " again."
        ) from error
    return sums.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
