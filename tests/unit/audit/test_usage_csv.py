"""The report as CSV: the figures of the other forms, in rows that a spreadsheet reads and does not run."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from appliance.audit import events
from appliance.audit.charges import Prices, charges_json
from appliance.audit.entry import encode_entry
from appliance.audit.tally import Figures, Tally, UsageReport
from appliance.audit.usage import build_report
from appliance.audit.usage_csv import COLUMNS, render_csv

if TYPE_CHECKING:
    from tests.audit.bench import Bench

PRICES = Prices("CHF", Decimal("0.50"), Decimal("0.30"))


def asked(name: str, model: str = "demo", groups: tuple[str, ...] = ("clerks",)) -> list[tuple[str, bytes]]:
    who = {"request_id": name, "subject": "s1", "groups": groups, "model_digest": "sha256:a5", "model_name": model}
    request = events.request(**who, prompt_commitment="sha256:0", purpose="summaries")
    answer = events.answer(
        **who,
        outcome="stop",
        prompt_tokens=100,
        completion_tokens=20,
        joules=36.0,
        duration_ms=500.0,
        answer_commitment="sha256:0",
        purpose="summaries",
        documents=["sha256:d0"],
    )
    return [(f"{name}{kind}", encode_entry(one, f"{name}{kind}")) for kind, one in (("q", request), ("a", answer))]


def report_of(bench: Bench, *records: tuple[str, bytes]) -> UsageReport:
    log = bench.open()
    log.append(list(records))
    bench.close()
    return build_report(bench.directory, vkeys=bench.vkeys)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_figure_of_the_report_is_a_cell(bench: Bench) -> None:
    refused = events.refusal(request_id="r", subject="s1", groups=("clerks",), reason_code="quota_exceeded", status=429)
    report = report_of(bench, *asked("one"), *asked("two"), ("no", encode_entry(refused, "no")))
    found, told = rows(render_csv(report, PRICES)), report.as_json()
    by = {(row["table"], row["name"]): row for row in found if row["model"] in {"", "demo"}}
    assert len({(row["table"], row["name"], row["model"]) for row in found}) == len(found)
    for table, where in (("group", "by_group"), ("model", "by_model"), ("purpose", "by_purpose"), ("day", "by_day")):
        for name, figures in told[where].items():
            assert {key: by[table, name][key] for key in figures} == {key: str(one) for key, one in figures.items()}
    assert by["log", report.origin]["count"] == str(report.size) == "5"
    assert by["root", report.root]["count"] == ""
    assert "pruned" not in {table for table, _ in by}
    assert by["total", ""]["requests"] == str(told["total"]["requests"]) == "2"
    assert by["user", "s1"]["tokens"] == "240"
    assert (by["user_model", "s1"]["model"], by["user_model", "s1"]["answers"]) == ("demo", "2")
    assert by["refusal", "quota_exceeded"]["count"] == "1"
    assert by["outcome", "stop"]["count"] == by["document", "sha256:d0"]["count"] == "2"
    charged = charges_json(report, PRICES)["by_group"]
    assert {name: row["amount"] for (table, name), row in by.items() if table == "charge"} == charged
    assert not any(row["table"] == "charge" for row in rows(render_csv(report)))


def test_what_is_unusual_is_a_row_for_each_rule_that_a_day_fits() -> None:
    report = UsageReport()
    for day, requests in [(f"2026-11-0{number}", 2) for number in range(1, 7)] + [("2026-11-09", 40)]:
        report.add_day(day, Figures(by_user={"s1": Tally(requests=requests)}, hours=Counter({"s1 09": requests})))
    report.add_day("2026-11-10", Figures(by_user={"=1+1": Tally(requests=1, refusals=12)}))
    found = [row for row in rows(render_csv(report)) if row["table"] == "unusual"]
    assert [(row["day"], row["name"], row["rule"], row["count"], row["usual"]) for row in found] == [
        ("2026-11-10", "'=1+1", "refusals", "12", "1"),
        ("2026-11-09", "s1", "volume", "40", "2"),
    ]
    told = [(one["day"], one["rule"], str(one["seen"])) for one in report.as_json()["unusual"]]
    assert [(row["day"], row["rule"], row["count"]) for row in found] == told
    others = [row for row in rows(render_csv(report)) if row["table"] != "unusual"]
    assert {row[name] for row in others for name in ("day", "rule", "usual")} == {""}


def test_how_answers_ended_and_whose_sign_ins_failed_are_rows_worst_first() -> None:
    report = UsageReport()
    users = {"s1": Tally(requests=3, sign_ins=2), "s2": Tally(failed_sign_ins=7), "s3": Tally(failed_sign_ins=9)}
    outcomes = Counter(stop=5, error=1, cancelled=2)
    report.add_day("2026-11-01", Figures(total=Tally(failed_sign_ins=16), by_user=users, outcomes=outcomes))
    found = rows(render_csv(report))
    assert [(row["name"], row["count"]) for row in found if row["table"] == "outcome"] == [
        ("cancelled", "2"),
        ("error", "1"),
        ("stop", "5"),
    ]
    assert [(row["name"], row["failed_sign_ins"]) for row in found if row["table"] == "failing"] == [
        ("s3", "9"),
        ("s2", "7"),
    ]


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\uff1d1", "\uff201", "\t=cmd|'/c x'!A0", "a\r\n=1"]
)
def test_a_name_that_somebody_typed_is_no_formula_and_no_row(bench: Bench, name: str) -> None:
    report = report_of(bench, *asked("one", model=name))
    text = render_csv(report)
    (row,) = (row for row in rows(text) if row["table"] == "model")
    assert not row["name"].lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff20", "\t"))
    assert row["name"].isprintable()
    assert all(line.count(",") >= len(COLUMNS) - 1 for line in text.splitlines())


def test_figures_that_lack_a_pruned_beginning_say_so(bench: Bench) -> None:
    report = replace(report_of(bench, *asked("one")), pruned=512)
    assert [row["count"] for row in rows(render_csv(report)) if row["table"] == "pruned"] == ["512"]
