"""Load weights from safetensors straight to their device, strict about every key, shape and number type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ..errors import EngineError, WeightsError, shorten
from ..foreign_files import absent, told_apart
from .config import LM_FILE, MIMI_FILE, LmConfig, MimiConfig, read_lm_config, read_mimi_config
from .lm import Lm
from .mimi import Mimi, finish_loading
from .offload import LayerStream, spread_layers, to_host
from .prepacked import packed_or_plain
from .quantize import integer_product_works, quantized, scheme_of, stored_bytes

Progress = Callable[[float], None]
MAX_LISTED_KEYS = 3
NEXT_STEP = "Download the checkpoint again."


def load_lm(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    file: Path | None = None,
    report: Progress | None = None,
    quantize: str = "none",
    offloaded: int = 0,
) -> Lm:
    """Load the language model, without the depformer steps whose codes are not used.

    Each weight is quantised as it is read. `offloaded` layers stay in host memory and are copied to the
    device in every step. `report` is called with the share that is loaded, 0 to 1.
    Raises: WeightsError naming the file and what is wrong with it; EngineError when the device has no room.
    """
    path = file or folder / LM_FILE
    config = read_lm_config(folder)
    with _open_weights(path) as weights:
        config = replace(config, depformer_steps=_depformer_steps(path, weights, config))
        # the meta device allocates nothing: both models only lend their keys and shapes
        with torch.device("meta"):
            whole = Lm(config)
            lm = Lm(config.trimmed())
        # the whole file is checked, also the steps that are not loaded
        shapes = {key: tuple(tensor.shape) for key, tensor in whole.state_dict().items()}
        _check_keys(path, weights, shapes)
        offloaded_layers = spread_layers(config.layers, offloaded)
        _load_tensors(
            path,
            lm,
            shapes,
            device,
            dtype,
            report,
            quantize,
            tuple(f"transformer.layers.{k}." for k in offloaded_layers),
            lm.config.depformer_steps,
        )
    if offloaded:
        lm.transformer.stream = LayerStream(list(lm.transformer.layers), offloaded_layers, device)
    return lm.eval().requires_grad_(False)


def quantize_in_place(lm: Lm, quantize: str) -> Lm:
    """Quantise a model that is already in memory, tensor by tensor, and return it.

    Under "none" its weights are packed where a loaded model's are.
    """
    integer = quantize != "none" and integer_product_works(lm.device)
    for key in [name for name, _ in lm.named_parameters()]:
        weight = lm.get_parameter(key)
        scheme = scheme_of(key, tuple(weight.shape), quantize)
        if scheme != "none":
            _set_tensor(lm, key, quantized(weight, scheme, integer))
        else:
            _set_tensor(lm, key, packed_or_plain(key, weight.data, lm.config.depformer_steps))
    return lm


def load_mimi(folder: Path, device: torch.device, file: Path | None = None) -> Mimi:
    """Load the codec in float32.

    Raises: WeightsError naming the file and what is wrong with it; EngineError when the device has no room.
    """
    path = file or folder / MIMI_FILE
    config = read_mimi_config(folder)
    with _open_weights(path) as weights:
        with torch.device("meta"):
            whole = Mimi(config)
            mimi = Mimi(_without_unused_codebooks(config))
        shapes = {key: tuple(tensor.shape) for key, tensor in whole.state_dict().items()}
        _check_keys(path, weights, shapes)
        _load_tensors(path, mimi, shapes, device, torch.float32, None)
    finish_loading(mimi)
    return mimi.eval().requires_grad_(False)


def _without_unused_codebooks(config: MimiConfig) -> MimiConfig:
    return replace(config, codebooks=8)


@contextmanager
def _open_weights(path: Path) -> Iterator[safe_open]:
    if not path.is_file():
        raise WeightsError(absent(path))
    try:
        with safe_open(path, framework="pt", device="cpu") as weights:
            yield weights
    except SafetensorError as error:
        otherwise = f"{path.name} is cut off or not a safetensors file ({shorten(error, 80)}). {NEXT_STEP}"
        raise WeightsError(told_apart(path, otherwise)) from error
    except OSError as error:
        raise WeightsError(
            f"{path.name} cannot be read ({error.strerror or type(error).__name__}). Check the disk and try"
            " again."
        ) from error


def _depformer_steps(path: Path, weights: safe_open, config: LmConfig) -> int:
    """Return how many depformer steps a file has.

    Raises: WeightsError when the file is not a PersonaPlex language model.
    Source: checkpoint key `depformer.layers.0.self_attn.in_proj_weight`, whose rows are steps · 3 · width.
    """
    key = "depformer.layers.0.self_attn.in_proj_weight"
    if key not in weights.keys():  # noqa: SIM118 (not a dict)
        raise WeightsError(f"{path.name} has no {key}: it is not a PersonaPlex language model. {NEXT_STEP}")
    rows = weights.get_slice(key).get_shape()[0]
    steps, rest = divmod(rows, 3 * config.depformer_width)
    if rest or steps not in (8, 16):
        raise WeightsError(
            f"{path.name} has {rows} rows in {key}; 8 or 16 steps of {3 * config.depformer_width} rows are"
            f" known. {NEXT_STEP}"
        )
    return steps


def _check_keys(path: Path, weights: safe_open, shapes: dict[str, tuple[int, ...]]) -> None:
    found = set(weights.keys())
    for kind, keys in (("lacks", shapes.keys() - found), ("has the unknown", found - shapes.keys())):
        if keys:
            listed = ", ".join(shorten(key, 80) for key in sorted(keys)[:MAX_LISTED_KEYS])
            more = f" and {len(keys) - MAX_LISTED_KEYS} more" if len(keys) > MAX_LISTED_KEYS else ""
            raise WeightsError(
                f"{path.name} {kind} tensor{'s' if len(keys) > 1 else ''} {listed}{more}. {NEXT_STEP}"
            )
    for key, shape in shapes.items():
        view = weights.get_slice(key)
        if tuple(view.get_shape()) != shape:
            raise WeightsError(
                f"{path.name}: {key} has the shape {view.get_shape()}; it must be {list(shape)}. {NEXT_STEP}"
            )
        if not re.fullmatch(r"BF16|F16|F32", view.get_dtype()):
            raise WeightsError(
                f"{path.name}: {key} is {view.get_dtype()}; BF16, F16 and F32 are read. {NEXT_STEP}"
            )


def _load_tensors(
    path: Path,
    model: nn.Module,
    shapes: dict[str, tuple[int, ...]],
    device: torch.device,
    dtype: torch.dtype,
    report: Progress | None,
    quantize: str = "none",
    offloaded: tuple[str, ...] = (),
    steps: int = 0,
) -> None:
    """Load one tensor at a time, so that no second copy of the weights is ever held.

    Tensors whose key begins with one of `offloaded` stay in host memory. `steps` are the depformer's steps of
    a language model; a model without any is not packed.
    """
    wanted = model.state_dict()
    total = sum(tensor.numel() for tensor in wanted.values())
    done = 0
    integer = quantize != "none" and integer_product_works(device)
    for key, empty in wanted.items():
        # the model keeps fewer depformer steps than the file has; the rows of the first steps come first
        part = _read_tensor(path, key, empty.shape[0] if tuple(empty.shape) != shapes[key] else None)
        try:
            # always a copy: a view would keep the file's mapped pages in memory
            tensor = part.to(device=device, dtype=dtype, copy=True)
            scheme = scheme_of(key, tuple(tensor.shape), quantize)
            away = bool(offloaded) and key.startswith(offloaded)
            if scheme != "none":
                stored = quantized(tensor, scheme, integer)
            elif steps and not away:
                stored = packed_or_plain(key, tensor, steps)
            else:
                stored = tensor
            if away:
                stored = to_host(stored, device)
        # a GPU raises OutOfMemoryError, PyTorch's CPU allocator a plain RuntimeError
        except (torch.OutOfMemoryError, RuntimeError) as error:
            schemes = {name: scheme_of(name, tuple(t.shape), quantize) for name, t in wanted.items()}
            needed = sum(
                stored_bytes(tuple(t.shape), schemes[name], dtype.itemsize) for name, t in wanted.items()
            )
            smaller = (
                "" if quantize == "int4" else f"--quantize {'int8' if quantize == 'none' else 'int4'}, or "
            )
            raise EngineError(
                f"{path.name} needs {needed / 2**30:.1f} GiB on {device} and there is no room"
                f" ({shorten(error, 60)}). Use {smaller}a device with more memory."
            ) from error
        _set_tensor(model, key, stored)
        done += empty.numel()
        if report:
            report(done / total)


def _read_tensor(path: Path, key: str, rows: int | None) -> torch.Tensor:
    """Return a tensor, or its first rows, as a view of the file.

    The file is opened anew for each tensor: its mapped pages are released with the view, so that host memory
    holds one tensor at a time.
    """
    with _open_weights(path) as weights:
        return weights.get_tensor(key) if rows is None else weights.get_slice(key)[:rows]


def _set_tensor(model: nn.Module, key: str, tensor: torch.Tensor | nn.Module) -> None:
    parent, _, name = key.rpartition(".")
    module = model.get_submodule(parent)
    if isinstance(tensor, nn.Module):
        # PyTorch refuses a submodule under the name of a parameter
        delattr(module, name)
        module.add_module(name, tensor)
    elif name in module._parameters:
        module._parameters[name] = nn.Parameter(tensor, requires_grad=False)
    else:
        module._buffers[name] = tensor
