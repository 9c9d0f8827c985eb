"""An export leaves with enough approvals of its very bytes, by persons of the site, in time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.statement import WAIVER_TYPE, sign_statement
from appliance.learning.errors import ExchangeRefusedError
from appliance.learning.exchange.approval import APPROVAL_TYPE, MAX_AGE, approve, require_approved
from tests.bundles import NOW, signer
from tests.learning.exchanging import export, shared

if TYPE_CHECKING:
    from appliance.learning.exchange.export import Export

EXPORT = export("north", 1, shared())
APPROVERS = [signer("custodian").public, signer("deputy").public]


def accepted(*approvals: bytes, found: Export = EXPORT) -> tuple[str, ...]:
    return require_approved(found, approvals, APPROVERS, 2, NOW)


def by(name: str, found: Export = EXPORT) -> bytes:
    return approve(found, signer(name), NOW)


def test_two_persons_approve() -> None:
    assert accepted(by("deputy"), by("custodian")) == ("custodian", "deputy")


def test_one_person_twice_is_one_person() -> None:
    with pytest.raises(ExchangeRefusedError, match="1 of 2"):
        accepted(by("deputy"), by("deputy"))


def test_nobody_is_too_few() -> None:
    with pytest.raises(ExchangeRefusedError, match="0 of 2"):
        accepted()


def test_what_changed_after_an_approval_is_refused() -> None:
    other = export("north", 1, shared(), shared("Where is the lift?", "hall"))
    with pytest.raises(ExchangeRefusedError, match="other bytes"):
        accepted(by("deputy"), by("custodian"), found=other)


def test_a_person_who_is_not_named_does_not_count() -> None:
    with pytest.raises(ExchangeRefusedError, match="nobody whose key is known"):
        accepted(by("deputy"), by("custodian"), by("stranger"))


def test_an_old_approval_and_one_of_tomorrow_are_refused() -> None:
    for issued in (NOW - MAX_AGE - timedelta(days=1), NOW + timedelta(days=2)):
        with pytest.raises(ExchangeRefusedError, match="approval of deputy"):
            accepted(by("custodian"), approve(EXPORT, signer("deputy"), issued))


def test_a_statement_of_another_kind_or_in_anothers_name_is_no_approval() -> None:
    said = {"schema": 1, "site": "north", "number": 1, "export": EXPORT.digest, "issued": "2026-01-01T00:00:00Z"}
    waiver = sign_statement({**said, "approver": "deputy"}, WAIVER_TYPE, signer("deputy"))
    foreign = sign_statement({**said, "approver": "custodian"}, APPROVAL_TYPE, signer("deputy"))
    bare = sign_statement({"schema": 1}, APPROVAL_TYPE, signer("deputy"))
    for data in (waiver, foreign, bare, b"", b"{}"):
        with pytest.raises(ExchangeRefusedError):
            accepted(by("custodian"), data)


def test_an_export_that_asks_for_fewer_persons_than_the_site_does_is_refused() -> None:
    with pytest.raises(ExchangeRefusedError, match="2 persons sign"):
        require_approved(EXPORT, [by("deputy"), by("custodian")], APPROVERS, 3, NOW)
