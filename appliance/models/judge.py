"""The policy's verdict on a model record and its evidence. Pure: no file, no clock, no signature is looked at here.

Order: who signed, who made it and where, under which licence, what it is, whence it came, how old it is. Every check is
made, so that an operator sees all findings at once. A waiver turns a failed check into ``waived`` and nothing else; a
check that passes never uses one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from appliance.models.errors import ModelRefusedError, RecordRollbackError, WaiverScopeError
from appliance.models.origin import Evidence, trace
from appliance.models.policy import WAIVABLE
from appliance.models.record import version_key
from appliance.models.verdict import Check, Status, Verdict, shown
from appliance.models.waiver import Waiver, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from appliance.models.errors import ModelGateError, WaiverError
    from appliance.models.policy import ModelPolicy
    from appliance.models.record import ModelRecord

VERSION_CHECK = "version-not-older"
_UNKNOWN = "unknown"
_NO_EVIDENCE = Evidence()


class Said(NamedTuple):
    """What the signed record says about a check."""

    holds: bool
    detail: str


def judge(  # noqa: PLR0913, PLR0917 - everything that the verdict rests on
    record: ModelRecord,
    artifact_signers: Iterable[str],
    policy: ModelPolicy,
    waivers: Iterable[Waiver],
    now: datetime,
    evidence: Evidence = _NO_EVIDENCE,
) -> Verdict:
    """Judge ``record`` at ``now``. ``waivers`` are those whose signatures hold; each is asked whether it applies."""
    applicable = [waiver for waiver in waivers if refusal(waiver, record, policy, now) is None]
    checks: list[Check] = []
    used: list[Waiver] = []
    for check in _checks(record, frozenset(artifact_signers), policy, evidence):
        waiver = next((w for w in applicable if check.status == "fail" and check.name in w.waives), None)
        if waiver is None:
            checks.append(check)
            continue
        until = f"{waiver.expires:%Y-%m-%d}"
        checks.append(Check(check.name, "waived", f"{check.detail}; waived by {waiver.officer} until {until}"))
        if waiver not in used:
            used.append(waiver)
    return Verdict(tuple(checks), tuple(used))


def _checks(record: ModelRecord, signers: frozenset[str], policy: ModelPolicy, evidence: Evidence) -> Iterator[Check]:
    accept, producer, conversion = policy.accept, record.producer, record.conversion
    origin = trace(record, evidence)
    enough = len(signers) >= policy.minimum_signers
    yield _required(
        "weights-signed",
        policy,
        passed=enough,
        detail=f"signed by {', '.join(sorted(signers)) or 'nobody'}; {policy.minimum_signers} needed",
    )
    yield _required("publisher-signed", policy, passed=evidence.publisher is not None, detail=evidence.note)
    known = next((p for p in accept.producers if p.name == producer.name), None)
    yield _listed("producer-accepted", producer.name, listed=known is not None)
    here = producer.jurisdiction in accept.jurisdictions and (
        known is None or not known.jurisdictions or producer.jurisdiction in known.jurisdictions
    )
    yield _listed("jurisdiction-accepted", producer.jurisdiction, listed=here)
    said = Said(producer.verified, producer.note or f"verified: {producer.verified}")
    yield _evident("producer-verified", policy, origin.produced, origin.gap, said)
    yield _listed("licence-accepted", record.licence.spdx, listed=record.licence.spdx in accept.licences)
    yield _required(
        "licence-attested", policy, passed=bool(origin.licence), detail=origin.licence or "nobody states it"
    )
    yield _listed("role-accepted", record.role, listed=record.role in accept.roles)
    architecture = record.weights.architecture
    yield _listed("architecture-accepted", architecture, listed=architecture in accept.architectures)
    closed = conversion.closed and bool(conversion.input) and _UNKNOWN not in (conversion.tool, conversion.version)
    said = Said(
        closed, conversion.note or f"by {conversion.tool} {conversion.version} from {conversion.input or 'unknown'}"
    )
    yield _evident("conversion-closed", policy, origin.chain, origin.gap, said)
    statement = record.training_data.statement
    said = Said(statement not in {_UNKNOWN, "not published"}, statement)
    yield _evident("training-data-stated", policy, origin.training_data, "nobody states anything", said)
    yield _required(
        "site-approved", policy, passed=bool(origin.approved), detail=origin.approved or "nobody approved it"
    )
    yield _not_older(record, policy)


def _listed(name: str, value: str, *, listed: bool) -> Check:
    detail = shown(value) if listed else f"{shown(value)} is not on the policy's list"
    return Check(name, "pass" if listed else "fail", detail)


def _evident(name: str, policy: ModelPolicy, evidence: str, missing: str, said: Said) -> Check:
    """A check that evidence passes, or the record's word where the policy does not ask for more."""
    if evidence:
        return Check(name, "pass", evidence)
    if name in policy.attested and said.holds:
        return _required(name, policy, passed=False, detail=f"the record says so and no evidence does: {missing}")
    return _required(name, policy, passed=said.holds, detail=said.detail)


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


def policy_refusal(record: ModelRecord, verdict: Verdict, refused: Sequence[WaiverError]) -> ModelGateError:
    """The reason that helps most: a waiver that was meant to cover this and does not, else the failed checks.

    Where a check failed that no waiver could cover, a refused waiver is not the reason, unless it claimed to.
    """
    names = {check.name for check in verdict.failed}
    if VERSION_CHECK in names:
        return RecordRollbackError(
            f"{record.name} {record.version} is older than the policy accepts", "install a newer release"
        )
    helps = [error for error in refused if names <= WAIVABLE or isinstance(error, WaiverScopeError)]
    if helps:
        return helps[0]
    reasons = "; ".join(f"{check.name} ({check.detail})" for check in verdict.failed)
    return ModelRefusedError(
        f"the site's policy does not accept {record.name}: {reasons}",
        "`sovereign model verify` shows every check; an officer may sign a waiver where the policy allows one",
    )
