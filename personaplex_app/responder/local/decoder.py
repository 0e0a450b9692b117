"""Run a converted language model, some tokens at a time, with a memory of what it has read.

Source: the inputs and outputs are those that `conversion` writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime import OrtValue
from tokenizers import Tokenizer

from .conversion import MAX_TOKENS, MODEL_FILE, TOKENIZER_FILE


@dataclass
class Context:
    """What the model has read of one talk: the tokens, and their keys and values (the KV cache)."""

    tokens: list[int] = field(default_factory=list)
    cache: dict[str, OrtValue] = field(default_factory=dict)


class Decoder:
    """One loaded model. Not thread-safe."""

    def __init__(self, folder: Path, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # threads that wait would take the cores that a talk's 80 ms need
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = ort.InferenceSession(
            str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
        )
        self._empty = {
            each.name: OrtValue.ortvalue_from_numpy(
                np.zeros([0 if isinstance(size, str) else size for size in each.shape], np.float32)
            )
            for each in self._session.get_inputs()
            if each.name.startswith("past.")
        }
        self._outputs = [each.name for each in self._session.get_outputs()]
        self.tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))

    def read(self, context: Context, tokens: Sequence[int]) -> np.ndarray:
        """Add tokens to a context and return the logits of the next one.

        Shapes: float32 [V], the size of the vocabulary.
        Raises: ValueError when the context would be longer than the model's longest.
        """
        total = len(context.tokens) + len(tokens)
        if total > MAX_TOKENS:
            raise ValueError(f"the context has {total} tokens; the limit is {MAX_TOKENS}")
        feed = {
            "input_ids": OrtValue.ortvalue_from_numpy(np.array([tokens], np.int64)),
            "last_position": OrtValue.ortvalue_from_numpy(np.array([total - 1], np.int32)),
            "total_tokens": OrtValue.ortvalue_from_numpy(np.array(total, np.int32)),
            **(context.cache or self._empty),
        }
        found = self._session.run_with_ort_values(self._outputs, feed)
        results = dict(zip(self._outputs, found, strict=True))
        logits = results.pop("logits").numpy()[0, 0]
        context.tokens = [*context.tokens, *tokens]
        context.cache = {name.replace("present", "past"): value for name, value in results.items()}
        return logits


def forget(context: Context, keep: int) -> None:
    """Shorten a context to its first `keep` tokens."""
    if keep < len(context.tokens):
        context.tokens = context.tokens[:keep]
        context.cache = {
            name: OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value.numpy()[:, :, :keep]))
            for name, value in context.cache.items()
        }
