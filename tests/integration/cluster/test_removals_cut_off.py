"""A removal of a cluster that ended the log's writer and was cut off goes on by the head that was noted, no other."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.errors import ArchiveError
from appliance.cluster import removal
from appliance.cluster.events import Reading
from appliance.errors import LogInconsistentError, NotAllowedError, UsageError
from appliance.install import log_fate as fates
from appliance.install.act_record import LOG_HEAD
from appliance.install.journal import read_journal
from appliance.install.log_fate import LogFate
from tests.audit.bench import Bench
from tests.integration.cluster.desk import quiet
from tests.integration.cluster.test_acts import act, acting, away, entries, told
from tests.integration.cluster.test_last_acts import remove
from tests.integration.cluster.test_removals_and_the_log import DAY_MS, medium, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from appliance.cluster.playbook import Watch
    from tests.integration.cluster.desk import Desk

__all__ = ["medium"]


class Killed(BaseException):
    """The administrator's machine lost its power: nothing more is written."""


def cut_off(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, fate: LogFate, error: type[BaseException], *, ended: bool = True
) -> None:
    """A removal is let through and ends with ``error``, once the assistant's pods came to their end or before."""

    def run(_playbook: str, _told: Mapping[str, Any], watch: Watch, **_: object) -> dict[str, int]:
        if ended:
            watch(Reading("node1", {"quiet": True}))
            away(desk)
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(removal, "run", run)
        if error is Killed:
            patched.setattr("appliance.cluster.acts.Acting._end", lambda *_: None)
        with pytest.raises(error):
            removal.uninstall(desk.paths, desk.known, fate, watch=quiet, enter=desk.hosts.enter)
    away(desk)


@pytest.mark.parametrize("error", [KeyboardInterrupt, Killed])
@pytest.mark.parametrize("times", [1, 2])
def test_the_same_folder_ends_it_though_nobody_answers_for_the_log(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, medium: Path, error: type[BaseException], times: int
) -> None:
    cut_off(desk, monkeypatch, LogFate(medium), error)
    for _ in range(times - 1):  # the second one ends nothing any more: no API server is there
        cut_off(desk, monkeypatch, LogFate(medium), error, ended=False)
    refused(desk, monkeypatch, LogFate(), NotAllowedError, "is to be kept: of its 4 entries")
    remove(desk, monkeypatch, LogFate(medium))
    assert not desk.paths.cluster_state.exists()


def empty(_desk: Desk, folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def shorter(desk: Desk, folder: Path) -> None:
    shutil.rmtree(folder)
    Bench(folder, desk.log.keys, desk.log.origin).fill(3)


def changed(_desk: Desk, folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"erased-before", b"erased-behind"))


def of_another(desk: Desk, folder: Path) -> None:
    shutil.rmtree(folder)
    Bench(folder, desk.log.keys, desk.log.origin).fill(6)


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        (empty, UsageError, "there is no"),
        (shorter, ArchiveError, "ends with entry 2, and the log has 4 entries"),
        (changed, LogInconsistentError, "."),
        (of_another, ArchiveError, "is of another log"),
    ],
)
def test_another_folder_does_not(  # noqa: PLR0913, PLR0917 - the cases
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    medium: Path,
    change: Callable[[Desk, Path], None],
    kind: type[Exception],
    match: str,
) -> None:
    cut_off(desk, monkeypatch, LogFate(medium), KeyboardInterrupt)
    change(desk, medium)
    refused(desk, monkeypatch, LogFate(medium), kind, match)
    assert read_journal(desk.paths.journal)[-1].step == "uninstall"


def test_nor_does_it_where_the_writer_was_never_seen_to_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, medium: Path
) -> None:
    """It may have gone on for weeks, and be away for another reason."""
    cut_off(desk, monkeypatch, LogFate(medium), KeyboardInterrupt, ended=False)
    refused(desk, monkeypatch, LogFate(medium), NotAllowedError, "could not be held against it")


def test_nor_once_anything_else_was_done(desk: Desk, monkeypatch: pytest.MonkeyPatch, medium: Path) -> None:
    cut_off(desk, monkeypatch, LogFate(medium), KeyboardInterrupt)
    act(desk)
    refused(desk, monkeypatch, LogFate(medium), NotAllowedError, "could not be held against it")


def test_a_log_that_answers_is_asked_whatever_was_noted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, medium: Path
) -> None:
    cut_off(desk, monkeypatch, LogFate(medium), KeyboardInterrupt)
    desk.hosts.answers.clear()
    with acting(desk) as again:
        again._enter()
    refused(desk, monkeypatch, LogFate(medium), ArchiveError, "ends with entry 3, and the log has 7 entries")


def test_a_noted_head_that_the_log_never_signed_is_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, medium: Path
) -> None:
    cut_off(desk, monkeypatch, LogFate(medium), KeyboardInterrupt)
    journal = desk.paths.journal
    assert b"\\n4\\n" in journal.read_bytes()
    journal.write_bytes(journal.read_bytes().replace(b"\\n4\\n", b"\\n3\\n"))
    refused(desk, monkeypatch, LogFate(medium), NotAllowedError, "cannot be read")


def test_an_old_log_goes_by_the_noted_head_without_a_word(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = fates._now_ms() + 185 * DAY_MS
    monkeypatch.setattr(fates, "_now_ms", lambda: now)
    cut_off(desk, monkeypatch, LogFate(), KeyboardInterrupt)
    remove(desk, monkeypatch, LogFate())
    assert not desk.paths.cluster_state.exists()


def test_what_is_noted_of_a_removal_is_no_entry_of_its_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, medium: Path
) -> None:
    cut_off(desk, monkeypatch, LogFate(medium), Killed)
    records = read_journal(desk.paths.journal)
    assert [(one.step, one.state, LOG_HEAD in one.detail) for one in records] == [
        ("uninstall", "started", False),
        ("uninstall", "started", True),
    ]
    desk.hosts.answers.clear()
    assert act(desk) is None
    assert [(step, what) for step, _, what in told(desk)] == [
        ("uninstall", "begun"),
        ("uninstall", "failed: interrupted"),
        ("upgrade", "begun"),
        ("upgrade", "went through"),
    ]
    assert not any("log_head" in str(one) for one in entries(desk))
