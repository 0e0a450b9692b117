"""Published Full-Duplex-Bench figures, shown next to ours for comparison; none of them was measured here."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = (
    "PersonaPlex paper (arXiv 2602.06053; paper model, baselines) and the model card of"
    " nvidia/personaplex-7b-v1 (released checkpoint), on Full-Duplex-Bench v1.0 (arXiv 2503.04721)"
)
NOTE = (
    "Comparable only for the benchmark's own clips, the strict figures, and outputs of the released"
    ' checkpoint. Scenarios of our own are not Full-Duplex-Bench scores. Role prompts there: "You enjoy'
    ' having a good conversation." for pauses, backchannels and turns, a wise and friendly teacher for'
    " interruptions. Answers to interruptions were judged by a GPT model from 0 to 5, voices compared by"
    " another network than ours. Published words come from a recogniser, words of a text stream begin at"
    " their frame; the voice activity model here is silero v6, theirs was older. Latencies are on the audio"
    " timeline: no network, computing or playback is in them."
)
NONE_PUBLISHED = "No published figures for this task are known here."


@dataclass(frozen=True)
class Published:
    """One system's figures; (synthetic, Candor) for pauses.

    `speaker_similarity` is of the voice prompt and the agent.
    """

    system: str
    pause_tor: tuple[float, float]
    backchannel: dict[str, float]
    turn: dict[str, float]
    interruption: dict[str, float]
    speaker_similarity: float


def _row(
    system: str,
    pause: tuple[float, float],
    backchannel: tuple[float, ...],
    turn: tuple[float, ...],
    cut: tuple[float, ...],
    alike: float,
) -> Published:
    return Published(
        system,
        pause,
        dict(zip(("tor", "frequency_hz", "jsd"), backchannel, strict=True)),
        dict(zip(("tor", "latency_s"), turn, strict=True)),
        dict(zip(("tor", "gpt_score", "latency_s"), cut, strict=True)),
        alike,
    )


ROWS = (
    _row(
        "PersonaPlex, released checkpoint",
        (0.358, 0.431),
        (0.273, 0.042, 0.662),
        (0.908, 0.170),
        (0.950, 4.29, 0.240),
        0.650,
    ),
    _row(
        "PersonaPlex, paper model",
        (0.584, 0.662),
        (0.327, 0.025, 0.649),
        (0.992, 0.070),
        (1.000, 4.21, 0.400),
        0.57,
    ),
    _row("Moshi", (0.985, 0.980), (1.000, 0.001, 0.957), (0.941, 0.265), (1.000, 0.765, 0.257), 0.10),
    _row(
        "Gemini Live 2.0", (0.255, 0.310), (0.091, 0.012, 0.896), (0.655, 1.301), (0.891, 3.376, 1.183), 0.00
    ),
    _row("Freeze-Omni", (0.642, 0.481), (0.636, 0.001, 0.997), (0.336, 0.953), (0.867, 3.615, 1.409), 0.05),
)


def published(task: str) -> dict[str, dict[str, float]]:
    """Return each system's figures for a task; empty where none are known."""
    if task == "pause_handling":
        return {
            row.system: {"tor_synthetic": row.pause_tor[0], "tor_candor": row.pause_tor[1]} for row in ROWS
        }
    of = {"backchannel": "backchannel", "smooth_turn_taking": "turn", "user_interruption": "interruption"}
    return {row.system: getattr(row, of[task]) for row in ROWS} if task in of else {}
