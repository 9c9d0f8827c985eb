"""The usage report on a terminal. Text from the log is printed as text: no markup, no control characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from appliance.audit import figures
from appliance.audit.tally import ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import Console

    from appliance.audit.tally import Tally, UsageReport

_CELLS: dict[str, Callable[[Tally], str]] = {
    "requests": lambda tally: figures.number(tally.requests),
    "answers": lambda tally: figures.number(tally.answers),
    "refusals": lambda tally: figures.number(tally.refusals),
    "tokens": lambda tally: figures.number(tally.tokens),
    "energy": lambda tally: figures.energy(tally.joules),
    "sign-ins": lambda tally: figures.number(tally.sign_ins),
}
_USER_CELLS = ("requests", "refusals", "tokens", "energy")


def render_table(report: UsageReport, console: Console) -> None:
    """Draw the report on ``console``."""
    console.print(Text(f"Audit log {printable(report.origin)}: {figures.number(report.size)} entries, verified"))
    console.print(Text(f"root {report.root}, signed {report.signed_at}"), soft_wrap=True)
    if report.pruned:
        console.print(Text(f"{figures.number(report.pruned)} entries were pruned and are in no figure"))
    _tallies(console, "By day", "day", sorted(report.by_day.items()), total=report.total)
    _tallies(console, "By group", "group", ranked(report.by_group))
    _tallies(console, "By model", "model", ranked(report.by_model))
    if report.by_purpose:
        _tallies(console, "By purpose", "purpose", ranked(report.by_purpose))
    _reasons(console, report)
    _tallies(
        console, f"Top users (of {len(report.by_user)}, pseudonyms)", "user", report.top_users, columns=_USER_CELLS
    )
    _loads(console, report)


def printable(value: str) -> str:
    """``value`` with everything that could move a cursor or hide text replaced."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in value)


def _tallies(  # noqa: PLR0913 - private; what differs between the tables
    console: Console,
    title: str,
    name: str,
    rows: Iterable[tuple[str, Tally]],
    *,
    total: Tally | None = None,
    columns: tuple[str, ...] = tuple(_CELLS),
) -> None:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, show_footer=total is not None)
    table.add_column(name, footer="total", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", footer=_CELLS[column](total) if total else "")
    for label, tally in rows:
        table.add_row(Text(printable(label)), *(_CELLS[column](tally) for column in columns))
    if table.row_count:
        console.print(table)


def _reasons(console: Console, report: UsageReport) -> None:
    if not report.refusal_reasons:
        return
    table = Table(title="Refusals by reason", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("reason")
    table.add_column("count", justify="right")
    for reason, count in report.refusal_reasons.most_common():
        table.add_row(Text(printable(reason)), figures.number(count))
    console.print(table)


def _loads(console: Console, report: UsageReport) -> None:
    if not report.model_loads:
        return
    table = Table(title="Model loads", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("time (UTC)", "model", "verdict", "digest"):
        table.add_column(column, overflow="fold")
    for load in report.model_loads:
        verdict = "loaded" + (f", {load.waivers} waived" if load.waivers else "")
        verdict = verdict if load.accepted else f"refused: {printable(load.reason)}"
        table.add_row(
            load.time[:16].replace("T", " "),
            Text(printable(load.model)),
            Text(verdict),
            Text(printable(load.digest)[:19]),
        )
    console.print(table)
