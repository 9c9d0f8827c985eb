"""The policy beside its good and bad cases, each with the verdict that it must get."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import yaml

from airgap_bundle.provenance.origin import unsigned_origin
from appliance.models.judge import judge
from appliance.models.origin import Evidence
from appliance.models.policy import ModelPolicy, load_policy, parse_policy
from appliance.models.record import parse_record
from appliance.models.waiver import Waiver
from tests.unit.models.small_release import POLICY

FOLDER = POLICY.parent / "models"
CASES = {path.relative_to(FOLDER).with_suffix("").as_posix(): path for path in FOLDER.rglob("*.yaml")}


def _waiver(fields: dict[str, Any]) -> Waiver:
    return Waiver(
        subject_name=fields["subject"]["name"],
        subject_sha256=fields["subject"]["sha256"],
        waives=frozenset(fields["waives"]),
        reason=fields["reason"],
        issued=datetime.fromisoformat(fields["issued"]),
        expires=datetime.fromisoformat(fields["expires"]),
        officer=fields["officer"],
    )


def _evidence(fields: dict[str, Any]) -> Evidence:
    statements = [
        unsigned_origin(said["kind"], {said["subject"]: "a file"}, said["says"], said["attester"])
        for said in fields.get("statements", ())
    ]
    return Evidence(publisher=fields.get("publisher"), statements=tuple(statements))


def _policy(case: dict[str, Any]) -> ModelPolicy:
    """The release's policy, with the changes that the case asks for."""
    return parse_policy(yaml.safe_dump(yaml.safe_load(POLICY.read_bytes()) | case.get("policy", {})).encode())


def _judged(case: dict[str, Any], policy: ModelPolicy) -> tuple[bool, dict[str, str], list[str]]:
    verdict = judge(
        parse_record(case["record"]),
        case["signers"],
        policy,
        [_waiver(fields) for fields in case["waivers"]],
        datetime.fromisoformat(case["now"]),
        _evidence(case.get("evidence", {})),
    )
    not_passed = {c.name: c.status for c in verdict.checks if c.status not in ("pass", "not required")}
    return verdict.ok, not_passed, [waiver.officer for waiver in verdict.waivers_used]


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_policy_gives_each_case_the_verdict_beside_it(name: str) -> None:
    case = yaml.safe_load(CASES[name].read_text())
    expected = case["expect"]
    assert _judged(case, _policy(case)) == (expected["ok"], expected["not_passed"], expected["waivers_used"])
    assert expected["ok"] == name.startswith("good/")


def test_a_requirement_that_the_policy_drops_is_shown_as_not_required() -> None:
    case = yaml.safe_load(CASES["bad/demo-without-waiver"].read_text())
    policy = parse_policy(POLICY.read_bytes()).model_copy(update={"require": ("weights-signed",)})
    verdict = judge(parse_record(case["record"]), case["signers"], policy, (), datetime.fromisoformat(case["now"]))
    assert verdict.ok
    assert {c.name for c in verdict.checks if c.status == "not required"} == {
        "publisher-signed",
        "producer-verified",
        "conversion-closed",
        "training-data-stated",
        "licence-attested",
        "site-approved",
    }


def test_a_policy_that_lets_nothing_be_waived_makes_every_waiver_void() -> None:
    case = yaml.safe_load(CASES["good/demo-by-waiver"].read_text())
    policy = parse_policy(POLICY.read_bytes()).model_copy(update={"waivable": ()})
    assert _judged(case, policy)[0] is False


def test_the_verdict_does_not_depend_on_the_order_of_waivers() -> None:
    case = yaml.safe_load(CASES["good/two-waivers"].read_text())
    case["waivers"].reverse()
    assert _judged(case, load_policy(POLICY))[0] is True
