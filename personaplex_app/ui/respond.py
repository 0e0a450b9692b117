"""The Respond tab: renders the agent's answer to a recording, and again with other voices.

Programs call the same as `/respond`.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr
import numpy as np

from ..audio import Note, decode
from ..engine.lease_contract import LeasingEngine
from ..errors import BadAudio, BadInput, NotFound, PersonaplexError, shorten
from ..evaluation.answer_clip import LEAD_S as CLIP_LEAD_S
from ..evaluation.answer_clip import TAIL_S, cut
from ..evaluation.scenarios import LEAD_S, Scenario, load_scenarios, speak
from ..protocol import ChatRequest, parse_start
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
from ..speech.synthesiser import Synthesiser
from ..units import SAMPLE_RATE_HZ
from .asker import asker_of
from .form_parts import form, html, voice_choices
from .respond_form import (
    MAX_ROOM_S,
    SAMPLING_TITLES,
    USUAL_ROOM_S,
    Buttons,
    RoleFields,
    SaidFields,
    buttons,
    what_is_said,
    who_answers,
)
from .scripts import mount_script
from .static import read_static

MAX_CLIP_S = 120
MAX_CLIP_BYTES = 48 << 20
TELL_EVERY_S = 0.25
AT_ONCE = 8
# what the example recordings say, one of each kind
EXAMPLES = ("turn-question", "pause-booking", "turn-short")
Sound = tuple[int, np.ndarray]
# what the page shows; the agent's sound; both sides' sound
Update = tuple[Any, Any, Any]
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
Ask = Callable[[], Awaitable[tuple[render.RenderRequest, list[str]]]]
"""Returns what to render, and what was done to the recording."""


def build_tab(app_state: AppState, page: gr.Blocks) -> gr.Tab:
    """Add the Respond tab to the Blocks being built."""
    handlers = _RespondTab(app_state)
    with gr.Tab("[[tab_respond]]", elem_id="tab-respond", render_children=True) as tab:
        html("respond/respond-head.html")
        with form("respond-form"):
            with gr.Column(min_width=300):
                said = what_is_said(handlers.examples)
            with gr.Column(min_width=300):
                role = who_answers(app_state)
        pressed = buttons(app_state)
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
    _answer_when_pressed(handlers, said, role, pressed, [answer, agent, both])
    _fill_when_chosen(handlers, said, role, page)
    return tab


def _answer_when_pressed(
    handlers: _RespondTab, said: SaidFields, role: RoleFields, pressed: Buttons, outputs: list[Any]
) -> None:
    answer = outputs[0]
    # one that was cancelled may be ending still when the next begins
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "concurrency_limit": None,
        "concurrency_id": "respond",
        "trigger_mode": "multiple",
    }
    inputs = [said.clip, role.voice, role.persona, role.prompt, said.room_s, *role.sampling, said.greets]
    pressed.start.click(handlers.respond, inputs, outputs, api_name="respond", **quiet)
    # for visitors whose daily time on the GPU is used up
    pressed.use_fallback.click(
        handlers.respond_with_fallback,
        [said.clip, role.persona, role.prompt, said.room_s, said.greets],
        outputs,
        api_visibility="private",
        **quiet,
    )
    answer.submit(handlers.again, [answer], outputs, api_visibility="private", **quiet)
    pressed.stop.click(handlers.cancel, None, answer, concurrency_limit=None, **_PRIVATE)


def _fill_when_chosen(handlers: _RespondTab, said: SaidFields, role: RoleFields, page: gr.Blocks) -> None:
    for scenario, pressed in zip(handlers.examples, said.examples, strict=True):
        pressed.click(
            partial(handlers.example, scenario),
            None,
            [said.clip, role.persona, role.voice, role.prompt],
            concurrency_id="respond-example",
            concurrency_limit=1,
            **_PRIVATE,
        )
    role.persona.input(handlers.choose, role.persona, [role.voice, role.prompt], **_PRIVATE)
    fields = [role.persona, role.voice, role.prompt]
    page.load(handlers.offer, fields, fields, **_PRIVATE)


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
        known = {persona.name for persona in app_state.personas}
        scenarios = {each.name: each for each in load_scenarios() if each.persona in known}
        self.examples = [scenarios[name] for name in EXAMPLES if name in scenarios]
        self._synthesiser: Synthesiser | None = None

    def example(self, scenario: Scenario) -> tuple[Sound, str, str, str]:
        """Speak what the user says in a scenario, and return it with its persona, that one's voice and
        role prompt.
        """
        self._synthesiser = self._synthesiser or Synthesiser()
        spoken = speak(scenario, 0, self._synthesiser)
        # without the time in which the agent may greet, and that in which it answers
        window = (max(0.0, spoken.from_s - CLIP_LEAD_S), spoken.happened[-1].end_s + TAIL_S)
        return _sound(cut(spoken.samples, window)), scenario.persona, *self.choose(scenario.persona)

    def offer(self, persona: str | None, voice: str | None, prompt: str) -> tuple[Any, Any, Any]:
        """Fill the form with the engine's voices; keep what was chosen before a reload."""
        chosen = persona or self._app_state.personas[0].name
        suggested, its_prompt = self.choose(chosen)
        voices = voice_choices(self._app_state)
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
        greets: bool = False,
        request: gr.Request | None = None,
    ) -> AsyncGenerator[Update, None]:
        """Render the agent's answer to a recording: its transcript and events as JSON, the agent's sound, and
        both sides as stereo. With `greets` the agent has time to greet before the recording.
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
            self._answer(self._app_state.supervisor, partial(self._ask, clip, chat, room_s, greets), request)
        ) as answers:
            async for update in answers:
                yield update

    async def respond_with_fallback(
        self,
        clip: str | None,
        persona: str | None,
        prompt: str | None,
        room_s: float = USUAL_ROOM_S,
        greets: bool = False,
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
            self._answer(supervisor, partial(self._ask, clip, chat, room_s, greets), request)
        ) as answers:
            async for told in answers:
                yield told

    async def _ask(
        self, clip: str | None, chat: Callable[[], ChatRequest], room_s: float, greets: bool
    ) -> tuple[render.RenderRequest, list[str]]:
        config = replace(self._app_state.session_config(chat()), greets=greets)
        notes: list[str] = []
        samples = await anyio.to_thread.run_sync(_read_clip, clip, notes.append)
        if not await anyio.to_thread.run_sync(self._app_state.transcriber.hears_speech, samples):
            notes.append(NO_SPEECH)
        if greets:
            samples = np.concatenate([np.zeros(round(LEAD_S * SAMPLE_RATE_HZ), np.float32), samples])
        room_s = min(max(float(room_s or 0), 0.0), MAX_ROOM_S)
        more_s = render.MOST_MORE_S if room_s else 0.0
        return render.request(samples, config, room_s=room_s, more_s=more_s), notes

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
            again = replace(config, sampling=before.meta.sampling, greets=wanted.get("greets") is True)
            # one that ends in silence was given time to be answered in
            more_s = 0.0 if before.user[-1] else render.MOST_MORE_S
            return render.request(before.user, again, more_s=more_s), []

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
            "greets": asked.config.greets,
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
