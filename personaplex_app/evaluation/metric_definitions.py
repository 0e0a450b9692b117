"""The metrics of a conversation: their keys, titles, units and meanings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Better = Literal["low", "high", ""]
GROUPS = ("Turn taking", "Persona", "Sound and voice", "Wall clock")


@dataclass(frozen=True)
class Metric:
    """One metric. Those of unit `rate` are shares of events; all others are means.

    `better` is "" where neither a low nor a high value is good.
    """

    key: str
    title: str
    unit: str
    better: Better
    about: str
    group: str = ""

    @property
    def is_rate(self) -> bool:
        return self.unit == "rate"


_TURN = (
    Metric(
        "takes_pause",
        "Takes the turn in a pause",
        "rate",
        "low",
        "The agent begins to take the turn in a pause of the user's turn, or within a second after it.",
    ),
    Metric(
        "replies",
        "Answers a turn",
        "rate",
        "high",
        "The agent takes the turn before the user does something else.",
    ),
    Metric(
        "reply_latency_s",
        "Reply latency, by words",
        "s",
        "low",
        "From the user's last audible sample to the reply's first word; below zero is early.",
    ),
    Metric(
        "turn_latency_s",
        "Turn latency, by sound",
        "s",
        "low",
        "From the user's last audible sample to the next beginning of the agent's speech.",
    ),
    Metric(
        "replies_interruption",
        "Answers an interruption",
        "rate",
        "high",
        "The agent takes the turn after the interruption has ended.",
    ),
    Metric(
        "reply_after_interruption_s",
        "Reply after an interruption ends",
        "s",
        "low",
        "From the interruption's end to the next reply's first word.",
    ),
    Metric(
        "keyword_relevance",
        "Takes up what interrupted it",
        "share",
        "high",
        "Share of the interruption's content words that are in the reply.",
    ),
    Metric(
        "stop_after_onset_s",
        "Stop after the user's onset",
        "s",
        "low",
        "How long the agent speaks on once the user interrupts; only where it was speaking.",
    ),
    Metric(
        "goes_on_after_hum",
        "Goes on after the user's mm-hm",
        "rate",
        "high",
        "The agent speaks for at least half of the two seconds after a backchannel that came while it spoke.",
    ),
    Metric(
        "goes_on_after_aside",
        "Goes on when others speak",
        "rate",
        "high",
        "The same after speech that was not meant for it.",
    ),
    Metric(
        "answers_aside",
        "Answers what others say",
        "rate",
        "low",
        "The agent takes the turn when somebody further away speaks.",
    ),
    Metric(
        "answers_noise",
        "Answers noise",
        "rate",
        "low",
        "The agent takes the turn when there is noise but no speech.",
    ),
    Metric(
        "speaks_into_silence",
        "Speaks into silence",
        "rate",
        "",
        "The agent takes the turn while the user says nothing; its greeting does not count.",
    ),
    Metric(
        "backchannels_per_min",
        "Backchannels while listening",
        "a minute",
        "",
        "Short remarks of the agent during a long turn of the user.",
    ),
    Metric(
        "talks_over_turn",
        "Talks over a long turn",
        "rate",
        "low",
        "More than a short remark of the agent during a long turn of the user.",
    ),
)
_PERSONA = (
    Metric(
        "facts_right",
        "Facts answered right",
        "rate",
        "high",
        "The answer holds the number or the words of the role's notes.",
    ),
    Metric(
        "refuses_known",
        "Declines what it could answer",
        "rate",
        "low",
        "It declines although its notes have the answer.",
    ),
    Metric(
        "declines_unknown",
        "Declines what its notes lack",
        "rate",
        "high",
        "It says that it does not know, or cannot.",
    ),
    Metric(
        "invents_figure",
        "Names a figure from nowhere",
        "rate",
        "low",
        "The answer holds a number that neither the role prompt nor the user named.",
    ),
    Metric(
        "inverts_role",
        "Speaks as the other role",
        "rate",
        "low",
        "A conversation in which it says what only the other side of the role would say.",
    ),
    Metric(
        "judge_score",
        "Judge's score",
        "1 to 5",
        "high",
        "A language model's opinion of the answers; its name, prompt hash and reply are kept with each.",
    ),
)
_SOUND = (
    Metric(
        "dnsmos_overall",
        "DNSMOS overall",
        "1 to 5",
        "high",
        "An estimate of what listeners would say of the agent's sound.",
    ),
    Metric(
        "dnsmos_signal",
        "DNSMOS speech",
        "1 to 5",
        "high",
        "The same of the speech alone.",
    ),
    Metric(
        "clipping_share",
        "Clipping",
        "share",
        "low",
        "Share of the agent's samples at full scale.",
    ),
    Metric(
        "silence_share",
        "Silence",
        "share",
        "",
        "Share of the agent's sound below -50 dB; a conversation has pauses.",
    ),
    Metric(
        "voice_drift",
        "Voice, first against last 10 s",
        "cosine",
        "high",
        "How alike the voice is at the beginning and at the end of a conversation.",
    ),
)
_WALL = (
    Metric(
        "wall_first_audio_s",
        "First audio on the wall clock",
        "s",
        "low",
        "From the moment a talk is asked for to the moment the agent's first sound could be played, where it"
        " speaks first; no network.",
    ),
    Metric(
        "wall_turn_latency_s",
        "Turn latency on the wall clock",
        "s",
        "low",
        "From the moment the user's last sample was spoken to the moment the agent's first could be played:"
        " framing and computing in it, network and playback buffers not.",
    ),
    Metric(
        "wall_stop_after_onset_s",
        "Stop after onset on the wall clock",
        "s",
        "low",
        "From the moment the user began to interrupt to the moment the agent's last sample could be played.",
    ),
)
METRICS = tuple(
    replace(metric, group=group)
    for group, metrics in zip(GROUPS, (_TURN, _PERSONA, _SOUND, _WALL), strict=True)
    for metric in metrics
)
