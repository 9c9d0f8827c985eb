"""The seam below the scheduler: the few calls that an engine needs from a loaded model.

``appliance.engine.llama`` implements it on llama.cpp; unit tests implement it on a list of tokens. Calls marked
*owner* touch the context and belong to the one thread that decodes; the others read immutable vocabulary tables and
may be made from any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. ``temperature`` 0 is greedy; ``grammar`` is GBNF text."""

    temperature: float
    top_p: float
    top_k: int | None
    seed: int
    grammar: str | None


class Sampler(Protocol):
    """Draws tokens for one request."""

    def sample(self) -> int:
        """*Owner.* The next token, from the logits of the last decode. Raises ``DecodeError``."""
        ...

    def close(self) -> None:
        """*Owner.* Free what it holds; safe to call twice."""
        ...


class Context(Protocol):
    """A loaded model with room for ``context_tokens`` tokens, read ``chunk_tokens`` at a time at most."""

    @property
    def context_tokens(self) -> int:
        """Prompt and completion together cannot be longer."""
        ...

    @property
    def chunk_tokens(self) -> int:
        """Longest sequence that one ``decode`` takes; also the grain of cancellation while a prompt is read."""
        ...

    @property
    def control_texts(self) -> Sequence[str]:
        """Texts of the vocabulary's control tokens: what a person's text must never be tokenised into."""
        ...

    def tokenize(self, text: str, *, control: bool, begin: bool) -> list[int]:
        """Token ids. ``control``: recognise control tokens; ``begin``: add what the model wants at the start."""
        ...

    def piece(self, token: int) -> bytes:
        """Bytes of a token; possibly a part of a UTF-8 sequence, empty for control tokens."""
        ...

    def is_end(self, token: int) -> bool:
        """Whether the token ends a generation."""
        ...

    def check_grammar(self, grammar: str) -> bool:
        """Whether the GBNF text can be used."""
        ...

    def clear(self) -> None:
        """*Owner.* Forget everything that was decoded, contents included."""
        ...

    def decode(self, tokens: Sequence[int], position: int) -> None:
        """*Owner.* Append ``tokens`` at ``position``; the last one's logits are kept. Raises ``DecodeError``."""
        ...

    def sampler(self, sampling: Sampling) -> Sampler:
        """*Owner.* A sampler for one request. Raises ``DecodeError`` when the grammar cannot be used."""
        ...
