"""`sovereign learn gate`: whether a change may go on, by what was found before and after it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from appliance.cli.change_results import digests, read, weights
from appliance.cli.learn_site import described_site, enter
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, emit, say
from appliance.errors import UsageError
from appliance.install.judged import decided
from appliance.install.judged import read as read_record
from appliance.install.lock import site_lock
from appliance.learning.errors import GateRefusedError
from appliance.learning.figures import parts
from appliance.learning.gate import decide
from appliance.learning.resampling import RESAMPLES, SEED

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.learning.gate import Decision
    from appliance.learning.results import Results
    from appliance.learning.weights import JudgedWeights
    from appliance.site.config import SiteConfig
    from appliance.site.rolling import Change


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

    The decision with all its figures is in the audit log before it is told. A change of site.yaml (`learning.changes`)
    that passed may be put in force there; what groups that were judged once are answered under changes in no other way.
    Example: `sovereign learn gate before.jsonl after.jsonl --claim language=fr`.
    """
    paths = reached(context)
    read_record(paths.judged)  # damage is told before anything is decided
    old, new = read(before), read(after)
    decision = decide(old, new, claim, resamples=resamples, seed=seed)
    change = _change_of(described_site(paths), old, new)
    with site_lock(paths):
        enter(
            paths,
            what="gate",
            target=decision.after,
            figures=decision.figures() | parts("was", old.answered_by) | parts("is", new.answered_by),
            success=decision.passed,
        )
        found = _weights_of(described_site(paths), change, old, new, passed=decision.passed)
        decided(paths, described_site(paths), new.run.groups, change, passed=decision.passed, weights=found)
    told = asdict(decision) | {"passed": decision.passed, "was": old.answered_by, "is": new.answered_by}
    emit(told, output, lambda console: _draw(console, decision))
    if not decision.passed:
        first, *more = decision.refusals
        others = f", and {len(more)} more" if more else ""
        raise GateRefusedError(
            f"the change does not pass: {first}{others}", "keep what is in force, and mend the change"
        )
    say("the change passes")


def _change_of(site: SiteConfig, old: Results, new: Results) -> Change | None:
    """The change of site.yaml that is judged; says why there is none, where the results name one."""
    if new.run.change is None:
        return None
    try:
        return _named(site, old, new)
    except UsageError as error:
        say(f"not noted as a change that site.yaml may have in force: {error.cause}; {error.hint}")
        return None


def _weights_of(
    site: SiteConfig, change: Change | None, old: Results, new: Results, *, passed: bool
) -> JudgedWeights | None:
    """What was found of weights; says why that is nothing, where nothing was said of the change already."""
    if change is None and new.run.change is not None:
        return None
    try:
        return weights(site, change, old, new, passed=passed)
    except UsageError as error:
        say(f"nothing is noted of the weights that answered: {error.cause}; {error.hint}")
        return None


def _named(site: SiteConfig, old: Results, new: Results) -> Change:
    groups, named = new.run.groups, new.run.change
    if len(groups) > 1:
        raise UsageError("these are results of several groups", "evaluate with --group, one at a time")
    found = next((one for one in site.learning.changes if ((one.group,), one.name) == (groups, named)), None)
    if found is None:
        cause = f"site.yaml has no change {named} of {groups[0]} any more"
        raise UsageError(cause, "put it back until the gate judged it")
    digests(site, found, old, new)
    return found


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
