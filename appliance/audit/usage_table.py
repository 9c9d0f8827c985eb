"""The usage report on a terminal. Text from the log is printed as text: no markup, no control characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from appliance.audit import figures
from appliance.audit.tally import ranked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from appliance.audit.tally import Tally, UsageReport

_FIRST_WIDTH = 12
_COLUMNS = ("requests", "answers", "refusals", "tokens", "energy", "sign-ins")


def render_table(report: UsageReport, console: Console) -> None:
    """Draw the report on ``console``."""
    console.print(Text(f"Audit log {printable(report.origin)}: {figures.number(report.size)} entries, verified"))
    console.print(Text(f"root {report.root}, signed {report.signed_at}"), soft_wrap=True)
    _tallies(console, "By day", "day", sorted(report.by_day.items()), report.total)
    _tallies(console, "By group", "group", ranked(report.by_group), None)
    _tallies(console, "By model", "model", ranked(report.by_model), None)
    if report.by_purpose:
        _tallies(console, "By purpose", "purpose", ranked(report.by_purpose), None)
    _reasons(console, report)
    _tallies(console, f"Top users (of {len(report.by_user)}, pseudonyms)", "user", report.top_users, None)
    _loads(console, report)


def printable(value: str) -> str:
    """``value`` with everything that could move a cursor or hide text replaced."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in value)


def _tallies(console: Console, title: str, name: str, rows: Iterable[tuple[str, Tally]], total: Tally | None) -> None:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, show_footer=total is not None)
    footers = _cells(total) if total else [""] * len(_COLUMNS)
    table.add_column(name, footer="total", overflow="fold", min_width=_FIRST_WIDTH)
    for column, footer in zip(_COLUMNS, footers, strict=True):
        table.add_column(column, justify="right", footer=footer)
    for label, tally in rows:
        table.add_row(Text(printable(label)), *_cells(tally))
    if table.row_count:
        console.print(table)


def _cells(tally: Tally) -> list[str]:
    return [
        figures.number(tally.requests),
        figures.number(tally.answers),
        figures.number(tally.refusals),
        figures.number(tally.tokens),
        figures.energy(tally.joules),
        figures.number(tally.sign_ins),
    ]


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
