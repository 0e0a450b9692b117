"""Plan a device's memory before anything is loaded: which quantised form fits, and with how many talks.

Everything is computed from shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from ..units import FRAME_S
from .config import AGENT_CODEBOOKS, LmConfig, MimiConfig, read_lm_config, read_mimi_config
from .lm import Lm
from .mimi import Mimi, MimiState
from .offload import BUFFERS
from .quantize import QUANTIZATIONS, scheme_of, stored_bytes

USABLE_SHARE = 0.97
RESERVE_BYTES = 640 * 2**20
"""For the libraries' workspaces, graphs and the largest activations. An estimate: no GPU has confirmed it."""
MAX_SNAPSHOT_BYTES = 2**30
HOST_LINK_BYTES_PER_S = 12e9
"""What 16 lanes of PCIe 3.0 transfer in practice. A newer slot is two to four times as fast."""
SNAPSHOT_SHARE = 1 / 32


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model's parts. `shapes` are those of the tensors that are loaded, by key."""

    lm: LmConfig
    shapes: dict[str, tuple[int, ...]]
    parameters: int
    codec_bytes: int
    codec_slot_bytes: int

    @property
    def file_bytes(self) -> int:
        """The size of the released file's tensors, in bfloat16."""
        return 2 * self.parameters

    def weights_bytes(self, quantize: str, element_bytes: int) -> int:
        """Return the size of the loaded language model, without the unused depformer steps."""
        return sum(
            stored_bytes(shape, scheme_of(key, shape, quantize), element_bytes)
            for key, shape in self.shapes.items()
        )

    def frame_bytes(self, quantize: str, element_bytes: int) -> int:
        """Return how many bytes of weights are read from memory for one frame of one talk.

        Divided by the memory's bandwidth, it is a lower bound of the frame's time.
        """
        total = 0
        for key, shape in self.shapes.items():
            # an embedding table is looked up: a frame reads one row of it
            if "emb" in key.split(".")[0]:
                continue
            total += stored_bytes(shape, scheme_of(key, shape, quantize), element_bytes)
        return total

    def layer_bytes(self, quantize: str, element_bytes: int) -> int:
        """Return the size of one layer of the temporal transformer."""
        layer = {key: shape for key, shape in self.shapes.items() if key.startswith("transformer.layers.0.")}
        return sum(
            stored_bytes(shape, scheme_of(key, shape, quantize), element_bytes)
            for key, shape in layer.items()
        )

    def slot_bytes(self, element_bytes: int) -> int:
        """Return what one talk takes in addition to the weights: KV cache and codec state."""
        return self.lm.context * self.lm.kv_bytes_per_frame(element_bytes) + self.codec_slot_bytes


@dataclass(frozen=True)
class Option:
    """One quantised form of the weights, and what fits with it.

    `slots` is how many talks fit, 0 where the weights alone do not. `offloaded_layers` layers of
    `offloaded_bytes` stay in host memory and are copied over in every frame. `agreement` is the share of
    greedy tokens that are equal to those of the unquantised weights, None where it was not measured for this
    checkpoint.
    """

    quantize: str
    weights_bytes: int
    frame_bytes: int
    needed_bytes: int
    slots: int
    offloaded_layers: int = 0
    offloaded_bytes: int = 0
    agreement: float | None = None

    @property
    def agrees(self) -> str:
        """A phrase on how many tokens equal those of the unquantised weights, "" for these themselves."""
        if self.quantize == "none":
            return ""
        if self.agreement is None:
            return (
                "how many of its tokens are those of the unquantised weights has not been measured (bench"
                " --agreement)"
            )
        return f"{self.agreement:.1%} of its tokens are those of the unquantised weights"


@dataclass(frozen=True)
class MemoryPlan:
    """How one device's memory is divided. An option's `needed_bytes` is all that it takes with one talk.

    `why` explains the chosen option; `chosen` is None where nothing fits.
    """

    memory_bytes: int
    usable_bytes: int
    element_bytes: int
    file_bytes: int
    kv_frame_bytes: int
    slot_bytes: int
    codec_bytes: int
    snapshot_bytes: int
    reserve_bytes: int
    options: tuple[Option, ...]
    chosen: Option | None
    why: str


@lru_cache(maxsize=4)
def sizes_of(lm: LmConfig, mimi: MimiConfig) -> Sizes:
    """Return the sizes of a model's parts without allocating them."""
    with torch.device("meta"):
        parameters = sum(tensor.numel() for tensor in Lm(lm).parameters())
        loaded = {key: tuple(tensor.shape) for key, tensor in Lm(lm.trimmed()).state_dict().items()}
        codec = Mimi(replace(mimi, codebooks=AGENT_CODEBOOKS))
        streams = _state_bytes(codec.empty_encoder_state(1)) + _state_bytes(codec.empty_decoder_state(1))
    codec_bytes = sum(
        tensor.numel() * tensor.element_size() for tensor in (*codec.parameters(), *codec.buffers())
    )
    return Sizes(lm, loaded, parameters, codec_bytes, streams)


def read_sizes(folder: Path) -> Sizes:
    """Return the sizes of a checkpoint folder's architecture, the released one where it has no configuration.

    Raises: WeightsError when its configuration cannot be used.
    """
    return sizes_of(read_lm_config(folder), read_mimi_config(folder))


def plan_memory(
    sizes: Sizes,
    memory_bytes: int,
    element_bytes: int,
    quantize: str = "auto",
    talks: int = 1,
    offload: bool = False,
    agreements: Mapping[str, float] | None = None,
    cache_element_bytes: int | None = None,
) -> MemoryPlan:
    """Divide a device's free memory among weights, talks, snapshots and a reserve.

    `quantize` "auto" chooses the most exact form that leaves room for one talk; `talks` is how many are
    wanted. With `offload`, a form that does not fit keeps as many layers in host memory as it must.
    `agreements` are the measured shares of equal tokens by form (`agreement.load_agreements`).
    `cache_element_bytes` is the size of a number in the KV cache where it is not `element_bytes` (see
    `cache.cache_dtype`).
    """
    usable = int(memory_bytes * USABLE_SHARE)
    snapshots = min(MAX_SNAPSHOT_BYTES, int(memory_bytes * SNAPSHOT_SHARE))
    cache_element_bytes = cache_element_bytes or element_bytes
    slot = sizes.slot_bytes(cache_element_bytes)
    # from the most exact form to the smallest, which is the order of preference
    options = []
    for form in QUANTIZATIONS:
        weights = sizes.weights_bytes(form, element_bytes)
        layer = sizes.layer_bytes(form, element_bytes)
        fixed = weights + sizes.codec_bytes + snapshots + RESERVE_BYTES
        offloaded = 0
        if offload and fixed + slot > usable:
            # rounded up; the buffers that offloaded layers pass through take room on the device too
            offloaded = -(-(fixed + slot - usable) // layer) + BUFFERS
        # not even all layers in host memory would make room: this form does not fit
        if offloaded > sizes.lm.layers:
            offloaded = 0
        # the offloaded layers leave the device, and the buffers come
        fixed -= max(offloaded - BUFFERS, 0) * layer
        frame = sizes.frame_bytes(form, element_bytes)
        room = max((usable - fixed) // slot, 0)
        share = (agreements or {}).get(form)
        options.append(Option(form, weights, frame, fixed + slot, room, offloaded, offloaded * layer, share))
    asked = [option for option in options if quantize in ("auto", option.quantize)]
    chosen = next((option for option in asked if option.slots), None)
    why = _why(asked, chosen, usable, quantize, talks)
    why += _offloading(chosen, sizes.lm.layers) if chosen else ""
    return MemoryPlan(
        memory_bytes=memory_bytes,
        usable_bytes=usable,
        element_bytes=element_bytes,
        file_bytes=sizes.file_bytes,
        kv_frame_bytes=sizes.lm.kv_bytes_per_frame(cache_element_bytes),
        slot_bytes=slot,
        codec_bytes=sizes.codec_bytes,
        snapshot_bytes=snapshots,
        reserve_bytes=RESERVE_BYTES,
        options=tuple(options),
        chosen=chosen,
        why=why,
    )


def _why(asked: list[Option], chosen: Option | None, usable: int, quantize: str, talks: int) -> str:
    room = f"{usable / 1e9:.1f} GB are usable"
    if chosen is None:
        least = asked[-1]
        smaller = "--quantize auto or int4, or " if quantize in ("none", "int8") else ""
        return (
            f"{_named(least)} with one talk needs {least.needed_bytes / 1e9:.1f} GB and {room}: it does not"
            f" fit. Take {smaller}a device with more memory."
        )
    fits = f"{chosen.slots} talk{'' if chosen.slots == 1 else 's'}"
    fits += f" of the {talks} asked for" if chosen.slots < talks else ""
    agrees = f" {chosen.agrees[0].upper()}{chosen.agrees[1:]}." if chosen.agrees else ""
    if quantize != "auto":
        return f"{_named(chosen)}: asked for; {room}, which hold {fits}.{agrees}"
    larger = asked[: asked.index(chosen)]
    if not larger:
        return f"{_named(chosen)}: {room}, which hold {fits}."
    too_large = f"{_named(larger[-1])} with one talk needs {larger[-1].needed_bytes / 1e9:.1f} GB"
    return f"{_named(chosen)}: {too_large} and {room}, which hold {fits}.{agrees}"


def _offloading(chosen: Option, layers: int) -> str:
    """Return a sentence on how far from real time copying the offloaded layers alone is."""
    if not chosen.offloaded_layers:
        return ""
    fetch_s = chosen.offloaded_bytes / HOST_LINK_BYTES_PER_S
    away_gb = chosen.offloaded_bytes / 1e9
    return (
        f" {chosen.offloaded_layers} of {layers} layers stay in host memory, {away_gb:.1f} GB to"
        f" bring over for every frame: {fetch_s * 1000:.0f} ms at {HOST_LINK_BYTES_PER_S / 1e9:.0f} GB/s,"
        f" {fetch_s / FRAME_S:.1f} times real time."
    )


def _named(option: Option) -> str:
    return "unquantised" if option.quantize == "none" else option.quantize


def _state_bytes(state: MimiState) -> int:
    tensors = [state.position, state.cache.data, *state.memory.values()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
