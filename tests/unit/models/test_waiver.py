from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.keys import save
from airgap_bundle.statement import sign_statement
from appliance.models.errors import PolicyError, WaiverFormatError, WaiverSignerError
from appliance.models.officers import load_officers
from appliance.models.waiver import WAIVER_MAX_BYTES, load_waiver, read_waiver
from tests.unit.models.small_release import NOW, signer, waiver

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "a" * 64
OFFICERS = (signer("officer").public,)


def test_a_signed_waiver_is_read_with_all_its_fields() -> None:
    found = read_waiver(waiver(DIGEST), OFFICERS)
    assert (found.subject_name, found.subject_sha256, found.officer) == ("gemma3-270m", DIGEST, "officer")
    assert found.waives == {"producer-verified", "conversion-closed"}
    assert found.expires - found.issued == timedelta(days=90)
    assert found.issued == NOW - timedelta(days=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("kind", "adapter"),
        ("waives", []),
        ("reason", "because"),
        ("expires", "2026-06-01"),
        ("issued", "2026-06-01T00:00:00"),
        ("subject", {"name": "x", "sha256": "sha256:" + DIGEST}),
        ("surprise", 1),
    ],
)
def test_a_signed_waiver_with_a_wrong_field_is_refused(field: str, value: Any) -> None:
    def change(payload: dict[str, Any]) -> None:
        payload[field] = value

    with pytest.raises(WaiverFormatError, match=field):
        read_waiver(waiver(DIGEST, change=change), OFFICERS)


def test_an_officer_cannot_sign_in_another_officers_name() -> None:
    with pytest.raises(WaiverSignerError, match="names officer 'chief' and is signed by officer"):
        read_waiver(waiver(DIGEST, officer="chief"), OFFICERS)


def test_a_statement_of_another_type_is_no_waiver() -> None:
    other = sign_statement({"schema": 1}, "application/vnd.sovereign.other.v1+json", signer("officer"))
    with pytest.raises(WaiverFormatError, match="no waiver"):
        read_waiver(other, OFFICERS)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"a":1,"a":2}'])
def test_what_is_no_statement_is_refused(data: bytes) -> None:
    with pytest.raises(WaiverFormatError):
        read_waiver(data, OFFICERS)


def test_a_waiver_file_that_is_missing_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WaiverFormatError, match="cannot be read"):
        load_waiver(tmp_path / "none", OFFICERS)
    (tmp_path / "large").write_bytes(b" " * (WAIVER_MAX_BYTES + 1))
    with pytest.raises(WaiverFormatError, match="larger"):
        load_waiver(tmp_path / "large", OFFICERS)


def test_only_officers_that_the_site_names_are_enrolled(tmp_path: Path) -> None:
    for name in ("officer", "stranger"):
        save(signer(name), tmp_path, b"passphrase", cost=2)
    assert [officer.name for officer in load_officers(tmp_path, ["officer"])] == ["officer"]


def test_an_officer_without_a_key_or_with_anothers_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="officer chief"):
        load_officers(tmp_path, ["chief"])
    save(signer("officer"), tmp_path, b"passphrase", cost=2)
    (tmp_path / "officer.pub").rename(tmp_path / "chief.pub")
    with pytest.raises(PolicyError, match="holds the keys of officer"):
        load_officers(tmp_path, ["chief"])
