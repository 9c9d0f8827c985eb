"""The auditors' page reads of the figures only what a report has."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.audit.tally import Figures, Tally, UsageReport

SCRIPT = Path(__file__).parents[3] / "appliance/gateway/static/js/audit_figures.js"


def test_every_figure_that_the_page_reads_is_in_the_report() -> None:
    script = SCRIPT.read_text("utf-8")
    report = UsageReport()
    mine = {"s1": Tally(requests=1, failed_sign_ins=1)}
    report.add_day("2026-11-20", Figures(total=mine["s1"], by_user=mine, by_user_model={"s1\x1fm": mine["s1"]}))
    told = report.as_json()
    read = set(re.findall(r"this\.report\.(\w+)", script))
    assert {"outcomes", "top_failed_sign_ins"} <= read <= set(told)
    fields = {name: set(re.findall(r"(\w+): (?:number|string)\b", of)) for of, name in _typedefs(script)}
    assert fields["Tally"] <= set(told["by_day"]["2026-11-20"])
    assert fields["Pair"] <= set(told["top_users_by_model"][0])
    assert fields["Failing"] <= set(told["top_failed_sign_ins"][0])
    assert all(fields[name] for name in ("Tally", "Pair", "Failing"))


def _typedefs(script: str) -> list[tuple[str, str]]:
    return re.findall(r"@typedef \{\{(.*?)\}\} (\w+)", script)
