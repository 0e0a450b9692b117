"""Measure one conversation: the agent's words and sound against the known events on the user's side.

Every metric is a list with one number per event, so that the metrics of many conversations can be pooled and
bootstrapped. Latencies are on the audio timeline, unless their name begins with `wall_`; the two kinds are
never mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..protocol_events import Word
from ..responder.numbers import figures
from ..speech.sound import AGENT_GAP_S, Span, merged
from ..units import FRAME_S, SAMPLE_RATE_HZ
from .answers_check import declines, holds, inverts, relevance
from .fdb import metrics
from .scenarios import SpokenScenario, UserEvent

Values = dict[str, list[float]]
Note = Callable[[str, float | None], None]
# how long after an event the agent's speech still counts as a reaction to it
RESPONSE_S = 2.0
GOES_ON_S = 2.0


@dataclass(frozen=True)
class AgentSide:
    """The agent's side of one conversation.

    `ready_s` is when each frame was returned, counted from the beginning of the recording; it is empty for a
    conversation that was not held in real time. `opened_s` is how long the session took to open before that.
    Shapes: `samples` is float32 [N] at 24 kHz.
    """

    samples: np.ndarray
    words: tuple[Word, ...]
    step_ms: tuple[float, ...]
    ready_s: tuple[float, ...] = ()
    opened_s: float = 0.0


def measure_turns(spoken: SpokenScenario, agent: AgentSide, speech: Sequence[Span], prompt: str) -> Values:
    """Return the metrics of turn taking and persona. `speech` holds the spans in which the agent speaks."""
    words = [
        word for part in metrics.utterances(agent.words) if part[0].start_s >= spoken.from_s for word in part
    ]
    segments = merged(speech, AGENT_GAP_S)
    values: Values = {}

    def note(key: str, value: float | None) -> None:
        if value is not None:
            values.setdefault(key, []).append(round(float(value), 6))

    acts = [each for each in spoken.happened if each.what != "pause"]
    for index, happened in enumerate(acts):
        # a reaction belongs to the last event before it
        until_s = acts[index + 1].start_s if index + 1 < len(acts) else spoken.duration_s
        agent_words = [word for word in words if word.start_s < until_s]
        _ACTS[happened.what](note, happened, agent_words, segments, until_s)
        if happened.what == "turn" and spoken.scenario.kind == "agent_backchannel":
            _listening(note, happened, words, speech)
        if happened.facts or happened.unknown or spoken.scenario.kind == "persona":
            _answer(note, happened, agent_words, prompt, " ".join(each.text for each in acts[: index + 1]))
    for pause in (each for each in spoken.happened if each.what == "pause"):
        note("takes_pause", metrics.take_over_in_pause(words, [(pause.start_s, pause.end_s)]))
    if spoken.scenario.inverted:
        note("inverts_role", inverts(" ".join(word.text for word in words), spoken.scenario.inverted))
    if agent.ready_s:
        _wall_clock(note, acts, segments, spoken.duration_s, agent)
    return values


def _turn(note: Note, turn: UserEvent, agent_words: list[Word], segments: list[Span], until_s: float) -> None:
    reply = metrics.reply_to_turn(agent_words, turn.end_s)
    note("replies", reply.tor)
    note("reply_latency_s", reply.latency_s)
    if reply.tor:
        note("turn_latency_s", _onset_after(segments, turn.end_s, until_s))


def _interruption(
    note: Note, cut: UserEvent, agent_words: list[Word], segments: list[Span], until_s: float
) -> None:
    reply = metrics.reply_to_interruption(agent_words, cut.end_s)
    note("replies_interruption", reply.tor)
    note("reply_after_interruption_s", reply.latency_s)
    note("stop_after_onset_s", metrics.stop_after_onset_s(segments, cut.start_s))
    if reply.tor:
        note(
            "keyword_relevance",
            relevance(cut.text, " ".join(word.text for word in agent_words if word.start_s >= cut.end_s)),
        )


def _hum(note: Note, hum: UserEvent, agent_words: list[Word], segments: list[Span], until_s: float) -> None:
    if _speaks_at(segments, hum.start_s):
        note("goes_on_after_hum", _goes_on(segments, hum.end_s))


def _aside(
    note: Note, aside: UserEvent, agent_words: list[Word], segments: list[Span], until_s: float
) -> None:
    if _speaks_at(segments, aside.start_s):
        note("goes_on_after_aside", _goes_on(segments, aside.end_s))
    else:
        note("answers_aside", _begins(agent_words, aside.start_s, aside.end_s + RESPONSE_S))


def _noise(
    note: Note, noise: UserEvent, agent_words: list[Word], segments: list[Span], until_s: float
) -> None:
    note("answers_noise", _begins(agent_words, noise.start_s, noise.end_s + RESPONSE_S))


def _silence(
    note: Note, silence: UserEvent, agent_words: list[Word], segments: list[Span], until_s: float
) -> None:
    note("speaks_into_silence", _begins(agent_words, silence.start_s, silence.end_s))


_ACTS = {
    "turn": _turn,
    "interruption": _interruption,
    "hum": _hum,
    "aside": _aside,
    "noise": _noise,
    "silence": _silence,
}


def _listening(note: Note, turn: UserEvent, words: list[Word], speech: Sequence[Span]) -> None:
    found = metrics.true_backchannels(
        [span for span in speech if turn.start_s <= span[0] < turn.end_s], words
    )
    note("backchannels_per_min", len(found.spans) / (turn.end_s - turn.start_s) * 60)
    note("talks_over_turn", found.tor)


def _answer(note: Note, asked: UserEvent, agent_words: list[Word], prompt: str, user_text: str) -> None:
    answer = " ".join(word.text for word in agent_words if word.start_s > asked.start_s)
    right = holds(answer, asked.facts)
    if asked.facts:
        note("facts_right", right)
        note("refuses_known", declines(answer) and not right)
    if asked.unknown:
        note("declines_unknown", declines(answer))
    if answer:
        note("invents_figure", bool(figures(answer) - figures(prompt) - figures(user_text)))


def _wall_clock(
    note: Note, acts: Sequence[UserEvent], segments: list[Span], end_s: float, agent: AgentSide
) -> None:
    """Record the wall-clock latencies: a sample can be played once its frame was returned, at its offset
    in it.
    """
    ready_s = agent.ready_s

    def played_at_s(at_s: float) -> float:
        frame = min(int(at_s / FRAME_S), len(ready_s) - 1)
        return ready_s[frame] + at_s - frame * FRAME_S

    if segments and segments[0][0] < acts[0].start_s:
        note("wall_first_audio_s", agent.opened_s + played_at_s(segments[0][0]))
    for index, act in enumerate(acts):
        until_s = acts[index + 1].start_s if index + 1 < len(acts) else end_s
        if act.what == "turn" and (latency_s := _onset_after(segments, act.end_s, until_s)) is not None:
            # the user's end is on the audio axis, which in a real-time conversation is the wall clock too
            note("wall_turn_latency_s", played_at_s(act.end_s + latency_s) - act.end_s)
        if (
            act.what == "interruption"
            and (stop_s := metrics.stop_after_onset_s(segments, act.start_s)) is not None
        ):
            note("wall_stop_after_onset_s", played_at_s(act.start_s + stop_s) - act.start_s)


def _onset_after(segments: Sequence[Span], at_s: float, until_s: float) -> float | None:
    return next((start_s - at_s for start_s, _ in segments if at_s < start_s < until_s), None)


def _speaks_at(segments: Sequence[Span], at_s: float) -> bool:
    return any(start_s < at_s < end_s for start_s, end_s in segments)


def _goes_on(segments: Sequence[Span], from_s: float) -> bool:
    spoken_s = sum(
        max(0.0, min(end_s, from_s + GOES_ON_S) - max(start_s, from_s)) for start_s, end_s in segments
    )
    return spoken_s >= GOES_ON_S / 2


def _begins(words: Sequence[Word], from_s: float, to_s: float) -> bool:
    return any(
        metrics.take_over(part) and from_s <= part[0].start_s < to_s for part in metrics.utterances(words)
    )


# -- speed -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Underruns:
    """Simulated playback with a start buffer: how often it ran dry, and for how long in all."""

    buffer_ms: int
    count: int
    stall_ms: float


def ready_of(step_ms: Sequence[float]) -> list[float]:
    """Return when each frame would be returned if frames arrived in real time, from the recording's
    beginning.

    It is computed from the duration of each step, for an engine with no other session.
    """
    ready = []
    done_s = 0.0
    for index, ms in enumerate(step_ms):
        done_s = max(done_s, (index + 1) * FRAME_S) + ms / 1000
        ready.append(done_s)
    return ready


def underruns(ready_s: Sequence[float], buffer_ms: int) -> Underruns:
    """Simulate playback of frames that are ready at `ready_s`, starting `buffer_ms` after the first one.

    A late frame delays all that follow.
    """
    count = 0
    stalled_s = 0.0
    begin_s = ready_s[0] + buffer_ms / 1000 if ready_s else 0.0
    for index, at_s in enumerate(ready_s):
        late_s = at_s - (begin_s + index * FRAME_S + stalled_s)
        # not 0: sums of floating-point times differ by rounding
        if late_s > 1e-9:
            count += 1
            stalled_s += late_s
    return Underruns(buffer_ms, count, round(stalled_s * 1000, 3))


def longest_late_run(step_ms: Sequence[float]) -> int:
    """Return the largest number of consecutive steps that took longer than a frame's 80 ms."""
    longest = run = 0
    for ms in step_ms:
        run = run + 1 if ms > FRAME_S * 1000 else 0
        longest = max(longest, run)
    return longest


def spoken_part(samples: np.ndarray, speech: Sequence[Span]) -> np.ndarray:
    """Return the agent's sound from the beginning of its first speech to the end of its last.

    Shapes: float32 [N] at 24 kHz.
    """
    return (
        samples[int(speech[0][0] * SAMPLE_RATE_HZ) : int(speech[-1][1] * SAMPLE_RATE_HZ)]
        if speech
        else samples[:0]
    )
