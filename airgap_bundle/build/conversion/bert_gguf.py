"""BERT encoders for sentence embeddings, from safetensors to GGUF.

Weights of two dimensions become half precision or stay, everything else stays single. Equal inputs give equal bytes:
nothing of this machine, no date and no name of a file goes into the output.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import gguf
import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from airgap_bundle.build.conversion import bert_shape
from airgap_bundle.build.conversion.bert_shape import BertConfig
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airgap_bundle.build.conversion.word_pieces import Vocabulary

Precision = Literal["f16", "f32"]
_Model = TypeVar("_Model", bound=BaseModel)
_LAYER = re.compile(r"encoder\.layer\.(\d{1,3})\.(.+)")
_TOP = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
_IN_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_UNUSED = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")


class Pooling(BaseModel):
    """`1_Pooling/config.json`: mean over the tokens, and nothing else."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    pooling_mode_mean_tokens: Literal[True]
    pooling_mode_cls_token: Literal[False] = False
    pooling_mode_max_tokens: Literal[False] = False
    pooling_mode_mean_sqrt_len_tokens: Literal[False] = False


@dataclass(frozen=True)
class Published:
    """What a producer published: the weights' file, and the bytes of the small files."""

    weights: Path
    config: bytes
    pooling: bytes
    vocabulary: Vocabulary


def convert(
    published: Published, name: str, precision: Precision, target: Path, on_tensor: Callable[[int, int], None]
) -> None:
    """Write ``target``. ``on_tensor`` hears tensors done and in all.

    Raises ``BuildError`` for another architecture than is named above, and when a tensor is missing, of another shape
    or left over: what is served must be the whole of what was published.
    """
    config = _parse(BertConfig, published.config, "config.json")
    _parse(Pooling, published.pooling, "pooling")
    if len(published.vocabulary.tokens) != config.vocab_size:
        raise BuildError(f"the vocabulary has {len(published.vocabulary.tokens)} pieces, not {config.vocab_size}")
    tensors = _read(published.weights)
    if wrong := bert_shape.misfits({one: tensor.shape for one, tensor in tensors.items()}, config):
        raise BuildError(f"tensors are not those of this architecture: {', '.join(wrong[:5])}")
    writer = gguf.GGUFWriter(target, bert_shape.ARCHITECTURE)
    half = gguf.LlamaFileType.MOSTLY_F16 if precision == "f16" else gguf.LlamaFileType.ALL_F32
    bert_shape.describe(writer, config, name, half)
    _tokenizer(writer, published.vocabulary, config)
    for number, tensor in enumerate(sorted(tensors), 1):
        writer.add_tensor(tensor, _cast(tensor, tensors[tensor], precision))
        on_tensor(number, len(tensors))
    bert_shape.finish(writer)


def _parse(kind: type[_Model], data: bytes, what: str) -> _Model:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BuildError(f"{what} is not that of a bert this tool converts: {where}: {first['msg']}") from error


def _read(path: Path) -> Mapping[str, np.ndarray]:
    """Tensors by llama.cpp's names, single precision."""
    found: dict[str, np.ndarray] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                if name in _UNUSED:
                    continue
                tensor = file.get_tensor(name)
                if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
                    raise BuildError(f"tensor {name!r:.80} is not finite numbers of single precision")
                found[_named(name)] = tensor
    except (SafetensorError, OSError) as error:
        raise BuildError(f"the weights are no safetensors file: {error}") from error
    return found


def _named(name: str) -> str:
    if name in _TOP:
        return _TOP[name]
    match = _LAYER.fullmatch(name)
    part, _, kind = match[2].rpartition(".") if match else ("", "", "")
    if match is None or part not in _IN_LAYER or kind not in ("weight", "bias"):
        raise BuildError(f"tensor {name!r:.80} is not known in a bert")
    return f"blk.{int(match[1])}.{_IN_LAYER[part]}.{kind}"


def _cast(name: str, tensor: np.ndarray, precision: Precision) -> np.ndarray:
    half = precision == "f16" and tensor.ndim > 1 and name not in bert_shape.SINGLE
    return tensor.astype(np.float16) if half else tensor


def _tokenizer(writer: gguf.GGUFWriter, vocabulary: Vocabulary, config: BertConfig) -> None:
    writer.add_tokenizer_model("bert")
    bert_shape.vocabulary(writer, config, vocabulary.tokens, vocabulary.types)
    special = vocabulary.special
    writer.add_bos_token_id(special["cls"])
    writer.add_eos_token_id(special["sep"])
    writer.add_unk_token_id(special["unk"])
    writer.add_sep_token_id(special["sep"])
    writer.add_pad_token_id(special["pad"])
    writer.add_mask_token_id(special["mask"])
