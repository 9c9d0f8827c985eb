"""A removal takes no log along that is to be kept: it is refused before anything stops, unless its operator says which.

Either a folder holds all of the log, or the log goes: both are said by name, and neither is the default.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from appliance.audit.errors import ArchiveError, NoteError
from appliance.audit.export import export_range
from appliance.audit.keys import CheckpointKeys
from appliance.audit.retention import LEAST_DAYS
from appliance.cli.main import app
from appliance.errors import DeploymentError, NotAllowedError, UsageError
from appliance.install import log_fate
from appliance.install import uninstall as removal
from appliance.install.log_fate import LogFate
from appliance.site.paths import AUDIT, SitePaths
from tests.audit.bench import Bench
from tests.bundles import tree
from tests.integration.install.test_operator_acts import CONFIG, paths, writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import Popen

__all__ = ["paths", "writer"]
DISCARD = LogFate(discard=True)
DAY_MS = 86_400_000


@pytest.fixture
def log(paths: SitePaths, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A stopped site's log of some entries."""
    monkeypatch.setattr(removal, "remove_accounts", lambda _paths: ())  # they are not ours to remove
    folder = paths.credentials(AUDIT)
    keys = CheckpointKeys.load(*((folder / f"checkpoint_{kind}.pem").read_bytes() for kind in ("ed25519", "mldsa44")))
    found = Bench(paths.audit_log, keys, CONFIG.log_origin)
    found.fill(300)
    return found


@pytest.fixture
def medium(log: Bench, tmp_path: Path) -> Path:
    """A copy of the whole log."""
    shutil.copytree(log.directory, tmp_path / "medium/log")
    return tmp_path / "medium/log"


def refused(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch, fate: LogFate, kind: type[Exception], match: str
) -> None:
    """The removal is refused, nothing was stopped, and everything is as it was."""
    monkeypatch.setattr(removal, "stop_services", lambda *_: pytest.fail("a service was stopped"))
    places = (paths.root,) if paths.socket(AUDIT).exists() else (paths.root, paths.run)  # a socket has no bytes
    before = tree(*places)
    with pytest.raises(kind, match=match):
        removal.uninstall(paths, fate)
    assert tree(*places) == before


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """The clock shows a day that comes after the log's last entry."""
    now = log_fate._now_ms() + days * DAY_MS
    monkeypatch.setattr(log_fate, "_now_ms", lambda: now)


@pytest.mark.usefixtures("log")
def test_a_site_whose_log_is_to_be_kept_is_not_removed(paths: SitePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(paths, monkeypatch, LogFate(), NotAllowedError, r"is to be kept: of its 300 entries the last is of 2")


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("yes", [["--yes"], []])
def test_the_command_is_refused_before_it_asks_and_shows_both_ways(paths: SitePaths, yes: list[str]) -> None:
    before = tree(paths.root, paths.run)
    done = CliRunner().invoke(app, ["--site", str(paths.root), "uninstall", *yes], input="y\n")
    assert isinstance(done.exception, NotAllowedError)
    assert done.exception.hint is not None
    assert "`sovereign down`" in done.exception.hint
    assert "--log-archived FOLDER" in done.exception.hint
    assert "--discard-log" in done.exception.hint
    assert "remove" not in done.output
    assert tree(paths.root, paths.run) == before


def test_a_copy_of_the_whole_log_lets_the_site_go(paths: SitePaths, medium: Path, log: Bench) -> None:
    gone = removal.uninstall(paths, LogFate(medium))
    assert gone.log_head is not None
    assert gone.log_head.size == 300
    assert not paths.root.exists()
    assert Bench(medium, log.keys, log.origin).verify().size == 300


def test_so_does_an_export_of_all_of_it(paths: SitePaths, log: Bench, tmp_path: Path) -> None:
    export_range(log.directory, tmp_path / "out", first=0, last=299, vkeys=log.vkeys)
    removal.uninstall(paths, LogFate(tmp_path / "out"))
    assert not paths.root.exists()


def test_a_copy_that_lacks_the_last_entry_is_refused(
    paths: SitePaths, medium: Path, log: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.fill(1, start=300)
    refused(paths, monkeypatch, LogFate(medium), ArchiveError, "ends with entry 299, and the log has 301 entries")


def test_another_sites_log_is_refused(paths: SitePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_of_the_site = Bench(paths.audit_log, CheckpointKeys.generate(), CONFIG.log_origin)
    other = Bench(tmp_path / "log", origin="another.example/audit")
    other.fill(300)
    vkeys = "".join(f"{key.encode()}\n" for key in log_of_the_site.vkeys)
    (paths.policies / "audit-vkeys").write_text(vkeys)
    log_of_the_site.fill(300)
    refused(paths, monkeypatch, LogFate(other.directory), NoteError, r"another\.example/audit")
    twin = Bench(tmp_path / "twin", log_of_the_site.keys, CONFIG.log_origin)
    twin.fill(300, start=1000)
    refused(paths, monkeypatch, LogFate(twin.directory), ArchiveError, "is of another log")


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("place", ["the log itself", "beside it", "a link to it"])
def test_a_copy_that_would_go_along_is_none(
    paths: SitePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    named = paths.audit_log
    if place == "beside it":
        named = paths.root / "kept"
        shutil.copytree(paths.audit_log, named)
    elif place == "a link to it":
        named = tmp_path / "medium"
        named.symlink_to(paths.audit_log)
    refused(paths, monkeypatch, LogFate(named), UsageError, "would go with the site")


def test_no_copy_is_whole_while_the_writer_runs(
    paths: SitePaths, medium: Path, writer: Callable[[], Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer()
    refused(paths, monkeypatch, LogFate(medium), UsageError, "the log goes on while its writer runs")


def test_a_log_that_goes_on_while_the_site_is_stopped_is_not_deleted(
    paths: SitePaths, medium: Path, log: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "stop_services", lambda *_: log.fill(1, start=300))
    with pytest.raises(DeploymentError, match="went on while"):
        removal.uninstall(paths, LogFate(medium))
    assert log.verify().size == 301


@pytest.mark.usefixtures("log")
def test_a_log_that_is_to_go_goes_and_the_command_says_so(paths: SitePaths) -> None:
    done = CliRunner().invoke(app, ["--site", str(paths.root), "uninstall", "--yes", "--discard-log"])
    assert done.exit_code == 0
    assert "the audit log goes, too, however young its entries are" in done.stderr
    assert "ended with 300 entries" in done.stderr
    assert not paths.root.exists()


def test_both_ways_at_once_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        LogFate(tmp_path, discard=True)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("kept", [LEAST_DAYS, 400])
def test_a_log_whose_last_entry_is_old_enough_goes_without_a_word(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    if kept != LEAST_DAYS:
        paths.site_yaml.write_text(f"{paths.site_yaml.read_text()}\naudit:\n  retention_days: {kept}\n")
    with monkeypatch.context() as clock:
        later(clock, kept - 1)
        refused(paths, clock, LogFate(), NotAllowedError, f"each stays {kept} days")
    later(monkeypatch, kept + 1)
    removal.uninstall(paths)
    assert not paths.root.exists()


@pytest.mark.parametrize("there", ["no entry", "no log"])
def test_where_nothing_was_logged_nothing_is_asked(
    paths: SitePaths, log: Bench, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    shutil.rmtree(log.directory)
    if there == "no entry":
        log.fill(0)
        assert any(log.directory.iterdir())
    monkeypatch.setattr(removal, "stop_services", lambda *_: None)
    removal.uninstall(paths)
    assert not paths.root.exists()


@pytest.mark.parametrize("damage", ["checkpoint", "keys", "journal"])
def test_a_log_that_nobody_can_read_may_hold_what_is_to_be_kept(
    paths: SitePaths, log: Bench, medium: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    if damage == "checkpoint":
        (log.directory / "checkpoint").unlink()
    elif damage == "keys":
        (paths.policies / "audit-vkeys").unlink()
    else:
        note = log.directory / "checkpoint"
        note.write_text(note.read_text().replace("300", "301", 1))
    for fate in (LogFate(), LogFate(medium)):
        refused(paths, monkeypatch, fate, NotAllowedError, "cannot be read")
    monkeypatch.setattr(removal, "stop_services", lambda *_: None)
    removal.uninstall(paths, DISCARD)
    assert not paths.root.exists()


def test_who_named_a_copy_hears_that_it_could_not_be_held_against_the_log(
    paths: SitePaths, log: Bench, medium: Path
) -> None:
    (log.directory / "checkpoint").unlink()
    with pytest.raises(NotAllowedError, match=r"so .*/medium/log could not be held against it") as found:
        removal.uninstall(paths, LogFate(medium))
    assert str(found.value.hint).startswith("--log-archived is of use once the log can be read")
    with pytest.raises(NotAllowedError, match="and cannot be read:") as found:
        removal.uninstall(paths)
    assert "--log-archived" not in str(found.value.hint)
