"""The usage report as CSV, for a spreadsheet: one row a day, group, model, purpose, user and reason. Pure.

Every row has the same columns; what does not apply is empty. ``table`` says what ``name`` is: ``log`` (its origin, with
its size as ``count``), ``root`` (in hex), ``pruned`` where its beginning is gone (so many entries), ``total``, ``day``,
``group``, ``model``, ``purpose``, ``user`` (a pseudonym, the top ones), ``user_model`` (these by ``model``, each with
those used most), ``failing`` (those whose sign-ins failed most); with a ``count`` only ``refusal``, ``outcome`` (how
answers ended, those that broke off first) and ``document``; ``unusual``: a pseudonym whose use of a ``day`` fits a
``rule`` of ``habits``, with what was seen as ``count`` beside what is ``usual``; ``charge`` with an ``amount``. Names
come from people: one that a spreadsheet would take for a formula has an apostrophe before it; characters that move a
cursor are replaced.
"""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from appliance.audit.charges import charges
from appliance.audit.endings import endings
from appliance.audit.tally import MAX_DOCUMENTS, Tally, ranked
from appliance.audit.usage_table import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from appliance.audit.charges import Prices
    from appliance.audit.habits import Unusual
    from appliance.audit.tally import UsageReport

_UNUSUAL = ("day", "rule", "usual")
COLUMNS = (
    "table",
    "name",
    *(one.name for one in fields(Tally)),
    "tokens",
    "count",
    "amount",
    "currency",
    "model",
    *_UNUSUAL,
)
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What begins a formula, the full-width forms included: some spreadsheets take them alike."""
Row = dict[str, object]


def render_csv(report: UsageReport, prices: Prices | None = None) -> str:
    """The report, lines ended as RFC 4180 has it; with what groups are charged where there are ``prices``."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(_rows(report, prices))
    return out.getvalue()


def _rows(report: UsageReport, prices: Prices | None) -> Iterator[Row]:
    yield from _counts("log", [(report.origin, report.size)])
    yield {"table": "root", "name": report.root}
    yield from _counts("pruned", [("", report.pruned)] if report.pruned else [])
    yield from _tallies("total", [("", report.total)])
    yield from _tallies("day", sorted(report.by_day.items()))
    yield from _tallies("group", ranked(report.by_group))
    yield from _tallies("model", ranked(report.by_model))
    yield from _tallies("purpose", ranked(report.by_purpose))
    yield from _tallies("user", report.top_users)
    for subject, model, tally in report.top_pairs:
        yield from ({**row, "model": _safe(model)} for row in _tallies("user_model", [(subject, tally)]))
    yield from _tallies("failing", report.top_failing)
    yield from _counts("refusal", report.refusal_reasons.most_common())
    yield from _counts("outcome", [(one.outcome, one.count) for one in endings(report.outcomes)])
    yield from _counts("document", report.documents.most_common(MAX_DOCUMENTS))
    for one in report.unusual:
        yield from ({**row, **_rule(one)} for row in _counts("unusual", [(one.subject, one.seen)]))
    if prices is not None:
        for group, amount in charges(report, prices):
            yield {"table": "charge", "name": _safe(group), "amount": amount, "currency": _safe(prices.currency)}


def _tallies(table: str, rows: Iterable[tuple[str, Tally]]) -> Iterator[Row]:
    for name, tally in rows:
        figures = asdict(tally) | {"tokens": tally.tokens, "joules": round(tally.joules, 3)}
        yield {"table": table, "name": _safe(name), **figures}


def _counts(table: str, rows: Iterable[tuple[str, int]]) -> Iterator[Row]:
    for name, count in rows:
        yield {"table": table, "name": _safe(name), "count": count}


def _rule(one: Unusual) -> Row:
    return {name: getattr(one, name) for name in _UNUSUAL}


def _safe(name: str) -> str:
    shown = printable(name)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
