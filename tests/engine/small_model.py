"""A model of half a megabyte with random weights: sliding-window layers, one that sees everything, tokens for bytes.

Its words mean nothing; its arithmetic is llama.cpp's. Weights are large enough that the best token mostly leads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

WINDOW = 16
LAYERS, WIDTH, HEADS, HEAD, INNER = 6, 64, 4, 16, 128  # of six layers of a gemma3, the sixth sees everything
TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
RANK = 4  # of adapters
LOUD = 3.0  # what a layer adds counts for more than the token that it stands on
KINDS = [2, 3, 3, *[6] * 256]  # unknown, control, control, bytes


def write(path: Path, seed: int = 1, adapted_by: int | None = None) -> Path:
    """The model of ``seed`` at ``path``; with ``adapted_by``, that adapter's difference added to its weights."""
    added = {} if adapted_by is None else {name: b @ a for name, (a, b) in _differences(adapted_by).items()}
    draw = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_context_length(4096)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_sliding_window(WINDOW)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types(KINDS)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    for name, shape in _shapes():
        plain = np.full(shape, LOUD if "post_" in name else 1.0)
        if len(shape) > 1:
            plain = draw.normal(0, 2 / np.sqrt(shape[-1]), shape) + added.get(name, 0.0)
        writer.add_tensor(name, plain.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_adapter(path: Path, seed: int) -> Path:
    """A LoRA adapter for the models of this module, at ``path`` (llama.cpp's convention for GGUF)."""
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK))
    for name, (a, b) in _differences(seed).items():
        writer.add_tensor(f"{name}.lora_a", a.astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", b.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _differences(seed: int) -> dict[str, tuple[Any, Any]]:
    """For two matrices of every layer, the two of small rank whose product is added."""
    draw = np.random.default_rng(1000 + seed)
    found = {}
    for name, shape in _shapes():
        if name.endswith(("attn_v.weight", "ffn_down.weight")):
            found[name] = (draw.normal(0, 0.3, (RANK, shape[1])), draw.normal(0, 0.3, (shape[0], RANK)))
    return found


def _shapes() -> list[tuple[str, tuple[int, ...]]]:
    table = (len(TOKENS), WIDTH)
    shapes: list[tuple[str, tuple[int, ...]]] = [("token_embd.weight", table), ("output.weight", table)]
    shapes.append(("output_norm.weight", (WIDTH,)))
    for layer in range(LAYERS):
        parts: dict[str, tuple[int, ...]] = {
            "attn_norm": (WIDTH,),
            "attn_q": (HEADS * HEAD, WIDTH),
            "attn_k": (HEAD, WIDTH),
            "attn_v": (HEAD, WIDTH),
            "attn_output": (WIDTH, HEADS * HEAD),
            "attn_q_norm": (HEAD,),
            "attn_k_norm": (HEAD,),
            "post_attention_norm": (WIDTH,),
            "ffn_norm": (WIDTH,),
            "ffn_gate": (INNER, WIDTH),
            "ffn_up": (INNER, WIDTH),
            "ffn_down": (WIDTH, INNER),
            "post_ffw_norm": (WIDTH,),
        }
        shapes += [(f"blk.{layer}.{part}.weight", shape) for part, shape in parts.items()]
    return shapes
