"""`install` takes the release in force again, and no other: what changes, and the way back, are `upgrade`'s to say."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from airgap_bundle.errors import StoreError
from appliance.cli.main import app
from appliance.errors import UsageError
from appliance.install import host, reinstall
from appliance.install.host import Installed, Request
from appliance.install.judged import decided
from appliance.install.upgrade import may_upgrade
from appliance.learning.errors import GateRefusedError
from appliance.site.load import load_site
from tests import bundles
from tests.unit.install.test_upgrade import Running

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.store import VerifiedRelease
    from appliance.site.paths import SitePaths


class Installing(Running):
    """A site that runs release 1.0.0; ``forced`` is what an installation put in force."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        monkeypatch.setattr(host, "check_host", lambda *_: self)
        monkeypatch.setattr(host, "put_in_force", self._installed)
        monkeypatch.setattr(reinstall, "check_host", lambda *_: self)
        monkeypatch.setattr(reinstall, "put_in_force", self._installed)

    def _installed(self, _paths: SitePaths, _files: object, release: VerifiedRelease, **_: object) -> Installed:
        self.forced.append(release.version)
        return Installed(release, (), 0, "")

    def again(self, config: Path | None = None) -> None:
        """Without a bundle."""
        reinstall.reinstall(self.paths, config, passphrase=lambda: b"", observer=None)  # type: ignore[arg-type]  # as below

    def install(self, bundle: Path) -> None:
        host.install(
            self.paths,
            Request(bundle, None, None),
            passphrase=lambda: b"",
            observer=None,  # type: ignore[arg-type]  # nothing runs here
            progress=lambda _done, _total: None,
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installing:
    return Installing(tmp_path, monkeypatch)


def test_a_newer_bundle_is_refused_with_the_command_that_takes_it_and_nothing_changes(site: Installing) -> None:
    newer, before = site.brought(2), bundles.tree(site.paths.root)
    with pytest.raises(UsageError, match=r"release 1\.0\.0 is in force, and the bundle brings 2\.0\.0") as refused:
        site.install(newer)
    assert "`sovereign upgrade BUNDLE`" in str(refused.value.hint)
    assert bundles.tree(site.paths.root) == before
    assert site.forced == []


def test_the_same_bundle_is_taken_again(site: Installing) -> None:
    site.install(site.folder / "1.0.0")
    assert site.forced == ["1.0.0"]


def test_without_a_bundle_the_release_in_force_is_taken_and_no_medium_is_asked(site: Installing) -> None:
    shutil.rmtree(site.folder / "1.0.0")
    site.again()
    assert site.forced == ["1.0.0"]


def test_without_a_bundle_another_sites_file_and_a_store_that_lost_the_release_are_refused(site: Installing) -> None:
    other = site.folder / "other.yaml"
    other.write_text(site.paths.site_yaml.read_text().replace("name: ", "name: un", 1))
    before = bundles.tree(site.paths.root)
    with pytest.raises(UsageError, match="this site is named"):
        site.again(other)
    assert bundles.tree(site.paths.root) == before
    shutil.rmtree(site.paths.store)
    with pytest.raises(StoreError, match=r"1\.0\.0"):
        site.again()
    assert site.forced == []


def test_without_a_bundle_nothing_begins(site: Installing) -> None:
    site.paths.current.unlink()
    with pytest.raises(UsageError, match="no release is in force") as refused:
        site.again()
    assert "sovereign install BUNDLE" in str(refused.value.hint)
    for options in (["--root", "sha256:" + "0" * 64], ["--profile", "cluster"]):
        done = CliRunner().invoke(app, ["--site", str(site.paths.root), "install", *options])
        assert isinstance(done.exception, UsageError)
        assert "a bundle is needed" in str(done.exception)
    assert site.forced == []


def test_a_first_installation_that_was_cut_off_may_be_begun_anew_with_another_bundle(site: Installing) -> None:
    site.paths.current.unlink()
    site.install(site.brought(2))
    assert site.forced == ["2.0.0"]


def test_words_that_no_gate_let_pass_are_not_put_in_force_where_one_judged_before(site: Installing) -> None:
    """Neither by `install`, nor planned, nor with an upgrade; nothing is changed."""
    decided(site.paths, load_site(site.paths.site_yaml), ("analysts",), None, passed=True)
    with site.paths.site_yaml.open("a") as file:
        file.write("instructions: Be strict.\n")
    same, newer, before = site.folder / "1.0.0", site.brought(2), bundles.tree(site.paths.root)
    refusal = r"site\.yaml changes what no gate let pass: analysts: the site's instructions"
    with pytest.raises(GateRefusedError, match=refusal):
        site.install(same)
    with pytest.raises(GateRefusedError, match=refusal):
        host.plan(site.paths, Request(same, None, None))
    with pytest.raises(GateRefusedError, match=refusal):
        may_upgrade(site.paths, Request(newer, None, None))
    assert bundles.tree(site.paths.root) == before
    with site.paths.site_yaml.open("a") as file:
        file.write("learning: {ungated: [analysts]}\n")
    site.install(same)
    assert site.forced == ["1.0.0"]
