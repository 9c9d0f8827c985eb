"""A bundle enters a site whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import DigestMismatchError, ForeignRootError, UnpinnedRootError, VerificationError
from airgap_bundle.trust_state import TrustState, fingerprint
from appliance.errors import UsageError
from appliance.install.admission import admit, inspect, is_first_install
from appliance.site.paths import SitePaths
from tests import bundles

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return bundles.make(tmp_path / "bundle")


@pytest.fixture
def paths(tmp_path: Path) -> SitePaths:
    return SitePaths(tmp_path / "site")


ROOT = str(fingerprint(bundles.root_bytes()))


def look_away(_done: int, _total: int) -> None: ...


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damaged(bundle: Path, part: str) -> None:
    """Damage one kind of file of ``bundle``."""
    if part == "blob":
        flip(max((bundle / "blobs" / "sha256").iterdir(), key=lambda p: p.stat().st_size))
    elif part == "unsigned":
        (bundle / "metadata" / "targets.json").unlink()
    elif part == "extra":
        (bundle / "blobs" / "sha256" / ("0" * 64)).write_bytes(b"x")
    else:
        flip(bundle / part)


PARTS = (
    "blob",
    "unsigned",
    "extra",
    "index.json",
    "release.json",
    "oci-layout",
    "metadata/1.root.json",
    "metadata/targets.json",
    "metadata/snapshot.json",
    "metadata/timestamp.json",
)


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_bundle_is_refused_and_no_site_appears(bundle: Path, paths: SitePaths, part: str) -> None:
    damaged(bundle, part)
    with pytest.raises(VerificationError):
        admit(bundle, paths, ROOT, look_away)
    assert not paths.root.exists()


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_bundle_leaves_an_installed_site_byte_for_byte(bundle: Path, paths: SitePaths, part: str) -> None:
    admit(bundle, paths, ROOT, look_away)
    before = bundles.tree(paths.root)
    damaged(bundle, part)
    with pytest.raises(VerificationError):
        admit(bundle, paths, None, look_away)
    assert bundles.tree(paths.root) == before


def test_the_same_bundle_again_changes_no_byte(bundle: Path, paths: SitePaths) -> None:
    first = admit(bundle, paths, ROOT, look_away)
    before = bundles.tree(paths.root)
    assert admit(bundle, paths, None, look_away) == first
    assert bundles.tree(paths.root) == before


def test_installing_the_release_again_under_a_new_root_teaches_the_site_that_root(
    bundle: Path, paths: SitePaths, tmp_path: Path
) -> None:
    """As docs/guides/key-ceremony.md says of a signer who leaves."""
    held = admit(bundle, paths, ROOT, look_away)
    roots = {1: bundles.root_bytes(), 2: bundles.second_root()}
    again = bundles.sign(bundles.Draft().write(tmp_path / "again"), "architect", "deputy", "release-2", roots=roots)
    assert admit(again, paths, None, look_away).version == held.version
    assert TrustState.load(paths.trust).root == bundles.second_root()


def test_what_rotted_in_the_store_is_put_right_by_installing_again(bundle: Path, paths: SitePaths) -> None:
    release = admit(bundle, paths, ROOT, look_away)
    before = bundles.tree(paths.root)
    flip(release.artifacts["tiny-model"].files["model.gguf"].path)
    release.artifacts["policy"].files["models.yaml"].path.unlink()
    assert bundles.tree(paths.root) != before
    admit(bundle, paths, None, look_away)
    assert bundles.tree(paths.root) == before


def test_a_first_install_trusts_only_the_root_that_was_typed(bundle: Path, paths: SitePaths) -> None:
    assert is_first_install(paths)
    with pytest.raises(VerificationError):
        admit(bundle, paths, str(fingerprint(bundles.foreign_root())), look_away)
    with pytest.raises(UnpinnedRootError):
        admit(bundle, paths, None, look_away)
    assert not paths.root.exists()


def test_another_root_typed_later_is_refused(bundle: Path, paths: SitePaths) -> None:
    admit(bundle, paths, ROOT, look_away)
    with pytest.raises(ForeignRootError):
        admit(bundle, paths, str(fingerprint(bundles.foreign_root())), look_away)


def test_a_plan_reports_a_refusal_and_changes_nothing(bundle: Path, paths: SitePaths) -> None:
    assert inspect(bundle, paths, ROOT).ok
    damaged(bundle, "blob")
    report = inspect(bundle, paths, ROOT)
    assert not report.ok
    assert isinstance(report.failure and report.failure.error, DigestMismatchError)
    assert not paths.root.exists()


@pytest.mark.parametrize("what", ["absent", "file", "empty"])
def test_what_is_no_bundle_is_a_cause_and_a_hint(tmp_path: Path, paths: SitePaths, what: str) -> None:
    given = tmp_path / what
    if what == "file":
        given.touch()
    elif what == "empty":
        given.mkdir()
    with pytest.raises(UsageError) as caught:
        admit(given, paths, ROOT, look_away)
    assert caught.value.hint
