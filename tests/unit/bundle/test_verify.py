from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import StoreError, UnsignedError
from airgap_bundle.inspection import inspect_bundle
from airgap_bundle.trust_state import TrustState
from airgap_bundle.verify import verify
from tests.bundles import NOW, SUPPORT_UNTIL, Draft, foreign_root, make, sign, tree, trust

if TYPE_CHECKING:
    from pathlib import Path

CHECKS = [
    "medium",
    "format",
    "pinned root",
    "root chain",
    *(f"targets {what}" for what in ("signatures, ed25519", "signatures, ml-dsa-65", "signers")),
    *(f"snapshot {what}" for what in ("signatures, ed25519", "signatures, ml-dsa-65", "signers")),
    *(f"timestamp {what}" for what in ("signatures, ed25519", "signatures, ml-dsa-65", "signers")),
    "metadata agrees",
    "versions",
    "targets",
    "contents",
    "release number",
    "first contact",
    "file list",
    "blobs",
    "freshness",
]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make(tmp_path / "bundle", version="1.2.3", number=7, min_release=5)


def test_a_whole_bundle_passes_every_check_in_order_and_nothing_is_written(bundle: Path) -> None:
    before = tree(bundle)
    report = verify(bundle, trust(), now=NOW)
    assert [(check.name, check.status) for check in report.checks] == [(name, "pass") for name in CHECKS]
    assert report.ok
    assert report.release is not None
    assert (report.release.version, report.release.number, report.release.min_release) == ("1.2.3", 7, 5)
    assert tree(bundle) == before


def test_what_rests_on_a_failed_check_is_not_established(bundle: Path) -> None:
    report = verify(bundle, trust(foreign_root()), now=NOW)
    verdicts = {check.name: check.status for check in report.checks}
    assert list(verdicts) == CHECKS
    assert verdicts["pinned root"] == "fail"
    assert {verdicts[name] for name in CHECKS[3:]} == {"not established"}
    assert report.release is None
    assert report.signers == ()


def test_the_report_is_plain_json(bundle: Path) -> None:
    found = json.loads(json.dumps(verify(bundle, trust(), now=NOW).to_json()))
    assert found["ok"] is True
    assert found["signers"] == ["architect", "builder"]
    assert found["checks"][0] == {"name": "medium", "status": "pass", "detail": "30 regular files"}


def test_freshness_is_a_verdict_of_its_own(bundle: Path) -> None:
    late = verify(bundle, trust(), now=SUPPORT_UNTIL)
    assert late.ok
    assert late.failure is None
    assert late.freshness is not None
    assert late.freshness.status == "fail"
    early = verify(bundle, trust(), now=NOW - timedelta(days=1))
    assert early.ok
    assert early.freshness is not None
    assert early.freshness.status == "not established"


def test_progress_ends_at_the_sum_of_all_blobs(bundle: Path) -> None:
    heard: list[tuple[int, int]] = []
    verify(bundle, trust(), now=NOW, progress=lambda done, total: heard.append((done, total)))
    size = sum(path.stat().st_size for path in (bundle / "blobs/sha256").iterdir())
    assert heard[-1] == (size, size)
    assert heard == sorted(heard)


def test_a_folder_that_is_not_there_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        verify(tmp_path / "nowhere", trust(), now=NOW)


def test_an_empty_folder_is_refused_as_a_report(tmp_path: Path) -> None:
    failure = verify(tmp_path, trust(), now=NOW).failure
    assert failure is not None
    assert failure.name == "format"
    assert "oci-layout is missing" in failure.detail


def test_an_unsealed_bundle_is_refused_with_the_next_step(tmp_path: Path) -> None:
    failure = verify(sign(Draft().write(tmp_path / "b"), "architect", "builder"), trust(), now=NOW).failure
    assert failure is not None
    assert isinstance(failure.error, UnsignedError)
    assert "release.key" in str(failure.error.hint)


def test_inspection_without_a_root_says_that_nothing_is_verified(bundle: Path) -> None:
    found = inspect_bundle(bundle, TrustState.expecting(None), now=NOW)
    assert not found.verified
    assert found.verdict.startswith("nothing has been verified")
    assert [(artifact.name, artifact.kind, artifact.size) for artifact in found.artifacts] == [
        ("policy", "policy", 10),
        ("runtime", "wheelhouse", 173),
        ("tiny-model", "model", 3016),
    ]
    assert found.signatures["targets"] == "2 of 2 (architect, builder)"


def test_inspection_with_a_root_says_what_is_verified_and_what_was_not_read(bundle: Path) -> None:
    found = inspect_bundle(bundle, trust(), now=NOW)
    assert found.verified
    assert "blobs were not read" in found.verdict


def test_inspection_of_a_refused_bundle_names_the_failed_check(bundle: Path) -> None:
    found = inspect_bundle(bundle, trust(foreign_root()), now=NOW)
    assert not found.verified
    assert "refused" in found.verdict
    assert "pinned root" in found.verdict


def test_inspection_of_an_unsigned_bundle_shows_it(tmp_path: Path) -> None:
    found = inspect_bundle(Draft().write(tmp_path / "b"), TrustState.expecting(None), now=NOW)
    assert "not signed" in found.signatures["root"]
    assert found.to_json()["release"]["version"] == "1.0.0"
