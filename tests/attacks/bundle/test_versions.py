"""Attacks 5 to 10: versions lowered, trust state deleted, clocks, fast-forward, revoked keys, metadata mixed."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import ceremony
from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    DigestMismatchError,
    ExpiredError,
    MalformedError,
    MissingFileError,
    MixedMetadataError,
    NotEnoughSignersError,
    ReleaseConflictError,
    RollbackError,
    SignatureError,
    TrustStateLostError,
    UnpinnedRootError,
)
from airgap_bundle.oci import parse_release
from airgap_bundle.trust_state import COPIES, TrustState
from tests.bundles import (
    NOW,
    SUPPORT_UNTIL,
    Draft,
    Site,
    make,
    reseal,
    rewrite,
    root_bytes,
    second_root,
    sign,
    signer,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROTATED = {1: root_bytes(), 2: second_root()}
YEAR = timedelta(days=365)


def set_version(version: int) -> Callable[[dict[str, Any]], None]:
    def change(signed: dict[str, Any]) -> None:
        signed["version"] = version

    return change


def rotated(folder: Path, number: int) -> Path:
    """A release under root 2, whose release key is new."""
    return sign(
        Draft(number=number, version=f"{number}.0.0").write(folder), "architect", "deputy", "release-2", roots=ROTATED
    )


def test_5_an_older_release_is_refused(site: Site, older: Path) -> None:
    site.refuses(older, RollbackError, match="below 2")


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_5_a_lowered_role_version_is_refused_though_the_release_is_newer(site: Site, bundle: Path, role: str) -> None:
    if role == "snapshot":
        rewrite(bundle / "metadata/snapshot.json", set_version(1), "release")
        data = (bundle / "metadata/snapshot.json").read_bytes()
        described = parse_release((bundle / "release.json").read_bytes())
        stamp = ceremony.build_timestamp(data, described, now=NOW)
        stamp.signed.snapshot_meta.version = 1
        (bundle / "metadata/timestamp.json").write_bytes(ceremony.add_signatures(stamp, signer("release")).to_bytes())
    else:
        rewrite(bundle / "metadata/timestamp.json", set_version(1), "release")
    site.refuses(bundle, RollbackError, match=f"{role} version 1 is below 2")


def test_5_the_same_number_with_other_contents_is_refused(site: Site, tmp_path: Path) -> None:
    twin = make(tmp_path / "twin", version="2.0.1", number=2)
    site.refuses(twin, ReleaseConflictError, match="number 2")


def test_5_the_same_version_under_a_higher_number_is_refused(site: Site, tmp_path: Path) -> None:
    site.refuses(make(tmp_path / "twin", version="2.0.0", number=3), ReleaseConflictError, match=r"version 2\.0\.0")


def test_5_a_bundle_with_older_roots_only_is_refused(fresh: Site, tmp_path: Path) -> None:
    fresh.install(rotated(tmp_path / "first", 2), pin=root_bytes())
    fresh.refuses(make(tmp_path / "late", version="3.0.0", number=3), RollbackError, match="roots end at version 1")


def test_6_a_store_without_trust_state_is_no_first_use(site: Site, bundle: Path) -> None:
    shutil.rmtree(site.trust)
    site.refuses(bundle, TrustStateLostError)


def test_6_both_copies_damaged_are_no_first_use(site: Site, bundle: Path) -> None:
    for name in COPIES:
        (site.trust / name).write_bytes(b"{}")
    site.refuses(bundle, TrustStateLostError)


def test_6_one_damaged_copy_is_mended_by_the_other(site: Site, bundle: Path) -> None:
    (site.trust / COPIES[0]).write_bytes(b"torn")
    assert site.install(bundle).number == 3
    assert TrustState.load(site.trust).release_number == 3


def test_6_pinning_again_keeps_the_release_floor_that_the_store_proves(site: Site, older: Path, bundle: Path) -> None:
    shutil.rmtree(site.trust)
    site.refuses(older, RollbackError, pin=root_bytes())
    assert site.install(bundle, pin=root_bytes()).number == 3


def test_6_nothing_is_trusted_on_first_use_without_a_fingerprint(fresh: Site, bundle: Path) -> None:
    fresh.refuses(bundle, UnpinnedRootError, match="no root is pinned")


def test_7_a_release_whose_support_ended_is_refused_apart_from_authenticity(site: Site, bundle: Path) -> None:
    refusal = site.refuses(bundle, ExpiredError, now=SUPPORT_UNTIL + YEAR)
    assert refusal.report is not None
    assert not refusal.report.failure
    assert refusal.report.freshness is not None
    assert refusal.report.freshness.status == "fail"


def test_7_a_clock_set_back_answers_nothing_and_locks_nobody_out(site: Site, bundle: Path) -> None:
    assert site.install(bundle, now=NOW - 10 * YEAR).number == 3
    verdict = TrustState.load(site.trust).clock
    assert verdict == NOW


def test_7_a_clock_far_ahead_still_reinstalls_the_release_that_runs(site: Site, bundle: Path, templates: Path) -> None:
    ahead = NOW + 50 * YEAR
    site.refuses(bundle, ExpiredError, match="support ended", now=ahead)
    assert site.install(templates / "release-2", now=ahead).number == 2
    assert site.install(bundle).number == 3


def test_8_version_2_to_the_63_is_refused(site: Site, bundle: Path) -> None:
    rewrite(bundle / "metadata/timestamp.json", set_version(2**63), "release")
    site.refuses(bundle, MalformedError)


def test_8_a_fast_forward_by_a_stolen_release_key_is_recovered_through_a_new_root(
    site: Site, bundle: Path, tmp_path: Path
) -> None:
    rewrite(bundle / "metadata/timestamp.json", set_version(2**63 - 1), "release")
    site.install(bundle)
    honest = make(tmp_path / "honest", version="4.0.0", number=4)
    site.refuses(honest, RollbackError, match="timestamp version 4 is below")
    assert site.install(rotated(tmp_path / "recovery", 5)).number == 5
    assert TrustState.load(site.trust).versions["timestamp"] == 5


def test_8_a_new_root_never_resets_the_release_floor(site: Site, tmp_path: Path) -> None:
    site.refuses(rotated(tmp_path / "old", 1), RollbackError, match="release number 1 is below 2")


def test_9_a_revoked_person_signs_in_vain_whatever_date_is_claimed(fresh: Site, tmp_path: Path) -> None:
    fresh.install(rotated(tmp_path / "first", 2), pin=root_bytes())
    bundle = rotated(tmp_path / "next", 3)

    def long_ago(signed: dict[str, Any]) -> None:
        signed["x-sovereign-issued"] = "2020-01-01T00:00:00Z"

    rewrite(bundle / "metadata/targets.json", long_ago, "architect", "custodian")
    reseal(bundle, seal="release-2")
    fresh.refuses(bundle, SignatureError, match="does not name")


def test_9_the_revoked_release_key_seals_in_vain(fresh: Site, tmp_path: Path) -> None:
    fresh.install(rotated(tmp_path / "first", 2), pin=root_bytes())
    bundle = rotated(tmp_path / "next", 3)
    reseal(bundle, seal="release")
    fresh.refuses(bundle, SignatureError)


def test_9_a_new_root_needs_its_predecessors_persons(site: Site, tmp_path: Path) -> None:
    bundle = rotated(tmp_path / "usurped", 3)
    rewrite(bundle / "metadata/2.root.json", lambda _signed: None, "builder", "deputy")
    site.refuses(bundle, NotEnoughSignersError, match=r"1 of 2 \(builder\)")


def test_9_a_gap_in_the_chain_of_roots_is_refused(site: Site, tmp_path: Path) -> None:
    bundle = rotated(tmp_path / "gap", 3)
    (bundle / "metadata/2.root.json").rename(bundle / "metadata/3.root.json")
    site.refuses(bundle, MissingFileError)


def test_10_targets_of_another_release_are_refused(site: Site, bundle: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", version="4.0.0", number=4)
    shutil.copy(other / "metadata/targets.json", bundle / "metadata/targets.json")
    site.refuses(bundle, MixedMetadataError)


def test_10_a_snapshot_of_another_release_is_refused(site: Site, bundle: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", version="4.0.0", number=4)
    shutil.copy(other / "metadata/snapshot.json", bundle / "metadata/snapshot.json")
    site.refuses(bundle, MixedMetadataError)


def test_10_the_index_of_another_release_is_refused(site: Site, bundle: Path, older: Path) -> None:
    data = (older / "index.json").read_bytes()
    (bundle / "index.json").write_bytes(data.replace(b"policy", b"policx"))
    site.refuses(bundle, DigestMismatchError, match=r"index\.json")


def test_10_a_release_file_that_lists_other_artifacts_is_refused_though_signed(site: Site, tmp_path: Path) -> None:
    bundle = Draft(number=3, version="3.0.0", release_fields={"artifacts": []}).write(tmp_path / "liar")
    other = make(tmp_path / "honest", version="3.0.0", number=3)
    shutil.copytree(other / "metadata", bundle / "metadata")

    def describe(signed: dict[str, Any]) -> None:
        data = (bundle / "release.json").read_bytes()
        signed["targets"]["release.json"] = {"length": len(data), "hashes": {"sha256": sha256(data).hex}}

    rewrite(bundle / "metadata/targets.json", describe, "architect", "builder")
    reseal(bundle)
    site.refuses(bundle, MixedMetadataError, match="same artifacts")
