"""An evaluation under way: each case asked once, each answer scored and kept before the next, within a budget.

Where an answer comes from is the caller's (``Asker``). A run that was stopped, by its budget or by a crash, is gone on
with by what is kept already. Seeds of cases come from the run's seed and the case, so that they do not depend on what
was asked before.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from appliance.learning.errors import CaseRefusedError, SpentError
from appliance.learning.results import Row
from appliance.learning.scoring import score
from appliance.learning.signals import turned_down

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from appliance.learning.cases import Case
    from appliance.learning.results import Run

_SEEDS = 1 << 31
_SIDE_BY_SIDE = 4
"""Questions asked at once: what the engine computes together costs less, and people come first all the same."""


@dataclass(frozen=True)
class Answered:
    """An answer and its receipt (docs of ``gateway.receipts``)."""

    text: str
    receipt: dict[str, Any]


class Asker(Protocol):
    """Asks the running site."""

    async def ask(self, group: str, question: str, seed: int, *, documents: bool = False) -> Answered:
        """The answer that somebody of ``group`` would get, who asks for ``documents`` or not.

        Raises ``CaseRefusedError``, ``SpentError``, or what no question is answered because of.
        """


@dataclass
class Budget:
    """What a run may take; None: as much as it takes. ``tokens`` count prompts and answers."""

    tokens: int | None = None
    seconds: float | None = None
    spent: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be asked."""
        late = self.seconds is not None and time.monotonic() - self.began >= self.seconds
        return late or (self.tokens is not None and self.spent >= self.tokens)


@dataclass(frozen=True)
class Question:
    """A case in the name of one group."""

    case: Case
    group: str
    seed: int

    @property
    def key(self) -> tuple[str, int, str, str]:
        """As ``Row.key``."""
        return str(self.case.id), self.case.version, self.case.content.digest, self.group

    @property
    def drawn(self) -> str:
        """As ``Row.drawn``."""
        return f"{self.case.id} {self.case.version} {self.group}"


def questions(cases: Iterable[Case], groups: Collection[str], seed: int) -> list[Question]:
    """Every case for each of its groups that is among ``groups``, in a stable order."""
    found = [
        Question(case, group, _seed(seed, f"{case.id} {group}"))
        for case in cases
        for group in sorted(case.content.groups)
        if group in groups
    ]
    return sorted(found, key=lambda one: one.key)


async def run(
    asked: Sequence[Question],
    asker: Asker,
    keep: Callable[[Row], None],
    budget: Budget,
    report: Callable[[int, int], None],
) -> bool:
    """Ask all of it; ``keep`` is called for each answer as it comes. Returns whether all was asked.

    A case that is refused is worth nothing and ends nothing. Whatever else the asker raises ends the run; what was kept
    stays.
    """
    waiting = list(reversed(asked))
    done, spent = 0, False

    async def work() -> None:
        nonlocal done, spent
        while waiting and not spent and not budget.over:
            question = waiting.pop()
            try:
                content = question.case.content
                asking = asker.ask(question.group, content.question, question.seed, documents=content.from_documents)
                answered = await asking
            except SpentError:
                waiting.append(question)
                spent = True
                return
            except CaseRefusedError as error:
                keep(refused(question, error.code))
            else:
                usage = answered.receipt["usage"]
                budget.spent += usage["prompt_tokens"] + usage["completion_tokens"]
                keep(scored(question, answered))
            done += 1
            report(done, len(asked))

    working = [asyncio.create_task(work()) for _ in range(min(_SIDE_BY_SIDE, len(asked)))]
    try:
        await asyncio.gather(*working)
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    return not waiting


def refused(question: Question, code: str) -> Row:
    """The line about a question that the site refused to answer, by ``code``."""
    said = _about(question) | {"score": 0.0, "declined": False, "seconds": 0.0, "joules": 0.0, "tokens": 0}
    return Row.model_validate(said | {"refused": code})


def scored(question: Question, answered: Answered) -> Row:
    """The line about one answer. Time is the engine's own, without what was waited for behind others."""
    content, receipt = question.case.content, answered.receipt
    documents = receipt.get("documents") or {}
    cited = {str(one["digest"]) for one in documents.get("passages", ()) if one["cited"] and not one["gone"]}
    declines = turned_down(answered.text, receipt)
    timing, energy = receipt.get("timing") or {}, receipt.get("energy") or {}
    said = {
        "score": score(content, answered.text, cited, refused=declines),
        "declined": declines,
        "seconds": sum(float(timing.get(name, 0)) for name in ("first_token_ms", "decode_ms")) / 1000,
        "joules": float(energy.get("joules", 0)),
        "tokens": int(receipt["usage"]["completion_tokens"]),
        "model": receipt["model"]["digest"],
        "adapter": (receipt.get("adapter") or {}).get("digest"),
        "instructions": dict(receipt.get("instructions", {})),
        "looked_up": documents.get("settings"),
        "entry": int(receipt["log"]["answer_index"]),
        "signal": (receipt.get("confidence") or {}).get("signal"),
        "setting": (receipt.get("confidence") or {}).get("setting"),
    }
    return Row.model_validate(_about(question) | said)


def _about(question: Question) -> dict[str, Any]:
    content = question.case.content
    return {
        "case": str(question.case.id),
        "version": question.case.version,
        "digest": content.digest,
        "group": question.group,
        "kind": content.kind,
        "language": content.language,
        "vital": content.vital,
        "seed": question.seed,
    }


def summary(run_of: Run, rows: Sequence[Row], withdrawn: int = 0) -> dict[str, Any]:
    """What a run came to, for people and for the log."""
    count = max(len(rows), 1)
    return {
        "model": run_of.model,
        "cases": len(rows),
        "of": run_of.count,
        "set": run_of.cases,
        "seed": run_of.seed,
        "score": round(sum(row.score for row in rows) / count, 4),
        "declined": sum(row.declined for row in rows),
        "refused": sum(row.refused is not None for row in rows),
        "withdrawn": withdrawn,
        "vital_failed": sum(row.vital and row.score < 1 for row in rows),
        "tokens": sum(row.tokens for row in rows),
        "joules": round(sum(row.joules for row in rows), 1),
        "seconds": round(sum(row.seconds for row in rows), 1),
    }


def _seed(seed: int, what: str) -> int:
    return (seed + int.from_bytes(hashlib.sha256(what.encode()).digest()[:4])) % _SEEDS
