"""A backup that nobody watches: never on the wrong disk, never instead of a good older one, and never silently lost."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from airgap_bundle import keys
from airgap_bundle.digest import sha256
from airgap_bundle.errors import MalformedError
from appliance.audit.errors import AuditUnavailableError
from appliance.errors import DeploymentError, UsageError
from appliance.install.backup import unattended
from appliance.install.backup.creating import Created
from appliance.install.backup.folder import open_folder
from appliance.install.backup.keeping import DAMAGED, GOING, alone_in, folder_name, older, remove
from appliance.install.backup.last import last_backup, note_backup
from appliance.install.backup.places import faults, mount_of
from appliance.install.backup.recovery_key import FOLDER
from appliance.install.backup.runs import last_run
from appliance.install.backup.statement import BACKUP_TYPE, LOG, SEALED, STATEMENT, SUBJECT_KEYS_TYPE
from appliance.install.backup.unattended import Patience, back_up
from appliance.install.lock import SiteBusyError, site_lock
from appliance.site.paths import SitePaths
from tests.audit.former import in_words
from tests.gateway.doubles import site

if TYPE_CHECKING:
    from appliance.site.backups import Backups
    from appliance.site.config import SiteConfig
    from tests.unit.install.backup.conftest import Written

SHARED = Path("/dev/shm")
QUICK = Patience(most=0.05, between=0.01)


@dataclass
class Host:
    """A site with a folder for backups; what would ask its database writes small backups that are the site's."""

    paths: SitePaths
    config: SiteConfig
    written: Written
    spoil: Any = None
    size: int = 10
    deaf: bool = False
    entered: list[tuple[str, str]] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.written.base / "disk"

    def enter(self, event: Any) -> None:
        if self.deaf:
            raise AuditUnavailableError("the log does not answer")
        self.entered.append((event["entity"]["name"], event["comment"]))

    def create(self, paths: SitePaths, *, out: Path, subject_keys: Path, **_: Any) -> Created:
        with site_lock(paths):
            self.size += 1
            self.written.folder(str(out), BACKUP_TYPE, size=self.size)
            shutil.rmtree(subject_keys, ignore_errors=True)
            self.written.folder(str(subject_keys), SUBJECT_KEYS_TYPE, size=self.size)
        told = open_folder(out, BACKUP_TYPE, [self.written.signer.public], lambda _done, _all: None)
        note_backup(paths, told.statement.made, told.digest, sha256(b"release"))
        if self.spoil is not None:
            self.spoil(out)
        return Created(told.statement, told.digest, sha256(b"keys"))

    def back_up(self) -> unattended.Kept:
        vault: Any = None
        return back_up(self.config, self.paths, vault=vault, advance=lambda _done, _all: None, patience=QUICK)

    def earlier(self, day: int, size: int) -> Path:
        name = folder_name(datetime(2026, 1, day, 3, 30, tzinfo=UTC))
        return self.written.folder(f"disk/{name}", BACKUP_TYPE, size=size)

    def names(self) -> set[str]:
        return {path.name for path in self.out.iterdir()}


def declared(base: Path, **changes: Any) -> SiteConfig:
    plan = {
        "out": str(base / "disk"),
        "subject_keys": str(base / "stick" / "keys"),
        "recovery_keys": ["keys/recovery.key.pub"],
        "keep": 2,
        "on_mount": False,
    }
    return site(backup={**plan, **changes})


def plan_of(config: SiteConfig) -> Backups:
    assert config.backup is not None
    return config.backup


@pytest.fixture
def host(written: Written, recovery_file: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    base = written.base
    paths = SitePaths(base / "site")
    for folder in (base / "disk", base / "stick", paths.journal.parent, paths.policies / FOLDER):
        folder.mkdir(parents=True)
    shutil.copy(f"{recovery_file}.pub", paths.policies / FOLDER)
    found = Host(paths, declared(base), written)
    monkeypatch.setattr(unattended, "create_backup", found.create)
    monkeypatch.setattr(unattended, "site_signer", lambda *_: written.signer)
    monkeypatch.setattr(unattended, "_enter", lambda _, event: found.enter(event))
    return found


def test_the_newest_stay_and_older_ones_go_only_after_the_new_one_was_read_again(host: Host) -> None:
    older_ones = [host.earlier(day, size) for day, size in ((1, 5), (2, 6), (3, 7))]
    done = host.back_up()
    assert set(done.removed) == set(older_ones[:2])
    assert host.names() == {older_ones[2].name, done.folder.name}
    ran = last_run(host.paths)
    assert ran is not None
    assert (ran.folder, ran.cause) == (str(done.folder), None)
    names = ", ".join(sorted((one.name for one in older_ones[:2]), reverse=True))
    assert host.entered == [(str(host.out), f"older than those that stay: {names}")]


def test_what_the_log_does_not_know_is_not_removed(host: Host) -> None:
    older_ones = [host.earlier(day, size) for day, size in ((1, 5), (2, 6), (3, 7))]
    host.deaf = True
    with pytest.raises(AuditUnavailableError):
        host.back_up()
    assert {one.name for one in older_ones} < host.names()
    ran = last_run(host.paths)
    assert ran is not None
    assert ran.folder is not None
    assert ran.cause == "the log does not answer"


def test_a_medium_that_is_taken_out_while_the_run_waits_fills_no_other_disk(host: Host) -> None:
    """It was there at first; then another command held the site, and it went."""
    looked: list[tuple[str, ...]] = [(), ("no medium is mounted there",)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(unattended, "faults", lambda *_: looked.pop(0))
        with pytest.raises(UsageError, match="no medium is mounted there"):
            host.back_up()
    assert (looked, host.names()) == ([], set())


def test_a_medium_that_goes_before_older_ones_are_looked_for_is_told(host: Host) -> None:
    def gone(*_: object) -> tuple[Path, ...]:
        raise OSError(5, "Input/output error", str(host.out))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(unattended, "older", gone)
        with pytest.raises(DeploymentError, match="Input/output error"):
            host.back_up()
    ran = last_run(host.paths)
    assert ran is not None
    assert ran.cause == f"{host.out}: Input/output error"
    assert [cause for _, cause in host.entered] == [ran.cause]


def test_a_cause_without_end_is_kept_to_a_bound_and_not_lost(host: Host) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(unattended, "faults", lambda *_: ("x" * 100_000,))
        with pytest.raises(UsageError):
            host.back_up()
    ran = last_run(host.paths)
    assert ran is not None
    assert ran.cause == "x" * 2000


def test_two_sites_that_name_one_folder_do_not_take_each_others_for_leftovers(host: Host) -> None:
    with alone_in(host.out):
        with pytest.raises(SiteBusyError, match="another site is backed up"):
            host.back_up()
        assert host.names() == set()
    assert host.back_up().folder.is_dir()


def test_a_pipe_that_is_called_a_statement_keeps_nobody_waiting(host: Host) -> None:
    own = host.earlier(1, 1)
    (own / STATEMENT).unlink()
    os.mkfifo(own / STATEMENT)
    assert older(host.out, [host.written.signer.public], host.out / "new", 1) == ()
    with pytest.raises(MalformedError, match="is no plain file"):
        open_folder(own, BACKUP_TYPE, [host.written.signer.public], lambda _done, _all: None)


@pytest.mark.parametrize("part", [f"{LOG}{SEALED}", "backup.json"])
def test_a_backup_that_cannot_be_read_again_removes_none_and_counts_as_none(host: Host, part: str) -> None:
    for day, size in ((1, 5), (2, 6), (3, 7)):
        host.earlier(day, size)
    note_backup(host.paths, datetime(2026, 1, 3, tzinfo=UTC), sha256(b"former"), sha256(b"release"))
    before, former = host.names(), last_backup(host.paths)
    host.spoil = lambda folder: (folder / part).write_bytes(b"x")
    with pytest.raises(DeploymentError, match="cannot be read again"):
        host.back_up()
    new = host.names() - before
    assert before <= host.names()
    assert [name.endswith(DAMAGED) for name in new] == [True]
    assert last_backup(host.paths) == former
    ran = last_run(host.paths)
    assert ran is not None
    assert ran.cause is not None
    assert len(host.entered) == 1


def test_a_clock_that_was_set_back_does_not_make_the_new_one_the_oldest(host: Host) -> None:
    late = folder_name(datetime(2090, 1, 1, tzinfo=UTC))
    future = host.written.folder(f"disk/{late}", BACKUP_TYPE, size=5)
    other = host.earlier(2, 6)
    done = host.back_up()
    assert host.names() == {other.name, done.folder.name}
    assert done.removed == (future,)


def test_what_another_site_or_person_put_there_stays(host: Host) -> None:
    mine = [host.earlier(day, day) for day in (1, 2, 3)]
    foreign = host.earlier(4, 1)
    host.written.signer, own = keys.generate("ministry"), host.written.signer
    shutil.rmtree(foreign)
    host.earlier(4, 1)
    host.written.signer = own
    (host.out / "holiday").mkdir()
    (host.out / folder_name(datetime(2026, 1, 5, tzinfo=UTC))).symlink_to(mine[0])
    found = older(host.out, [own.public], host.out / "new", 1)
    assert set(found) == set(mine)


def test_what_an_interruption_left_goes_and_nothing_else(host: Host) -> None:
    name = folder_name(datetime(2026, 1, 1, tzinfo=UTC))
    for left in (f"{name}.partial", f"{name}{GOING}", f"{name}{DAMAGED}", "notes.partial"):
        (host.out / left).mkdir()
    remove(host.out, [])
    assert host.names() == {f"{name}{DAMAGED}", "notes.partial"}


def test_nothing_begins_while_another_command_holds_the_site_and_the_wait_has_an_end(host: Host) -> None:
    with site_lock(host.paths), pytest.raises(SiteBusyError):
        host.back_up()
    assert host.names() == set()
    assert host.entered == [(str(host.out), "another sovereign command is changing this site")]
    assert host.back_up().folder.is_dir()


def test_a_site_that_becomes_free_is_backed_up() -> None:
    tries: list[int] = []

    def act() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise SiteBusyError("busy")
        return "done"

    assert Patience(most=5, between=0.001).until_free(act) == "done"
    assert len(tries) == 3


def test_a_medium_that_is_not_mounted_fills_no_other_disk(host: Host) -> None:
    host.config = declared(host.written.base, on_mount=True)
    with pytest.raises(UsageError, match="no medium is mounted there"):
        host.back_up()
    assert host.names() == set()
    ran = last_run(host.paths)
    assert ran is not None
    assert "no medium is mounted there" in str(ran.cause)


@pytest.mark.skipif(not SHARED.is_mount(), reason="no file system is mounted there")
def test_a_mounted_medium_is_found_through_links_too(host: Host) -> None:
    (host.written.base / "medium").symlink_to(SHARED)
    through = str(host.written.base / "medium")
    assert mount_of(Path(through)) == SHARED
    (fault,) = faults(plan_of(declared(host.written.base, out=through, on_mount=True)), host.paths)
    assert fault.startswith(f"{host.written.base / 'stick'} lies on the disk of the host or the site")


def test_a_folder_that_is_missing_or_the_sites_own_is_refused(host: Host) -> None:
    missing = plan_of(declared(host.written.base, out=str(host.written.base / "nowhere")))
    assert "no such folder" in faults(missing, host.paths)[0]
    inside = plan_of(declared(host.written.base, out=str(host.paths.policies)))
    assert "lies in the site itself" in faults(inside, host.paths)[0]
    assert faults(plan_of(host.config), host.paths) == ()


def test_a_key_that_asks_for_a_passphrase_is_found_before_the_night(host: Host) -> None:
    host.paths.secrets.mkdir()
    (host.paths.secrets / "site-key.json").write_text('{"kind": "passphrase"}')
    assert faults(plan_of(host.config), host.paths) == ("the site key asks for a passphrase, which no timer can type",)


def test_a_failure_is_entered_in_the_log_as_one(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[Any] = []

    class Log:
        def __init__(self, _socket: Path) -> None:
            pass

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def append(self, event: Any, *, id: str) -> None:  # noqa: A002 - as the client has it
            entered.append((event, id))

    monkeypatch.undo()
    monkeypatch.setattr(unattended, "SyncAuditClient", Log)
    (host.out).rmdir()
    with pytest.raises(UsageError, match="no such folder"):
        host.back_up()
    ((event, _),) = entered
    assert in_words(event)["status"] == "Failure"
    assert event["entity"] == {"name": str(host.out), "type": "backup"}
    assert "no such folder" in event["comment"]
