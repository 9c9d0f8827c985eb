"""`sovereign learn status`: of which groups answers say how sure they are now, and how to measure again where not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer  # noqa: TC002 - typer reads the annotations at run time
from rich.table import Table

from appliance.cli.learn_site import described_site
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, emit, say
from appliance.cluster.reached import ReachedPaths
from appliance.errors import UnavailableError
from appliance.install.probe import Probe, fetch_json
from appliance.site.paths import GATEWAY, SitePaths

if TYPE_CHECKING:
    from rich.console import Console

_WHY = {
    None: "yes",
    "not_calibrated": "no: not calibrated",
    "other_setting": "no: not measured for these instructions, pack, brief and settings",
    "other_sort": "no: too few answers of this sort were checked",
}
_AGAIN = "to measure again: `sovereign learn evaluate --out FILE`, then `sovereign learn calibrate FILE`"


def register(app: typer.Typer) -> None:
    """Add the command to the group ``learn``."""
    app.command()(status)


def status(context: typer.Context, output: OutputOption = OutputFormat.table) -> None:
    """Say for each group with `beta: [confidence]` whether its answers are measured as they are given now.

    What a calibration was learnt under is in it: after a change of instructions, pack, brief, adapter, model or of how
    documents are looked up, answers carry no number until they were measured again. The running gateway is asked.
    """
    told = fetch_json(_gateway(reached(context)))
    rows = told.get("groups") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        raise UnavailableError("the gateway does not answer", "run `sovereign status`")
    found = [one for one in rows if isinstance(one, dict)]
    emit(found, output, lambda console: _draw(console, found))
    if any(one.get("unmeasured") in {"not_calibrated", "other_setting", "other_sort"} for one in found):
        say(_AGAIN)


def _gateway(paths: SitePaths) -> Probe:
    """The question to the management port of the gateway, or of one of a cluster's."""
    if isinstance(paths, ReachedPaths):
        return Probe("unix-http", str(paths.socket(GATEWAY)), "/confidence", paths.patience_s)
    port = described_site(paths).listen.management_port
    return Probe("http", f"127.0.0.1:{port}", "/confidence")


def _draw(console: Console, found: list[dict[str, Any]]) -> None:
    table = Table("group", "model", "answers", "say how sure they are", "labels")
    for one in found:
        sort = "from documents" if one.get("documents") else "without documents"
        why = f"not known: {one['refused']}" if "refused" in one else _WHY.get(one.get("unmeasured"), "no")
        labels = one.get("labels") if why == "yes" else None
        table.add_row(str(one.get("group")), str(one.get("model")), sort, why, "" if labels is None else str(labels))
    console.print(table, markup=False)
