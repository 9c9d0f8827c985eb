"""What llama.cpp calls the parts of a BERT encoder, what shape each has, and what its file says of the whole.

Keys and tensor names are llama.cpp's for architecture ``bert`` (`src/llama-arch.cpp`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import gguf
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ARCHITECTURE = "bert"
# Added to activations in single precision by llama.cpp, whatever precision the matrices have.
SINGLE = ("position_embd.weight", "token_types.weight")
_IN_LAYER = (
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "attn_output_norm",
    "ffn_up",
    "ffn_down",
    "layer_output_norm",
)


class BertConfig(BaseModel):
    """What of `config.json` shapes the computation; another value of a fixed field is another computation."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model_type: Literal["bert"]
    hidden_act: Literal["gelu"]
    position_embedding_type: Literal["absolute"] = "absolute"
    hidden_size: int = Field(gt=0, le=1 << 16)
    intermediate_size: int = Field(gt=0, le=1 << 18)
    layer_norm_eps: float = Field(gt=0, lt=1)
    max_position_embeddings: int = Field(gt=0, le=1 << 20)
    num_attention_heads: int = Field(gt=0, le=1 << 10)
    num_hidden_layers: int = Field(gt=0, le=999)
    type_vocab_size: int = Field(gt=0, le=1 << 10)
    vocab_size: int = Field(gt=0, le=1 << 20)


def shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of the encoder with its shape, rows first."""
    wide, inner = config.hidden_size, config.intermediate_size
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (config.vocab_size, wide),
        "position_embd.weight": (config.max_position_embeddings, wide),
        "token_types.weight": (config.type_vocab_size, wide),
        "token_embd_norm.weight": (wide,),
        "token_embd_norm.bias": (wide,),
    }
    matrices = {"ffn_up": (inner, wide), "ffn_down": (wide, inner)}
    for layer in range(config.num_hidden_layers):
        for part in _IN_LAYER:
            rows, columns = matrices.get(part, (wide, wide))
            found[f"blk.{layer}.{part}.weight"] = (wide,) if part.endswith("_norm") else (rows, columns)
            found[f"blk.{layer}.{part}.bias"] = (rows,)
    return found


def misfits(found: dict[str, tuple[int, ...]], config: BertConfig) -> list[str]:
    """Names of tensors that lack, are of another shape, or that no such encoder has; sorted."""
    expected = shapes(config)
    differing = {name for name in found.keys() & expected if found[name] != expected[name]}
    return sorted(found.keys() ^ expected.keys() | differing)


def describe(writer: gguf.GGUFWriter, config: BertConfig, name: str, precision: gguf.LlamaFileType) -> None:
    """The keys of the whole: what is computed, and that a text's vector is the mean of its tokens'."""
    writer.add_name(name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    writer.add_causal_attention(value=False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(precision)


def vocabulary(
    writer: gguf.GGUFWriter, config: BertConfig, tokens: Sequence[str] | Sequence[bytes], types: Iterable[int]
) -> None:
    """Tokens in their order and the type of each (``llama_token_type``), which is what every tokenizer needs."""
    writer.add_token_type_count(config.type_vocab_size)
    writer.add_token_list(tokens)
    writer.add_token_types(list(types))


def finish(writer: gguf.GGUFWriter) -> None:
    """Write what was added, and close the file."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
