"""A published BERT becomes a GGUF that says the same thing, the same way every time, or is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file

from airgap_bundle.build.conversion.bert_gguf import Published, convert
from airgap_bundle.build.conversion.word_pieces import read_vocabulary
from airgap_bundle.errors import BuildError
from appliance.models.gguf_tensors import read_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PIECES = ("[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "sign", "##ed", "un", "\u00e9t\u00e9")
WIDE, INNER, LAYERS, POSITIONS = 8, 16, 2, 12
CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": WIDE,
    "intermediate_size": INNER,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": POSITIONS,
    "num_attention_heads": 2,
    "num_hidden_layers": LAYERS,
    "type_vocab_size": 2,
    "vocab_size": len(PIECES),
}
POOLING = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}


def tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    shapes = {
        "embeddings.word_embeddings.weight": (len(PIECES), WIDE),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDE),
        "embeddings.token_type_embeddings.weight": (2, WIDE),
        "embeddings.LayerNorm.weight": (WIDE,),
        "embeddings.LayerNorm.bias": (WIDE,),
        "pooler.dense.weight": (WIDE, WIDE),
        "pooler.dense.bias": (WIDE,),
    }
    for layer in range(LAYERS):
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes[f"encoder.layer.{layer}.{part}.weight"] = (WIDE, WIDE)
            shapes[f"encoder.layer.{layer}.{part}.bias"] = (WIDE,)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"encoder.layer.{layer}.{part}.weight"] = (WIDE,)
            shapes[f"encoder.layer.{layer}.{part}.bias"] = (WIDE,)
        shapes[f"encoder.layer.{layer}.intermediate.dense.weight"] = (INNER, WIDE)
        shapes[f"encoder.layer.{layer}.intermediate.dense.bias"] = (INNER,)
        shapes[f"encoder.layer.{layer}.output.dense.weight"] = (WIDE, INNER)
        shapes[f"encoder.layer.{layer}.output.dense.bias"] = (WIDE,)
    made = {name: random.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    return made | {"embeddings.position_ids": np.arange(POSITIONS)[None]}


def published(
    folder: Path, weights: dict[str, np.ndarray] | None = None, config: dict[str, object] | None = None
) -> Published:
    path = folder / "model.safetensors"
    save_file(weights or tensors(), path)
    vocabulary = read_vocabulary("".join(f"{piece}\n" for piece in PIECES).encode())
    return Published(path, json.dumps(config or CONFIG).encode(), json.dumps(POOLING).encode(), vocabulary)


def converted(folder: Path, **changes: object) -> bytes:
    target = folder / "out.gguf"
    convert(published(folder, **changes), "tiny", "f16", target, lambda _done, _total: None)  # type: ignore[arg-type]  # by name
    return target.read_bytes()


def test_equal_inputs_give_equal_bytes_wherever_they_lie(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "another" / "place"]
    for folder in folders:
        folder.mkdir(parents=True)
    assert converted(folders[0]) == converted(folders[1])


def test_the_gates_own_reader_accepts_what_was_written(tmp_path: Path) -> None:
    converted(tmp_path)
    with (tmp_path / "out.gguf").open("rb") as stream:
        header = read_header(stream.fileno(), (tmp_path / "out.gguf").stat().st_size)
    assert header.architecture == "bert"


def test_pieces_get_the_spelling_of_the_engines_tokenizer() -> None:
    vocabulary = read_vocabulary("\n".join(PIECES).encode())
    assert vocabulary.tokens[6:] == ("\u2581sign", "ed", "\u2581un", "\u2581\u00e9t\u00e9")
    assert vocabulary.tokens[:6] == PIECES[:6]
    assert vocabulary.types[:7] == (3, 5, 2, 3, 3, 3, 1)
    assert vocabulary.special == {"pad": 0, "unk": 2, "cls": 3, "sep": 4, "mask": 5}


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "empty"),
        (b"[PAD]\n[PAD]\n", "twice"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n", r"lacks \[MASK\]"),
        (b"\xff\xfe", "not utf-8"),
    ],
)
def test_a_vocabulary_that_is_none_is_refused(data: bytes, cause: str) -> None:
    with pytest.raises(BuildError, match=cause):
        read_vocabulary(data)


def without(name: str) -> Callable[[dict[str, np.ndarray]], object]:
    return lambda found: found.pop(name)


def with_value(name: str, value: np.ndarray) -> Callable[[dict[str, np.ndarray]], object]:
    return lambda found: found.update({name: value})


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (without("encoder.layer.1.output.dense.bias"), r"blk\.1\.ffn_down\.bias"),
        (with_value("embeddings.LayerNorm.bias", np.zeros(9, np.float32)), r"token_embd_norm\.bias"),
        (with_value("encoder.layer.2.output.dense.bias", np.zeros(WIDE, np.float32)), r"blk\.2\.ffn_down\.bias"),
        (with_value("encoder.layer.0.secret.bias", np.zeros(WIDE, np.float32)), "not known in a bert"),
        (with_value("embeddings.LayerNorm.bias", np.full(WIDE, np.nan, np.float32)), "not finite"),
        (with_value("embeddings.LayerNorm.bias", np.zeros(WIDE, np.float64)), "single precision"),
    ],
)
def test_weights_that_are_not_the_whole_model_are_refused(
    tmp_path: Path, change: Callable[[dict[str, np.ndarray]], object], cause: str
) -> None:
    weights = tensors()
    change(weights)
    with pytest.raises(BuildError, match=cause):
        converted(tmp_path, weights=weights)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"model_type": "roberta"}, "model_type"),
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"num_hidden_layers": -1}, "num_hidden_layers"),
    ],
)
def test_another_computation_than_this_tool_writes_is_refused(
    tmp_path: Path, change: dict[str, object], where: str
) -> None:
    with pytest.raises(BuildError, match=where):
        converted(tmp_path, config=CONFIG | change)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    source = published(tmp_path)
    source.weights.write_bytes(b"\xff" * 64)
    with pytest.raises(BuildError, match="no safetensors file"):
        convert(source, "tiny", "f16", tmp_path / "out.gguf", lambda _done, _total: None)
