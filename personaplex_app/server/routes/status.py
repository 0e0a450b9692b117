"""`/health` for monitoring, `/voice/status` for clients that are about to begin a talk."""

from __future__ import annotations

import io
from dataclasses import asdict
from functools import lru_cache

import soundfile as sf
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...engine.contract import Sampling, TimedEngine, language_of
from ...engine.lease_contract import LeasingEngine
from ...engine.spoken_languages import MultilingualEngine
from ...engine_choice import TITLES
from ...errors import NotFound, shorten
from ...gateway.adapters import Adapter
from ...personas import Persona
from ...principal import NOBODY, Principal
from ...protocol import SAMPLING_LIMITS
from ...protocol_fields import MAX_PROMPT_CHARS
from ...units import SAMPLE_RATE_HZ
from ...voices import NAMES
from ..app_state import AppState
from ..http import errors_as_json, principal_of, private_json
from .clone import voice_entry


def status_routes(app_state: AppState) -> list[BaseRoute]:
    """Return the routes that report the app's state."""

    async def health(request: Request) -> Response:
        choice = app_state.supervisor.choice
        stage = app_state.supervisor.state.stage
        problem = app_state.problem
        if app_state.admission.draining:
            status = "draining"
        else:
            status = "failed" if problem else "ok" if stage == "ready" else "starting"
        slots = {"used": app_state.admission.used, "total": app_state.admission.total}
        about = {"status": status, "problem": problem}
        answer = {**about, "engine": choice.name, "instead_of": choice.instead_of, "slots": slots}
        return JSONResponse(answer, 200 if status == "ok" else 503)

    async def voice_status(request: Request) -> Response:
        return private_json(describe(app_state, principal_of(request)))

    async def voice_sample(request: Request) -> Response:
        samples = app_state.supervisor.engine.sample(request.path_params["voice"])
        if samples is None:
            raise NotFound(f"There is no sample of the voice {shorten(request.path_params['voice'])}.")
        wav = io.BytesIO()
        sf.write(wav, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
        return Response(wav.getvalue(), media_type="audio/wav")

    return [
        Route("/health", health),
        Route("/voice/status", voice_status),
        Route("/voice/samples/{voice}.wav", errors_as_json(voice_sample)),
    ]


def describe(app_state: AppState, caller: Principal = NOBODY) -> dict:
    """Return what a client needs to offer a talk; the owner of cloned voices sees them among the others."""
    supervisor = app_state.supervisor
    settings = app_state.settings
    admission = app_state.admission
    engine = supervisor.engine
    choice = supervisor.choice
    state = supervisor.state
    timing = engine.step_timing() if isinstance(engine, TimedEngine) else None
    return {
        "available": state.stage == "ready" and not admission.draining,
        # fields that the gateway's clients read. An adapter's voice is the one that PersonaPlex would use;
        # `personas` has the voice of the engine in use
        "global_audio_enabled": True,
        "adapters": [_adapter_entry(adapter) for adapter in app_state.adapters.by_name.values()],
        "websocket_endpoint": "/ws/voice/{adapter_name}",
        "engine": {
            "name": choice.name,
            "title": choice.title,
            "stand_in": choice.stand_in,
            "why": choice.why,
            "next_step": choice.next_step,
            "instead_of": choice.instead_of,
            "instead_of_title": TITLES.get(choice.instead_of, ""),
            "about": engine.about,
            # one that holds talks in further languages is bound to none
            "language": ""
            if isinstance(engine, MultilingualEngine) and engine.languages
            else language_of(engine),
            **asdict(state),
            "capabilities": asdict(engine.capabilities),
            "pace": asdict(timing) if timing else None,
        },
        "voices": [
            # asking for a sample also makes the engine prepare a missing one, when no talk runs
            *({**asdict(voice), "sample": engine.sample(voice.name) is not None} for voice in engine.voices),
            *(voice_entry(voice) for voice in app_state.cloned_voices(caller)),
        ],
        "sampling": _sampling(engine.capabilities.resampling) if engine.capabilities.sampling else {},
        "personas": [
            {**_fields_of(persona), "voice": app_state.voice_of(persona)} for persona in app_state.personas
        ],
        "default_persona": app_state.personas[0].name,
        "endpoints": {
            "sample": "/voice/samples/{voice}.wav",
            "chat": "/api/chat",
            "chat_http": "/api/chat/http",
            "sessions": "/api/sessions",
            "clones": "/api/clones",
            "health": "/health",
        },
        "lease": _lease(app_state),
        "limits": {
            "talk_s": settings.talk_limit_s,
            "idle_s": settings.idle_limit_s,
            "prompt_chars": MAX_PROMPT_CHARS,
        },
        "keep": {
            "available": not app_state.library.keep_problem,
            "problem": app_state.library.keep_problem or "",
        },
        "slots": {"used": admission.used, "total": admission.total, "waiting": admission.waiting},
    }


def _adapter_entry(adapter: Adapter) -> dict:
    kind = "speech_to_speech"
    voice = adapter.persona.voice_among(NAMES) or adapter.persona.voices[0]
    return {
        "name": adapter.name,
        "type": kind,
        "enabled": adapter.enabled,
        "full_duplex": True,
        "mode": kind,
        "voice": voice,
    }


@lru_cache(maxsize=256)
def _fields_of(persona: Persona) -> dict:
    """Return a persona's fields, which never change: copying them was most of the work of an answer."""
    return asdict(persona)


def _lease(app_state: AppState) -> dict | None:
    """Return the lengths of a lease and the fallback engine for talks without one; None where the engine
    needs no lease.
    """
    engine = app_state.supervisor.engine
    if not isinstance(engine, LeasingEngine) or app_state.fallback_engine is None:
        return None
    choice = app_state.fallback_engine.choice
    voices = [asdict(voice) for voice in app_state.fallback_engine.engine.voices]
    fallback = {"name": choice.name, "title": choice.title, "voices": voices}
    return {
        "lengths_s": sorted(engine.lease_lengths_s),
        "usual_s": engine.lease_lengths_s[0],
        "beside": fallback,
    }


def _sampling(resampling: bool) -> dict[str, dict]:
    """Return each sampling parameter's default and limits; "now" says whether it can be changed during a
    talk.
    """
    defaults = asdict(Sampling())
    return {
        name: {
            "default": defaults[name],
            "least": least,
            "most": most,
            "whole": whole,
            "now": resampling and name != "seed",
        }
        for name, (least, most, whole) in SAMPLING_LIMITS.items()
    }
