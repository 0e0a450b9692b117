"""A tiny random Qwen2 checkpoint in the Hub's layout, and what it computes, by another implementation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

WIDTH, INNER, LAYERS = 64, 96, 2
HEADS, HEADS_KV = 4, 2
HEAD = WIDTH // HEADS
ROPE_BASE, EPSILON = 10_000.0, 1e-6
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS_KV,
    "num_hidden_layers": LAYERS,
    "rms_norm_eps": EPSILON,
    "rope_theta": ROPE_BASE,
    "tie_word_embeddings": True,
}


def write_tiny_llm(folder: Path, seed: int = 0) -> dict[str, np.ndarray]:
    """Write the checkpoint, its weights as bfloat16, and return the weights as float32.

    It has all letters as tokens, so that it reads every text; what it says is noise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: k for k, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in ("<|im_start|>", "<|im_end|>")])
    tokenizer.save(str(folder / "tokenizer.json"))
    vocabulary = tokenizer.get_vocab_size()
    (folder / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": vocabulary}))
    rng = np.random.default_rng(seed)
    kv = HEADS_KV * HEAD
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocabulary, WIDTH),
        "model.norm.weight": (WIDTH,),
    }
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        shapes |= {
            f"{prefix}.input_layernorm.weight": (WIDTH,),
            f"{prefix}.post_attention_layernorm.weight": (WIDTH,),
            f"{prefix}.self_attn.q_proj.weight": (WIDTH, WIDTH),
            f"{prefix}.self_attn.q_proj.bias": (WIDTH,),
            f"{prefix}.self_attn.k_proj.weight": (kv, WIDTH),
            f"{prefix}.self_attn.k_proj.bias": (kv,),
            f"{prefix}.self_attn.v_proj.weight": (kv, WIDTH),
            f"{prefix}.self_attn.v_proj.bias": (kv,),
            f"{prefix}.self_attn.o_proj.weight": (WIDTH, WIDTH),
            f"{prefix}.mlp.gate_proj.weight": (INNER, WIDTH),
            f"{prefix}.mlp.up_proj.weight": (INNER, WIDTH),
            f"{prefix}.mlp.down_proj.weight": (WIDTH, INNER),
        }
    weights, header, data = {}, {}, b""
    for name, shape in shapes.items():
        values = rng.standard_normal(shape, np.float32) * 0.3 + ("norm" in name)
        upper = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        offsets = [len(data), len(data) + upper.nbytes]
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": offsets}
        data += upper.tobytes()
        weights[name] = (upper.astype(np.uint32) << 16).view(np.float32)
    head = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + data)
    return weights


def reference_logits(weights: dict[str, np.ndarray], tokens: list[int]) -> np.ndarray:
    """Return the next token's logits, in float32 and without a cache.

    Source: the Llama and Qwen2 papers; positions are rotated by halves of a head.
    """
    x = weights["model.embed_tokens.weight"][tokens]
    angles = np.outer(np.arange(len(tokens)), ROPE_BASE ** -(np.arange(0, HEAD, 2) / HEAD))
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]

    def norm(values: np.ndarray, name: str) -> np.ndarray:
        return values / np.sqrt((values**2).mean(-1, keepdims=True) + EPSILON) * weights[f"{name}.weight"]

    def linear(values: np.ndarray, name: str) -> np.ndarray:
        return values @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0)

    def rotated(values: np.ndarray, heads: int) -> np.ndarray:
        first, second = np.split(values.reshape(len(tokens), heads, HEAD), 2, axis=-1)
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        hidden = norm(x, f"{prefix}.input_layernorm")
        queries = rotated(linear(hidden, f"{prefix}.self_attn.q_proj"), HEADS)
        keys = rotated(linear(hidden, f"{prefix}.self_attn.k_proj"), HEADS_KV).repeat(HEADS // HEADS_KV, 1)
        values = linear(hidden, f"{prefix}.self_attn.v_proj").reshape(len(tokens), HEADS_KV, HEAD)
        values = values.repeat(HEADS // HEADS_KV, 1)
        scores = np.einsum("qhd,khd->hqk", queries, keys) / np.sqrt(HEAD)
        scores = np.where(np.tri(len(tokens), dtype=bool), scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = np.einsum("hqk,khd->qhd", shares, values).reshape(len(tokens), WIDTH)
        x = x + linear(mixed, f"{prefix}.self_attn.o_proj")
        hidden = norm(x, f"{prefix}.post_attention_layernorm")
        gate = linear(hidden, f"{prefix}.mlp.gate_proj")
        swish = gate / (1 + np.exp(-gate))
        x = x + linear(swish * linear(hidden, f"{prefix}.mlp.up_proj"), f"{prefix}.mlp.down_proj")
    return norm(x[-1], "model.norm") @ weights["model.embed_tokens.weight"].T
