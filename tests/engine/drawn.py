"""A long text, its logits in an empty context, and whether what an engine drew is what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine.context import Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.answering import Answering
    from appliance.engine.job import Job
    from appliance.engine.llama import LlamaContext
    from appliance.engine.llama_sampler import Logits
    from tests.engine.batches import Asked, Desk


def rules(context: LlamaContext) -> list[int]:
    """Tokens of some pages that nobody has to know."""
    text = "".join(f"Rule {n}: officer {n * 7 % 40} approves models for zone {n * 11 % 40}. " for n in range(120))
    return context.tokenize(text, control=False, begin=True)


def read_whole(context: LlamaContext, owners: tuple[int, ...], tokens: list[int], start: int = 0) -> Logits:
    """Decode ``tokens`` from ``start`` on, in whole batches; the logits of the last one."""
    row = 0
    for at in range(start, len(tokens), context.batch_tokens):
        part = tuple(tokens[at : at + context.batch_tokens])
        (row,) = context.decode([Piece(part, at, owners, sampled=at + context.batch_tokens >= len(tokens))])
    return context.logits(row)


class Drawn:
    """Notes what ``desk`` draws, from now on."""

    def __init__(self, desk: Desk) -> None:
        self._answers: dict[Job, Answering] = {}
        inner = desk.context.decode

        def decode(pieces: Sequence[Piece]) -> list[int]:
            self._answers.update({resident.job: resident.answering for resident in desk.batcher._residents})
            return inner(pieces)

        desk.context.decode = decode  # type: ignore[method-assign]  # of this one context: what it computes is noted

    def tokens(self, asked: Asked) -> list[int]:
        """What was drawn for it so far."""
        return self._answers[asked.job].tokens[len(asked.job.tokens) :]


def lead(context: LlamaContext, asked: Asked, answer: list[int]) -> float:
    """By how much the best token led the one that was given, at most, alone in an empty context."""
    context.clear()
    tokens = [*asked.job.tokens, *answer]
    logits, leads = read_whole(context, (0, 1), list(asked.job.tokens)), []
    for at in range(len(asked.job.tokens), len(tokens)):
        leads.append(float(logits.max() - logits[tokens[at]]))
        logits = read_whole(context, (0, 1), tokens[: at + 1], at)
    context.clear()
    return max(leads)
