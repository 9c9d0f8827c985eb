"""The usage report: what is counted, where, and that hostile entries neither break nor skew it."""

from __future__ import annotations

import io
import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from appliance.audit import events
from appliance.audit.charges import Prices, charges, charges_json
from appliance.audit.errors import LogTamperedError
from appliance.audit.events_identity import identity_sign_in
from appliance.audit.tally import MODELS_OF_A_USER, PAIR, Figures, Tally, UsageReport
from appliance.audit.usage import build_report
from appliance.audit.usage_html import render_html
from appliance.audit.usage_table import render_table
from tests.audit.used import at, one

if TYPE_CHECKING:
    from tests.audit.bench import Bench


def test_totals_are_the_sums_of_what_happened(report: UsageReport) -> None:
    total = report.total
    assert (total.requests, total.answers, total.refusals, total.tokens) == (3, 3, 1, 360)
    assert total.joules == 108.0
    assert (total.sign_ins, total.failed_sign_ins, total.model_loads) == (1, 1, 2)


def test_days_groups_models_and_users_are_told_apart(report: UsageReport) -> None:
    data = report.as_json()
    assert {day: t["requests"] for day, t in data["by_day"].items()} == {
        "2026-11-20": 2,
        "2026-11-21": 0,
        "2026-11-22": 1,
    }
    assert {g: t["requests"] for g, t in data["by_group"].items() if t["requests"]} == {
        "analysts": 2,
        "officers": 1,
        "clerks": 1,
    }
    assert {m: t["answers"] for m, t in data["by_model"].items()} == {"demo": 2, "other": 1, "x": 0}
    assert data["by_purpose"]["summaries"]["tokens"] == 360
    assert data["refusal_reasons"] == {"quota_exceeded": 1}
    assert data["outcomes"] == {"stop": 3}
    assert [(user["subject"], user["requests"]) for user in data["top_users"]] == [("s1", 2), ("s2", 1)]
    assert data["users"] == 2
    assert [(one["subject"], one["model"], one["requests"], one["answers"]) for one in data["top_users_by_model"]] == [
        ("s1", "demo", 2, 2),
        ("s2", "other", 1, 1),
        ("s2", "demo", 0, 0),
    ], "the last was refused"
    assert [(load["model"], load["accepted"], load["waivers"]) for load in data["model_loads"]] == [
        ("demo", True, 1),
        ("x", False, 0),
    ]
    json.dumps(data, allow_nan=False)


def test_a_period_includes_its_first_and_last_day(bench: Bench, report: UsageReport) -> None:
    assert report.size == 13
    only = build_report(bench.directory, vkeys=bench.vkeys, since=date(2026, 11, 21), until=date(2026, 11, 22))
    assert sorted(only.by_day) == ["2026-11-21", "2026-11-22"]
    assert (only.total.requests, only.total.refusals) == (1, 1)


def test_an_entry_edited_into_a_bomb_is_a_finding_and_no_crash(bench: Bench, report: UsageReport) -> None:
    assert report.size
    path = max((bench.directory / "tile/entries").rglob("[0-9]*"), key=lambda found: found.is_file())
    data = path.read_bytes()
    length = int.from_bytes(data[:2], "big")
    path.write_bytes((60_000).to_bytes(2, "big") + b"[" * 60_000 + data[2 + length :])
    with pytest.raises(LogTamperedError):
        build_report(bench.directory, vkeys=bench.vkeys)


def test_the_top_is_as_long_as_asked(bench: Bench, report: UsageReport) -> None:
    assert len(report.by_user) == 2
    assert len(build_report(bench.directory, vkeys=bench.vkeys, top=1).top_users) == 1


def test_users_by_model_are_as_many_rows_as_are_bound_to_be_read() -> None:
    report = UsageReport(top=2)
    figures = Figures()
    for user in range(4):
        for model in range(9):
            tally = Tally(requests=10 * user + model, completion_tokens=user)
            figures.by_user[f"u{user}"].add(tally)
            figures.by_user_model[f"u{user}{PAIR}m {model}"].add(tally)
    report.add_day("2026-11-20", figures)
    found = [(subject, model) for subject, model, _ in report.top_pairs]
    assert found == [(f"u{user}", f"m {model}") for user in (3, 2) for model in range(8, 8 - MODELS_OF_A_USER, -1)]


def test_there_is_no_report_of_a_log_that_does_not_hold(bench: Bench, report: UsageReport) -> None:
    path = bench.directory / f"tile/entries/000.p/{report.size}"
    path.write_bytes(path.read_bytes().replace(b'"joules":36.0', b'"joules":11.0', 1))
    with pytest.raises(LogTamperedError):
        build_report(bench.directory, vkeys=bench.vkeys)


NONSENSE: list[Any] = [None, True, -5, 1e308, "many", [], {}, ["x"], {"x": 1}, 10**30]


@pytest.mark.parametrize("value", NONSENSE)
def test_entries_of_any_shape_are_counted_without_nonsense(bench: Bench, value: Any) -> None:
    good = events.answer(
        request_id="r", subject="s", groups=("g",), model_digest="d", model_name="m", outcome="stop",
        prompt_tokens=1, completion_tokens=1, joules=1, duration_ms=1, answer_commitment="c", at=at(20),
    )  # fmt: skip
    broken = [good | {name: value} for name in ("actor", "ai_model", "message_context", "unmapped", "time", "user")]
    broken += [good | {"unmapped": {"sovereign": good["unmapped"]["sovereign"] | {"joules": value, "outcome": value}}}]
    broken += [
        good | {"message_context": {"prompt_tokens": value}},
        good | {"unmapped": {"sovereign": {"kind": value}}},
    ]
    broken += [good | {"actor": {"user": {"uid": value, "groups": value}}}]
    loads = events.model_load(model_name="m", model_digest="d", at=at(20))
    broken += [loads | {"unmapped": {"sovereign": {"kind": "model_load", "waivers": value}}, "ai_model": value}]
    records = [one(f"b{n}", event) for n, event in enumerate(broken)]
    bench.open().append(records)
    report = build_report(bench.directory, vkeys=bench.vkeys)
    assert sum(report.kinds.values()) == len(broken)
    assert report.total.tokens >= 0
    assert report.total.joules >= 0
    render_html(report)
    render_table(report, Console(file=io.StringIO(), width=80))


def test_groups_are_charged_by_tokens_and_energy_at_the_sites_prices(report: UsageReport) -> None:
    prices = Prices("CHF", Decimal("0.50"), Decimal(1000))
    # analysts: two answers of 120 tokens and 36 J, so 0.12 and 0.02; officers half of that, clerks as officers
    assert dict(charges(report, prices)) == {
        "analysts": Decimal("0.14"),
        "officers": Decimal("0.07"),
        "clerks": Decimal("0.07"),
        "(no group)": Decimal("0.00"),
    }
    assert charges_json(report, prices)["total"] == "0.28"
    page = render_html(report, prices)
    assert "0.14 CHF" in page
    console = Console(file=io.StringIO(), width=120)
    render_table(report, console, prices)
    assert "0.14 CHF" in console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    assert "Charges" not in render_html(report)


def test_documents_that_answers_rested_on_are_counted_once_an_answer(bench: Bench) -> None:
    records = []
    for name, documents in (("d1", ["rules.pdf", "rules.pdf", "map.pdf"]), ("d2", ["rules.pdf", 7]), ("d3", "no list")):
        event = events.answer(
            request_id=name,
            subject="s1",
            groups=("analysts",),
            model_digest="sha256:a5",
            model_name="demo",
            outcome="stop",
            prompt_tokens=1,
            completion_tokens=1,
            joules=1.0,
            duration_ms=1.0,
            answer_commitment="sha256:0",
            at=at(20),
        )
        event["unmapped"]["sovereign"]["documents"] = documents
        records.append(one(name, event))
    bench.open().append(records)
    found = build_report(bench.directory, vkeys=bench.vkeys)
    assert found.as_json()["documents"] == {"rules.pdf": 2, "map.pdf": 1}
    assert "map.pdf" in render_html(found)


def test_what_keycloak_refused_counts_and_what_it_took_is_not_counted_twice(bench: Bench) -> None:
    bench.open().append(
        [
            one("a", identity_sign_in(subject="s1", operation="LOGIN", at=at(20))),
            one("b", identity_sign_in(subject="s1", operation="LOGIN", error="invalid_user_credentials", at=at(20))),
            one("c", events.sign_in(subject="s1", at=at(20))),
        ]
    )
    found = build_report(bench.directory, vkeys=bench.vkeys)
    assert (found.total.sign_ins, found.total.failed_sign_ins) == (1, 1)
