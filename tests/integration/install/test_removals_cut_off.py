"""A removal that was cut off: what it began to delete is not asked about again, and nothing else goes on its word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.errors import DeploymentError, NotAllowedError
from appliance.install import log_fate
from appliance.install import uninstall as removal
from appliance.install.acts import announce, journaled
from appliance.install.audit_spool import spool
from appliance.install.journal import Journal
from appliance.install.log_fate import LogFate
from appliance.install.status import site_status
from appliance.site.paths import AUDIT, SitePaths
from tests.integration.install.test_operator_acts import CONFIG, paths, writer
from tests.integration.install.test_removals_and_the_log import DISCARD, log, medium, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import Popen

    from tests.audit.bench import Bench

__all__ = ["log", "medium", "paths", "writer"]


def cut_off(paths: SitePaths, log: Bench, monkeypatch: pytest.MonkeyPatch, fate: LogFate, *lost: str) -> None:
    """A removal is killed among the log's own files, of which ``lost`` went."""
    remove = removal._remove

    def killed(path: Path) -> None:
        if path == paths.data(AUDIT).parent:
            for name in lost:
                (log.directory / name).unlink()
            raise KeyboardInterrupt
        remove(path)

    with monkeypatch.context() as patched:
        patched.setattr(removal, "_remove", killed)
        with pytest.raises(KeyboardInterrupt):
            removal.uninstall(paths, fate)
    assert paths.root.exists()


@pytest.mark.parametrize("said", ["copy", "discard"])
@pytest.mark.parametrize("again", ["plain", "copy"])
@pytest.mark.parametrize("lost", [("checkpoint",), ("tile/entries/000",), ()])
def test_a_removal_that_was_cut_off_goes_on_without_the_log_that_it_took(  # noqa: PLR0913, PLR0917 - the cases
    paths: SitePaths,
    log: Bench,
    medium: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    again: str,
    lost: tuple[str, ...],
) -> None:
    """What is left of the log proves nothing, and was let go before, its checkpoint as well."""
    cut_off(paths, log, monkeypatch, LogFate(medium) if said == "copy" else DISCARD, *lost)
    removal.uninstall(paths, LogFate(medium) if again == "copy" else LogFate())
    assert not paths.root.exists()


@pytest.mark.parametrize("tries", [1, 2])
def test_a_removal_that_was_only_announced_frees_no_log(
    paths: SitePaths, log: Bench, medium: Path, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    """Cut off before it deleted anything: the log was whole then, and may have gone on."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(removal, "stop_services", killed)
        for _ in range(tries):
            with pytest.raises(KeyboardInterrupt):
                removal.uninstall(paths, LogFate(medium))
    (log.directory / "checkpoint").unlink()
    refused(paths, monkeypatch, LogFate(), NotAllowedError, "cannot be read")


def test_nor_does_one_whose_log_went_on_while_the_site_was_stopped(
    paths: SitePaths, log: Bench, medium: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(removal, "stop_services", lambda *_: log.fill(1, start=300))
        with pytest.raises(DeploymentError, match="went on while"):
            removal.uninstall(paths, LogFate(medium))
    (log.directory / "checkpoint").unlink()
    refused(paths, monkeypatch, LogFate(), NotAllowedError, "cannot be read")


def test_what_was_done_to_the_site_since_has_the_log_asked_about_again(
    paths: SitePaths, log: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(paths, log, monkeypatch, DISCARD, "checkpoint")
    with pytest.raises(DeploymentError), journaled(paths, "up"):
        raise DeploymentError("there is nothing to start")
    left = sorted(paths.root.rglob("*"))
    with pytest.raises(NotAllowedError, match="cannot be read"):
        removal.uninstall(paths)
    assert sorted(paths.root.rglob("*")) == left


@pytest.mark.usefixtures("log")
def test_a_removal_that_began_stands_in_the_journal_and_stops_none_of_its_readers(
    paths: SitePaths, writer: Callable[[], Popen[bytes]]
) -> None:
    writer()
    before = spool(CONFIG, paths, "1.0.0")
    announce(CONFIG, paths, "uninstall")
    log_fate.note_going(paths)
    assert log_fate.was_going(paths)
    assert (before, spool(CONFIG, paths, "1.0.0")) == (1, 0)
    with journaled(paths, "up"):
        pass
    assert not log_fate.was_going(paths)
    assert spool(CONFIG, paths, "1.0.0") == 1
    assert site_status(paths).release == {"version": "1.0.0"}


def test_a_journal_that_cannot_be_written_holds_no_removal_up(
    paths: SitePaths, log: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DeploymentError("the install journal cannot be written: No space left on device")

    monkeypatch.setattr(Journal, "append", full)
    removal.uninstall(paths, DISCARD)
    assert not log.directory.exists()
