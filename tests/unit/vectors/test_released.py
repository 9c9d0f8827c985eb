"""A released bundle stays as it is, and always verifies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.model_bundle import SHELF, verify_models
from airgap_bundle.store import Store
from airgap_bundle.trust_state import TrustState, fingerprint
from airgap_bundle.verify import verify
from tests import conformance
from tests.model_bundles import Site
from tests.vectors.generate import HERE
from tests.vectors.released import make_v1

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RELEASED = [path for path in sorted((HERE / "released").iterdir()) if (path / "bundle").is_dir()]
MODELS = [path for path in RELEASED if path.name.endswith("-models")]
LONG_AFTER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(params=RELEASED, ids=lambda path: path.name)
def released(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_there_is_one_for_format_version_1() -> None:
    assert [path.name for path in RELEASED] == ["v1", "v1-models"]


def test_no_byte_of_it_has_changed(released: Path) -> None:
    listed = dict(reversed(line.split("  ")) for line in (released / "SHA256SUMS").read_text().splitlines())
    found = {path.relative_to(released).as_posix(): path for path in released.rglob("*") if path.is_file()}
    assert {name: sha256(found[name].read_bytes()).hex for name in found.keys() - {"SHA256SUMS"}} == listed


@pytest.mark.parametrize("now", [datetime.now(UTC), LONG_AFTER], ids=["today", "in 2100"])
def test_it_verifies_whatever_the_year(released: Path, now: datetime) -> None:
    root = (released / "bundle/metadata/1.root.json").read_bytes()
    check = verify_models if released in MODELS else verify
    report = check(released / "bundle", TrustState.expecting(fingerprint(root)), now=now)
    assert report.ok, report.failure


def test_it_can_be_imported_and_its_kinds_are_there(tmp_path: Path) -> None:
    release, models = RELEASED
    site = Site(tmp_path)
    version = site.install(release / "bundle", pin=(release / "bundle/metadata/1.root.json").read_bytes()).version
    artifacts = Store(site.store).open_release(version).artifacts.values()
    assert {item.kind for item in artifacts} == {"wheelhouse", "keycloak", "model", "policy"}
    taken = site.take(models / "bundle")
    assert {item.kind for item in Store(site.store, SHELF).open_release(taken.version).artifacts.values()} == {"model"}


def test_the_adapter_asks_about_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main(["--only", "released/"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{len(RELEASED)} passed, 0 failed"


@pytest.mark.parametrize("make", [make_v1.make, make_v1.make_models])
def test_its_script_does_not_run_again(make: Callable[[], None]) -> None:
    with pytest.raises(FileExistsError):
        make()
