"""Offload four layers to host memory: check that the tokens stay the same, and measure the copies."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from personaplex_app.model.generation import GREEDY
from personaplex_app.model.offload import LayerStream, spread_layers, to_host
from personaplex_app.units import FRAME_SAMPLES

from .engine import Note, build, choose_sdpa, frames_ms, place

AWAY = 4
FRAMES = 10


def measure(note: Note, device: str, size: str, sdpa: str) -> None:
    there = torch.device(device)
    choose_sdpa(sdpa)
    duplex, _ = build(size, there, "bfloat16", 1)
    frames = (0.1 * np.random.default_rng(1).standard_normal((FRAMES, FRAME_SAMPLES))).astype(np.float32)

    def talk() -> list[tuple[int, ...]]:
        duplex.set_sampling(0, GREEDY)
        place(duplex, [0])
        duplex._reset_streams(0)
        duplex.rows.state.column.zero_()
        duplex.rows.state.delayed.fill_(-1)
        return [
            (spoken.text, *spoken.codes) for frame in frames for spoken in duplex.step({0: frame}).values()
        ]

    here = talk()
    note(eager_ms=frames_ms(duplex, [0], FRAMES, there)["p50_ms"])
    stack = duplex.checkpoint.lm.transformer
    away = spread_layers(len(stack.layers), min(AWAY, len(stack.layers)))
    for k in away:
        for module in stack.layers[k].modules():
            for name, parameter in list(module._parameters.items()):
                if parameter is not None:
                    module._parameters[name] = nn.Parameter(
                        to_host(parameter.data, there), requires_grad=False
                    )
    # a copy of one layer is made on the device from what now lies on the host
    stack.stream = LayerStream(list(stack.layers), away, there)
    moved_bytes = stack.stream.bytes
    note(offloaded_layers=len(away), bytes_per_frame=moved_bytes, tokens_as_before=talk() == here)
    took_ms = frames_ms(duplex, [0], FRAMES, there)["p50_ms"]
    note(offloaded_ms=took_ms, gb_s_if_only_copying=round(moved_bytes / took_ms / 1e6, 1))
