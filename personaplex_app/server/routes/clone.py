"""Routes of cloned voices: preview what would be picked from a recording, make, keep, export, import, delete.

All of them need the owner's key in the header X-Owner-Key. Those that make a voice need `consent=1`, and the
recording or the voice file as their body.
"""

from __future__ import annotations

import base64
import io
import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import numpy as np
import soundfile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ... import audio
from ...cloning.picking import Picked, Picker
from ...cloning.voices import ClonedVoice, checked_name
from ...errors import BadInput
from ...sessions.shares import Shares
from ...units import SAMPLE_RATE_HZ
from ...voices import CLONE_LUFS, MAX_CLONE_BYTES
from ..app_state import AppState
from ..connect_rate import ConnectRate
from ..http import PRIVATE, errors_as_json, principal_and_id, principal_of, private_json
from ..threads import in_thread
from ..uploads import MAX_UPLOADS, uploaded

log = logging.getLogger(__name__)

MAX_RECORDING_S = 60.0
MAX_RECORDING_BYTES = 24 << 20
"""A minute of 48 kHz stereo at 32 bits."""
PEAKS_PER_S = 50
FAMILY = "Your voices"
NO_CONSENT = (
    "A voice is cloned only with consent: confirm that it is your own, or that the person agreed. "
    "In the page that is the box; programs send consent=1."
)

T = TypeVar("T")


def clone_routes(app_state: AppState) -> list[Route]:
    """Return the routes that make and manage cloned voices."""
    api = _CloneApi(app_state)
    one = "/api/clones/{voice_id}"
    return [
        Route("/api/clones", errors_as_json(api.all), methods=["GET"]),
        Route("/api/clones", errors_as_json(api.make), methods=["POST"]),
        Route("/api/clones/preview", errors_as_json(api.preview), methods=["POST"]),
        Route("/api/clones/import", errors_as_json(api.import_voice), methods=["POST"]),
        Route(one, errors_as_json(api.delete), methods=["DELETE"]),
        Route(one + "/keep", errors_as_json(api.keep), methods=["POST"]),
        Route(one + "/export.safetensors", errors_as_json(api.export), methods=["GET"]),
    ]


def voice_entry(voice: ClonedVoice) -> dict[str, Any]:
    """Return a cloned voice as an entry in the list of an engine's voices."""
    how = "Cloned, and kept." if voice.kept else "Cloned, for now."
    about = {
        "name": voice.wire_name,
        "title": voice.name,
        "description": how,
        "family": FAMILY,
        "sample": False,
    }
    return {**about, "clone": {"id": voice.id, "kept": voice.kept}}


class _CloneApi:
    def __init__(self, app_state: AppState) -> None:
        self._app_state = app_state
        self._picker = Picker()
        self._rate = ConnectRate("voices")
        self._uploads = Shares(MAX_UPLOADS, "uploads")
        # picking takes a core for a while, which live talks need more
        self._heavy = anyio.CapacityLimiter(1)
        self._light = anyio.CapacityLimiter(2)

    async def all(self, request: Request) -> Response:
        self._app_state.cloner()
        voices = self._app_state.clones.all(principal_of(request))
        limits = {
            "recording_s": MAX_RECORDING_S,
            "recording_bytes": MAX_RECORDING_BYTES,
            "file_bytes": MAX_CLONE_BYTES,
        }
        return private_json({"voices": [voice_entry(voice) for voice in voices], "limits": limits})

    async def preview(self, request: Request) -> Response:
        return private_json(await self._upload(request, MAX_RECORDING_BYTES, self._heavy, self._preview))

    async def make(self, request: Request) -> Response:
        name = checked_name(request.query_params.get("name", ""))
        data = await self._upload(request, MAX_RECORDING_BYTES, self._heavy, self._clone)
        return await self._add(request, name, data)

    async def import_voice(self, request: Request) -> Response:
        name = checked_name(request.query_params.get("name", ""))
        data = await self._upload(request, MAX_CLONE_BYTES, self._light, self._check)
        return await self._add(request, name, data)

    async def keep(self, request: Request) -> Response:
        await in_thread(self._light, self._app_state.clones.keep, *principal_and_id(request, "voice_id"))
        return private_json({"kept": True})

    async def delete(self, request: Request) -> Response:
        await in_thread(self._light, self._app_state.clones.delete, *principal_and_id(request, "voice_id"))
        return private_json({"deleted": 1})

    async def export(self, request: Request) -> Response:
        voice = self._app_state.clones.get(*principal_and_id(request, "voice_id"))
        name = re.sub(r"[^A-Za-z0-9]+", "-", voice.name).strip("-") or "voice"
        headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{name}.safetensors"'}
        return Response(voice.data, headers=headers, media_type="application/octet-stream")

    async def _add(self, request: Request, name: str, data: bytes) -> Response:
        keep = request.query_params.get("keep") == "1"
        voice = await in_thread(
            self._light, self._app_state.clones.add, principal_of(request), name, data, keep
        )
        return private_json(voice_entry(voice), 201)

    async def _upload(
        self, request: Request, limit_bytes: int, limiter: anyio.CapacityLimiter, work: Callable[[bytes], T]
    ) -> T:
        """Return the result of `work` on the request's body.

        Consent, the owner's key and the limits are checked before the body is read.
        """
        self._app_state.cloner()
        caller = principal_of(request)
        # raises without a key, before the body is read
        _ = caller.required_owner
        if request.query_params.get("consent") != "1":
            raise BadInput(NO_CONSENT)
        self._rate.admit(caller)
        with self._uploads.place(caller):
            return await in_thread(limiter, work, await uploaded(request, limit_bytes))

    def _pick(self, body: bytes, note: audio.Note) -> tuple[np.ndarray, Picked]:
        recording = audio.decode(body, MAX_RECORDING_S, note, "Your recording")
        return recording, self._picker.pick(recording)

    def _preview(self, body: bytes) -> dict[str, Any]:
        notes: list[str] = []
        recording, picked = self._pick(body, notes.append)
        levelled = audio.at_loudness(picked.samples, CLONE_LUFS)
        wav = io.BytesIO()
        soundfile.write(wav, np.clip(levelled, -1.0, 1.0), SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
        return {
            "notes": notes,
            "recording_s": round(len(recording) / SAMPLE_RATE_HZ, 2),
            "picked_s": round(picked.duration_s, 2),
            "spans_s": [[round(start_s, 3), round(end_s, 3)] for start_s, end_s in picked.spans],
            "loudness_lufs": CLONE_LUFS,
            "peaks_per_s": PEAKS_PER_S,
            "peaks": [round(float(peak), 3) for peak in audio.peaks(recording, PEAKS_PER_S, SAMPLE_RATE_HZ)],
            "wav": base64.b64encode(wav.getvalue()).decode(),
        }

    def _clone(self, body: bytes) -> bytes:
        return self._app_state.cloner().clone(self._pick(body, log.info)[1].samples)

    def _check(self, body: bytes) -> bytes:
        self._app_state.cloner().check_clone(body)
        return body
