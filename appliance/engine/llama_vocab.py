"""The vocabulary's tables of a loaded model: they do not change, and any thread may read them."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import llama_cpp

from appliance.engine.errors import DecodeError
from appliance.engine.llama_sampler import parse_grammar

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE_BYTES = 512
_TOKENS_MOST = 1 << 26
_ATTR_CONTROL = 1 << 3


class LlamaVocabulary:
    """The part of ``appliance.engine.context.Context`` that needs no context. The model lives longer than this."""

    def __init__(self, vocab: Any) -> None:
        self._vocab = vocab
        self._vocabulary: int = llama_cpp.llama_vocab_n_tokens(vocab)
        self._controls = tuple(self._control_texts())

    @property
    def control_texts(self) -> Sequence[str]:
        """See ``Context``."""
        return self._controls

    def tokenize(self, text: str, *, control: bool, begin: bool) -> list[int]:
        """See ``Context``. Tokens are no more than bytes, unless spaces are spelled out: then it is asked again."""
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 8
        for _ in range(2):
            buffer = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, room, begin, control)
            if count >= 0:
                return buffer[:count]
            room = -count  # what it takes, or more than any int (llama.h)
            if room > _TOKENS_MOST:
                break
        raise DecodeError("the prompt could not be tokenised")

    def piece(self, token: int) -> bytes:
        """See ``Context``."""
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, _PIECE_BYTES, 0, False)  # noqa: FBT003 - C call
        return buffer.raw[: max(0, length)]

    def is_end(self, token: int) -> bool:
        """See ``Context``."""
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    def check_grammar(self, grammar: str) -> bool:
        """See ``Context``."""
        parsed = parse_grammar(self._vocab, grammar)
        if parsed is None:
            return False
        llama_cpp.llama_sampler_free(parsed)
        return True

    def _control_texts(self) -> list[str]:
        return [
            llama_cpp.llama_vocab_get_text(self._vocab, token).decode(errors="replace")
            for token in range(self._vocabulary)
            if llama_cpp.llama_vocab_get_attr(self._vocab, token) & _ATTR_CONTROL
        ]
