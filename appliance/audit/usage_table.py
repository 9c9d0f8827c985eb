"""The usage report on a terminal. Text from the log is printed as text: no markup, no control characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from appliance.audit import figures
from appliance.audit.charges import charges
from appliance.audit.endings import endings
from appliance.audit.habits import explained
from appliance.audit.tally import MAX_DOCUMENTS, Tally, ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.console import Console

    from appliance.audit.charges import Prices
    from appliance.audit.tally import UsageReport

_CELLS: dict[str, Callable[[Tally], str]] = {
    "requests": lambda tally: figures.number(tally.requests),
    "answers": lambda tally: figures.number(tally.answers),
    "refusals": lambda tally: figures.number(tally.refusals),
    "tokens": lambda tally: figures.number(tally.tokens),
    "energy": lambda tally: figures.energy(tally.joules),
    "sign-ins": lambda tally: figures.number(tally.sign_ins),
    "failed": lambda tally: figures.number(tally.failed_sign_ins),
}
_CALL_CELLS = ("requests", "answers", "refusals", "tokens", "energy")
"""Of what nobody signs in to."""
_ALL_CELLS = (*_CALL_CELLS, "sign-ins")
_FAILED_CELLS = ("failed", "sign-ins")
_SHORT = 12
"""Digits of a pseudonym beside a name; the whole of it is in the report without names, and in JSON."""
_ERASED = "erased: no account"
"""Of nobody: a name that somebody signs in with has no space."""
_USER_CELLS = ("requests", "refusals", "tokens", "energy")


def render_table(
    report: UsageReport,
    console: Console,
    prices: Prices | None = None,
    names: Mapping[str, str | None] | None = None,
) -> None:
    """Draw the report on ``console``, with what groups are charged where there are ``prices``.

    ``names`` says whom pseudonyms stand for; None of whoever was erased.
    """
    console.print(Text(f"Audit log {printable(report.origin)}: {figures.number(report.size)} entries, verified"))
    console.print(Text(f"root {report.root}, signed {report.signed_at}"), soft_wrap=True)
    if report.pruned:
        console.print(Text(f"{figures.number(report.pruned)} entries were pruned and are in no figure"))
    _tallies(console, "By day", "day", sorted(report.by_day.items()), total=report.total)
    _tallies(console, "By group", "group", ranked(report.by_group))
    _tallies(console, "By model", "model", ranked(report.by_model), columns=_CALL_CELLS)
    _tallies(console, "By purpose", "purpose", ranked(report.by_purpose), columns=_CALL_CELLS)
    _reasons(console, report)
    _endings(console, report)
    if prices is not None:
        rows = [(group, f"{amount} {prices.currency}") for group, amount in charges(report, prices)]
        _pairs(console, "Charges by group", ("group", "amount"), rows)
    documents = [(name, figures.number(count)) for name, count in report.documents.most_common(MAX_DOCUMENTS)]
    _pairs(console, "Documents that answers rested on", ("document", "answers"), documents)
    users = [(_person(subject, names), tally) for subject, tally in report.top_users]
    _tallies(console, f"Top users (of {len(report.by_user)}, pseudonyms)", "user", users, columns=_USER_CELLS)
    _pairs_of_users(console, report, names)
    _failing(console, report, names)
    _unusual(console, report, names)
    _loads(console, report)


def printable(value: str) -> str:
    """``value`` with everything that could move a cursor or hide text replaced."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in value)


def _person(subject: str, names: Mapping[str, str | None] | None) -> str:
    if names is None or subject not in names:
        return subject
    name = names[subject]
    return f"{name if name is not None else _ERASED} ({subject[:_SHORT]})"


def _tallies(  # noqa: PLR0913 - private; what differs between the tables
    console: Console,
    title: str,
    name: str,
    rows: Iterable[tuple[str, Tally]],
    *,
    total: Tally | None = None,
    columns: tuple[str, ...] = _ALL_CELLS,
) -> None:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, show_footer=total is not None)
    table.add_column(name, footer="total", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", footer=_CELLS[column](total) if total else "")
    nothing = [_CELLS[column](Tally()) for column in columns]
    for label, tally in rows:
        cells = [_CELLS[column](tally) for column in columns]
        if cells != nothing:  # what was not used here stands elsewhere: who failed to sign in, a model that was refused
            table.add_row(Text(printable(label)), *cells)
    if table.row_count:
        console.print(table)


def _reasons(console: Console, report: UsageReport) -> None:
    rows = [(reason, figures.number(count)) for reason, count in report.refusal_reasons.most_common()]
    _pairs(console, "Refusals by reason", ("reason", "count"), rows)


def _endings(console: Console, report: UsageReport) -> None:
    if not report.outcomes:
        return
    table = Table(title="How answers ended", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("outcome", overflow="fold")
    for column in ("answers", "share"):
        table.add_column(column, justify="right")
    table.add_column("meaning")
    for one in endings(report.outcomes):
        outcome = Text(printable(one.outcome), style="red" if one.failed else "")
        table.add_row(outcome, figures.number(one.count), figures.share(one.share), one.words)
    console.print(table)


def _failing(console: Console, report: UsageReport, names: Mapping[str, str | None] | None) -> None:
    days = [(day, tally) for day, tally in sorted(report.by_day.items()) if tally.failed_sign_ins]
    title = f"Failed sign-ins by day ({figures.number(report.total.failed_sign_ins)})"
    _tallies(console, title, "day", days, columns=_FAILED_CELLS)
    users = [(_person(subject, names), tally) for subject, tally in report.top_failing]
    _tallies(console, "Users whose sign-ins failed most", "user", users, columns=_FAILED_CELLS)


def _pairs(console: Console, title: str, heads: tuple[str, str], rows: list[tuple[str, str]]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(heads[0], overflow="fold")
    table.add_column(heads[1], justify="right")
    for name, value in rows:
        table.add_row(Text(printable(name)), Text(printable(value)))
    console.print(table)


def _pairs_of_users(console: Console, report: UsageReport, names: Mapping[str, str | None] | None) -> None:
    rows = report.top_pairs
    if not rows:
        return
    table = Table(title="Top users by model", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("user", "model"):
        table.add_column(column, overflow="fold")
    for column in _USER_CELLS:
        table.add_column(column, justify="right")
    before = None
    for subject, model, tally in rows:
        person = "" if subject == before else _person(subject, names)
        table.add_row(
            Text(printable(person)), Text(printable(model)), *(_CELLS[column](tally) for column in _USER_CELLS)
        )
        before = subject
    console.print(table)


def _unusual(console: Console, report: UsageReport, names: Mapping[str, str | None] | None) -> None:
    if not report.unusual:
        return
    table = Table(
        title="Unusual use, against the user's own past", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    for column in ("day", "user", "what"):
        table.add_column(column, overflow="fold")
    for one in report.unusual:
        table.add_row(one.day, Text(printable(_person(one.subject, names))), explained(one))
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
