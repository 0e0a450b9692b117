"""Routes for a talk's owner: list, read, listen, export, rate, keep, delete.

The owner's key comes in the header X-Owner-Key, which a page of another site cannot send unasked. Work on the
disk is done in threads.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, BinaryIO, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Scope

from ...errors import NoRecording, NotFound, TalkRunning, shorten
from ...principal import Principal
from ...sessions import export
from ...sessions.library import Library
from ...sessions.records import TalkRecord
from ..http import PRIVATE, errors_as_json, json_object, principal_and_id, principal_of, private_json
from ..threads import in_thread

MAX_BODY_BYTES = 8 << 10
CHUNK_BYTES = 64 << 10
WORKERS = 4
TEXTS: dict[str, tuple[Callable[[TalkRecord], str], str]] = {
    "txt": (
        lambda talk: export.to_txt(talk, talk.started_at_s, talk.status),
        "text/plain; charset=utf-8",
    ),
    "srt": (export.to_srt, "application/x-subrip; charset=utf-8"),
    "json": (lambda talk: export.to_json(export.describe(talk)), "application/json"),
}
KINDS = ("wav", "flac", "html", *TEXTS)

T = TypeVar("T")
# of a request, a talk's description, its lane and its sound as FLAC: how many bytes the page has, and they
MakePage = Callable[[Scope, dict[str, Any], dict[str, Any], BinaryIO | None], tuple[int, Iterator[bytes]]]


def session_routes(library: Library, make_page: MakePage) -> list[Route]:
    """Return the routes to the talks of a library; `make_page` makes the export "html"."""
    api = _SessionApi(library, make_page)
    one = "/api/sessions/{talk_id}"
    return [
        Route("/api/sessions", errors_as_json(api.all), methods=["GET"]),
        Route("/api/sessions", errors_as_json(api.delete_all), methods=["DELETE"]),
        Route(one, errors_as_json(api.one), methods=["GET"]),
        Route(one, errors_as_json(api.delete), methods=["DELETE"]),
        Route(one + "/export.{kind}", errors_as_json(api.export), methods=["GET"]),
        Route(one + "/keep", errors_as_json(api.keep), methods=["POST"]),
        Route(one + "/rating", errors_as_json(api.rate), methods=["POST"]),
    ]


class _SessionApi:
    def __init__(self, library: Library, make_page: MakePage) -> None:
        self._library = library
        self._make_page = make_page
        self._workers = anyio.CapacityLimiter(WORKERS)

    async def all(self, request: Request) -> Response:
        talks = await in_thread(self._workers, self._library.talks, principal_of(request))
        return private_json(
            {"talks": [export.summary(talk) for talk in talks], "keep_problem": self._library.keep_problem}
        )

    async def one(self, request: Request) -> Response:
        return await in_thread(self._workers, self._describe, *principal_and_id(request, "talk_id"))

    async def export(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in KINDS:
            raise NotFound(f"There is no export {shorten(kind)}; choose {', '.join(KINDS)}.")
        return await in_thread(self._workers, self._export, request, kind)

    async def keep(self, request: Request) -> Response:
        kept = await in_thread(self._workers, self._library.keep, *principal_and_id(request, "talk_id"))
        return private_json({"kept": kept, "at_end": not kept})

    async def rate(self, request: Request) -> Response:
        rating = await json_object(request, MAX_BODY_BYTES, 'such as {"stars": 4, "comment": ""}')
        await in_thread(
            self._workers,
            self._library.rate,
            *principal_and_id(request, "talk_id"),
            rating.get("stars"),
            rating.get("comment", ""),
        )
        return private_json({"rated": True})

    async def delete(self, request: Request) -> Response:
        await in_thread(self._workers, self._library.delete, *principal_and_id(request, "talk_id"))
        return private_json({"deleted": 1})

    async def delete_all(self, request: Request) -> Response:
        deleted, running = await in_thread(self._workers, self._library.delete_all, principal_of(request))
        return private_json({"deleted": deleted, "running": running})

    def _describe(self, caller: Principal, talk_id: str) -> Response:
        talk = self._library.get(caller, talk_id)
        with self._sound(caller, talk_id) as wav:
            return private_json({**export.describe(talk), "lane": export.lane(talk, wav)})

    def _sound(self, caller: Principal, talk_id: str) -> AbstractContextManager[BinaryIO | None]:
        try:
            return self._library.open_audio(caller, talk_id)
        except (NoRecording, TalkRunning):
            return nullcontext()

    def _page(self, request: Request, talk: TalkRecord) -> tuple[int, Iterator[bytes]]:
        with self._sound(principal_of(request), talk.id) as wav:
            lane = export.lane(talk, wav)
            if wav:
                wav.seek(0)
            return self._make_page(request.scope, export.describe(talk), lane, _flac_of(wav) if wav else None)

    def _export(self, request: Request, kind: str) -> Response:
        caller, talk_id = principal_and_id(request, "talk_id")
        talk = self._library.get(caller, talk_id)
        name = export.file_name(talk.meta, talk.started_at_s, kind)
        headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{name}"'}
        if kind in TEXTS:
            make, media_type = TEXTS[kind]
            return Response(make(talk), headers=headers, media_type=media_type)
        if kind == "html":
            size, parts = self._page(request, talk)
            headers["Content-Length"] = str(size)
            return StreamingResponse(parts, headers=headers, media_type="text/html; charset=utf-8")
        file = self._library.open_audio(caller, talk_id)
        if kind == "flac":
            with file:
                file = _flac_of(file)
        # given, so that a browser shows the progress of a download
        headers["Content-Length"] = str(file.seek(0, os.SEEK_END))
        file.seek(0)
        return StreamingResponse(_chunks(file), headers=headers, media_type=f"audio/{kind}")


def _flac_of(wav: BinaryIO) -> BinaryIO:
    # encoded before anything is sent, so that the answer has its length and an error can still be reported
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it has no name and is gone with its reader
    try:
        export.write_flac(wav, file)
    except BaseException:
        file.close()
        raise
    return file


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
