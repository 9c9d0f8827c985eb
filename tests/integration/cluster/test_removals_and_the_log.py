"""A cluster takes no log along that is to be kept: no host is cleaned unless its operator says what becomes of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from appliance.audit.errors import ArchiveError, NoteError
from appliance.cli.main import app
from appliance.cluster import log_fate, removal
from appliance.cluster.standing import standing
from appliance.cluster.state import KnownHost
from appliance.errors import DeploymentError, NotAllowedError, UsageError
from appliance.install import log_fate as fates
from appliance.install.log_fate import LogFate
from tests.audit.bench import Bench
from tests.integration.cluster.desk import quiet, tree
from tests.integration.cluster.test_acts import act, away, told
from tests.integration.cluster.test_last_acts import remove

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.desk import Desk

DAY_MS = 86_400_000


@pytest.fixture
def medium(desk: Desk, tmp_path: Path) -> Path:
    """A copy of the log as it lies on its host."""
    shutil.copytree(desk.log.directory, tmp_path / "medium")
    return tmp_path / "medium"


def refused(desk: Desk, monkeypatch: pytest.MonkeyPatch, fate: LogFate, kind: type[Exception], match: str) -> None:
    """No host is entered to be cleaned, nothing is entered into the log, and everything here is as it was."""
    monkeypatch.setattr(removal, "run", lambda *_, **__: pytest.fail("a host was entered"))
    before, size = tree(desk.paths.root), desk.log.verify().size
    with pytest.raises(kind, match=match):
        removal.uninstall(desk.paths, desk.known, fate, watch=quiet, enter=desk.hosts.enter)
    assert tree(desk.paths.root) == before
    assert desk.log.verify().size == size


def test_a_cluster_whose_log_is_to_be_kept_is_not_removed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(desk, monkeypatch, LogFate(), NotAllowedError, r"is to be kept: of its 4 entries")


def test_the_command_is_refused_before_it_asks_and_shows_both_ways(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    head = desk.log.verify().head
    monkeypatch.setattr(log_fate, "_head", lambda *_: head)
    done = CliRunner().invoke(app, ["--site", str(desk.paths.root), "uninstall"], input="y\n")
    assert isinstance(done.exception, NotAllowedError)
    hint = done.exception.hint
    assert hint is not None
    assert hint.startswith("copy /var/lib/sovereign/volumes/audit/log of node2 to a medium and give --log-archived")
    assert "--discard-log" in hint
    assert "remove" not in done.output


def test_a_copy_of_the_whole_log_lets_the_cluster_go_and_asking_leaves_no_entry(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, medium: Path
) -> None:
    cleaning, gone = remove(desk, monkeypatch, LogFate(medium))
    assert cleaning.log == [[("uninstall", "Success", "begun")]]
    assert gone.unlogged is None
    assert not any("kubectl exec" in line for _, line in desk.hosts.calls)  # which Kubernetes would note
    assert not desk.paths.cluster_state.exists()


def test_a_copy_that_lacks_the_last_entry_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch, medium: Path) -> None:
    act(desk)
    refused(desk, monkeypatch, LogFate(medium), ArchiveError, "ends with entry 3, and the log has 7 entries")


def test_another_sites_log_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other", origin="another.example/audit")
    other.fill(4)
    refused(desk, monkeypatch, LogFate(other.directory), NoteError, r"another\.example/audit")
    twin = Bench(tmp_path / "twin", desk.log.keys, desk.log.origin)
    twin.fill(4)
    refused(desk, monkeypatch, LogFate(twin.directory), ArchiveError, "is of another log")


def test_a_copy_in_the_site_s_own_folder_is_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = desk.paths.root / "state/kept"
    shutil.copytree(desk.log.directory, inside)
    refused(desk, monkeypatch, LogFate(inside), UsageError, "would go with the site")


def test_a_log_that_does_not_answer_may_hold_what_is_to_be_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, medium: Path
) -> None:
    away(desk)
    for fate in (LogFate(), LogFate(medium)):
        refused(desk, monkeypatch, fate, NotAllowedError, "cannot be read")


def test_a_site_file_that_no_longer_names_the_assistant_frees_no_log(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_of = yaml.safe_load(desk.config.read_text())
    del told_of["assistant"]
    desk.config.write_text(yaml.safe_dump(told_of))
    state = replace(desk.known.state, state_host="node2")
    desk.known = replace(standing(desk.paths), state=state)
    refused(desk, monkeypatch, LogFate(), NotAllowedError, "is to be kept")


def test_an_old_log_goes_without_a_word(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = fates._now_ms() + 185 * DAY_MS
    monkeypatch.setattr(fates, "_now_ms", lambda: now)
    remove(desk, monkeypatch, LogFate())
    assert not desk.paths.cluster_state.exists()


def test_a_removal_goes_on_once_the_host_of_the_log_was_cleaned(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeploymentError):
        remove(desk, monkeypatch, fails=True)
    left = replace(desk.known.state, hosts=(KnownHost("node1", "10.77.0.11"),))
    desk.known = replace(desk.known, state=left)
    away(desk)
    remove(desk, monkeypatch, LogFate())
    assert not desk.paths.cluster_state.exists()


def test_an_installation_that_never_went_through_has_no_log_to_ask_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.known = replace(desk.known, state=replace(desk.known.state, release=""))
    away(desk)
    remove(desk, monkeypatch, LogFate())
    assert not desk.paths.cluster_state.exists()


def test_but_where_a_log_answers_there_it_is_kept_all_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.known = replace(desk.known, state=replace(desk.known.state, release=""))
    refused(desk, monkeypatch, LogFate(), NotAllowedError, "is to be kept")
    assert told(desk) == []
