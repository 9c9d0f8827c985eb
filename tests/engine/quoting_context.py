"""A model that quotes: every token of an answer is one that it can see, chosen by all that it can see.

So an answer is right only if every layer had the whole history and nothing else; and what it reveals of somebody
else's words is somebody else's words. Every byte is a token; the cells are ``WindowedMemory``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine.errors import DecodeError, GivenUpError, NoRoomError
from appliance.engine.protocol import TokenLogprob
from tests.engine.windowed_memory import WindowedMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.engine.context import Piece, Sampling

END = 1 << 20
_SHIFT = 21
_PLAIN = (1 << _SHIFT) - 1
ADAPTERS = ("formal", "brief")
_SEEN = tuple["int | None", ...]


def choose(whole: _SEEN, sliding: _SEEN) -> int:
    """The next token after what the two layers see."""
    seen = [token for token in whole if token is not None]
    if not seen:
        return END
    mixed = hash((whole, sliding))  # of integers and None: the same in every process
    return END if mixed % 23 == 0 else seen[mixed % len(seen)]


def expected(prompt: Sequence[int], most: int, window: int, adapter: str = "") -> list[int]:
    """The answer to ``prompt`` by a model that forgets nothing."""
    history = [marked(token, adapter) for token in prompt]
    while len(history) - len(prompt) < most:
        sliding = history[max(0, len(history) - window) :] if window else history
        token = choose(tuple(history), tuple(sliding))
        if token == END:
            break
        history.append(token)
    return [token & _PLAIN for token in history[len(prompt) :]]


def marked(token: int, adapter: str) -> int:
    """A token as a cell holds it: what was computed with an adapter is another thing than without."""
    return token | (1 + ADAPTERS.index(adapter)) << _SHIFT if adapter else token


class QuotingSampler:
    def __init__(self, context: QuotingContext) -> None:
        self._context = context

    def sample(self, row: int) -> int:
        return self._context.choices[row]

    def close(self) -> None:
        self._context.samplers -= 1


class QuotingContext(WindowedMemory):
    """Implements ``appliance.engine.context.Context``. ``failures`` are raised by coming decodes, one each.

    ``meanwhile`` is called by every decode, half way; it may want it to be given up.
    """

    def __init__(
        self,
        *,
        cells: int = 256,
        window: int = 16,
        context_tokens: int = 128,
        batch_tokens: int = 16,
        sequences: int = 32,
    ) -> None:
        super().__init__(cells, window)
        self.cells, self.context_tokens = cells, context_tokens
        self.batch_tokens, self.sequences = batch_tokens, sequences
        self.control_texts: Sequence[str] = ()
        self.choices: dict[int, int] = {}
        self.rows = 0
        self.batches: list[list[Piece]] = []
        self.failures: list[Exception] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.given_up = False
        self.poisoned: int | None = None
        self.samplers = 0
        self.adapters = ADAPTERS
        self.apart = False
        self.adapter = ""
        self.changes = 0
        self.unusable = ""

    def adapt(self, adapter: str) -> None:
        if adapter and adapter == self.unusable:
            raise DecodeError("llama.cpp does not take the adapter")
        self.changes += adapter != self.adapter
        self.adapter = adapter

    def tokenize(self, text: str, *, control: bool, begin: bool) -> list[int]:
        del control, begin
        return list(text.encode())

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < 128 else f"<{token}>".encode()

    def is_end(self, token: int) -> bool:
        return token == END

    def logprob(self, row: int, token: int, top: int) -> TokenLogprob:
        del row, top
        return TokenLogprob(self.piece(token), 0.0)

    def check_grammar(self, grammar: str) -> bool:
        return bool(grammar)

    def clear(self) -> None:
        self.wipe()

    def decode(self, pieces: Sequence[Piece]) -> list[int]:
        """A batch that fails, as one with the token ``poisoned`` does, fails half way: some of it stays."""
        rows = [
            (marked(token, self.adapter), piece.position + index, piece.sequences)
            for piece in pieces
            for index, token in enumerate(piece.tokens)
        ]
        assert 0 < len(rows) <= self.batch_tokens
        failure = self.failures.pop(0) if self.failures else None
        if any(token & _PLAIN == self.poisoned for token, _, _ in rows):
            failure = DecodeError("llama_decode returned -3")
        self.meanwhile()
        if self.given_up:
            failure = GivenUpError("llama_decode was given up")
        if failure is not None:
            if not isinstance(failure, NoRoomError):
                self.append(rows[: len(rows) // 2])
            raise failure
        if not self.append(rows):
            raise NoRoomError("llama_decode found no room")
        self.rows += len(rows)
        self.batches.append(list(pieces))
        return self._choices(pieces)

    def wait(self) -> None:
        """It has computed already."""

    def give_up(self, *, wanted: bool) -> None:
        self.given_up = wanted

    def _choices(self, pieces: Sequence[Piece]) -> list[int]:
        last, found = -1, []
        self.choices = {}
        for piece in pieces:
            last += len(piece.tokens)
            found.append(last)
            if piece.sampled:
                at, sequence = piece.position + len(piece.tokens) - 1, piece.sequences[0]
                seen = choose(self.whole.visible(sequence, at), self.sliding.visible(sequence, at))
                self.choices[last] = seen & _PLAIN
        return found

    def sampler(self, sampling: Sampling) -> QuotingSampler:
        del sampling
        self.samplers += 1
        return QuotingSampler(self)
