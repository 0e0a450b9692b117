"""Summarise a run's conversations: every metric by voice with its interval, speed, and voice similarity."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, intervals
from ..errors import BadInput, shorten
from ..units import FRAME_MS
from .conversation_folder import Result, read_results, read_voice
from .fdb.folders import read_json
from .fdb.published import NOTE, ROWS, SOURCE
from .machine import gpu_name, machine, versions
from .measures import longest_late_run, ready_of, underruns
from .metric_definitions import METRICS, Metric
from .run import ABOUT_RUN
from .similarity import similarity

OURS = (
    "These scenarios are our own, spoken by the embedded synthesiser. Figures made from them are not"
    " Full-Duplex-Bench scores and can be compared only with figures from the same scenarios, takes and"
    " version."
)
CLOCKS = {
    "timeline": (
        "Conversations were held as fast as the machine allows, and every latency is on the audio timeline:"
        " no network, queue, computing or playback is in it. The embedded engine then takes two frames for"
        " every piece of work, however long it really takes."
    ),
    "live": (
        "Conversations were held in real time. Latencies on the timeline count frames; those on the wall"
        " clock add framing and computing. Neither has network or playback buffers in it."
    ),
}
NOT_LIVE = "Wall-clock latencies need conversations in real time: evaluate run --live."
BUFFERS_MS = (80, 160, 240)
MAX_CASES = 3
Cell = dict[str, Any]


def summarise(out: Path) -> tuple[dict[str, Any], list[Result]]:
    """Return the summary of a run's folder, ready for JSON, and its conversations.

    Raises: BadInput when the folder holds none.
    """
    results = read_results(out)
    if not results:
        raise BadInput(
            f"{shorten(out)} holds no measured conversations; make some with: evaluate run --out"
            f" {shorten(out)}"
        )
    about = read_json(out / ABOUT_RUN) if (out / ABOUT_RUN).exists() else {}
    clock = about.get("conditions", {}).get("clock", "timeline")
    voices = list(dict.fromkeys(result.voice for result in sorted(results, key=lambda result: result.voice)))
    absent = dict(about.get("not_measured", {}))
    if clock != "live":
        absent["wall_clock"] = NOT_LIVE
    if not about.get("conditions", {}).get("judge"):
        absent["judge"] = "No judge was named; give one with --judge-url."
    if (about.get("memory") or {}).get("gpu_peak_bytes") is None:
        absent["gpu_memory"] = "No GPU took part in this run."
    return {
        "note": OURS,
        "made_at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "version": __version__,
        "engine": about.get("engine_name", "unknown"),
        "conditions": about.get("conditions", {}),
        "clock": {"name": clock, "note": CLOCKS[clock]},
        "machine": {**machine(), "gpu": gpu_name(), "packages": versions()},
        "parallel": about.get("parallel"),
        "memory": about.get("memory", {}),
        "conversations": len(results),
        "sound_s": round(sum(result.duration_s for result in results), 1),
        "voices": voices,
        "seeds": sorted({result.seed for result in results}),
        "scenarios": _scenarios(results),
        "failures": about.get("failures", []),
        "metrics": {metric.key: _metric(metric, results, voices) for metric in METRICS},
        "speed": (
            {voice: _speed([r for r in results if r.voice == voice]) for voice in voices}
            | {"all": _speed(results)}
        ),
        "alike": _voice_similarities(out, results, voices),
        "not_measured": absent,
        "published": {"source": SOURCE, "note": NOTE, "rows": [asdict(row) for row in ROWS]},
    }, results


def _scenarios(results: Sequence[Result]) -> list[dict[str, str]]:
    found = {
        r.scenario: {"name": r.scenario, "kind": r.kind, "title": r.title, "script_sha256": r.script_sha256}
        for r in results
    }
    return list(found.values())


def _metric(metric: Metric, results: Sequence[Result], voices: Sequence[str]) -> dict[str, Any]:
    by_voice = {voice: cell_of(metric.key, [r for r in results if r.voice == voice]) for voice in voices}
    return {**asdict(metric), "by_voice": by_voice, "all": cell_of(metric.key, results)}


def cell_of(key: str, results: Iterable[Result]) -> Cell:
    """Return a metric's mean with its bootstrap interval.

    Conversations of one scenario are resampled as a group, because they are not independent of each other.
    """
    groups: dict[str, list[float]] = {}
    for result in results:
        groups.setdefault(result.scenario, []).extend(result.values.get(key, []))
    events = sum(map(len, groups.values()))
    value = intervals.mean(list(groups.values()))
    interval = intervals.mean_interval(list(groups.values()))
    return {
        "value": None if value is None else round(value, 6),
        "interval": None if interval is None else [round(each, 6) for each in interval],
        "events": events,
        "shown": intervals.is_shown(events),
    }


def _speed(results: Sequence[Result]) -> dict[str, Any]:
    step_ms = np.array([ms for result in results for ms in result.step_ms])
    if not len(step_ms):
        return {"steps": 0}
    p50, p95, p99 = np.percentile(step_ms, (50, 95, 99))
    ready = [result.ready_s or ready_of(result.step_ms) for result in results]
    playbacks = [[underruns(ready_s, buffer_ms) for ready_s in ready] for buffer_ms in BUFFERS_MS]
    figures = {
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": step_ms.max(),
        "rtf": step_ms.mean() / FRAME_MS,
    }
    return {
        "steps": len(step_ms),
        **{name: round(float(value), 4) for name, value in figures.items()},
        "headroom": round(float(1 - p95 / FRAME_MS), 4),
        "deadline_attainment": round(float(np.mean(step_ms <= FRAME_MS)), 6),
        "longest_late_run_frames": max(longest_late_run(result.step_ms) for result in results),
        "underruns": [
            {
                "buffer_ms": ms,
                "count": sum(each.count for each in simulated),
                "stall_ms": round(sum(each.stall_ms for each in simulated), 1),
            }
            for ms, simulated in zip(BUFFERS_MS, playbacks, strict=True)
        ],
    }


def _voice_similarities(out: Path, results: Sequence[Result], voices: Sequence[str]) -> dict[str, Any] | None:
    """Return the mean cosine similarity of each pair of voices over different conversations.

    None where no voice was measured.
    """
    known: dict[str, list[np.ndarray]] = {voice: [] for voice in voices}
    for result in results:
        if (vector := read_voice(out, result)) is not None:
            known[result.voice].append(vector)
    if not any(known.values()):
        return None

    def mean(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float | None:
        cosines = [similarity(a, b) for a, b in pairs]
        return round(float(np.mean(cosines)), 4) if cosines else None

    same = {voice: mean(combinations(vectors, 2)) for voice, vectors in known.items()}
    cross = {
        f"{a} | {b}": mean((x, y) for x in known[a] for y in known[b]) for a, b in combinations(voices, 2)
    }
    return {"same": same, "cross": cross}


# -- cases worth hearing ---------------------------------------------------------------------------


def _wrong(metric: Metric, value: float) -> float | None:
    """Return how badly one event went, 0 to 1; None for a metric without good and bad values."""
    if not metric.better:
        return None
    if metric.is_rate:
        return 1 - value if metric.better == "high" else value
    if metric.unit == "s":
        return min(1.0, max(0.0, abs(value) - 0.5) / 2.5)  # half a second is good, three are bad
    return None


def cases(results: Sequence[Result]) -> tuple[list[Result], list[Result]]:
    """Return the worst and the best conversations, with no scenario twice in either list.

    A conversation in which nothing can go wrong is in neither.
    """

    def badness(result: Result) -> tuple[float, int] | None:
        found = [_wrong(metric, value) for metric in METRICS for value in result.values.get(metric.key, [])]
        judged = [wrong for wrong in found if wrong is not None]
        return (sum(judged) / len(judged), -len(judged)) if judged else None

    judged = [
        (bad, result.conversation.name, result) for result in results if (bad := badness(result)) is not None
    ]
    ranked = [result for _, _, result in sorted(judged, key=lambda entry: entry[:2])] or list(results)
    worst = _distinct(ranked[::-1])
    best = _distinct(ranked)
    # with few conversations, half of them are shown as worst and half as best
    worst = worst[: min(MAX_CASES, (len(worst) + 1) // 2)]
    return worst, [result for result in best if result not in worst][:MAX_CASES]


def _distinct(ranked: Sequence[Result]) -> list[Result]:
    first: dict[str, Result] = {}
    for result in ranked:
        first.setdefault(result.scenario, result)
    return list(first.values())


def remarks(result: Result) -> list[str]:
    """Return a line for each metric of a conversation that has good and bad values."""
    lines = []
    for metric in METRICS:
        values = result.values.get(metric.key, [])
        if values and metric.better and metric.is_rate:
            lines.append(f"{metric.title}: {sum(values):g} of {len(values)}")
        elif values and metric.unit == "s":
            lines.append(f"{metric.title}: {', '.join(f'{value:.2f} s' for value in values)}")
    return lines
