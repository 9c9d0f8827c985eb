"""What `sovereign pack use` shows: the plan of a trial, and what a trial found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from appliance.cli.terminal import OutputFormat, emit, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from appliance.cli.pack_trial import Tried
    from appliance.learning.cases import Case


def planned(about: Mapping[str, Any], cases: Sequence[Case], output: OutputFormat) -> None:
    """Show what would be asked and changed; ``about`` has the group, both packs and the group's models."""
    shown: dict[str, Any] = {
        **about,
        "cases": len(cases),
        "vital": sum(one.content.vital for one in cases),
        "questions": 2 * len(cases) * len(about["models"]),
        "changed": False,
    }

    def render(console: Console) -> None:
        for name, value in shown.items():
            said = ", ".join(value) if isinstance(value, list) else value
            console.print(f"{name + ':':<12}{said}", markup=False, soft_wrap=True)

    emit(shown, output, render)
    say("nothing was asked and nothing was changed")


def draw(console: Console, found: Iterable[Tried]) -> None:
    """Each slice of each model before and under the pack, then why it is refused."""
    table = Table("model", "slice", "cases", "before", "after", "finding")
    for one in found:
        for part in one.decision.slices:
            before, after = f"{part.before:.3f}", f"{part.after:.3f}"
            table.add_row(one.model, part.name, str(part.difference.count), before, after, part.state)
    console.print(table)
    for one in found:
        for refusal in one.decision.refusals:
            console.print(f"{one.model}: {refusal}", markup=False)
