"""A cluster's status says what of its backups is to be acted on, and what was restored in part is left to `restore`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import yaml

from airgap_bundle.digest import sha256
from appliance.cluster.install import install
from appliance.cluster.renewal import renew
from appliance.cluster.status import cluster_status
from appliance.errors import UsageError
from appliance.install.backup.last import note_backup
from appliance.install.backup.mark import write_mark
from appliance.install.host import Request
from appliance.site.paths import SitePaths
from tests.unit.cluster.readings import NOW, known, readings
from tests.unit.cluster.test_workloads import described
from tests.unit.roles.plugins import ANSIBLE

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.cluster.standing import Standing


@pytest.fixture
def site(tmp_path: Path) -> SitePaths:
    paths = SitePaths(tmp_path)
    paths.journal.parent.mkdir()
    return paths


def cluster() -> Standing:
    return replace(known(), described=described())


def warnings(paths: SitePaths, of: Standing | None = None) -> list[str]:
    found = cluster_status(paths, of or cluster(), readings(), NOW).warnings
    return [each for each in found if "backup" in each or "backed up" in each or "restore" in each]


def test_no_backup_an_old_one_and_a_fresh_one(site: SitePaths) -> None:
    assert ["nothing of this site is backed up" in each for each in warnings(site)] == [True]
    note_backup(site, NOW - timedelta(days=4), sha256(b"a"), sha256(b"r"))
    assert ["the last backup was begun" in each for each in warnings(site)] == [True]
    note_backup(site, NOW - timedelta(hours=4), sha256(b"b"), sha256(b"r"))
    assert warnings(site) == []


def test_a_cluster_without_an_assistant_has_nothing_to_back_up(site: SitePaths) -> None:
    assert warnings(site, known()) == []


def test_while_a_restore_is_under_way_nothing_else_brings_anything_to_the_hosts(
    site: SitePaths, tmp_path: Path
) -> None:
    write_mark(site, sha256(b"backup"))
    assert ["restored in part" in each for each in warnings(site)] == [True]
    with pytest.raises(UsageError, match="restored in part"):
        install(
            site,
            Request(tmp_path / "bundle", None, None),
            watch=lambda _event: None,
            progress=lambda _done, _total: None,
            passphrase=lambda: b"",
        )
    with pytest.raises(UsageError, match="restored in part"):
        renew(site, cluster(), watch=lambda _event: None, passphrase=lambda: b"")


def test_what_ran_goes_before_the_roles_bring_anything_and_after_all_hosts_were_judged() -> None:
    plays = yaml.safe_load((ANSIBLE / "playbooks/restoring.yml").read_text())
    order = [play.get("ansible.builtin.import_playbook") or play["roles"] for play in plays]
    assert order == ["preflight.yml", ["held"], "cluster.yml"]


def test_disks_are_let_go_and_never_emptied() -> None:
    """Charts and pods go before their claims, which nobody makes anew then, so that another disk can be claimed."""
    block = yaml.safe_load((ANSIBLE / "roles/held/tasks/main.yml").read_text())[1]["block"]
    commands = [task["ansible.builtin.command"]["argv"] for task in block]
    assert {argv[0] for argv in commands} == {"kubectl", "helm"}
    claims = next(i for i, argv in enumerate(commands) if "persistentvolumeclaims" in argv)
    charts = next(i for i, argv in enumerate(commands) if argv[0] == "helm")
    waited = next(i for i, argv in enumerate(commands) if "--for=delete" in argv)
    assert charts < waited < claims  # no file is touched
    assert "policies" not in commands[charts]  # what admits images stays in force
