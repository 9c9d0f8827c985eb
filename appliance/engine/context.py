"""The seam below the scheduler: the few calls that an engine needs from a loaded model.

``appliance.engine.llama`` implements it on llama.cpp; tests implement it on lists of tokens, window included. Calls
marked *owner* touch the context and belong to the one thread that decodes; the others read immutable vocabulary tables
and may be made from any thread.

A *cell* holds keys and values of one token; a *sequence* is a set of cells with positions from 0 on. Cells that two
sequences own exist once. With a sliding window, a cell that one sequence alone owns may be reclaimed, without a word,
once it lies outside that sequence's window: so whatever must last is owned twice (see ``prefixes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from appliance.engine.protocol import TokenLogprob


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. ``temperature`` 0 is greedy; ``grammar`` is GBNF text."""

    temperature: float
    top_p: float
    top_k: int | None
    seed: int
    grammar: str | None


@dataclass(frozen=True)
class Piece:
    """Consecutive tokens of one request in a batch, owned by every sequence in ``sequences`` from the start.

    ``sampled``: the logits of the last token are kept, under the row that ``decode`` gives it.
    """

    tokens: tuple[int, ...]
    position: int
    sequences: tuple[int, ...]
    sampled: bool


class Sampler(Protocol):
    """Draws tokens for one request."""

    def sample(self, row: int) -> int:
        """*Owner.* The next token, from the logits at ``row`` of the last decode. Raises ``DecodeError``."""
        ...

    def close(self) -> None:
        """*Owner.* Free what it holds; safe to call twice."""
        ...


class Memory(Protocol):
    """The cells of a context. All calls are the owner's."""

    @property
    def window(self) -> int:
        """Tokens that the layer with the smallest sliding window sees; 0 where no layer has one."""
        ...

    def share(self, source: int, target: int, length: int) -> None:
        """Let ``target``, which is empty, own the cells of ``source`` at positions below ``length`` too."""
        ...

    def cut(self, sequence: int, length: int) -> None:
        """Take the cells at positions ``length`` and above from ``sequence``."""
        ...

    def extent(self, sequence: int) -> tuple[int, int]:
        """Lowest and highest position that every layer still has; ``(-1, -1)`` for an empty sequence."""
        ...

    def save(self, sequence: int) -> bytearray:
        """A copy of the cells that the sequence's next token can see; what its window hides is not in it."""
        ...

    def restore(self, sequence: int, state: bytearray) -> bool:
        """Fill ``sequence``, which is empty, from ``save``; false, and it stays empty, when there is no room."""
        ...


class Context(Memory, Protocol):
    """A loaded model with ``cells`` cells. A request may have ``context_tokens`` tokens, answer included."""

    @property
    def context_tokens(self) -> int:
        """Prompt and completion together cannot be longer."""
        ...

    @property
    def cells(self) -> int:
        """How many tokens all sequences together can hold; at least ``context_tokens``."""
        ...

    @property
    def sequences(self) -> int:
        """Sequence numbers run from 0 up to this."""
        ...

    @property
    def batch_tokens(self) -> int:
        """Most tokens that one ``decode`` takes; also the grain of cancellation while prompts are read."""
        ...

    @property
    def apart(self) -> bool:
        """Whether a GPU computes, so that this process has time for other things until it has to ``wait``."""
        ...

    @property
    def adapters(self) -> Collection[str]:
        """Names of the adapters that were loaded with the model."""
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

    def adapt(self, adapter: str) -> None:
        """*Owner.* What is decoded from now on is computed with this adapter; with none where the name is empty.

        Raises ``DecodeError``.
        """
        ...

    def decode(self, pieces: Sequence[Piece]) -> list[int]:
        """*Owner.* Append all ``pieces``; the row of each piece's last token.

        Raises ``NoRoomError`` with nothing changed, or ``DecodeError`` after which some pieces may have been appended
        in part: ``extent`` tells, ``cut`` mends. ``GivenUpError`` is one of these. What computes ``apart`` has only
        been given its work by then.
        """
        ...

    def wait(self) -> None:
        """*Owner.* Return when what was decoded is computed."""
        ...

    def give_up(self, *, wanted: bool) -> None:
        """From now on, the decode under way included, every decode may fail with ``GivenUpError``; or none does.

        May be called from any thread. A wish: where it cannot be met, decodes go on to their end.
        """
        ...

    def logprob(self, row: int, token: int, top: int) -> TokenLogprob:
        """*Owner.* What the model thought of ``token`` at ``row`` of the last decode, and its ``top`` likeliest."""
        ...

    def sampler(self, sampling: Sampling) -> Sampler:
        """*Owner.* A sampler for one request. Raises ``DecodeError`` when the grammar cannot be used."""
        ...
