"""Results of evaluations as two systems would give them: cases of different difficulty, and luck in every answer."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from appliance.learning.results import Results, Row, Run, Withdrawn, read_results, written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.learning.cases import Kind, Language

DIGEST = "sha256:" + "a5" * 32
GROUPS = ("analysts", "clerks", "officers")
LANGUAGES: tuple[Language, ...] = ("en", "fr", "de")
KINDS: tuple[Kind, ...] = ("contains", "contains", "exact", "refusal", "language")


@dataclass(frozen=True)
class Item:
    """A case, and how a system does at it: the chance of a good answer, its seconds and its joules."""

    number: int
    group: str
    language: Language
    kind: Kind
    vital: bool
    chance: float
    seconds: float
    joules: float


System = "Callable[[Item], Item]"


def items(count: int = 240, seed: int = 1) -> list[Item]:
    """Cases of all groups, languages and kinds; a third nearly always succeed, some hardly ever."""
    draw = random.Random(seed)
    return [
        Item(
            number,
            GROUPS[number % 3],
            LANGUAGES[number // 3 % 3],
            KINDS[number // 9 % 5],
            number % 40 == 0,
            1.0 if number % 40 == 0 else draw.betavariate(2.5, 1.2),
            draw.lognormvariate(0.5, 0.4),
            draw.lognormvariate(2.0, 0.4),
        )
        for number in range(count)
    ]


def results(found: list[Item], seed: int, change: Callable[[Item], Item] = lambda one: one) -> Results:
    """What an evaluation of the changed system finds; a vital case is safe unless the change makes it fail."""
    draw = random.Random(seed)
    rows = []
    for item in map(change, found):
        share = float(draw.random() < item.chance)
        if item.kind == "contains" and 0 < item.chance < 1 and draw.random() < 0.3:
            share = 0.5
        rows.append(row(item, share, draw))
    return of_rows(rows)


def of_rows(rows: list[Row], withdrawn: Sequence[str] = (), **changes: Any) -> Results:
    """Rows as a whole file, read back from its bytes; of what was drawn, ``withdrawn`` was not asked."""
    fields: dict[str, Any] = {
        "site": "test",
        "model": "small",
        "groups": GROUPS,
        "seed": 7,
        "max_tokens": 256,
        "temperature": 0.3,
        "top_p": 0.95,
        "cases": DIGEST,
        "drawn": [*(one.drawn for one in rows), *withdrawn],
    }
    lines = [*rows, *(Withdrawn(drawn=one) for one in withdrawn)]
    return read_results(written(Run.model_validate(fields | changes), lines), "results")


def row(item: Item, score: float, draw: random.Random) -> Row:
    """The line about one answer; time and energy vary by a few percent from one run to the next."""
    return Row(
        case=str(uuid.UUID(int=item.number + 1)),
        version=1,
        digest=DIGEST,
        group=item.group,
        kind=item.kind,
        language=item.language,
        vital=item.vital,
        score=score,
        declined=item.kind == "refusal",
        seed=item.number,
        seconds=item.seconds * draw.lognormvariate(0, 0.08),
        joules=item.joules * draw.lognormvariate(0, 0.08),
        tokens=60,
        model=DIGEST,
        entry=2 * item.number + 1,
    )


Where = Literal["group", "language", "kind"]


def harder(by: float, **where: str) -> Callable[[Item], Item]:
    """A change that takes ``by`` from the chance of a good answer, where it applies; below 0 it adds."""

    def change(item: Item) -> Item:
        if any(getattr(item, name) != value for name, value in where.items()) or item.vital:
            return item
        return replace(item, chance=min(max(item.chance - by, 0.0), 1.0))

    return change


def slower(factor: float, field: str = "seconds") -> Callable[[Item], Item]:
    """A change that costs ``factor`` times as much."""
    return lambda item: replace(item, **{field: getattr(item, field) * factor})


def leaking(number: int) -> Callable[[Item], Item]:
    """A change that breaks one vital case and nothing else."""
    return lambda item: replace(item, chance=0.0) if item.number == number else item
