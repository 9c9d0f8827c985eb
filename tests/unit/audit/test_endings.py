"""How answers ended: what broke off comes first, nothing is lost, and every way in which our gateways end is told."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from appliance.audit import endings as told
from appliance.audit import figures
from appliance.audit.endings import endings
from appliance.audit.tally import Figures, Tally, UsageReport
from appliance.audit.usage_html import render_html
from appliance.audit.usage_table import render_table
from appliance.gateway import tally

SCRIPT = Path(__file__).parents[3] / "appliance/gateway/static/js/audit_endings.js"
OUTCOMES = Counter(stop=900, length=50, error=4, cancelled=25, interrupted=8, fallen=1)
ORDER = ["cancelled", "interrupted", "error", "fallen", "stop", "length"]


def report_of(outcomes: Counter[str]) -> UsageReport:
    report = UsageReport()
    report.add_day("2026-11-20", Figures(total=Tally(answers=outcomes.total()), outcomes=outcomes))
    return report


def printed(report: UsageReport, width: int = 80) -> list[str]:
    out = io.StringIO()
    render_table(report, Console(file=out, width=width))
    return out.getvalue().splitlines()


def test_what_broke_off_comes_first_by_count_and_an_unknown_outcome_is_not_taken_for_an_answer() -> None:
    found = endings(OUTCOMES)
    assert [one.outcome for one in found] == ORDER
    assert [one.failed for one in found] == [True] * 4 + [False] * 2
    assert {one.outcome: one.count for one in found} == dict(OUTCOMES)
    assert sum(one.share for one in found) == pytest.approx(1)
    assert endings(Counter()) == endings(Counter(stop=0)) == []


def test_every_way_in_which_a_gateway_ends_an_answer_has_words() -> None:
    ways = {tally.STOP, tally.LENGTH, tally.CANCELLED, tally.INTERRUPTED, tally.FAILED}
    assert set(told.WORDS) == ways
    script = SCRIPT.read_text("utf-8")
    assert set(re.findall(r'case "(\w+)"', script)) == ways, "the auditors' page tells the same"
    whole = re.search(r"const WHOLE = (\[.*?\]);", script)
    assert whole is not None
    assert set(json.loads(whole[1])) == {one.outcome for one in endings(Counter(ways)) if not one.failed}


def test_json_has_them_in_that_order() -> None:
    assert list(report_of(OUTCOMES).as_json()["outcomes"]) == ORDER


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_has_them_in_that_order_with_count_share_and_meaning(width: int) -> None:
    lines = printed(report_of(OUTCOMES), width)
    rows = [re.split(r"   +", line.strip(" ")) for line in lines]
    assert [row[0] for row in rows if row[0] in ORDER] == ORDER
    assert next(row for row in rows if row[0] == "interrupted") == [
        "interrupted",
        "8",
        figures.share(8 / 988),
        told.WORDS["interrupted"],
    ]


def test_the_page_draws_what_broke_off_and_lists_all_with_their_share() -> None:
    html = render_html(report_of(OUTCOMES))
    section = html[html.index("How answers ended") : html.index("Failed sign-ins</h2>")]
    plot, table = section.split("</figure>")
    assert "cancelled: 25" in plot
    assert "stop" not in plot
    assert re.findall(r'<span class="(?:no)?">(\w+)</span>', table) == ORDER
    assert re.findall(r'<span class="no">(\w+)</span>', table) == ORDER[:4]
    assert figures.share(900 / 988) in table


def test_where_nothing_broke_off_the_page_says_so_and_draws_nothing() -> None:
    html = render_html(report_of(Counter(stop=2)))
    assert "No answer broke off in this period." in html
    assert 'aria-label="Answers that broke off"' not in html
    open_ = UsageReport()
    open_.add_day("2026-11-20", Figures(total=Tally(requests=1)))
    assert "Nothing was answered in this period." in render_html(open_)
    assert not any("How answers ended" in line for line in printed(open_))


@pytest.mark.parametrize(
    ("part", "text"), [(0, "0.0 %"), (1e-9, "<0.1 %"), (0.0214, "2.1 %"), (0.9999, ">99.9 %"), (1, "100.0 %")]
)
def test_a_share_never_hides_the_little_that_there_is(part: float, text: str) -> None:
    assert figures.share(part) == text.replace(" ", "\N{NARROW NO-BREAK SPACE}")
