"""A site comes back only as the operator left it: stopped stays stopped, unfinished stays unfinished."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.errors import DeploymentError, UsageError
from appliance.install import resumption
from appliance.install.journal import Journal, read_journal
from appliance.install.lock import site_lock
from appliance.install.vault import take_back
from tests.install.supervised import make_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.site.paths import SitePaths


class Starter:
    """Stands where services are started: fails ``failures`` times."""

    def __init__(self) -> None:
        self.calls = 0
        self.failures = 0

    def __call__(self, *_: object) -> tuple[str, ...]:
        self.calls += 1
        if self.calls <= self.failures:
            raise DeploymentError("gateway is not ready after 120 s")
        return ("gateway",)


@pytest.fixture
def starter(monkeypatch: pytest.MonkeyPatch) -> Starter:
    made = Starter()
    monkeypatch.setattr(resumption, "start_services", made)
    monkeypatch.setattr(resumption, "spool", lambda *_: 0)
    monkeypatch.setattr(resumption, "PAUSE_S", 0.0)
    return made


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[SitePaths]:
    found = make_site(tmp_path / "s")
    yield found
    shutil.rmtree(found.run, ignore_errors=True)


def steps(paths: SitePaths) -> list[str]:
    return [record.step for record in read_journal(paths.journal)]


def test_a_site_that_runs_is_resumed_and_the_journal_has_it(paths: SitePaths, starter: Starter) -> None:
    assert resumption.resume(paths, print) == ("gateway",)
    assert starter.calls == 1
    assert steps(paths) == ["realm", "resume"]


def test_a_stopped_site_stays_stopped(paths: SitePaths, starter: Starter) -> None:
    take_back(paths)
    assert resumption.resume(paths, print) == ()
    assert (starter.calls, steps(paths)) == (0, ["realm"])


def test_an_unfinished_installation_is_left_to_the_installer(paths: SitePaths, starter: Starter) -> None:
    journal = Journal.open(paths.journal)
    journal.append("realm", "started", "")
    journal.close()
    assert resumption.resume(paths, print) == ()
    assert starter.calls == 0


def test_a_site_that_was_removed_is_no_site(paths: SitePaths, starter: Starter) -> None:
    paths.site_yaml.unlink()
    with pytest.raises(UsageError):
        resumption.resume(paths, print)
    assert starter.calls == 0


def test_a_start_that_fails_is_tried_again_and_not_for_ever(paths: SitePaths, starter: Starter) -> None:
    said: list[str] = []
    starter.failures = 1
    assert resumption.resume(paths, said.append) == ("gateway",)
    assert said == ["not all is back: gateway is not ready after 120 s; trying again"]
    starter.failures = 99
    with pytest.raises(DeploymentError, match="not ready"):
        resumption.resume(paths, said.append)
    assert starter.calls == 2 + resumption.ATTEMPTS


def test_another_command_is_waited_for_and_its_outcome_counts(
    paths: SitePaths, starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    held = site_lock(paths)
    held.__enter__()

    def meanwhile(_seconds: float) -> None:
        if len(said) == resumption.ATTEMPTS + 1:  # it waits longer than it would try
            take_back(paths)
            held.__exit__(None, None, None)

    monkeypatch.setattr(resumption.time, "sleep", meanwhile)
    assert resumption.resume(paths, said.append) == ()
    assert starter.calls == 0
    assert set(said) == {"waiting: another sovereign command is changing this site"}
