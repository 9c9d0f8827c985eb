"""Samplers on llama.cpp: its chains in C, and its grammar in C, tried on one candidate before it is tried on all.

Order of a chain: temperature, then top-k, then top-p, then the draw, as the API's users expect; temperature 0 is the
most probable token. A grammar is applied to the whole vocabulary only when the token drawn without it does not fit:
over 262,144 candidates that saves most of its cost.

Over a vocabulary of 262,144 tokens a chain costs more than its share of a decode (``top_p`` alone sorts for 77 ms of
CPU, measured). So a chain that cuts to the most probable tokens is given those alone, found by the maxima of blocks;
and a request that gives no ``top_k`` has its nucleus drawn from the ``_NUCLEUS`` most probable ones. Greedy is the
first of the highest logits, as in llama.cpp; a temperature alone is a draw from the whole (``distribution``).
"""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any

import llama_cpp
import numpy as np
from numpy.random import default_rng  # by name: numpy loads it late, and a sealed process loads nothing

from appliance.engine.distribution import drawn, likeliest
from appliance.engine.errors import DecodeError

if TYPE_CHECKING:
    from appliance.engine.context import Sampling

Logits = np.ndarray[Any, np.dtype[np.float32]]
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
_NUCLEUS = 1024
_NOTHING_SELECTED = -1


def parse_grammar(vocab: Any, grammar: str) -> Any | None:
    """A grammar sampler that the caller frees, or ``None`` when llama.cpp cannot use the text."""
    return llama_cpp.llama_sampler_init_grammar(vocab, grammar.encode(), b"root") or None


def cut_of(sampling: Sampling) -> int:
    """How many of the most probable tokens a draw looks at; 0: all."""
    return sampling.top_k or (_NUCLEUS if sampling.top_p < 1 else 0)


def _new_chain(sampling: Sampling) -> Any:
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    if sampling.temperature <= 0:
        llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_greedy())
        return chain
    llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_temp(sampling.temperature))
    if top_k := cut_of(sampling):
        llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_top_k(top_k))
    if sampling.top_p < 1:
        llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_top_p(sampling.top_p, 1))
    llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_dist(sampling.seed))
    return chain


def logits_at(context: Any, row: int, vocabulary: int) -> Logits:
    """The logits of a row of the last decode, without a copy; they change with the next decode."""
    pointer = llama_cpp.llama_get_logits_ith(context, row)
    if not pointer:
        raise DecodeError("the batch kept no logits for this row")
    address = ctypes.addressof(pointer.contents)
    found: Logits = np.ctypeslib.as_array((ctypes.c_float * vocabulary).from_address(address))
    return found


class GreedySampler:
    """Implements ``Sampler`` for temperature 0."""

    def __init__(self, context: Any, vocabulary: int) -> None:
        self._context = context
        self._vocabulary = vocabulary

    def sample(self, row: int) -> int:
        """See ``Sampler``."""
        return int(logits_at(self._context, row, self._vocabulary).argmax())

    def close(self) -> None:
        """See ``Sampler``; it holds nothing."""


class WholeSampler:
    """Implements ``Sampler`` for a temperature and no cut."""

    def __init__(self, context: Any, vocabulary: int, sampling: Sampling) -> None:
        self._context = context
        self._vocabulary = vocabulary
        self._temperature = sampling.temperature
        self._random = default_rng(sampling.seed)

    def sample(self, row: int) -> int:
        """See ``Sampler``."""
        return drawn(logits_at(self._context, row, self._vocabulary), self._temperature, self._random.random())

    def close(self) -> None:
        """See ``Sampler``; it holds nothing."""


class PlainSampler:
    """Implements ``Sampler`` without a grammar, for a cut."""

    def __init__(self, context: Any, vocabulary: int, sampling: Sampling) -> None:
        self._context = context
        self._vocabulary = vocabulary
        self._chain = _new_chain(sampling)
        self._most = min(vocabulary, cut_of(sampling))

    def sample(self, row: int) -> int:
        """See ``Sampler``."""
        logits = logits_at(self._context, row, self._vocabulary)
        ids = likeliest(logits, self._most)
        candidates = np.zeros(len(ids), dtype=_CANDIDATE)
        candidates["id"], candidates["logit"] = ids, logits[ids]
        token = _draw(self._chain, _array(candidates, in_order=True))
        llama_cpp.llama_sampler_accept(self._chain, token)
        return token

    def close(self) -> None:
        """See ``Sampler``."""
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)
            self._chain = None


class GrammarSampler:
    """Implements ``Sampler`` with a grammar. Raises ``DecodeError`` when the grammar text cannot be used."""

    def __init__(self, context: Any, vocab: Any, vocabulary: int, sampling: Sampling) -> None:
        grammar = parse_grammar(vocab, sampling.grammar or "")
        if grammar is None:
            raise DecodeError("the grammar cannot be used")
        self._grammar: Any = grammar
        self._chain = _new_chain(sampling)
        self._context = context
        self._vocab = vocab
        self._ids = np.arange(vocabulary, dtype=np.int32)
        self._candidates = np.zeros(vocabulary, dtype=_CANDIDATE)

    def sample(self, row: int) -> int:
        """See ``Sampler``. A grammar that admits no token at all is a ``DecodeError``, never a wrong token."""
        token = _draw(self._chain, self._all(row))
        if not self._fits(token):
            candidates = self._all(row)
            self._apply(self._grammar, candidates)
            if not math.isfinite(float(self._candidates["logit"].max())):
                raise DecodeError("the schema's grammar admits no further token")
            token = _draw(self._chain, candidates)
        if not llama_cpp.llama_vocab_is_eog(self._vocab, token):
            llama_cpp.llama_sampler_accept(self._grammar, token)
        llama_cpp.llama_sampler_accept(self._chain, token)
        return token

    def _all(self, row: int) -> Any:
        self._candidates["id"] = self._ids
        self._candidates["logit"] = logits_at(self._context, row, len(self._ids))
        self._candidates["p"] = 0
        return _array(self._candidates)

    @staticmethod
    def _apply(sampler: Any, array: Any) -> None:
        llama_cpp.llama_sampler_apply(sampler, ctypes.byref(array))

    def _fits(self, token: int) -> bool:
        one = np.array([(token, 1.0, 0.0)], dtype=_CANDIDATE)
        self._apply(self._grammar, _array(one))
        return math.isfinite(float(one["logit"][0]))

    def close(self) -> None:
        """See ``Sampler``."""
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)
            llama_cpp.llama_sampler_free(self._grammar)
            self._chain = self._grammar = None


def _array(candidates: np.ndarray[Any, np.dtype[np.void]], *, in_order: bool = False) -> Any:
    data = candidates.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
    return llama_cpp.llama_token_data_array(data, len(candidates), _NOTHING_SELECTED, in_order)


def _draw(chain: Any, array: Any) -> int:
    llama_cpp.llama_sampler_apply(chain, ctypes.byref(array))
    if not 0 <= array.selected < array.size:
        raise DecodeError("the sampler selected nothing")
    return int(array.data[array.selected].id)
