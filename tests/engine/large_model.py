"""A model with random weights of the size that people use: eight times 128 MiB of one matrix again and again.

Speed depends on shapes and kinds of numbers and not on what they are, so that one drawn block serves for all layers.
Its words mean nothing. Tokens are bytes, as in ``small_model``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gguf
import numpy as np

from tests.engine.small_model import KINDS, TOKENS

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Shape:
    """A llama's sizes; the default has 1.2 thousand million weights in 16 bits, as Llama 3.2 1B without its table."""

    layers: int = 16
    width: int = 2048
    heads: int = 32
    groups: int = 8
    inner: int = 8192
    context: int = 8192


def write(path: Path, shape: Shape, seed: int = 1) -> Path:
    """The model at ``path``: some gigabytes for the default shape."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.groups)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types(KINDS)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    block = np.random.default_rng(seed).standard_normal(shape.width * shape.inner, dtype=np.float32)
    for name, sizes in _tensors(shape):
        if len(sizes) == 1:
            writer.add_tensor(name, np.ones(sizes, np.float32))
            continue
        drawn = block[: sizes[0] * sizes[1]].reshape(sizes) / np.sqrt(sizes[1])
        writer.add_tensor(name, drawn.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tensors(shape: Shape) -> list[tuple[str, tuple[int, ...]]]:
    table, keys = (len(TOKENS), shape.width), shape.width // shape.heads * shape.groups
    found: list[tuple[str, tuple[int, ...]]] = [("token_embd.weight", table), ("output.weight", table)]
    found.append(("output_norm.weight", (shape.width,)))
    for layer in range(shape.layers):
        parts: dict[str, tuple[int, ...]] = {
            "attn_norm": (shape.width,),
            "attn_q": (shape.width, shape.width),
            "attn_k": (keys, shape.width),
            "attn_v": (keys, shape.width),
            "attn_output": (shape.width, shape.width),
            "ffn_norm": (shape.width,),
            "ffn_gate": (shape.inner, shape.width),
            "ffn_up": (shape.inner, shape.width),
            "ffn_down": (shape.width, shape.inner),
        }
        found += [(f"blk.{layer}.{part}.weight", sizes) for part, sizes in parts.items()]
    return found
