"""Measure how often int8 and int4 choose the unquantised weights' tokens, on a real checkpoint and speech."""

from __future__ import annotations

import gc
from typing import Any

import torch
from torch import Tensor

from ..engine.offline import state_line
from ..engine.personaplex import checkpoint_folder, plan_for_device
from ..engine_choice import measurements_folder
from ..errors import EngineError
from ..evaluation.scenarios import choose_scenarios, load_scenarios, speak
from ..model.agreement import Agreement, agreement, greedy_choices, greedy_columns, save_agreements
from ..model.checkpoint import CheckpointFiles, load_checkpoint
from ..model.cloning import voice_codes
from ..model.compute import Compute, pick
from ..model.hub_repo import hub_access
from ..model.lm import Lm
from ..model.loading import load_mimi
from ..settings import Settings
from ..speech.synthesiser import Synthesiser
from ..units import FRAME_S, SAMPLE_RATE_HZ
from .ours import machine

SCENARIO = "turn_end"
SPOKEN_S = 10.0
FORMS = ("int8", "int4")


def measure_agreement(settings: Settings) -> dict[str, Any]:
    """Compare each quantised form, or the requested one, with the unquantised weights, and store the result.

    Only one model is in memory at a time.

    Raises: EngineUnavailable, WeightsError, SettingsError, EngineError where a form does not fit,
    StorageError.
    """
    with state_line() as report:
        files = CheckpointFiles.of(checkpoint_folder(settings.checkpoint, hub_access(settings), report))
    compute = pick(settings.device, settings.dtype, files.lm.stat().st_size if files.lm.is_file() else 0)
    codes, title = _spoken(files, compute.device)
    columns = greedy_columns(_load(files, compute, "none", settings.cpu_offload), codes)
    forms = FORMS if settings.quantize in ("auto", "none") else (settings.quantize,)
    shares: dict[str, Agreement] = {}
    for form in forms:
        # the model before this one must be gone: two do not fit
        gc.collect()
        if compute.device.type == "cuda":
            torch.cuda.empty_cache()
        shares[form] = agreement(
            columns, greedy_choices(_load(files, compute, form, settings.cpu_offload), columns)
        )
    kept = save_agreements(
        measurements_folder(settings), files.lm, {form: share.all for form, share in shares.items()}
    )
    return {
        "machine": machine(compute.device),
        "dtype": str(compute.dtype).removeprefix("torch."),
        "checkpoint": settings.checkpoint,
        "heard": title,
        "frames": codes.shape[1],
        "agreement": {
            form: {
                "all": round(s.all, 4),
                "text": round(s.text, 4),
                "semantic": round(s.semantic, 4),
                "acoustic": round(s.acoustic, 4),
            }
            for form, s in shares.items()
        },
        "kept_in": str(kept),
    }


def render_agreement(found: dict[str, Any]) -> str:
    """Format the results for a terminal."""
    lines = [
        (
            f"{found['machine']['name']} ({found['machine']['device']}), {found['dtype']}; {found['frames']}"
            f" frames of: {found['heard']}"
        ),
        (
            f"{'greedy tokens equal to those of the unquantised weights':58}"
            f"{'all':>8}{'text':>8}{'semantic':>10}{'acoustic':>10}"
        ),
    ]
    for form, s in found["agreement"].items():
        lines.append(
            f"{form:58}{s['all']:>8.1%}{s['text']:>8.1%}{s['semantic']:>10.1%}{s['acoustic']:>10.1%}"
        )
    return "\n".join([*lines, f"Kept in {found['kept_in']}: doctor and the page show it beside the form."])


def _spoken(files: CheckpointFiles, device: torch.device) -> tuple[Tensor, str]:
    """Return the codes of one of our scenarios, from shortly before its first word, and its text."""
    scenario = choose_scenarios([SCENARIO], load_scenarios())[0]
    spoken = speak(scenario, 0, Synthesiser())
    begins = round((spoken.happened[0].start_s - FRAME_S) * SAMPLE_RATE_HZ)
    samples = spoken.samples[begins : begins + round(SPOKEN_S * SAMPLE_RATE_HZ)]
    return (
        voice_codes(load_mimi(files.folder, device, files.mimi), samples),
        f"{scenario.title} (our scenario {scenario.name})",
    )


def _load(files: CheckpointFiles, compute: Compute, form: str, cpu_offload: bool) -> Lm:
    try:
        _, option = plan_for_device(files, compute, form, 1, cpu_offload)
    except EngineError as error:
        raise EngineError(
            f"{error} To measure, each form must fit once: add --cpu-offload, or take --device cpu."
        ) from error
    return load_checkpoint(files, compute.device, compute.dtype, None, form, option.offloaded_layers).lm
