"""The usage report as a page and a table: whole by itself, readable, and safe against what names hold."""

from __future__ import annotations

import io
import json
from datetime import date
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from appliance.audit import events, figures
from appliance.audit.habits import Habits, Unusual
from appliance.audit.tally import Figures, Tally, UsageReport
from appliance.audit.usage import build_report
from appliance.audit.usage_html import render_html
from appliance.audit.usage_table import printable, render_table
from tests.audit.used import at, call, one

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.audit.bench import Bench


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "line"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "line":
            assert self.open.pop() == tag


def _parsed(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    assert page.open == []
    return page


def test_the_page_is_self_contained_and_runs_nothing(report: UsageReport) -> None:
    page = _parsed(render_html(report))
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")} | {"style", "src", "href"} & names
    assert ("http-equiv", "Content-Security-Policy") in page.attributes
    policy = next(value for name, value in page.attributes if value.startswith("default-src"))
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert page.tags.count("svg") == 7


def test_the_page_shows_the_figures_of_the_report(report: UsageReport) -> None:
    html = render_html(report)
    for shown in (
        "2026-11-19 to 2026-11-22",
        "quota_exceeded",
        "analysts",
        "s1",
        report.root,
        "licence",
        "Verified log",
    ):
        assert shown in html or shown.replace("19", "20", 1) in html


def test_an_empty_log_has_a_page_too(bench: Bench) -> None:
    bench.fill(0)
    html = render_html(build_report(bench.directory, vkeys=bench.vkeys))
    _parsed(html)
    assert "holds no events" in html


HOSTILE = "<script>alert(1)</script>\"'&\x1b[2J\u202e]]>--><!--"


def _ended(outcome: str) -> dict[str, Any]:
    _, answered = call("r3", 20, "s1", ("analysts",))
    event: dict[str, Any] = json.loads(answered[1])
    event["unmapped"]["sovereign"]["outcome"] = outcome
    return event


def test_markup_in_names_is_shown_not_run(bench: Bench) -> None:
    bench.open().append(
        [
            *call("r1", 20, HOSTILE, (HOSTILE,), HOSTILE),
            one("r2", events.refusal(request_id="r2", reason_code=HOSTILE, status=400, at=at(20))),
            one("l", events.model_load(model_name=HOSTILE, model_digest=HOSTILE, accepted=False, reason=HOSTILE)),
            one("s", events.sign_in(subject=HOSTILE, success=False, reason=HOSTILE, at=at(20))),
            one("r3:a", _ended(HOSTILE)),
        ]
    )
    report = build_report(bench.directory, vkeys=bench.vkeys)
    assert HOSTILE in report.outcomes
    assert [name for name, _ in report.top_failing] == [HOSTILE]
    page = _parsed(render_html(report))
    assert "script" not in page.tags
    out = io.StringIO()
    render_table(report, Console(file=out, width=100))
    assert "\x1b" not in out.getvalue()
    assert "\u202e" not in out.getvalue()


def test_the_table_fits_eighty_columns(report: UsageReport) -> None:
    out = io.StringIO()
    render_table(report, Console(file=out, width=80))
    assert max(map(len, out.getvalue().splitlines())) <= 100
    assert "By group" in out.getvalue()


def test_only_printable_text_is_printed() -> None:
    assert printable("a\x1b[2J\u202e\nü") == "a\ufffd[2J\ufffd\ufffdü"


@pytest.mark.parametrize(
    ("days", "unit", "count"),
    [
        ([], "day", 0),
        (["2026-11-22"], "day", 1),
        (["2026-11-01", "2026-11-30"], "day", 30),
        (["2026-01-01", "2026-12-31"], "week", 53),
        (["1970-01-01", "2026-01-01", "2026-12-31", "9999-12-31"], "month", 4),
    ],
)
def test_long_periods_are_gathered_so_that_plots_stay_readable(days: list[str], unit: str, count: int) -> None:
    found, buckets = figures.buckets(days)
    assert (found, len(buckets)) == (unit, count)
    assert [day for _, members in buckets for day in members if day in days] == sorted(days)


@pytest.mark.parametrize(
    ("joules", "text"), [(0, "0 J"), (12.34, "12.3 J"), (1500, "1 500 J"), (3600, "1 Wh"), (7.2e6, "2 kWh")]
)
def test_energy_is_written_in_a_fitting_unit(joules: float, text: str) -> None:
    assert figures.energy(joules) == text.replace(" ", "\N{NARROW NO-BREAK SPACE}")


def test_what_is_unusual_is_worked_out_once_for_all_forms_and_anew_after_another_day() -> None:
    asked: list[int] = []

    class Asked(Habits):
        def unusual(self, covers: Callable[[str], bool] = bool) -> list[Unusual]:
            asked.append(1)
            return super().unusual(covers)

    report = UsageReport(habits=Asked())
    for _ in range(2):
        report.as_json()
        render_html(report)
        render_table(report, Console(file=io.StringIO()))
    assert len(asked) == 1
    report.add_day("2026-11-20", Figures(by_user={"s1": Tally(refusals=10)}))
    assert [found.subject for found in report.unusual] == ["s1"]


def test_unusual_use_is_in_every_form_of_the_report_and_only_of_its_period(bench: Bench) -> None:
    records = [made for day in range(1, 7) for made in call(f"p{day}", day, "s1", ("analysts",))]
    records += [made for number in range(21) for made in call(f"u{number}", 20, "s1", ("analysts",))]
    bench.open().append(records)
    found = build_report(bench.directory, vkeys=bench.vkeys, since=date(2026, 11, 10))
    assert [(found["rule"], found["seen"], found["usual"]) for found in found.as_json()["unusual"]] == [
        ("volume", 21, 1)
    ]
    assert "21 requests on one day; usual is 1" in render_html(found)
    console = Console(file=io.StringIO(), width=120)
    render_table(found, console)
    assert "usual is 1" in console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    early = build_report(bench.directory, vkeys=bench.vkeys, until=date(2026, 11, 10))
    assert early.unusual == []
