"""Going to a newer release: what changes, and whether it can be undone, is known before; a refusal changes nothing."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.errors import RollbackError, VerificationError
from airgap_bundle.store import Store
from appliance.errors import RefusedError, SovereignError, UsageError
from appliance.install import upgrade as module
from appliance.install.backup.last import LastBackup, note_backup, note_erasure
from appliance.install.database import cluster
from appliance.install.host import Installed, Request
from appliance.install.postgres_version import HEADER, major_in
from appliance.install.release_change import Change
from appliance.install.upgrade import RECENT, Upgrade, may_upgrade, plan_upgrade, upgrade
from tests import bundles
from tests.unit.install.test_rollback import FIRST, Draft, Ground

if TYPE_CHECKING:
    from airgap_bundle.store import VerifiedRelease
    from appliance.site.paths import SitePaths

SECOND = (*FIRST, "r0002_second_tables")


class Running(Ground):
    """A site that runs release 1.0.0, on a host that does; ``forced`` is what an upgrade put in force."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        monkeypatch.setattr(module, "put_in_force", self._force)
        monkeypatch.setattr(module, "check_host", lambda *_: self)
        monkeypatch.setattr(module, "judge_models", lambda _: ())
        self.ran(1)

    def demand(self) -> None:
        """The host does."""

    def refuse(self, _context: object) -> tuple[str, ...]:
        """What a gate says that does not let a model in."""
        raise RefusedError("this site's policy refuses a model")

    def brought(self, number: int, **changes: Any) -> Path:
        """A signed bundle on a medium."""
        bundle = Draft(version=f"{number}.0.0", number=number, **changes).write(self.folder / f"brought-{number}")
        return bundles.sign(bundle, "architect", "builder", "release")

    def backed_up(self, ago: timedelta, release: str = "1.0.0") -> None:
        digest = Store(self.paths.store).open_release(release).digest
        note_backup(self.paths, datetime.now(UTC) - ago, sha256(b"statement"), digest)

    def may(self, bundle: Path) -> Upgrade:
        return may_upgrade(self.paths, Request(bundle, None, None))

    def go(self, bundle: Path, found: Upgrade | None = None) -> None:
        upgrade(
            self.paths,
            Request(bundle, None, None),
            found or self.may(bundle),
            passphrase=lambda: b"",
            observer=None,  # type: ignore[arg-type]  # nothing runs here
            progress=lambda _done, _total: None,
        )

    def _force(self, _paths: SitePaths, _files: object, release: VerifiedRelease, **_: object) -> Installed:
        self.forced.append(release.version)
        return Installed(release, (), 0, "")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    return Running(tmp_path, monkeypatch)


def test_what_differs_is_named_and_what_can_be_undone_needs_no_backup(site: Running) -> None:
    bundle = site.brought(2)
    before = bundles.tree(site.paths.root)
    found = site.may(bundle)
    assert (found.before, found.after, found.final) == ("1.0.0", "2.0.0", None)
    assert bundles.tree(site.paths.root) == before
    site.go(bundle, found)
    assert site.forced == ["2.0.0"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"keycloak": "26.8.0"}, "Keycloak 26.7.3 cannot read the database of Keycloak 26.8.0"),
        ({"revisions": SECOND}, "does not know the gateway's database since r0002_second_tables"),
        ({"min_release": 2}, "signed with 2 as the lowest number"),
    ],
)
def test_what_cannot_be_undone_waits_for_a_backup_of_the_last_day(
    site: Running, changes: dict[str, Any], why: str
) -> None:
    bundle = site.brought(2, **changes)
    before = bundles.tree(site.paths.root)
    assert why in str(plan_upgrade(site.paths, bundle).final)
    with pytest.raises(RefusedError, match="never backed up") as refused:
        site.go(bundle)
    assert "backup create" in str(refused.value.hint)
    assert bundles.tree(site.paths.root) == before
    site.backed_up(RECENT + timedelta(hours=1))
    with pytest.raises(RefusedError, match="not of the last day"):
        site.go(bundle)
    assert site.forced == []
    site.backed_up(RECENT - timedelta(hours=1))
    site.go(bundle)
    assert site.forced == ["2.0.0"]


def test_a_folder_that_an_attempt_left_replaces_no_backup(site: Running) -> None:
    """Until the switch the former release serves, and can be backed up."""
    site.paths.release("2.0.0").mkdir(parents=True)
    with pytest.raises(RefusedError, match="never backed up"):
        site.go(site.brought(2, revisions=SECOND))
    assert site.forced == []


def test_one_that_was_interrupted_after_the_switch_goes_on_without_another_backup(site: Running) -> None:
    bundle = site.brought(2, revisions=SECOND)
    site.backed_up(timedelta(hours=1))
    site.go(bundle)
    site.activate("2.0.0")
    site.backed_up(timedelta(days=9))
    site.go(bundle)
    assert site.forced == ["2.0.0"] * 2


@pytest.mark.parametrize(
    ("before", "changes", "why"),
    [
        ({"revisions": SECOND}, {}, "does not know the gateway's database since r0002_second_tables"),
        ({"keycloak": "26.8.0"}, {}, "Keycloak 26.7.3 cannot go on with the database of Keycloak 26.8.0"),
        ({"keycloak": "26.10.0"}, {"keycloak": "26.9.9"}, "Keycloak 26.9.9 cannot go on"),
    ],
)
def test_a_later_release_of_an_older_line_is_refused_whatever_was_backed_up(
    site: Running, before: dict[str, Any], changes: dict[str, Any], why: str
) -> None:
    site.ran(2, **before)
    site.backed_up(timedelta(hours=1), "2.0.0")
    held = bundles.tree(site.paths.root)
    with pytest.raises(RefusedError, match=re.escape(why)):
        site.go(site.brought(3, **changes))
    assert (bundles.tree(site.paths.root), site.forced) == (held, [])


def test_a_backup_that_leads_elsewhere_is_no_way_back(site: Running) -> None:
    site.ran(2)
    bundle = site.brought(3, revisions=SECOND)
    site.backed_up(timedelta(hours=1), "1.0.0")
    with pytest.raises(RefusedError, match=r"another release than 2\.0\.0"):
        site.go(bundle)
    site.backed_up(-timedelta(hours=1), "2.0.0")
    with pytest.raises(RefusedError, match="not of the last day"):
        site.go(bundle)
    site.backed_up(timedelta(hours=1), "2.0.0")
    note_erasure(site.paths, datetime.now(UTC))
    with pytest.raises(RefusedError, match="erased since"):
        site.go(bundle)
    assert site.forced == []


def test_what_the_gate_refuses_is_not_learnt_so_that_the_active_release_stays_whole(
    site: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ends the older ones by its `min_release` and cannot be put in force would leave a site with none."""
    bundle = site.brought(2, min_release=2)
    site.backed_up(timedelta(hours=1))
    before = bundles.tree(site.paths.root)
    monkeypatch.setattr(module, "judge_models", site.refuse)
    with pytest.raises(RefusedError, match="this site's policy"):
        site.go(bundle)
    assert (bundles.tree(site.paths.root), site.forced) == (before, [])
    site.back("1.0.0")
    assert site.forced == ["1.0.0"]


def test_the_gate_that_is_asked_is_the_real_one(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(module, "check_host", lambda *_: site)
    bundle = site.brought(2)
    before = bundles.tree(site.paths.root)
    with pytest.raises(SovereignError, match=r"m is not in release 2\.0\.0|0 policy artifacts"):
        site.go(bundle)
    assert bundles.tree(site.paths.root) == before


def test_an_older_bundle_and_one_that_was_changed_are_refused(site: Running) -> None:
    site.ran(3)
    before = bundles.tree(site.paths.root)
    with pytest.raises(RollbackError):
        site.may(site.brought(2))
    changed = site.brought(4) / "release.json"
    changed.write_bytes(changed.read_bytes() + b" ")
    with pytest.raises(VerificationError):
        site.may(changed.parent)
    assert (bundles.tree(site.paths.root), site.forced) == (before, [])


def test_a_medium_that_was_exchanged_after_the_question_is_not_put_in_force(site: Running) -> None:
    found = site.may(site.brought(2))
    with pytest.raises(RefusedError, match="holds another release now"):
        site.go(site.brought(3), found)
    assert site.forced == []


def test_a_wheel_that_was_changed_tells_nothing_about_the_way_back(site: Running) -> None:
    bundle = site.brought(2, revisions=SECOND)
    wheel = next(path for path in (bundle / "blobs/sha256").iterdir() if b"r0002_second_tables" in path.read_bytes())
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(VerificationError):
        plan_upgrade(site.paths, bundle)


def test_a_site_that_is_not_there_is_not_upgraded(site: Running) -> None:
    bundle = site.brought(2)
    site.paths.current.unlink()
    with pytest.raises(UsageError, match="no release is active"):
        plan_upgrade(site.paths, bundle)


def test_the_plan_names_each_artifact_with_both_versions(site: Running) -> None:
    found = plan_upgrade(site.paths, site.brought(2, keycloak="26.8.0"))
    assert found.changes == (
        Change("keycloak", "keycloak", "26.7.3", "26.8.0"),
        Change("runtime", "wheelhouse", "1.0.0", "2.0.0"),
    )
    assert found.data()["changes"] == [change.data() for change in found.changes]
    assert found.backup is None
    site.backed_up(timedelta(hours=1))
    backup = plan_upgrade(site.paths, site.brought(3, keycloak="26.8.0")).backup
    assert isinstance(backup, LastBackup)


@pytest.mark.parametrize("changes", [{}, {"revisions": SECOND}])
def test_a_postgresql_of_another_major_is_refused_before_anything_is_stopped_whatever_was_backed_up(
    site: Running, changes: dict[str, Any]
) -> None:
    bundle = site.brought(2, postgres="18", **changes)
    site.backed_up(timedelta(hours=1))
    before = bundles.tree(site.paths.root)
    why = "PostgreSQL 18 cannot read the data of PostgreSQL 16"
    assert why in str(plan_upgrade(site.paths, bundle).refusal)
    with pytest.raises(RefusedError, match=why) as refused:
        site.may(bundle)
    assert "a backup is restored by its own release alone" in str(refused.value.hint)
    assert bundles.tree(site.paths.root) == before
    assert site.forced == []


@pytest.mark.parametrize(("data", "refused"), [(b"16\n", False), (b"16", False), (b"15\n", True), (b"18\n", True)])
def test_the_data_say_of_which_postgresql_they_are_whatever_the_release_in_force_brings(
    site: Running, data: bytes, *, refused: bool
) -> None:
    folder = cluster(site.paths)
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_bytes(data)
    assert (plan_upgrade(site.paths, site.brought(2)).refusal is not None) is refused


@pytest.mark.parametrize("spoil", ["a link", "no version", "much", "a folder"])
def test_data_that_say_no_version_are_refused_and_not_guessed(site: Running, spoil: str) -> None:
    folder = cluster(site.paths)
    folder.mkdir(parents=True)
    path = folder / "PG_VERSION"
    match spoil:
        case "a link":
            path.symlink_to("/dev/zero")
        case "no version":
            path.write_bytes(b"x")
        case "much":
            path.write_bytes(b"1" * 65)
        case _:
            path.mkdir()
    with pytest.raises(RefusedError, match="PG_VERSION"):
        plan_upgrade(site.paths, site.brought(2))


def test_data_that_were_exchanged_after_the_plan_are_found_before_the_site_learns_of_the_release(site: Running) -> None:
    """The plan was made, and then data of another version lie there: nothing is brought in."""
    bundle = site.brought(2)
    found = site.may(bundle)
    folder = cluster(site.paths)
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_bytes(b"15\n")
    held = bundles.tree(site.paths.trust)
    with pytest.raises(RefusedError, match="PostgreSQL 16 cannot read the data of PostgreSQL 15"):
        site.go(bundle, found)
    assert bundles.tree(site.paths.trust) == held
    assert site.forced == []


@pytest.mark.skipif(not list(Path(sys.prefix).glob(f"lib/python3.*/site-packages/{HEADER}")), reason="no PostgreSQL")
def test_the_header_of_the_real_wheel_is_read() -> None:
    (header,) = Path(sys.prefix).glob(f"lib/python3.*/site-packages/{HEADER}")
    major = major_in(io.BytesIO(bundles.archive({HEADER: header.read_bytes()})))
    program = header.parents[1] / "bin" / "postgres"
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    assert said.startswith(f"postgres (PostgreSQL) {major}.")
