"""Log probabilities as OpenAI's API words them, for chats and for completions. Pure.

Both are of the model's own distribution, before temperature, cuts and grammar. A token whose bytes are no whole text by
themselves is shown with U+FFFD; chats carry its bytes beside it. Source: OpenAI API reference, "Chat completions"
(``choices[].logprobs.content``) and "Completions" (``choices[].logprobs``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.protocol import TokenLogprob

Object = dict[str, Any]


def chat_logprobs(found: Sequence[TokenLogprob]) -> Object:
    """``{"content": [{token, bytes, logprob, top_logprobs}]}``."""
    content = [
        {**_of(each.piece, each.logprob), "top_logprobs": [_of(piece, logprob) for piece, logprob in each.top]}
        for each in found
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(found: Sequence[TokenLogprob], offset: int) -> Object:
    """Parallel lists. ``text_offset`` counts characters of the answer; ``offset`` is that of the first token.

    Tokens of one text in ``top_logprobs`` are one key there, with the likeliest's value.
    """
    tokens = [_text(each.piece) for each in found]
    offsets = [offset + sum(map(len, tokens[:index])) for index in range(len(tokens))]
    return {
        "tokens": tokens,
        "token_logprobs": [each.logprob for each in found],
        "top_logprobs": [{_text(p): x for p, x in reversed(each.top)} for each in found],
        "text_offset": offsets,
    }


def _of(piece: bytes, logprob: float) -> Object:
    return {"token": _text(piece), "logprob": logprob, "bytes": list(piece)}


def _text(piece: bytes) -> str:
    return piece.decode(errors="replace")
