"""What is measured in one conversation: the agent's words and sound against what truly happened on the user's
side.

Every figure is a list of events, one number each, so that figures of many conversations can be joined and
resampled whole. Latencies here are on the audio timeline unless their name begins with `wall_`; the two are
never in one column.
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
RESPONSE_S = 2.0
GOES_ON_S = 2.0


@dataclass(frozen=True)
class AgentSide:
    """The agent's side of one conversation.

    Shapes: `samples` is float32 [N] at 24 kHz. `ready_s` says, of a conversation in real time, when each
    frame came back, counted from the moment its recording began; it is empty for one on the timeline.
    `opened_s` is how long the session took to open before that.
    """

    samples: np.ndarray
    words: tuple[Word, ...]
    step_ms: tuple[float, ...]
    ready_s: tuple[float, ...] = ()
    opened_s: float = 0.0


def measure_turns(spoken: SpokenScenario, heard: AgentSide, speech: Sequence[Span], prompt: str) -> Values:
    """Return the figures of turn taking and persona. `speech` is where the agent speaks."""
    words = [
        word for part in metrics.utterances(heard.words) if part[0].start_s >= spoken.from_s for word in part
    ]
    segments = merged(speech, AGENT_GAP_S)
    values: Values = {}

    def note(key: str, value: float | None) -> None:
        if value is not None:
            values.setdefault(key, []).append(round(float(value), 6))

    acts = [each for each in spoken.happened if each.what != "pause"]
    for index, happened in enumerate(acts):
        until_s = acts[index + 1].start_s if index + 1 < len(acts) else spoken.duration_s
        said = [word for word in words if word.start_s < until_s]
        _ACTS[happened.what](note, happened, said, segments, until_s)
        if happened.what == "turn" and spoken.scenario.kind == "agent_backchannel":
            _listening(note, happened, words, speech)
        if happened.facts or happened.unknown or spoken.scenario.kind == "persona":
            _answer(note, happened, said, prompt, " ".join(each.text for each in acts[: index + 1]))
    for pause in (each for each in spoken.happened if each.what == "pause"):
        note("takes_pause", metrics.take_over_in_pause(words, [(pause.start_s, pause.end_s)]))
    if spoken.scenario.inverted:
        note("inverts_role", inverts(" ".join(word.text for word in words), spoken.scenario.inverted))
    if heard.ready_s:
        _wall_clock(note, acts, segments, spoken.duration_s, heard)
    return values


def _turn(note: Note, turn: UserEvent, said: list[Word], segments: list[Span], until_s: float) -> None:
    reply = metrics.reply_to_turn(said, turn.end_s)
    note("replies", reply.tor)
    note("reply_latency_s", reply.latency_s)
    if reply.tor:
        note("turn_latency_s", _onset_after(segments, turn.end_s, until_s))


def _interruption(note: Note, cut: UserEvent, said: list[Word], segments: list[Span], until_s: float) -> None:
    reply = metrics.reply_to_interruption(said, cut.end_s)
    note("replies_interruption", reply.tor)
    note("reply_after_interruption_s", reply.latency_s)
    note("stop_after_onset_s", metrics.stop_after_onset_s(segments, cut.start_s))
    if reply.tor:
        note(
            "keyword_relevance",
            relevance(cut.text, " ".join(word.text for word in said if word.start_s >= cut.end_s)),
        )


def _hum(note: Note, hum: UserEvent, said: list[Word], segments: list[Span], until_s: float) -> None:
    if _speaks_at(segments, hum.start_s):
        note("goes_on_after_hum", _goes_on(segments, hum.end_s))


def _aside(note: Note, aside: UserEvent, said: list[Word], segments: list[Span], until_s: float) -> None:
    if _speaks_at(segments, aside.start_s):
        note("goes_on_after_aside", _goes_on(segments, aside.end_s))
    else:
        note("answers_aside", _begins(said, aside.start_s, aside.end_s + RESPONSE_S))


def _noise(note: Note, noise: UserEvent, said: list[Word], segments: list[Span], until_s: float) -> None:
    note("answers_noise", _begins(said, noise.start_s, noise.end_s + RESPONSE_S))


def _silence(note: Note, silence: UserEvent, said: list[Word], segments: list[Span], until_s: float) -> None:
    note("speaks_into_silence", _begins(said, silence.start_s, silence.end_s))


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


def _answer(note: Note, asked: UserEvent, said: list[Word], prompt: str, user_text: str) -> None:
    answer = " ".join(word.text for word in said if word.start_s > asked.start_s)
    right = holds(answer, asked.facts)
    if asked.facts:
        note("facts_right", right)
        note("refuses_known", declines(answer) and not right)
    if asked.unknown:
        note("declines_unknown", declines(answer))
    if answer:
        note("invents_figure", bool(figures(answer) - figures(prompt) - figures(user_text)))


def _wall_clock(
    note: Note, acts: Sequence[UserEvent], segments: list[Span], end_s: float, heard: AgentSide
) -> None:
    """Note the same moments as they came: a sample can be played when its frame is back, at its place in the
    frame.
    """
    ready_s = heard.ready_s

    def played_at_s(at_s: float) -> float:
        frame = min(int(at_s / FRAME_S), len(ready_s) - 1)
        return ready_s[frame] + at_s - frame * FRAME_S

    if segments and segments[0][0] < acts[0].start_s:
        note("wall_first_audio_s", heard.opened_s + played_at_s(segments[0][0]))
    for index, act in enumerate(acts):
        until_s = acts[index + 1].start_s if index + 1 < len(acts) else end_s
        if act.what == "turn" and (latency_s := _onset_after(segments, act.end_s, until_s)) is not None:
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
    """What a listener with a start buffer would have heard: how often the sound ran out, and for how long in
    all.
    """

    buffer_ms: int
    count: int
    stall_ms: float


def ready_of(step_ms: Sequence[float]) -> list[float]:
    """Return when each frame would be back if the frames came in real time to an engine of its own, from the
    recording's begin.
    """
    ready = []
    done_s = 0.0
    for index, ms in enumerate(step_ms):
        done_s = max(done_s, (index + 1) * FRAME_S) + ms / 1000
        ready.append(done_s)
    return ready


def underruns(ready_s: Sequence[float], buffer_ms: int) -> Underruns:
    """Play frames that are ready at `ready_s`, beginning `buffer_ms` after the first; a late one stalls all
    that follow.
    """
    count = 0
    stalled_s = 0.0
    begin_s = ready_s[0] + buffer_ms / 1000 if ready_s else 0.0
    for index, at_s in enumerate(ready_s):
        late_s = at_s - (begin_s + index * FRAME_S + stalled_s)
        if late_s > 1e-9:
            count += 1
            stalled_s += late_s
    return Underruns(buffer_ms, count, round(stalled_s * 1000, 3))


def longest_late_run(step_ms: Sequence[float]) -> int:
    """Return the most steps in a row that took longer than a frame lasts."""
    longest = run = 0
    for ms in step_ms:
        run = run + 1 if ms > FRAME_S * 1000 else 0
        longest = max(longest, run)
    return longest


def spoken_part(samples: np.ndarray, speech: Sequence[Span]) -> np.ndarray:
    """Return the agent's sound from its first to its last speech. Shapes: float32 [N] at 24 kHz."""
    return (
        samples[int(speech[0][0] * SAMPLE_RATE_HZ) : int(speech[-1][1] * SAMPLE_RATE_HZ)]
        if speech
        else samples[:0]
    )
