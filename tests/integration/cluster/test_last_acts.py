"""Renewals, restores and removals of a cluster are in its log as far as there is one; none waits for it."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airgap_bundle.store import Store
from appliance.cli import reached
from appliance.cli.main import app
from appliance.cluster import removal, renewal
from appliance.cluster.events import Reading
from appliance.cluster.install import Installed
from appliance.cluster.reached import ReachedPaths, reached_site
from appliance.errors import DeploymentError, UsageError
from appliance.install.journal import read_journal
from appliance.install.log_fate import LogFate
from tests.audit.former import in_words
from tests.integration.cluster.desk import quiet
from tests.integration.cluster.reaching import site
from tests.integration.cluster.test_acts import away, entries, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from appliance.cluster.install import Wanted
    from appliance.cluster.playbook import Watch
    from appliance.site.paths import SitePaths
    from tests.integration.cluster.desk import Desk, Return

__all__ = ["site"]
SAID = list[tuple[str, str, str]]
DISCARD = LogFate(discard=True)


class Cleaning:
    """Stands for the run that cleans hosts: notes what the log says by then."""

    def __init__(self, desk: Desk, fails: bool, cleans: Sequence[str]) -> None:  # noqa: FBT001 - of two kinds
        self.desk, self.fails, self.cleans = desk, fails, cleans
        self.log: list[SAID] = []

    def __call__(self, _playbook: str, _told: Mapping[str, Any], watch: Watch, **_: object) -> dict[str, int]:
        self.log.append(told(self.desk))
        watch(Reading("node1", {"quiet": True}))
        for host in self.cleans if self.fails else ("node1", "node2"):
            watch(Reading(host, {"marked": True}))
            watch(Reading(host, {"removed": True}))
        if self.fails:
            raise DeploymentError("node2: a canary of its words")
        return {}


def remove(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    fate: LogFate = DISCARD,
    *,
    fails: bool = False,
    cleans: Sequence[str] = (),
) -> tuple[Cleaning, removal.Removed]:
    """``cleans`` are the hosts that one that ``fails`` has cleaned by then."""
    cleaning = Cleaning(desk, fails, cleans)
    monkeypatch.setattr(removal, "run", cleaning)
    return cleaning, removal.uninstall(desk.paths, desk.known, fate, watch=quiet, enter=desk.hosts.enter)


def test_a_removal_is_in_the_log_before_the_first_host_is_cleaned_and_takes_the_journal_along(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaning, gone = remove(desk, monkeypatch)
    assert cleaning.log == [[("uninstall", "Success", "begun")]]
    assert in_words(entries(desk)[0])["activity_name"] == "Remove"
    assert entries(desk)[0]["app"]["version"] == "1.0.0"
    assert entries(desk)[0]["status_detail"].endswith("; the log is discarded")
    assert gone.unlogged is None
    assert not desk.paths.journal.exists()
    assert not desk.paths.cluster_state.exists()


def test_a_removal_that_fails_says_so_and_one_that_is_run_again_is_another(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeploymentError):
        remove(desk, monkeypatch, fails=True)
    assert told(desk) == [("uninstall", "Success", "begun"), ("uninstall", "Failure", "failed: DeploymentError")]
    assert "canary" not in str(entries(desk))
    cleaning, _ = remove(desk, monkeypatch)
    assert cleaning.log[0][-1] == ("uninstall", "Success", "begun")
    assert not desk.paths.cluster_state.exists()


@pytest.mark.parametrize("trouble", ["no writer", "no journal", "no store"])
def test_a_removal_waits_for_no_log_and_for_no_journal(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    if trouble == "no writer":
        away(desk)
    elif trouble == "no journal":
        desk.paths.journal.parent.mkdir(parents=True, exist_ok=True)
        desk.paths.journal.write_text("no record\n")
    else:
        for record in Store(desk.paths.store).records():
            monkeypatch.setattr(Store, "record", partial(missing, record.version))
    _, gone = remove(desk, monkeypatch)
    assert (gone.unlogged is None) == (trouble == "no store")
    assert not desk.paths.cluster_state.exists()


def missing(version: str, *_: object) -> None:
    from airgap_bundle.errors import StoreError  # noqa: PLC0415 - of this test alone

    raise StoreError(f"no release {version}")


@pytest.fixture
def renew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Renews, with a run of the roles that raises what it is given."""

    def act(error: Exception | None = None, **more: Any) -> Installed:
        def bring(_paths: SitePaths, wanted: Wanted, **_: object) -> Installed:
            assert wanted.anew
            if error is not None:
                raise error
            return Installed(wanted.release.version, (), {}, "10.77.0.11:6443", None)

        monkeypatch.setattr(renewal, "put_in_force", bring)
        monkeypatch.setattr(renewal, "read_cluster_files", lambda *_: object())
        given = {"watch": quiet, "passphrase": lambda: b"", "enter": desk.hosts.enter, **more}
        return renewal.renew(desk.paths, desk.known, **given)

    return act


def test_a_renewal_is_in_the_log_begun_and_ended(desk: Desk, renew: Any) -> None:
    assert renew().unlogged is None
    with pytest.raises(DeploymentError):
        renew(DeploymentError("node2: disk full"))
    assert told(desk) == [
        ("renew", "Success", "begun"),
        ("renew", "Success", "went through"),
        ("renew", "Success", "begun"),
        ("renew", "Failure", "failed: DeploymentError"),
    ]
    away(desk)
    assert "audit-0" in str(renew().unlogged)


def test_a_renewal_that_no_key_opens_was_none(desk: Desk, renew: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: object) -> None:
        raise UsageError("the passphrase does not open the site key")

    monkeypatch.setattr("appliance.install.vault.Vault.store", closed)
    with pytest.raises(UsageError):
        renew()
    assert told(desk) == []
    assert read_journal(desk.paths.journal) == ()


def test_a_renewal_by_a_site_file_with_the_state_elsewhere_is_refused(desk: Desk, renew: Any) -> None:
    desk.known = replace(desk.known, state=replace(desk.known.state, state_host="node1"))
    with pytest.raises(UsageError, match="are on node1, and the site file has them on node2"):
        renew()
    assert told(desk) == []


def test_a_restore_is_an_act_of_the_log_that_it_brings_with_the_backup_that_it_is_of(
    desk: Desk, way_back: Return
) -> None:
    pair = desk.back_up()
    done = way_back.restore(pair)
    assert done.unlogged is None
    assert told(desk) == [("restore", "Success", "begun"), ("restore", "Success", "went through")]
    last = entries(desk)[-1]
    assert last["status_detail"].endswith(
        f"from no release to release 1.0.0 ({done_digest(desk)}), out of backup {pair.main.digest}"
    )
    assert in_words(last)["activity_name"] == "Install"


def done_digest(desk: Desk) -> str:
    return str(Store(desk.paths.store).record("1.0.0").release)


def test_a_restore_that_was_cut_off_is_told_once_the_log_is_on(desk: Desk, way_back: Return) -> None:
    pair = desk.back_up()
    way_back.runs.fail_at = 1
    away_hosts = way_back.hosts
    away_hosts.answers["get pod audit-0"] = ""  # nothing runs yet
    with pytest.raises(DeploymentError) as failed:
        way_back.restore(pair)
    assert any("the next run enters it" in note for note in failed.value.__notes__)
    assert told(desk) == []
    away_hosts.answers.clear()
    way_back.restore(pair)
    assert told(desk) == [
        ("restore", "Success", "begun"),
        ("restore", "Failure", "failed: DeploymentError"),
        ("restore", "Success", "begun"),
        ("restore", "Success", "went through"),
    ]


def test_a_command_that_is_told_to_end_leaves_no_copy_of_the_log(
    site: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders: list[Path] = []

    def ended(paths: ReachedPaths) -> Path:
        folders.append(paths.here)
        (paths.here / "log").write_text("a copy")
        os.kill(os.getpid(), signal.SIGTERM)
        return paths.here

    monkeypatch.setattr(reached, "reached_site", partial(reached_site, enter=site.hosts.enter))
    monkeypatch.setattr(ReachedPaths, "copy_log", ended)
    before = signal.getsignal(signal.SIGTERM)
    done = CliRunner().invoke(app, ["--site", str(site.paths.root), "audit", "report", "--cache", str(tmp_path / "f")])
    assert done.exit_code != 0
    assert len(folders) == 1
    assert not folders[0].exists()
    assert signal.getsignal(signal.SIGTERM) == before
