"""The Respond tab: renders the agent's answer to a recording, and again with other voices.

Programs call the same as `/respond`.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr
import numpy as np

from ..audio import Note, decode
from ..engine.contract import Sampling, SessionConfig
from ..engine.lease_contract import LeasingEngine
from ..errors import BadAudio, BadInput, NotFound, PersonaplexError, shorten
from ..protocol import SAMPLING_LIMITS, ChatRequest, parse_start
from ..protocol_fields import MAX_PROMPT_CHARS
from ..rendering import files as render_files
from ..rendering import render
from ..rendering.batch import BatchProgress
from ..server.app_state import AppState
from ..server.askers import NO_ASKER, Asker
from ..server.engine_supervisor import EngineSupervisor
from ..server.leasing import usable_engine_here
from ..server.render_job import RenderJob
from ..sessions.admission import Admission
from ..speech.speech_finder import NO_SPEECH
from ..units import SAMPLE_RATE_HZ
from .asker import asker_of
from .scripts import mount_script
from .static import read_static

MAX_CLIP_S = 120
MAX_CLIP_BYTES = 48 << 20
MAX_ROOM_S = 30
USUAL_ROOM_S = 10
TELL_EVERY_S = 0.25
AT_ONCE = 8
USER_INK = "#2a9aa3"  # between the user's ink of the light page and of the dark one
SAMPLING_TITLES = {
    "audio_temperature": "Audio temperature",
    "text_temperature": "Text temperature",
    "audio_topk": "Audio top-k",
    "text_topk": "Text top-k",
    "seed": "Seed",
}
Sound = tuple[int, np.ndarray]
# what the page shows; the agent's sound; both sides' sound
Update = tuple[Any, Any, Any]
Ask = Callable[[], Awaitable[tuple[render.RenderRequest, list[str]]]]
"""Returns what to render, and what was done to the recording."""


def build_tab(app_state: AppState, page: gr.Blocks) -> gr.Tab:
    """Add the Respond tab to the Blocks being built."""
    handlers = _RespondTab(app_state)
    with gr.Tab("[[tab_respond]]", elem_id="tab-respond", render_children=True) as tab:
        gr.HTML(
            html_template=read_static("respond/respond-head.html"), js_on_load=None, apply_default_css=False
        )
        with gr.Row(elem_id="respond-form", elem_classes=["gradio-ink", "gradio-form"], equal_height=False):
            with gr.Column(min_width=300):
                clip = gr.Audio(
                    label="Your side",
                    sources=["upload", "microphone"],
                    type="filepath",
                    editable=False,
                    buttons=[],
                    waveform_options=gr.WaveformOptions(
                        waveform_color="#868176", waveform_progress_color=USER_INK
                    ),
                    elem_id="respond-clip",
                )
                room_s = gr.Slider(
                    0,
                    MAX_ROOM_S,
                    USUAL_ROOM_S,
                    step=1,
                    label="Silence to answer in, in seconds",
                    info="Comes after your recording; the agent answers in it.",
                    elem_id="respond-room",
                )
            with gr.Column(min_width=300):
                persona = gr.Dropdown(
                    [(each.title, each.name) for each in app_state.personas],
                    label="Persona",
                    elem_id="respond-persona",
                    filterable=False,
                )
                # Gradio refuses a voice that is not among the choices, which change when another engine
                # takes over
                voice = gr.Dropdown(
                    _voices(app_state),
                    value="",
                    label="Voice",
                    elem_id="respond-voice",
                    allow_custom_value=True,
                )
                prompt = gr.Textbox(
                    "",
                    label="Role prompt",
                    lines=5,
                    max_lines=12,
                    max_length=MAX_PROMPT_CHARS,
                    elem_id="respond-prompt",
                )
                with gr.Accordion(
                    "Advanced: chance in its answers",
                    open=False,
                    elem_id="respond-sampling",
                    elem_classes=["gradio-ink", "gradio-fold"],
                ):
                    gr.HTML(
                        html_template=read_static("respond/respond-sampling.html"),
                        js_on_load=None,
                        apply_default_css=False,
                    )
                    with gr.Row():
                        sampling = [_number(name) for name in SAMPLING_TITLES]
        with gr.Row(elem_id="respond-actions", elem_classes=["gradio-ink", "gradio-actions"]):
            start = gr.Button("Hear the answer", elem_id="respond-start", variant="primary")
            use_fallback = gr.Button(
                "Let the small stand-in answer",
                elem_id="respond-beside",
                visible=app_state.fallback_engine is not None,
            )
            stop = gr.Button("Cancel", elem_id="respond-cancel")
        answer = gr.HTML(
            value={"state": "idle"},
            label="answer",
            html_template=read_static("respond/respond.html"),
            js_on_load=mount_script("respond"),
            apply_default_css=False,
            elem_id="respond-answer",
        )
        agent = gr.Audio(label="The agent's side", visible=False, format="wav")
        both = gr.Audio(label="Both sides", visible=False, format="wav")
    outputs = [answer, agent, both]
    # one that was cancelled may be ending still when the next begins
    quiet = {"show_progress": "hidden", "concurrency_limit": None, "trigger_mode": "multiple"}
    start.click(
        handlers.respond,
        [clip, voice, persona, prompt, room_s, *sampling],
        outputs,
        api_name="respond",
        concurrency_id="respond",
        **quiet,
    )
    # for visitors whose daily time on the GPU is used up
    use_fallback.click(
        handlers.respond_with_fallback,
        [clip, persona, prompt, room_s],
        outputs,
        api_visibility="private",
        concurrency_id="respond",
        **quiet,
    )
    answer.submit(
        handlers.again, [answer], outputs, api_visibility="private", concurrency_id="respond", **quiet
    )
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    stop.click(handlers.cancel, None, answer, concurrency_limit=None, **private)
    persona.input(handlers.choose, persona, [voice, prompt], **private)
    page.load(handlers.offer, [persona, voice, prompt], [persona, voice, prompt], **private)
    return tab


def _voices(app_state: AppState) -> list[tuple[str, str]]:
    return [(voice.title, voice.name) for voice in app_state.supervisor.engine.voices]


def _number(name: str) -> gr.Number:
    least, most, whole = SAMPLING_LIMITS[name]
    value = 0 if name == "seed" else getattr(Sampling(), name)
    return gr.Number(
        value,
        label=SAMPLING_TITLES[name],
        minimum=least,
        maximum=most,
        precision=0 if whole else None,
        min_width=120,
    )


class _RespondTab:
    """The tab's handlers.

    Each rendering runs in the app's tasks and is cancelled when nobody waits for it any more.
    """

    def __init__(self, app_state: AppState) -> None:
        self._app_state = app_state
        # not the page's queue, in which one address could take every place; more than are rendered and the
        # next would only hold their recordings in memory
        at_once = min(AT_ONCE, app_state.settings.slots + 1)
        self._line = Admission(at_once, MAX_CLIP_S + MAX_ROOM_S)

    def offer(self, persona: str | None, voice: str | None, prompt: str) -> tuple[Any, Any, Any]:
        """Fill the form with the engine's voices; keep what was chosen before a reload."""
        chosen = persona or self._app_state.personas[0].name
        suggested, its_prompt = self.choose(chosen)
        voices = _voices(self._app_state)
        known = voice if voice in [name for _, name in voices] else suggested
        elsewhere = (
            "Voices that you cloned answer in Talk and Compare."
            if self._app_state.supervisor.engine.capabilities.cloning
            else None
        )
        return chosen, gr.update(choices=voices, value=known, info=elsewhere), prompt or its_prompt

    def choose(self, persona: str) -> tuple[str, str]:
        """Return a persona's voice and role prompt."""
        found = next(
            (each for each in self._app_state.personas if each.name == persona), self._app_state.personas[0]
        )
        return self._app_state.voice_of(found), found.prompt

    async def respond(
        self,
        clip: str | None,
        voice: str | None,
        persona: str | None,
        prompt: str | None,
        room_s: float = USUAL_ROOM_S,
        audio_temperature: float | None = None,
        text_temperature: float | None = None,
        audio_topk: float | None = None,
        text_topk: float | None = None,
        seed: float | None = 0,
        request: gr.Request | None = None,
    ) -> AsyncGenerator[Update, None]:
        """Render the agent's answer to a recording: its transcript and events as JSON, the agent's sound, and
        both sides as stereo.
        """
        given = (audio_temperature, text_temperature, audio_topk, text_topk, seed)

        def chat() -> ChatRequest:
            fields = {
                name: value for name, value in zip(SAMPLING_TITLES, given, strict=True) if value is not None
            }
            return ChatRequest(voice=voice or "", persona=persona or "", prompt=prompt or None).configured(
                parse_start(fields)
            )

        # closed at once when the visitor cancels or leaves, which ends the rendering
        async with aclosing(
            self._answer(self._app_state.supervisor, partial(self._ask, clip, chat, room_s), request)
        ) as answers:
            async for update in answers:
                yield update

    async def respond_with_fallback(
        self,
        clip: str | None,
        persona: str | None,
        prompt: str | None,
        room_s: float = USUAL_ROOM_S,
        request: gr.Request | None = None,
    ) -> AsyncGenerator[Update, None]:
        """Render the fallback engine's answer to a recording, in the persona's voice."""
        supervisor = self._app_state.fallback_engine or self._app_state.supervisor

        def chat() -> ChatRequest:
            return ChatRequest(
                persona=persona or "",
                prompt=prompt or None,
                engine=supervisor.choice.name,
                sampling={"seed": 0},
            )

        async with aclosing(
            self._answer(supervisor, partial(self._ask, clip, chat, room_s), request)
        ) as answers:
            async for told in answers:
                yield told

    async def _ask(
        self, clip: str | None, chat: Callable[[], ChatRequest], room_s: float
    ) -> tuple[render.RenderRequest, list[str]]:
        config = self._app_state.session_config(chat())
        notes: list[str] = []
        samples = await anyio.to_thread.run_sync(_read_clip, clip, notes.append)
        if not await anyio.to_thread.run_sync(self._app_state.transcriber.hears_speech, samples):
            notes.append(NO_SPEECH)
        asked = render.request(samples, config, room_s=min(max(float(room_s or 0), 0.0), MAX_ROOM_S))
        return asked, notes

    async def again(
        self, _: Any, event: gr.EventData, request: gr.Request | None = None
    ) -> AsyncGenerator[Update, None]:
        """Render a rendering's recording again with another voice, all else equal."""
        # `EventData` itself raises for a key that is missing
        wanted = event._data if isinstance(event._data, dict) else {}

        async def ask() -> tuple[render.RenderRequest, list[str]]:
            try:
                before = await anyio.to_thread.run_sync(
                    self._app_state.renderings.get, str(wanted.get("key"))
                )
            except ValueError:
                before = None
            if before is None:
                raise NotFound(
                    "That answer is no longer here: they are kept for 15 minutes. Ask with your recording"
                    " once more."
                )
            chat = ChatRequest(
                voice=str(wanted.get("voice", "")),
                persona=before.meta.persona or "",
                prompt=before.meta.prompt,
            )
            config = self._app_state.session_config(chat)
            again = SessionConfig(config.voice, config.prompt, config.persona, before.meta.sampling)
            return render.request(before.user, again), []

        async with aclosing(self._answer(self._app_state.supervisor, ask, request)) as answers:
            async for told in answers:
                yield told

    async def cancel(self, request: gr.Request) -> dict[str, str]:
        """End what this visitor asked for, and show that nothing was kept."""
        self._app_state.askers.cancel(request.session_hash or "")
        return {"state": "cancelled"}

    async def _answer(
        self, supervisor: EngineSupervisor, ask: Ask, request: gr.Request | None
    ) -> AsyncGenerator[Update, None]:
        """Render what `ask` returns, telling how far it is; errors are told in the page and raised for
        programs.
        """
        asker = asker_of(request, self._app_state) if request else NO_ASKER
        try:
            async with aclosing(self._render_in_turn(supervisor, ask, asker)) as steps:
                async for told in steps:
                    yield told
        except PersonaplexError as error:
            if asker.cancelled:
                return
            yield {"state": "failed", "text": str(error)}, gr.skip(), gr.skip()
            raise gr.Error(str(error), print_exception=False, visible=False) from None

    async def _render_in_turn(
        self, supervisor: EngineSupervisor, ask: Ask, asker: Asker
    ) -> AsyncGenerator[Update, None]:
        working = partial(_working, secrets.token_hex(4))
        if self._line.used == self._line.total:
            text = f"{self._line.total} recordings are answered at once here; yours waits in line."
            yield working(text=text)
        async with (
            self._line.slot(lambda place: asker.check(), caller=asker.caller),
            aclosing(self._render(supervisor, ask, asker, working)) as steps,
        ):
            async for told in steps:
                asker.check()
                yield told

    async def _render(
        self, supervisor: EngineSupervisor, ask: Ask, asker: Asker, working: Callable[..., Update]
    ) -> AsyncGenerator[Update, None]:
        yield working(text="Reading your recording…")
        asked, notes = await ask()
        if supervisor.state.stage != "ready":
            yield working(text=f"{supervisor.choice.title} is getting ready…")
            await supervisor.ready(lambda state: None)
        if isinstance(supervisor.engine, LeasingEngine):
            yield working(text="Waiting for a GPU…")
        async with usable_engine_here(self._app_state, supervisor.engine, [asked]) as device:
            job = RenderJob(self._app_state, [asked], device, asker.caller)
            try:
                while not job.over:
                    yield working(**_progress_fields(job.progress))
                    await job.changed(TELL_EVERY_S)
            finally:
                job.cancel()
        if error := job.fault or job.batch.errors.get(0):
            raise error
        done = await anyio.to_thread.run_sync(job.cache.get, job.batch.keys[0])
        if done is None:
            raise NotFound(
                "The answer was rendered but is gone already: there is no room for it. Try again later."
            )
        described = await anyio.to_thread.run_sync(render_files.describe, done)
        files = {form: f"/api/renderings/{done.key}/answer.{form}" for form in render_files.FORMS}
        shown = {
            "state": "done",
            "cached": not job.batch.rendered_s,
            "files": files,
            "notes": notes,
            **described,
        }
        yield shown, _sound(done.agent), _sound(np.column_stack((done.user, done.agent)))


def _working(job: str, **told: Any) -> Update:
    return {"state": "working", "job": job, "share": None, "left_s": None, **told}, gr.skip(), gr.skip()


def _progress_fields(progress: BatchProgress) -> dict[str, Any]:
    if progress.ahead is not None:
        ahead = (
            "next"
            if not progress.ahead
            else f"behind {progress.ahead} {'other' if progress.ahead == 1 else 'others'}"
        )
        return {"text": f"Every slot is taken by talks; your recording is {ahead} in line."}
    left_s = None if progress.left_s is None else round(progress.left_s, 1)
    return {
        "text": "The agent is listening to your recording…",
        "share": round(progress.share, 3),
        "left_s": left_s,
    }


def _sound(samples: np.ndarray) -> Sound:
    return SAMPLE_RATE_HZ, render_files.to_int16(samples)


def _read_clip(path: str | None, note: Note) -> np.ndarray:
    if not path:
        raise BadInput("There is no recording yet; record something or choose a file first.")
    file = Path(path)
    try:
        size_bytes = file.stat().st_size
        if size_bytes > MAX_CLIP_BYTES:
            raise BadAudio(
                f"The file has {size_bytes >> 20} MiB; the limit is {MAX_CLIP_BYTES >> 20} MiB. Cut it, or"
                " save it as mp3."
            )
        with file.open("rb") as recording:
            return decode(recording, MAX_CLIP_S, note, "Your recording")
    except OSError as error:
        raise BadAudio(f"The recording {shorten(file.name)} is gone; choose it again.") from error
