"""A BERT encoder for sentence embeddings as its paper has it, in double precision and without any library of models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EPSILON = 1e-12
HEADS = 12
erf = np.vectorize(math.erf)


def norm(hidden: np.ndarray, weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    centred = hidden - hidden.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def dense(hidden: np.ndarray, weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return hidden @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def reference(tokens: Sequence[int], weights: Mapping[str, np.ndarray], layers: int) -> np.ndarray:
    """The vector of ``tokens``: Devlin et al. 2018, mean over the tokens. ``weights`` by the names of safetensors."""
    count = len(tokens)
    embedded = weights["embeddings.word_embeddings.weight"][list(tokens)]
    embedded = embedded + weights["embeddings.position_embeddings.weight"][:count]
    embedded = embedded + weights["embeddings.token_type_embeddings.weight"][0]
    hidden = norm(embedded, weights, "embeddings.LayerNorm")
    for number in range(layers):
        layer = f"encoder.layer.{number}"
        query, key, value = (
            dense(hidden, weights, f"{layer}.attention.self.{part}").reshape(count, HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        attended = dense(mixed.transpose(1, 0, 2).reshape(count, -1), weights, f"{layer}.attention.output.dense")
        hidden = norm(attended + hidden, weights, f"{layer}.attention.output.LayerNorm")
        inner = dense(hidden, weights, f"{layer}.intermediate.dense")
        inner = inner * (1 + erf(inner / math.sqrt(2))) / 2
        hidden = norm(dense(inner, weights, f"{layer}.output.dense") + hidden, weights, f"{layer}.output.LayerNorm")
    mean: np.ndarray = hidden.mean(0)
    return mean / np.linalg.norm(mean)
