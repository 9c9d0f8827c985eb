"""A log that a restore, or an installation that failed late, laid down is no less to be kept, wherever it lies."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from appliance.cluster import removal
from appliance.cluster.backup import progress
from appliance.cluster.standing import standing
from appliance.cluster.state import KnownHost, write_state
from appliance.errors import DeploymentError, NotAllowedError
from appliance.install.act_record import Release
from appliance.install.log_fate import LogFate
from tests.integration.cluster.desk import quiet, tree
from tests.integration.cluster.test_acts import NEW, act, away
from tests.integration.cluster.test_last_acts import remove
from tests.integration.cluster.test_removals_and_the_log import on_an_unknown_host, refused, without_assistant
from tests.pretended_hosts import POD_UID

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.cluster.standing import Standing
    from appliance.install.backup.restoring import Pair
    from tests.integration.cluster.desk import Desk, Return

BEFORE_ITS_LOG, BEHIND_ITS_LOG, BEHIND_ERASURES = 1, 2, 3
"""Runs of the roles at which a restore is cut off."""


def cut_off(desk: Desk, way_back: Return, at: int, *, was: str) -> Standing:
    """A restore to node3 of a backup whose state was on node2, cut off once the roles had touched the hosts."""
    write_state(desk.paths.cluster_state, replace(desk.known.state, state_host=was))
    desk.known = standing(desk.paths)
    return cut_off_again(desk, way_back, desk.back_up(), at)


def cut_off_again(desk: Desk, way_back: Return, pair: Pair, at: int) -> Standing:
    described = yaml.safe_load(desk.config.read_text())
    described["cluster"]["hosts"][1:] = [{"name": "node3", "address": "10.77.0.13"}]
    described["assistant"]["state_host"] = "node3"
    config = desk.config.with_name("elsewhere.yaml")
    config.write_text(yaml.safe_dump(described))
    way_back.runs.fail_at = at
    with pytest.raises(DeploymentError, match="disk full"):
        way_back.restore(pair, config=config)
    known = standing(way_back.paths)
    write_state(way_back.paths.cluster_state, known.state.touching(config, known.described.cluster.hosts))
    return standing(way_back.paths)


def kept(way_back: Return, monkeypatch: pytest.MonkeyPatch, match: str) -> None:
    """The removal is refused before a host is entered, and everything here is as it was."""
    monkeypatch.setattr(removal, "run", lambda *_, **__: pytest.fail("a host was entered"))
    before = tree(way_back.paths.root)
    with pytest.raises(NotAllowedError, match=match):
        removal.uninstall(way_back.paths, standing(way_back.paths), LogFate(), watch=quiet, enter=way_back.hosts.enter)
    assert tree(way_back.paths.root) == before


@pytest.mark.parametrize("was", ["node2", ""])
@pytest.mark.parametrize("at", [BEHIND_ITS_LOG, BEHIND_ERASURES])
def test_a_restore_to_another_host_that_was_cut_off_behind_its_log_frees_none(
    desk: Desk, way_back: Return, monkeypatch: pytest.MonkeyPatch, at: int, was: str
) -> None:
    known = cut_off(desk, way_back, at, was=was)
    restore = progress.read_progress(way_back.paths)
    assert restore is not None
    assert progress.LOG in restore.done
    assert (known.state.release, known.state.state_host) == ("", "node3")
    way_back.hosts.answers["get pod audit-0"] = ""
    kept(way_back, monkeypatch, "cannot be read")
    write_state(way_back.paths.cluster_state, replace(known.state, hosts=()))  # as before the roles touch one
    kept(way_back, monkeypatch, "cannot be read")


def test_the_host_of_the_backup_is_not_the_one_that_has_the_log(
    desk: Desk, way_back: Return, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an earlier version of this program noted it."""
    known = cut_off(desk, way_back, BEHIND_ITS_LOG, was="node2")
    write_state(way_back.paths.cluster_state, replace(known.state, state_host="node2"))
    way_back.hosts.answers["get pod audit-0"] = ""
    kept(way_back, monkeypatch, "cannot be read")


def test_one_that_was_cut_off_before_its_log_has_none_to_ask_for(
    desk: Desk, way_back: Return, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = cut_off(desk, way_back, BEFORE_ITS_LOG, was="node2")
    assert known.state.state_host == "node3"
    way_back.hosts.answers["get pod audit-0"] = ""
    monkeypatch.setattr(removal, "run", lambda *_, **__: {})
    removal.uninstall(way_back.paths, known, LogFate(), watch=quiet, enter=way_back.hosts.enter)
    assert not way_back.paths.cluster_state.exists()


def test_where_the_old_cluster_survives_the_writer_on_the_new_host_is_asked(
    desk: Desk, way_back: Return, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(desk.paths.cluster_state, replace(desk.known.state, state_host="node2"))
    desk.known = standing(desk.paths)
    pair, way_back.paths = desk.back_up(), desk.paths
    way_back.hosts.answers["admin.conf ]; then cat"] = json.dumps({"id": desk.known.state.identity})
    known = cut_off_again(desk, way_back, pair, BEHIND_ITS_LOG)
    assert KnownHost("node2", "10.77.0.12") in known.state.hosts
    before = len(way_back.hosts.calls)
    kept(way_back, monkeypatch, r"is to be kept: of its \d+ entries")
    asked = [address for address, line in way_back.hosts.calls[before:] if f"{POD_UID}/volumes" in line]
    assert set(asked) == {"10.77.0.13"}


@pytest.mark.parametrize("change", [without_assistant, on_an_unknown_host])
def test_an_installation_that_failed_late_has_a_log_whatever_became_of_its_site_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, change: Callable[[Desk], None]
) -> None:
    act(desk, "install", Release(), NEW)
    change(desk)
    desk.known = replace(desk.known, state=replace(desk.known.state, release="", state_host=""))
    refused(desk, monkeypatch, LogFate(), NotAllowedError, "cannot be read.*: put `assistant` back there")
    remove(desk, monkeypatch)
    assert not desk.paths.cluster_state.exists()


def test_one_that_failed_before_its_log_has_none_though_the_site_file_names_no_assistant(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_assistant(desk)
    desk.known = replace(desk.known, state=replace(desk.known.state, release="", state_host=""))
    away(desk)
    remove(desk, monkeypatch, LogFate())
    assert not desk.paths.cluster_state.exists()
