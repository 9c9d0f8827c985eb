"""Changes that the gate has to stop, and changes that it has to let through: ten regressions, eleven others, seeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.learning.gate import decide
from tests.learning.seeded_results import harder, items, leaking, results, slower

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.learning.gate import Decision
    from tests.learning.seeded_results import Item

RESAMPLES = 2_000
CASES = items()


def chained(*changes: Callable[[Item], Item]) -> Callable[[Item], Item]:
    """One after the other."""

    def change(item: Item) -> Item:
        for one in changes:
            item = one(item)
        return item

    return change


REGRESSIONS = {
    "a bad brief": (harder(0.25), "all"),
    "the wrong language": (harder(0.7, language="fr"), "language=fr"),
    "one group's instructions are broken": (harder(0.45, group="clerks"), "group=clerks"),
    "a broken glossary": (harder(0.6, kind="exact"), "kind=exact"),
    "it no longer declines": (harder(0.7, kind="refusal"), "kind=refusal"),
    "it declines everything": (harder(0.8, kind="contains"), "kind=contains"),
    "another group's fact leaks": (leaking(80), "vital case"),
    "two languages fall": (chained(harder(0.45, language="fr"), harder(0.45, language="de")), "language="),
    "a model that takes more energy": (slower(1.4, "joules"), "joules"),
    "better in German, paid for in French": (
        chained(harder(-0.3, language="de"), harder(0.4, language="fr")),
        "language=fr",
    ),
}
NEUTRAL_OR_BETTER = {
    "the same once more": (),
    "the same with other luck": (harder(0.0),),
    "the machine was busy with others": (slower(1.12),),
    "the machine was twice as busy": (slower(2.0),),
    "a little better": (harder(-0.05),),
    "better": (harder(-0.2),),
    "better in one language": (harder(-0.3, language="fr"),),
    "better for one group": (harder(-0.3, group="officers"),),
    "better at one kind": (harder(-0.4, kind="exact"),),
    "faster": (slower(0.6),),
    "faster and of less energy": (slower(0.7), slower(0.7, "joules")),
}


def regression(name: str) -> Decision:
    """What the gate says of one."""
    return decide(results(CASES, 11), results(CASES, 22, REGRESSIONS[name][0]), resamples=RESAMPLES)


def neutral_or_better(name: str) -> Decision:
    """What the gate says of one."""
    after = results(CASES, 33, chained(*NEUTRAL_OR_BETTER[name]))
    return decide(results(CASES, 11), after, resamples=RESAMPLES)
