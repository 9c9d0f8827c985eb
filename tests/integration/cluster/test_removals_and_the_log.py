"""A cluster takes no log along that is to be kept: no host is cleaned unless its operator says what becomes of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from airgap_bundle.digest import Digest
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import ArchiveError, NoteError
from appliance.cli.main import app
from appliance.cluster import log_fate, removal
from appliance.cluster.backup import progress
from appliance.cluster.backup.progress import Progress
from appliance.cluster.standing import standing
from appliance.cluster.state import KnownHost
from appliance.errors import DeploymentError, NotAllowedError, UsageError
from appliance.install import log_fate as fates
from appliance.install.act_record import Release
from appliance.install.log_fate import LogFate
from tests.audit.bench import Bench
from tests.integration.cluster.desk import quiet, tree
from tests.integration.cluster.test_acts import NEW, act, away, told
from tests.integration.cluster.test_last_acts import remove

if TYPE_CHECKING:
    from collections.abc import Callable
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
    with SyncAuditClient(desk.folder / "sock") as client:
        note = client.checkpoint()
    monkeypatch.setattr(log_fate, "_head", lambda *_: note)
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
    without_assistant(desk)
    desk.known = replace(desk.known, state=replace(desk.known.state, state_host="node2"))
    refused(desk, monkeypatch, LogFate(), NotAllowedError, "is to be kept")


def without_assistant(desk: Desk) -> None:
    told_of = yaml.safe_load(desk.config.read_text())
    del told_of["assistant"]
    desk.config.write_text(yaml.safe_dump(told_of))
    desk.known = standing(desk.paths)


def on_an_unknown_host(desk: Desk) -> None:
    told_of = yaml.safe_load(desk.config.read_text())
    told_of["cluster"]["hosts"].append({"name": "node3", "address": "10.77.0.13"})
    told_of["assistant"]["state_host"] = "node3"
    desk.config.write_text(yaml.safe_dump(told_of))
    desk.known = standing(desk.paths)


def without_its_host(desk: Desk) -> None:
    state = replace(desk.known.state, state_host="node2")
    hosts = tuple(host for host in desk.known.described.cluster.hosts if host.name != "node2")
    cluster = desk.known.described.cluster.model_copy(update={"hosts": hosts})
    desk.known = replace(
        desk.known, state=state, described=desk.known.described.model_copy(update={"cluster": cluster})
    )


@pytest.mark.parametrize("change", [without_assistant, on_an_unknown_host, without_its_host])
def test_a_log_whose_host_nothing_names_any_more_is_one_that_cannot_be_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, medium: Path, change: Callable[[Desk], None]
) -> None:
    """As sites have it that an earlier version noted without that host."""
    change(desk)
    for fate in (LogFate(), LogFate(medium)):
        refused(desk, monkeypatch, fate, NotAllowedError, "cannot be read.*: put `assistant` back there")
    remove(desk, monkeypatch)
    assert not desk.paths.cluster_state.exists()


def test_a_cluster_that_never_had_an_assistant_has_no_log_to_ask_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_assistant(desk)
    (desk.paths.policies / "audit-vkeys").unlink()
    remove(desk, monkeypatch, LogFate())
    assert not desk.paths.cluster_state.exists()


def test_an_old_log_goes_without_a_word(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = fates._now_ms() + 185 * DAY_MS
    monkeypatch.setattr(fates, "_now_ms", lambda: now)
    remove(desk, monkeypatch, LogFate())
    assert not desk.paths.cluster_state.exists()


def test_a_removal_goes_on_once_the_host_of_the_log_was_cleaned(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeploymentError):
        remove(desk, monkeypatch, fails=True, cleans=("node2",))
    desk.known = standing(desk.paths)
    assert desk.known.state.hosts == (KnownHost("node1", "10.77.0.11"),)
    away(desk)
    remove(desk, monkeypatch, LogFate())
    assert not desk.paths.cluster_state.exists()


def test_but_not_where_another_host_was_cleaned_or_a_run_came_since(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeploymentError):
        remove(desk, monkeypatch, fails=True, cleans=("node1",))
    away(desk)
    known = standing(desk.paths)
    since = replace(known.state, cleaned="node2").touching(desk.config, known.described.cluster.hosts)
    for state in (known.state, since):
        desk.known = replace(known, state=replace(state, hosts=()))
        refused(desk, monkeypatch, LogFate(), NotAllowedError, "is to be kept")  # by the head that was noted


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


@pytest.mark.parametrize("known_by", ["what it was told", "its host"])
def test_one_that_failed_late_and_serves_has_a_log_also_where_its_writer_does_not_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, known_by: str
) -> None:
    if known_by == "what it was told":
        act(desk, "install", Release(), NEW)
    desk.known = replace(
        desk.known, state=replace(desk.known.state, release="", state_host="node2" if known_by == "its host" else "")
    )
    away(desk)
    refused(desk, monkeypatch, LogFate(), NotAllowedError, "cannot be read")


@pytest.mark.parametrize("laid", [True, False])
def test_a_restore_has_a_log_from_when_it_laid_it_down(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, laid: bool
) -> None:
    digest = Digest.parse("sha256:" + "5" * 64)
    done = (progress.PLACED, progress.HOSTS, progress.DATABASES, *([progress.LOG] if laid else []))
    desk.known = replace(desk.known, state=replace(desk.known.state, release="", state_host="node2"))
    progress.write_progress(desk.paths, Progress(digest, digest, kept=False, state_host="node2", done=done))
    away(desk)
    if laid:
        refused(desk, monkeypatch, LogFate(), NotAllowedError, "cannot be read")
    else:
        remove(desk, monkeypatch, LogFate())
        assert not desk.paths.cluster_state.exists()


def test_how_far_a_restore_came_that_nobody_can_read_frees_no_log(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.known = replace(desk.known, state=replace(desk.known.state, release=""))
    desk.paths.cluster_state.with_name("restore.json").write_text("{")
    away(desk)
    refused(desk, monkeypatch, LogFate(), NotAllowedError, "cannot be read")
