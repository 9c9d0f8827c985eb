"""`sovereign learn status`: of which groups answers say how sure they are now, and how to measure again where not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer  # noqa: TC002 - typer reads the annotations at run time
from rich.table import Table
from rich.text import Text

from airgap_bundle.names import printable
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
_UNMEASURED = frozenset(words for said, words in _WHY.items() if said is not None)
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
    if any(_why(one) in _UNMEASURED for one in found):
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
        sort = "" if "refused" in one else sort
        why = _why(one)
        labels = one.get("labels") if why == _WHY[None] else None
        row = (one.get("group"), one.get("model"), sort, why, "" if labels is None else labels)
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    console.print(table)


def _why(one: dict[str, Any]) -> str:
    """In words; the gateway that says it may be hostile."""
    if "refused" in one:
        return f"not known: {one['refused']}"
    said = one.get("unmeasured")
    return _WHY.get(said, "no") if said is None or isinstance(said, str) else "no"
