"""Write the report of a run: one self-contained HTML file, and the same figures as CSV and JSON."""

from __future__ import annotations

import base64
import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import soundfile
from markupsafe import Markup

from .. import intervals
from ..atomic import write_atomically
from ..errors import StorageError, shorten
from ..units import SAMPLE_RATE_HZ
from .conversation_folder import Result, read_sides
from .metric_definitions import GROUPS, METRICS
from .pictures import intervals_plot, lane
from .summary import Cell, cases, remarks, summarise

HTML = "report.html"
JSON = "report.json"
FIGURES = "figures.csv"
CONVERSATIONS = "conversations.csv"
FILES = (HTML, JSON, FIGURES, CONVERSATIONS)
# from 0, the best sound, to 1, the smallest file
_MP3_QUALITY = 0.85
_PUBLISHED = (
    # the published figure, the key of our nearest metric, and how to format a published row
    (
        "Pause: takes the turn",
        "takes_pause",
        lambda row: " / ".join(f"{each:.3f}" for each in row["pause_tor"]),
    ),
    ("Long turn: takes over", "talks_over_turn", lambda row: f"{row['backchannel']['tor']:.3f}"),
    (
        "Backchannels",
        "backchannels_per_min",
        lambda row: f"{row['backchannel']['frequency_hz']:.3f} a second",
    ),
    ("Turn: answers", "replies", lambda row: f"{row['turn']['tor']:.3f}"),
    ("Turn: latency", "reply_latency_s", lambda row: f"{row['turn']['latency_s']:.3f} s"),
    ("Interruption: answers", "replies_interruption", lambda row: f"{row['interruption']['tor']:.3f}"),
    (
        "Interruption: latency",
        "reply_after_interruption_s",
        lambda row: f"{row['interruption']['latency_s']:.3f} s",
    ),
    ("Interruption: judged", "judge_score", lambda row: f"{row['interruption']['gpt_score']:.2f} of 5"),
    ("Likeness of the voice", "", lambda row: f"{row['speaker_similarity']:.2f}"),
)
_SPEED = (
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "max_ms",
    "rtf",
    "headroom",
    "deadline_attainment",
    "longest_late_run_frames",
)


def write_report(out: Path, command: str = "") -> Path:
    """Write the report of a run's folder into it and return the HTML file. `command` is the one that made it.

    Raises: BadInput when the folder holds no conversations, StorageError.
    """
    summary, results = summarise(out)
    summary["command"] = command
    try:
        write_atomically(out / HTML, html_of(out, summary, results).encode())
        document = {**summary, "per_conversation": [_brief(result) for result in results]}
        write_atomically(
            out / JSON, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode()
        )
        write_atomically(out / FIGURES, figures_csv(summary).encode())
        write_atomically(out / CONVERSATIONS, conversations_csv(results).encode())
    except OSError as error:
        raise StorageError(
            f"The report cannot be written to {shorten(out)} ({error.strerror}); make room and try again."
        ) from None
    return out / HTML


def html_of(out: Path, summary: dict[str, Any], results: list[Result]) -> str:
    """Return the whole report as one HTML text.

    Raises: StorageError when the sound of a case cannot be read.
    """
    worst, best = cases(results)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    metrics = [metric for metric in summary["metrics"].values() if metric["all"]["events"]]
    return environment.get_template("report.html").render(
        summary=summary,
        groups=[(group, [metric for metric in metrics if metric["group"] == group]) for group in GROUPS],
        plots=[(metric, Markup(plot)) for metric in metrics if (plot := intervals_plot(metric))],  # noqa: S704 (its texts are escaped)
        worst=[_case(out, result) for result in worst],
        best=[_case(out, result) for result in best],
        results=[(result, remarks(result)) for result in results],
        published=_published_comparison(summary),
        cell=cell_text,
        span=span_text,
        least=intervals.MIN_EVENTS,
    )


def _published_comparison(summary: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    rows = summary["published"]["rows"]
    ours = [metric_text(summary["metrics"][key]) if key else _same_voice(summary) for _, key, _ in _PUBLISHED]
    return [
        (name, our_text, [format_row(row) for row in rows])
        for (name, _, format_row), our_text in zip(_PUBLISHED, ours, strict=True)
    ]


def _same_voice(summary: dict[str, Any]) -> str:
    """Return the mean similarity of a voice between different conversations, over all voices."""
    known = [value for value in (summary["alike"] or {}).get("same", {}).values() if value is not None]
    return f"{np.mean(known):.2f}" if known else "– (not measured)"


def _case(out: Path, result: Result) -> dict[str, Any]:
    user, agent = read_sides(out, result)
    picture = Markup(lane(result, user, agent))  # noqa: S704 (its texts are escaped)
    return {"result": result, "lane": picture, "audio": mp3(user, agent), "remarks": remarks(result)}


def mp3(user: np.ndarray, agent: np.ndarray) -> str:
    """Return both sides as a data URL with an MP3: the user left, the agent right.

    Each side is mixed a little into the other channel, which is more comfortable on headphones.
    """
    near = 0.85
    far = 0.15
    both = np.column_stack((near * user + far * agent, far * user + near * agent))
    file = io.BytesIO()
    soundfile.write(file, np.clip(both, -1, 1), SAMPLE_RATE_HZ, format="MP3", compression_level=_MP3_QUALITY)
    return "data:audio/mpeg;base64," + base64.b64encode(file.getvalue()).decode()


def cell_text(cell: Cell, conversation: str) -> str:
    """Return a figure as text: a dash where there is none or too few events support it."""
    if cell["value"] is None or not cell["shown"]:
        return "–"
    return f"{cell['value']:.0%}" if conversation in ("rate", "share") else f"{cell['value']:.2f}"


def span_text(cell: Cell, conversation: str) -> str:
    """Return a figure's interval as text, or why it is not shown."""
    if not cell["events"]:
        return ""
    if not cell["shown"]:
        return f"{cell['events']} of {intervals.MIN_EVENTS} events"
    if not cell["interval"]:
        return f"n {cell['events']}"
    low, high = (
        f"{each:.0%}" if conversation in ("rate", "share") else f"{each:.2f}" for each in cell["interval"]
    )
    return f"{low} … {high}, n {cell['events']}"


def metric_text(metric: dict[str, Any]) -> str:
    """Return a metric's figure over all voices in the unit that publications use."""
    cell = metric["all"]
    if not cell["shown"]:
        return f"– ({span_text(cell, metric['unit']) or 'no events'})"
    if metric["unit"] == "a minute":
        return f"{cell['value'] / 60:.3f} a second"
    return f"{cell['value']:.3f}{' s' if metric['unit'] == 's' else ''}"


def figures_csv(summary: dict[str, Any]) -> str:
    """Return all figures by voice as CSV, speed and similarity among them.

    A figure that too few events support has no value.
    """
    rows: list[tuple] = [("metric", "unit", "voice", "value", "low", "high", "events", "shown")]
    for metric in summary["metrics"].values():
        for voice, cell in [*metric["by_voice"].items(), ("all", metric["all"])]:
            low, high = (cell["shown"] and cell["interval"]) or ("", "")
            value = cell["value"] if cell["shown"] else ""
            rows.append(
                (metric["key"], metric["unit"], voice, value, low, high, cell["events"], int(cell["shown"]))
            )
    for voice, speed in summary["speed"].items():
        if speed["steps"]:
            figures = {f"step_{key}" if key.endswith("_ms") else key: speed[key] for key in _SPEED}
            for each in speed["underruns"]:
                figures |= {
                    f"underruns_{each['buffer_ms']}_ms": each["count"],
                    f"stall_{each['buffer_ms']}_ms": each["stall_ms"],
                }
            rows += [
                (key, _speed_unit(key), voice, value, "", "", speed["steps"], 1)
                for key, value in figures.items()
            ]
    for kind, values in (summary["alike"] or {}).items():
        rows += [
            (f"voice_{kind}", "cosine", voice, value, "", "", "", 1)
            for voice, value in values.items()
            if value is not None
        ]
    rows += [
        (f"memory_{key}", "bytes", "all", value, "", "", "", 1)
        for key, value in summary["memory"].items()
        if value is not None
    ]
    return _csv(rows)


def _speed_unit(key: str) -> str:
    if key.startswith(("step_", "stall_")):
        return "ms"
    return {
        "longest_late_run_frames": "frames",
        "deadline_attainment": "share",
        "rtf": "",
        "headroom": "share",
    }.get(key, "count")


def conversations_csv(results: list[Result]) -> str:
    """Return all conversations as CSV: their hashes, and the mean of each metric."""
    keys = [metric.key for metric in METRICS]
    rows: list[tuple] = [
        (
            "scenario",
            "kind",
            "voice",
            "seed",
            "user_voice",
            "duration_s",
            "user_sha256",
            "agent_sha256",
            *keys,
        )
    ]
    for r in results:
        means = [
            round(sum(r.values[key]) / len(r.values[key]), 6) if r.values.get(key) else "" for key in keys
        ]
        rows.append(
            (
                r.scenario,
                r.kind,
                r.voice,
                r.seed,
                r.user_voice,
                r.duration_s,
                r.user_sha256,
                r.agent_sha256,
                *means,
            )
        )
    return _csv(rows)


def _csv(rows: list[tuple]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _brief(result: Result) -> dict[str, Any]:
    """Return a conversation without its long lists, which its folder holds."""
    document = asdict(result)
    for key in ("step_ms", "ready_s", "user_words", "agent_words", "agent_speech"):
        document.pop(key)
    return {**document, "agent_text": result.agent_text}
