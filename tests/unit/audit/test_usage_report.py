"""The usage report: what is counted, where, and that hostile entries neither break nor skew it."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from appliance.audit import events, figures
from appliance.audit.charges import Prices, charges, charges_json
from appliance.audit.entry import encode_entry
from appliance.audit.errors import LogTamperedError
from appliance.audit.events_identity import identity_sign_in
from appliance.audit.habits import Habits, Unusual
from appliance.audit.tally import MODELS_OF_A_USER, PAIR, Figures, Tally, UsageReport
from appliance.audit.usage import build_report
from appliance.audit.usage_html import render_html
from appliance.audit.usage_table import printable, render_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.audit.bench import Bench


def _at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def _call(name: str, day: int, subject: str, groups: tuple[str, ...], model: str = "demo") -> list[tuple[str, bytes]]:
    who = {"request_id": name, "subject": subject, "groups": groups, "model_digest": "sha256:a5", "model_name": model}
    asked = events.request(**who, prompt_commitment="sha256:0", purpose="summaries", at=_at(day))
    answered = events.answer(
        **who,
        outcome="stop",
        prompt_tokens=100,
        completion_tokens=20,
        joules=36.0,
        duration_ms=500.0,
        answer_commitment="sha256:0",
        purpose="summaries",
        at=_at(day),
    )
    return [(f"{name}:q", encode_entry(asked, f"{name}:q")), (f"{name}:a", encode_entry(answered, f"{name}:a"))]


def _one(name: str, event: dict[str, Any]) -> tuple[str, bytes]:
    return name, encode_entry(event, name)


@pytest.fixture
def report(bench: Bench) -> UsageReport:
    refused = events.refusal(
        request_id="r9",
        subject="s2",
        groups=("clerks",),
        reason_code="quota_exceeded",
        status=429,
        model_name="demo",
        at=_at(21),
    )
    bench.open().append(
        [
            _one(
                "load", events.model_load(model_name="demo", model_digest="sha256:a5", waivers=[{"n": 1}], at=_at(20))
            ),
            _one(
                "no", events.model_load(model_name="x", model_digest="d", accepted=False, reason="licence", at=_at(20))
            ),
            _one("in", events.sign_in(subject="s1", groups=("analysts",), at=_at(20))),
            _one("bad", events.sign_in(subject="s1", success=False, reason="wrong", at=_at(20))),
            *_call("r1", 20, "s1", ("analysts", "officers")),
            *_call("r2", 20, "s1", ("analysts",)),
            *_call("r3", 22, "s2", ("clerks",), "other"),
            _one("r9", refused),
            _one("step", events.install_step(step="database", at=_at(19))),
            _one("change", events.admin_change(actor="a", action="create", kind="user", target="t", at=_at(22))),
        ]
    )
    return build_report(bench.directory, vkeys=bench.vkeys)


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
        prompt_tokens=1, completion_tokens=1, joules=1, duration_ms=1, answer_commitment="c", at=_at(20),
    )  # fmt: skip
    broken = [good | {name: value} for name in ("actor", "ai_model", "message_context", "unmapped", "time", "user")]
    broken += [good | {"unmapped": {"sovereign": good["unmapped"]["sovereign"] | {"joules": value, "outcome": value}}}]
    broken += [
        good | {"message_context": {"prompt_tokens": value}},
        good | {"unmapped": {"sovereign": {"kind": value}}},
    ]
    broken += [good | {"actor": {"user": {"uid": value, "groups": value}}}]
    loads = events.model_load(model_name="m", model_digest="d", at=_at(20))
    broken += [loads | {"unmapped": {"sovereign": {"kind": "model_load", "waivers": value}}, "ai_model": value}]
    records = [_one(f"b{n}", event) for n, event in enumerate(broken)]
    bench.open().append(records)
    report = build_report(bench.directory, vkeys=bench.vkeys)
    assert sum(report.kinds.values()) == len(broken)
    assert report.total.tokens >= 0
    assert report.total.joules >= 0
    render_html(report)
    render_table(report, Console(file=io.StringIO(), width=80))


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
    assert page.tags.count("svg") == 6


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


def test_markup_in_names_is_shown_not_run(bench: Bench) -> None:
    bench.open().append(
        [
            *_call("r1", 20, HOSTILE, (HOSTILE,), HOSTILE),
            _one("r2", events.refusal(request_id="r2", reason_code=HOSTILE, status=400, at=_at(20))),
            _one("l", events.model_load(model_name=HOSTILE, model_digest=HOSTILE, accepted=False, reason=HOSTILE)),
        ]
    )
    report = build_report(bench.directory, vkeys=bench.vkeys)
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
            at=_at(20),
        )
        event["unmapped"]["sovereign"]["documents"] = documents
        records.append(_one(name, event))
    bench.open().append(records)
    found = build_report(bench.directory, vkeys=bench.vkeys)
    assert found.as_json()["documents"] == {"rules.pdf": 2, "map.pdf": 1}
    assert "map.pdf" in render_html(found)


def test_what_keycloak_refused_counts_and_what_it_took_is_not_counted_twice(bench: Bench) -> None:
    bench.open().append(
        [
            _one("a", identity_sign_in(subject="s1", operation="LOGIN", at=_at(20))),
            _one("b", identity_sign_in(subject="s1", operation="LOGIN", error="invalid_user_credentials", at=_at(20))),
            _one("c", events.sign_in(subject="s1", at=_at(20))),
        ]
    )
    found = build_report(bench.directory, vkeys=bench.vkeys)
    assert (found.total.sign_ins, found.total.failed_sign_ins) == (1, 1)


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
    assert [one.subject for one in report.unusual] == ["s1"]


def test_unusual_use_is_in_every_form_of_the_report_and_only_of_its_period(bench: Bench) -> None:
    records = [one for day in range(1, 7) for one in _call(f"p{day}", day, "s1", ("analysts",))]
    records += [one for number in range(21) for one in _call(f"u{number}", 20, "s1", ("analysts",))]
    bench.open().append(records)
    found = build_report(bench.directory, vkeys=bench.vkeys, since=date(2026, 11, 10))
    assert [(one["rule"], one["seen"], one["usual"]) for one in found.as_json()["unusual"]] == [("volume", 21, 1)]
    assert "21 requests on one day; usual is 1" in render_html(found)
    console = Console(file=io.StringIO(), width=120)
    render_table(found, console)
    assert "usual is 1" in console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    early = build_report(bench.directory, vkeys=bench.vkeys, until=date(2026, 11, 10))
    assert early.unusual == []
