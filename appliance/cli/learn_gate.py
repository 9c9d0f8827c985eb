"""`sovereign learn gate`: whether a change may go on, by what was found before and after it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from appliance.cli.learn_site import enter
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, emit, say
from appliance.errors import UsageError
from appliance.learning.errors import GateRefusedError
from appliance.learning.figures import parts
from appliance.learning.gate import decide
from appliance.learning.resampling import RESAMPLES, SEED
from appliance.learning.results import MAX_BYTES, Results, read_results

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.learning.gate import Decision


def register(app: typer.Typer) -> None:
    """Add the command to the group ``learn``."""
    app.command()(gate)


def gate(  # noqa: PLR0913, PLR0917 - one parameter per option
    context: typer.Context,
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Results of what is in force.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Results of the change, over the same cases.")],
    claim: Annotated[
        list[str],
        typer.Option("--claim", help="A slice that must be better: all, group=…, language=…, kind=…, seconds, joules."),
    ] = [],  # noqa: B006 - typer reads it and never changes it
    resamples: Annotated[int, typer.Option(min=1_000, max=100_000, help="Draws of the paired bootstrap.")] = RESAMPLES,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws, so that anybody can repeat them.")] = SEED,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Decide on a change: refused (exit code 3) where it is worse beyond noise, or not better where that was claimed.

    The decision with all its figures is in the audit log before it is told.
    Example: `sovereign learn gate before.jsonl after.jsonl --claim language=fr`.
    """
    old, new = read(before), read(after)
    decision = decide(old, new, claim, resamples=resamples, seed=seed)
    enter(
        reached(context),
        what="gate",
        target=decision.after,
        figures=decision.figures() | parts("was", old.answered_by) | parts("is", new.answered_by),
        success=decision.passed,
    )
    told = asdict(decision) | {"passed": decision.passed, "was": old.answered_by, "is": new.answered_by}
    emit(told, output, lambda console: _draw(console, decision))
    if not decision.passed:
        first, *more = decision.refusals
        others = f", and {len(more)} more" if more else ""
        raise GateRefusedError(
            f"the change does not pass: {first}{others}", "keep what is in force, and mend the change"
        )
    say("the change passes")


def read(path: Path) -> Results:
    """The results in a file. Raises ``UsageError`` and ``ResultError``."""
    try:
        with path.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    return read_results(raw, str(path))


def _draw(console: Console, decision: Decision) -> None:
    table = Table("slice", "cases", "before", "after", "difference (95 %)", "finding")
    for column in table.columns:
        column.no_wrap = True
    for one in decision.slices:
        found = one.difference
        interval = f"{found.mean:+.3f} ({found.lower:+.3f} {found.upper:+.3f})"
        table.add_row(one.name, str(found.count), f"{one.before:.3f}", f"{one.after:.3f}", interval, one.state)
    console.print(table, markup=False)
    new = f", {decision.new_cases} new" if decision.new_cases else ""
    new += f", {len(decision.withdrawn)} withdrawn since" if decision.withdrawn else ""
    console.print(
        f"{decision.cases} cases{new}; paired bootstrap, {decision.resamples} draws, seed {decision.seed}", markup=False
    )
