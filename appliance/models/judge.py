"""The policy's verdict on a model record. Pure: no file, no clock, no signature is looked at here.

Order: who signed, who made it and where, under which licence, what it is, whence it came, how old it is. Every check is
made, so that an operator sees all findings at once. A waiver turns a failed check into ``waived`` and nothing else; a
check that passes never uses one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.models.record import version_key
from appliance.models.verdict import Check, Status, Verdict
from appliance.models.waiver import Waiver, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from appliance.models.policy import ModelPolicy
    from appliance.models.record import ModelRecord

VERSION_CHECK = "version-not-older"
_UNKNOWN = "unknown"


def judge(
    record: ModelRecord,
    artifact_signers: Iterable[str],
    policy: ModelPolicy,
    waivers: Iterable[Waiver],
    now: datetime,
) -> Verdict:
    """Judge ``record`` at ``now``. ``waivers`` are those whose signatures hold; each is asked whether it applies."""
    applicable = [waiver for waiver in waivers if refusal(waiver, record, policy, now) is None]
    checks: list[Check] = []
    used: list[Waiver] = []
    for check in _checks(record, frozenset(artifact_signers), policy):
        waiver = next((w for w in applicable if check.status == "fail" and check.name in w.waives), None)
        if waiver is None:
            checks.append(check)
            continue
        until = f"{waiver.expires:%Y-%m-%d}"
        checks.append(Check(check.name, "waived", f"{check.detail}; waived by {waiver.officer} until {until}"))
        if waiver not in used:
            used.append(waiver)
    return Verdict(tuple(checks), tuple(used))


def _checks(record: ModelRecord, signers: frozenset[str], policy: ModelPolicy) -> Iterator[Check]:
    accept, producer, conversion = policy.accept, record.producer, record.conversion
    enough = len(signers) >= policy.minimum_signers
    yield _required(
        "weights-signed",
        policy,
        passed=enough,
        detail=f"signed by {', '.join(sorted(signers)) or 'nobody'}; {policy.minimum_signers} needed",
    )
    known = next((p for p in accept.producers if p.name == producer.name), None)
    yield _listed("producer-accepted", producer.name, listed=known is not None)
    here = producer.jurisdiction in accept.jurisdictions and (
        known is None or not known.jurisdictions or producer.jurisdiction in known.jurisdictions
    )
    yield _listed("jurisdiction-accepted", producer.jurisdiction, listed=here)
    yield _required(
        "producer-verified", policy, passed=producer.verified, detail=producer.note or f"verified: {producer.verified}"
    )
    yield _listed("licence-accepted", record.licence.spdx, listed=record.licence.spdx in accept.licences)
    yield _listed("role-accepted", record.role, listed=record.role in accept.roles)
    architecture = record.weights.architecture
    yield _listed("architecture-accepted", architecture, listed=architecture in accept.architectures)
    closed = conversion.closed and bool(conversion.input) and _UNKNOWN not in (conversion.tool, conversion.version)
    detail = conversion.note or f"by {conversion.tool} {conversion.version} from {conversion.input or 'unknown'}"
    yield _required("conversion-closed", policy, passed=closed, detail=detail)
    statement = record.training_data.statement
    stated = statement not in (_UNKNOWN, "not published")
    yield _required("training-data-stated", policy, passed=stated, detail=statement)
    yield _not_older(record, policy)


def _listed(name: str, value: str, *, listed: bool) -> Check:
    shown = value[:80] if value.isprintable() else ascii(value[:80])
    return Check(name, "pass" if listed else "fail", shown if listed else f"{shown} is not on the policy's list")


def _required(name: str, policy: ModelPolicy, *, passed: bool, detail: str) -> Check:
    if passed:
        return Check(name, "pass", detail)
    status: Status = "fail" if name in policy.require else "not required"
    return Check(name, status, detail)


def _not_older(record: ModelRecord, policy: ModelPolicy) -> Check:
    floor = policy.minimum_versions.get(record.name)
    if floor is None:
        return Check(VERSION_CHECK, "pass", f"{record.version}; the policy sets no floor")
    older = version_key(record.version) < version_key(floor)
    return Check(VERSION_CHECK, "fail" if older else "pass", f"{record.version}; the floor is {floor}")
