"""Failed sign-ins in a report: how many, on which days and whose, whether or not each has an entry of its own."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from appliance.audit import events
from appliance.audit.events_identity import identity_sign_in
from appliance.audit.tally import Figures, Tally, UsageReport
from appliance.audit.usage import build_report
from appliance.audit.usage_html import render_html
from appliance.audit.usage_table import render_table
from tests.audit.used import at, one

if TYPE_CHECKING:
    from tests.audit.bench import Bench


def refused(subject: str | None, day: int, left_out: Any = None) -> dict[str, Any]:
    event = identity_sign_in(subject=subject, operation="LOGIN", error="invalid_user_credentials", at=at(day))
    if left_out is not None:
        event["unmapped"]["sovereign"]["left_out"] = left_out
    return event


def report_of(bench: Bench, *made: dict[str, Any]) -> UsageReport:
    bench.open().append([one(f"e{number}", event) for number, event in enumerate(made)])
    return build_report(bench.directory, vkeys=bench.vkeys)


def section(text: str, title: str) -> str:
    return text[text.index(title) :]


def test_failures_that_were_left_out_of_the_log_count_as_the_next_entry_says(bench: Bench) -> None:
    report = report_of(bench, refused("s1", 20), refused("s1", 20, left_out=40), refused("s2", 21))
    assert report.total.failed_sign_ins == 43
    assert (report.by_user["s1"].failed_sign_ins, report.by_day["2026-11-20"].failed_sign_ins) == (42, 42)


@pytest.mark.parametrize("nonsense", [-5, "many", True, 1e308, [], {}, 10**30])
def test_a_number_of_failures_that_makes_no_sense_adds_none(bench: Bench, nonsense: Any) -> None:
    assert report_of(bench, refused("s1", 20, left_out=nonsense)).total.failed_sign_ins == 1


def test_a_sign_in_that_worked_stands_for_no_failure(bench: Bench) -> None:
    event = events.sign_in(subject="s1", at=at(20))
    event["unmapped"]["sovereign"]["left_out"] = 40
    report = report_of(bench, event)
    assert (report.total.sign_ins, report.total.failed_sign_ins) == (1, 0)


def test_whose_sign_ins_failed_most_come_first_also_who_never_asked_anything() -> None:
    report = UsageReport(top=2)
    users = {"s1": Tally(requests=9), "s2": Tally(failed_sign_ins=1), "s3": Tally(failed_sign_ins=5, sign_ins=2)}
    report.add_day("2026-11-20", Figures(by_user=users | {"s4": Tally(failed_sign_ins=3)}))
    assert report.as_json()["top_failed_sign_ins"] == [
        {"subject": "s3", "failed_sign_ins": 5, "sign_ins": 2},
        {"subject": "s4", "failed_sign_ins": 3, "sign_ins": 0},
    ]


def test_the_table_and_the_page_name_days_and_users_of_failed_sign_ins(bench: Bench) -> None:
    worked = events.sign_in(subject="s1", groups=("analysts",), at=at(22))
    report = report_of(bench, refused("s1", 20, left_out=1233), refused(None, 21), worked)
    out = io.StringIO()
    render_table(report, Console(file=out, width=80))
    days = section(out.getvalue(), "Failed sign-ins by day (1\N{NARROW NO-BREAK SPACE}235)").split("Users whose")[0]
    assert ("2026-11-20" in days, "2026-11-21" in days, "2026-11-22" in days) == (True, True, False)
    users = section(out.getvalue(), "Users whose").splitlines()
    assert [line.split()[0] for line in users if line.split()[:1] in (["s1"], ["unknown"])] == ["s1", "unknown"]
    page = section(render_html(report), "<h2>Failed sign-ins</h2>").split("<h2>Unusual use</h2>")[0]
    assert "<code>s1</code></td><td>1\N{NARROW NO-BREAK SPACE}234</td><td>1</td>" in page
    assert "<code>unknown</code></td><td>1</td><td>0</td>" in page
    assert "20 Nov: 1.23\N{NARROW NO-BREAK SPACE}k failed sign-ins" in render_html(report), "in the plot"


def test_where_no_sign_in_failed_the_page_says_so_and_the_table_is_silent(bench: Bench) -> None:
    report = report_of(bench, events.sign_in(subject="s1", at=at(20)))
    out = io.StringIO()
    render_table(report, Console(file=out, width=80))
    assert "ailed" not in out.getvalue()
    assert "No sign-in failed in this period." in render_html(report)


def test_a_row_of_nothing_is_in_no_table_of_the_terminal(bench: Bench) -> None:
    report = report_of(bench, refused("s1", 20))
    out = io.StringIO()
    render_table(report, Console(file=out, width=80))
    assert "(no group)" not in out.getvalue()
    assert "(no group)" in render_html(report), "there it has its failures beside it"
