"""Some use of a site over four days, logged and counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import events
from appliance.audit.entry import encode_entry
from appliance.audit.usage import build_report

if TYPE_CHECKING:
    from appliance.audit.tally import UsageReport
    from tests.audit.bench import Bench


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def call(name: str, day: int, subject: str, groups: tuple[str, ...], model: str = "demo") -> list[tuple[str, bytes]]:
    who = {"request_id": name, "subject": subject, "groups": groups, "model_digest": "sha256:a5", "model_name": model}
    asked = events.request(**who, prompt_commitment="sha256:0", purpose="summaries", at=at(day))
    answered = events.answer(
        **who,
        outcome="stop",
        prompt_tokens=100,
        completion_tokens=20,
        joules=36.0,
        duration_ms=500.0,
        answer_commitment="sha256:0",
        purpose="summaries",
        at=at(day),
    )
    return [(f"{name}:q", encode_entry(asked, f"{name}:q")), (f"{name}:a", encode_entry(answered, f"{name}:a"))]


def one(name: str, event: dict[str, Any]) -> tuple[str, bytes]:
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
        at=at(21),
    )
    bench.open().append(
        [
            one("load", events.model_load(model_name="demo", model_digest="sha256:a5", waivers=[{"n": 1}], at=at(20))),
            one("no", events.model_load(model_name="x", model_digest="d", accepted=False, reason="licence", at=at(20))),
            one("in", events.sign_in(subject="s1", groups=("analysts",), at=at(20))),
            one("bad", events.sign_in(subject="s1", success=False, reason="wrong", at=at(20))),
            *call("r1", 20, "s1", ("analysts", "officers")),
            *call("r2", 20, "s1", ("analysts",)),
            *call("r3", 22, "s2", ("clerks",), "other"),
            one("r9", refused),
            one("step", events.install_step(step="database", at=at(19))),
            one("change", events.admin_change(actor="a", action="create", kind="user", target="t", at=at(22))),
        ]
    )
    return build_report(bench.directory, vkeys=bench.vkeys)
