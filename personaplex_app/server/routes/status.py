"""`/health` for machines that watch, `/voice/status` for clients that are about to talk."""

from __future__ import annotations

import io
from dataclasses import asdict

import soundfile as sf
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...engine.contract import LeasingEngine, Paced, Sampling
from ...engine_choice import TITLES
from ...errors import NotFound, shorten
from ...gateway.adapters import Adapter
from ...protocol import MAX_PROMPT_CHARS, SAMPLING_LIMITS
from ...units import SAMPLE_RATE_HZ
from ..app_state import House
from ..http import owner_key_of, private_json, told
from .clone import voice_entry


def status_routes(house: House) -> list[BaseRoute]:
    """Return the routes that tell how the app is."""

    async def health(request: Request) -> Response:
        choice, stage = house.host.choice, house.host.state.stage
        status = "draining" if house.admission.draining else "ok" if stage == "ready" else "starting"
        slots = {"used": house.admission.used, "total": house.admission.total}
        answer = {"status": status, "engine": choice.name, "instead_of": choice.instead_of, "slots": slots}
        return JSONResponse(answer, 200 if status == "ok" else 503)

    async def voice_status(request: Request) -> Response:
        return private_json(describe(house, owner_key_of(request)))

    async def voice_sample(request: Request) -> Response:
        samples = house.host.engine.sample(request.path_params["voice"])
        if samples is None:
            raise NotFound(f"There is no sample of the voice {shorten(request.path_params['voice'])}.")
        wav = io.BytesIO()
        sf.write(wav, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
        return Response(wav.getvalue(), media_type="audio/wav")

    return [
        Route("/health", health),
        Route("/voice/status", voice_status),
        Route("/voice/samples/{voice}.wav", told(voice_sample)),
    ]


def describe(house: House, owner_key: str = "") -> dict:
    """Return what a client needs to offer a talk; the owner of cloned voices sees them among the others."""
    host, settings, admission = house.host, house.settings, house.admission
    engine, choice, state = host.engine, host.choice, host.state
    pace = engine.pace() if isinstance(engine, Paced) else None
    return {
        "available": state.stage == "ready" and not admission.draining,
        # what the gateway's clients look for; an adapter's voice is PersonaPlex's, `personas` has the one that is heard now
        "global_audio_enabled": True,
        "adapters": [_adapter_entry(adapter) for adapter in house.adapters.by_name.values()],
        "websocket_endpoint": "/ws/voice/{adapter_name}",
        "engine": {
            "name": choice.name,
            "title": choice.title,
            "why": choice.why,
            "next_step": choice.next_step,
            "instead_of": choice.instead_of,
            "instead_of_title": TITLES.get(choice.instead_of, ""),
            "about": engine.about,
            **asdict(state),
            "capabilities": asdict(engine.capabilities),
            "pace": asdict(pace) if pace else None,
        },
        "voices": [
            *({**asdict(voice), "sample": engine.sample(voice.name) is not None} for voice in engine.voices),
            *(voice_entry(voice) for voice in house.cloned_voices(owner_key)),
        ],
        "sampling": _sampling(engine.capabilities.resampling) if engine.capabilities.sampling else {},
        "personas": [{**asdict(persona), "voice": house.voice_of(persona)} for persona in house.personas],
        "default_persona": house.personas[0].name,
        "endpoints": {
            "sample": "/voice/samples/{voice}.wav",
            "chat": "/api/chat",
            "chat_http": "/api/chat/http",
            "sessions": "/api/sessions",
            "clones": "/api/clones",
            "health": "/health",
        },
        "lease": _lease(house),
        "limits": {"talk_s": settings.talk_limit_s, "idle_s": settings.idle_limit_s, "prompt_chars": MAX_PROMPT_CHARS},
        "keep": {"available": not house.library.keep_problem, "problem": house.library.keep_problem or ""},
        "slots": {"used": admission.used, "total": admission.total, "waiting": admission.waiting},
    }


def _adapter_entry(adapter: Adapter) -> dict:
    kind = "speech_to_speech"
    voice = adapter.persona.voice
    return {"name": adapter.name, "type": kind, "enabled": adapter.enabled, "full_duplex": True, "mode": kind, "voice": voice}


def _lease(house: House) -> dict | None:
    """Return for how long a talk's device can be lent, and who speaks where it is not; None where nothing must be lent."""
    engine = house.host.engine
    if not isinstance(engine, LeasingEngine) or house.beside is None:
        return None
    choice, voices = house.beside.choice, [asdict(voice) for voice in house.beside.engine.voices]
    beside = {"name": choice.name, "title": choice.title, "voices": voices}
    return {"lengths_s": sorted(engine.lease_lengths_s), "usual_s": engine.lease_lengths_s[0], "beside": beside}


def _sampling(resampling: bool) -> dict[str, dict]:
    """Return what can be set of the sampling, its default and its limits; "now" tells that it can also be set while talking."""
    defaults = asdict(Sampling())
    return {
        name: {"default": defaults[name], "least": least, "most": most, "whole": whole, "now": resampling and name != "seed"}
        for name, (least, most, whole) in SAMPLING_LIMITS.items()
    }
