"""Events have the shape of OCSF 1.9 and never hold content."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import events
from appliance.audit.apart import set_apart
from appliance.audit.entry import encode_entry
from appliance.audit.ocsf import MAX_TEXT
from appliance.audit.tiles import MAX_ENTRY_BYTES
from tests.audit.samples import AT, EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_has_every_required_field_of_its_class(kind: str) -> None:
    event, class_uid, activity = EVENTS[kind]
    assert event["class_uid"] == class_uid
    assert event["category_uid"] == class_uid // 1000
    assert event["activity_id"] == activity
    assert event["type_uid"] == class_uid * 100 + activity
    assert event["time"] == 1_795_348_800_005
    assert event["severity_id"] in range(1, 7)
    assert event["metadata"]["version"] == "1.9.0"
    assert event["metadata"]["product"]["name"] == "sovereign"
    assert event["unmapped"]["sovereign"]["kind"] == kind
    required = {3001: "user", 3002: "user", 3004: "entity", 4001: "dst_endpoint", 6002: "app", 6003: "api"}[class_uid]
    assert event[required]
    encode_entry(event, "id")


@pytest.mark.parametrize("kind", ["request", "answer", "refusal"])
def test_calls_name_actor_operation_and_source(kind: str) -> None:
    event, _, _ = EVENTS[kind]
    assert event["actor"]["app_name"] == "sovereign"
    assert event["api"]["operation"]
    assert event["src_endpoint"]["name"]
    assert event["metadata"]["correlation_uid"] == "r1"


def test_calls_to_a_model_carry_the_ai_profile() -> None:
    for kind in ("request", "answer"):
        event, _, _ = EVENTS[kind]
        assert event["metadata"]["profiles"] == ["ai_operation"]
        assert {"ai_provider", "name", "uid"} <= set(event["ai_model"])
        assert event["message_context"]["service"]
    counted = EVENTS["answer"][0]["message_context"]
    assert (counted["prompt_tokens"], counted["completion_tokens"]) == (10, 5)


def test_what_was_not_allowed_is_denied_and_failed() -> None:
    refused = EVENTS["refusal"][0]
    blocked = events.model_load(model_name="m", model_digest="d", accepted=False, reason="licence", at=AT)
    for event in (refused, blocked):
        assert (event["status_id"], event["action_id"], event["disposition_id"]) == (2, 2, 2)
        assert "security_control" in event["metadata"]["profiles"]
    assert refused["api"]["response"]["code"] == 429
    assert "actor" in refused
    assert "user" not in refused["actor"]
    failed = events.sign_in(subject="x", success=False, reason="invalid_user_credentials", at=AT)
    assert (failed["status_id"], failed["severity_id"]) == (2, 2)


@pytest.mark.parametrize("name", events.__all__)
def test_builders_take_everything_by_keyword(name: str) -> None:
    parameters = inspect.signature(getattr(events, name)).parameters.values()
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)


def test_no_builder_has_room_for_content() -> None:
    names = {parameter for name in events.__all__ for parameter in inspect.signature(getattr(events, name)).parameters}
    assert not names & {"prompt", "answer", "content", "text", "messages", "username", "email", "name"}


HOSTILE = ["\x1b[2J", "a\nb", "\ud800", "x" * 100_000, '"},"kind":"answer"', "\u202e", "\x00"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_becomes_a_bounded_valid_entry(hostile: str) -> None:
    built: list[Callable[[], dict[str, Any]]] = [
        lambda: events.request(
            request_id="r", subject=hostile, groups=(hostile,) * 500, model_digest=hostile, model_name=hostile,
            prompt_commitment=hostile, purpose=hostile, producer=hostile, sampler={hostile: hostile},
        ),
        lambda: events.refusal(request_id=hostile[:100], reason_code=hostile, status=400, detail=hostile),
        lambda: events.admin_change(actor=hostile, action="update", kind=hostile, target=hostile, detail=hostile),
    ]  # fmt: skip
    for build in built:
        event, apart = set_apart(build(), "id")
        entry = encode_entry(event, "id")
        assert {len(one.text) for one in apart} == ({100_000} if len(hostile) > MAX_TEXT else set())
        assert len(entry) <= MAX_ENTRY_BYTES
        assert event["unmapped"]["sovereign"]["kind"] in {"request", "refusal", "admin_change"}
