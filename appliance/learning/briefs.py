"""What rulings have to do with briefs: some are told, the others judge, and none does both. Pure.

A brief that told what the gate asks would pass by heart. So a gold case is of one sort for ever, by a hash of its id
that nobody chooses: a quarter may be told, the rest judge, whatever brief is compared with whatever other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.learning.cases import Compared
from appliance.learning.gate import decide

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

    from appliance.learning.cases import Case, Content
    from appliance.learning.results import Results

_SORTS = 4
_TOLD_KINDS = frozenset({"exact", "contains"})


@dataclass(frozen=True)
class Judged:
    """What the gate says of a brief, with its figures for the log."""

    passed: bool
    refusals: tuple[str, ...]
    figures: dict[str, Any]


def held_out(case: Case) -> bool:
    """Whether the case judges briefs, and is told in none."""
    return hashlib.sha256(b"brief" + case.id.bytes).digest()[0] % _SORTS != 0


def may_be_told(case: Case) -> bool:
    """Whether the case can be a line of a brief: it says what is so, and judges none."""
    return case.content.kind in _TOLD_KINDS and not held_out(case)


def ruling_text(content: Content) -> str:
    """A ruling as it is told: the question, and below it what experts expect of an answer, each in their words."""
    return "\n".join((content.question, *content.expected))


def contradicted(told: Collection[uuid.UUID], contents: Sequence[tuple[uuid.UUID, Content]]) -> set[uuid.UUID]:
    """Ids of rulings ``told`` that another of all in force contradicts, and of those others: none of these is told."""
    compared = [(number, Compared(content)) for number, content in contents]
    found: set[uuid.UUID] = set()
    for number, one in compared:
        if number not in told:
            continue
        against = {
            other_number for other_number, other in compared if other_number != number and one.contradicts(other)
        }
        found |= {number, *against} if against else set()
    return found


def judged(before: Results, after: Results) -> Judged:
    """The gate's decision (``gate.decide``) on a brief. Raises ``ResultError`` where the two cannot be compared."""
    decision = decide(before, after)
    return Judged(decision.passed, decision.refusals, decision.figures())
