from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import strict_json
from airgap_bundle.digest import sha256
from airgap_bundle.errors import ForeignRootError, FormatError, StoreError, TrustStateLostError
from airgap_bundle.trust_state import COPIES, TrustState, fingerprint
from tests.bundles import NOW, foreign_root, root_bytes

if TYPE_CHECKING:
    from pathlib import Path

STATE = replace(
    TrustState.expecting(fingerprint(root_bytes())),
    root=root_bytes(),
    versions={"targets": 3, "snapshot": 4, "timestamp": 5},
    release_number=3,
    release_digest=sha256(b"release"),
    min_release=2,
    clock=NOW,
)


def test_a_saved_state_reads_back_one_sequence_on(tmp_path: Path) -> None:
    STATE.save(tmp_path)
    assert TrustState.load(tmp_path) == replace(STATE, sequence=1)
    TrustState.load(tmp_path).save(tmp_path)
    assert TrustState.load(tmp_path).sequence == 2


@pytest.mark.parametrize("lost", COPIES)
@pytest.mark.parametrize("damage", [b"", b"{}", b"\0" * 100, b'{"sha256":"","state":"{}"}'])
def test_either_copy_is_enough(tmp_path: Path, lost: str, damage: bytes) -> None:
    STATE.save(tmp_path)
    (tmp_path / lost).write_bytes(damage)
    assert TrustState.load(tmp_path).release_number == 3
    (tmp_path / lost).unlink()
    assert TrustState.load(tmp_path).release_number == 3


@pytest.mark.parametrize("behind", COPIES)
def test_the_newer_copy_counts_after_a_power_cut_between_the_two(tmp_path: Path, behind: str) -> None:
    STATE.save(tmp_path)
    old = (tmp_path / behind).read_bytes()
    replace(TrustState.load(tmp_path), release_number=9).save(tmp_path)
    (tmp_path / behind).write_bytes(old)
    assert TrustState.load(tmp_path).release_number == 9


def test_absence_and_damage_are_told_apart(tmp_path: Path) -> None:
    assert TrustState.find(tmp_path) is None
    with pytest.raises(TrustStateLostError, match="holds no trust state"):
        TrustState.load(tmp_path)
    for name in COPIES:
        (tmp_path / name).write_bytes(b"torn")
    with pytest.raises(TrustStateLostError, match="damaged"):
        TrustState.find(tmp_path)


def test_a_state_of_another_schema_is_not_guessed_at(tmp_path: Path) -> None:
    data = strict_json.dumps({"schema": 3}).decode()
    framed = strict_json.dumps({"state": data, "sha256": sha256(data.encode()).hex})
    for name in COPIES:
        (tmp_path / name).write_bytes(framed)
    with pytest.raises(TrustStateLostError):
        TrustState.find(tmp_path)


def test_pinning_writes_a_state_that_trusts_the_root_and_nothing_else(tmp_path: Path) -> None:
    assert TrustState.pin(tmp_path, root_bytes(), fingerprint(root_bytes())) == TrustState.load(tmp_path)
    assert TrustState.load(tmp_path).release_number == 0
    with pytest.raises(StoreError, match="already holds"):
        TrustState.pin(tmp_path, root_bytes(), fingerprint(root_bytes()))


def test_pinning_compares_the_fingerprint(tmp_path: Path) -> None:
    with pytest.raises(ForeignRootError):
        TrustState.pin(tmp_path, foreign_root(), fingerprint(root_bytes()))
    assert list(tmp_path.iterdir()) == []


def test_a_fingerprint_is_what_sha256sum_prints() -> None:
    assert fingerprint(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FormatError):
        TrustState.expecting("ba7816bf")
