"""`sovereign learn calibrate`: from results of evaluations to how sure answers may say that they are."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from airgap_bundle import durable
from appliance.cli.change_results import read
from appliance.cli.learn import GroupOption  # noqa: TC001 - typer reads it at run time
from appliance.cli.learn_site import actor, described_site, enter, site_database
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.errors import UsageError
from appliance.gateway.calibrations import CalibrationStore
from appliance.learning.calibrating import calibrate as made_of
from appliance.learning.calibration_html import render
from appliance.learning.errors import CalibrationRefusedError
from appliance.learning.figures import parts
from appliance.learning.labels import RIGHT, answered_by, labels

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.learning.calibrating import Made
    from appliance.learning.calibration import Calibration
    from appliance.site.paths import SitePaths


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``learn``."""
    app.command()(calibrate)
    app.command()(uncalibrate)


def calibrate(  # noqa: PLR0913, PLR0917 - one parameter per option
    context: typer.Context,
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS…", help="Files that `learn evaluate` wrote.")],
    right: Annotated[
        float, typer.Option(min=0.01, max=1, help="From this score on an answer counts as right.")
    ] = RIGHT,
    group: GroupOption = [],  # noqa: B006 - typer reads it and never changes it
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="A new HTML file with the reliability diagram.")
    ] = None,
    dry_run: Annotated[  # noqa: FBT002 - as typer reads a flag
        bool, typer.Option("--dry-run", help="Fit and tell; put nothing in force.")
    ] = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Fit confidence to what evaluations found right, and put it in force for the model and adapter that answered.

    Refused (exit code 3) where it does not hold on answers that it had not seen. The audit log has it first.
    Example: `sovereign learn calibrate before.jsonl --report calibration.html`.
    """
    paths = reached(context)
    described_site(paths)
    read_in = [read(path) for path in results]
    model, adapter = answered_by(read_in, group)
    made = made_of(labels(read_in, right, group), model, adapter)
    named, digests = read_in[0].run.model, [one.digest for one in read_in]
    if report is not None:
        _write(report, render(made, named, digests))
    passed = not made.refusals
    if not dry_run:
        settings = parts("settings", made.calibration.settings)
        figures = made.figures() | settings | {"name": named, "results": digests, "right_from": right}
        enter(paths, what="calibration", target=made.calibration.digest, figures=figures, success=passed)
    told = made.figures() | {"passed": passed, "refusals": made.refusals}
    told["slices"] = {name: {"labels": one.count, "ece": round(one.ece, 4)} for name, one in made.found.slices.items()}
    emit(told, output, lambda console: _draw(console, made))
    if not passed:
        raise CalibrationRefusedError(
            f"the calibration does not hold: {'; '.join(made.refusals)}",
            "make more cases, and evaluate; what is in force stays",
        )
    if dry_run:
        say("nothing was put in force")
        return
    asyncio.run(_put(paths, passphrase_fd, made.calibration))
    say(f"in force: answers of {named} say how sure they are, in groups with `beta: [confidence]`")


def uncalibrate(
    context: typer.Context,
    calibration: Annotated[str, typer.Argument(metavar="DIGEST", help="As `calibrate` and receipts name it.")],
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """Take a calibration out of force: no number is told any more, and no threshold holds. The log has it first."""
    paths = reached(context)

    async def act() -> bool:
        async with site_database(paths, passphrase_fd) as pool:
            store = CalibrationStore(pool)
            if all(one.digest != calibration for one in await store.all()):
                return False
            figures = {"withdrawn": True}
            await asyncio.to_thread(
                enter, paths, what="calibration", target=calibration, figures=figures, action="delete"
            )
            return await store.remove(calibration)

    if not asyncio.run(act()):
        raise UsageError(f"{calibration[:80]!a} is no calibration in force", "receipts of answers name it")
    say(f"withdrawn: {calibration}")


async def _put(paths: SitePaths, passphrase_fd: int | None, made: Calibration) -> None:
    async with site_database(paths, passphrase_fd) as pool:
        await CalibrationStore(pool).put(made, actor())


def _write(report: Path, page: str) -> None:
    try:
        durable.write_new(report, page.encode(), 0o600)
    except OSError as error:
        cause = f"{report} cannot be written: {(error.strerror or 'no reason').lower()}"
        raise UsageError(cause, "name a new file with room") from error


def _draw(console: Console, made: Made) -> None:
    found, calibration = made.found, made.calibration
    table = Table("", "labels", "ECE", "Brier score")
    table.add_row("tokens alone", str(found.before.count), f"{found.before.ece:.3f}", f"{found.before.brier:.3f}")
    table.add_row("calibrated", str(found.after.count), f"{found.after.ece:.3f}", f"{found.after.brier:.3f}")
    table.add_row("by the share of right ones", str(found.after.count), "", f"{found.blind:.3f}")
    for name, one in found.slices.items():
        table.add_row(name, str(one.count), f"{one.ece:.3f}", f"{one.brier:.3f}")
    console.print(table, markup=False)
    console.print(
        f"{calibration.right} of {calibration.labels} right; held out by case, {len(found.after.bins)} bins of equally "
        f"many; learnt under {len(calibration.settings)} settings, {made.left_out} labels left out; "
        f"{calibration.digest}",
        markup=False,
    )
