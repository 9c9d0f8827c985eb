"""A context of bytes: every byte is a token, every answer is scripted (``appliance.engine.context.Context``)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from appliance.engine.batching import BatchingEngine
from appliance.engine.energy import DeclaredDraw
from appliance.engine.errors import DecodeError
from appliance.engine.metrics import EngineMetrics
from appliance.engine.prompt import PromptReader
from appliance.engine.protocol import TokenLogprob
from appliance.engine.template import ChatTemplate
from tests.engine.windowed_memory import WindowedMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.context import Piece, Sampling

BEGIN, TURN, END = 256, 257, 258
CONTROLS = {"<begin>": BEGIN, "<turn>": TURN, "<end>": END}
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
DRAW = DeclaredDraw(busy=30, idle=10)


class ScriptedSampler:
    """Reads the script of its context."""

    def __init__(self, context: ScriptedContext) -> None:
        self._context = context
        self._tokens = [*context.answer.encode(), END]
        self.closed = 0

    def sample(self, row: int) -> int:
        assert row >= 0
        return self._tokens.pop(0)

    def close(self) -> None:
        self.closed += 1


class ScriptedContext(WindowedMemory):
    """Answers ``answer``, whatever it is asked. ``gate``, when given, lets one decode through per release."""

    def __init__(
        self,
        answer: str = "yes",
        *,
        context_tokens: int = 64,
        batch_tokens: int = 4,
        gate: threading.Semaphore | None = None,
    ) -> None:
        super().__init__(256, 0)
        self.answer = answer
        self.context_tokens, self.cells = context_tokens, 256
        self.batch_tokens, self.sequences = batch_tokens, 8
        self.adapters: tuple[str, ...] = ()
        self.apart = False
        self.control_texts: Sequence[str] = tuple(CONTROLS)
        self.decoded: list[tuple[tuple[int, ...], int]] = []
        self.samplers: list[ScriptedSampler] = []
        self.samplings: list[Sampling] = []
        self.fail_at: int | None = None
        self._gate = gate
        self.owners: set[int] = set()

    def adapt(self, adapter: str) -> None:
        assert adapter in {"", *self.adapters}

    def tokenize(self, text: str, *, control: bool, begin: bool) -> list[int]:
        tokens = [BEGIN] if begin else []
        while text:
            found = next((name for name in CONTROLS if control and text.startswith(name)), None)
            if found is None:
                tokens += text[0].encode()
                text = text[1:]
            else:
                tokens.append(CONTROLS[found])
                text = text[len(found) :]
        return tokens

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < BEGIN else b""

    def is_end(self, token: int) -> bool:
        return token == END

    def check_grammar(self, grammar: str) -> bool:
        return "root" in grammar

    def clear(self) -> None:
        self.owners.add(threading.get_ident())
        self.wipe()

    def decode(self, pieces: Sequence[Piece]) -> list[int]:
        self.owners.add(threading.get_ident())
        if self._gate is not None and not self._gate.acquire(timeout=20):
            raise AssertionError("the test never let this decode through")
        if self.fail_at == len(self.decoded):
            raise DecodeError("llama_decode returned -3")
        rows, last = [], -1
        for piece in pieces:
            self.append([(token, piece.position + n, piece.sequences) for n, token in enumerate(piece.tokens)])
            self.decoded.append((piece.tokens, piece.position))
            last += len(piece.tokens)
            rows.append(last)
        return rows

    def wait(self) -> None:
        """It has computed already."""

    def give_up(self, *, wanted: bool) -> None:
        """It never does."""

    def logprob(self, row: int, token: int, top: int) -> TokenLogprob:
        assert row >= 0
        return TokenLogprob(self.piece(token), -0.5, tuple((bytes([65 + n]), -1.0 - n) for n in range(top)))

    def sampler(self, sampling: Sampling) -> ScriptedSampler:
        self.samplings.append(sampling)
        self.samplers.append(ScriptedSampler(self))
        return self.samplers[-1]


def scripted_engine(
    context: ScriptedContext,
    *,
    queue_limit: int = 2,
    stops: tuple[str, ...] = (),
    template: ChatTemplate | None = None,
) -> BatchingEngine:
    """An engine on ``context`` that computes one request at a time, not started."""
    prompts = PromptReader(context, template or ChatTemplate(TEMPLATE, stops))
    return BatchingEngine(context, prompts, slots=1, queue_limit=queue_limit, draw=DRAW, metrics=EngineMetrics())
