"""Database and log stay where they are, whatever the site file says next: no host that has them is left or emptied."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.store import Store
from appliance.cluster import ahead
from appliance.cluster import install as installing
from appliance.cluster.lasting import refuse_moved, to_be_seen, to_have_room_for
from appliance.cluster.standing import standing
from appliance.cluster.state import begin_state, read_state, write_state
from appliance.cluster.workloads import Workloads
from appliance.errors import UsageError
from appliance.install.judged import decided
from appliance.install.judged import read as read_record
from appliance.learning.errors import GateRefusedError
from appliance.site.cluster import ClusterSite
from tests.unit.cluster.test_install import here

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.cluster.state import ClusterState
    from tests.unit.cluster.test_install import Administrator

__all__ = ["here"]
MODEL = {"name": "small"}
ASSISTANT: dict[str, Any] = {
    "hostname": "assistant.lab",
    "groups": [{"name": "staff", "models": ["small"]}],
    "models": [MODEL],
}


def described(*names: str, assistant: dict[str, Any] | None = ASSISTANT) -> ClusterSite:
    """A site whose first host is the control plane."""
    hosts = [
        {"name": name, "address": f"10.1.0.{at}", "role": "worker" if at > 1 else "control-plane"}
        for at, name in enumerate(names, 1)
    ]
    ssh = {"key": "id", "known_hosts": "known"}
    cluster = {"hosts": hosts, "ssh": ssh, "administration": ["10.1.0.9/32"]}
    told = {"schema": 1, "name": "s", "profile": "cluster", "cluster": cluster}
    return ClusterSite.model_validate_json(json.dumps(told | ({"assistant": assistant} if assistant else {})))


@pytest.fixture
def known(tmp_path: Path) -> ClusterState:
    """The state after an installation whose first worker, ``node2``, has the state, as it is read again."""
    site = described("node1", "node2", "node3")
    begun = begin_state(tmp_path / "site.yaml").touching(tmp_path / "site.yaml", site.cluster.hosts)
    write_state(tmp_path / "state.json", begun.settled(site.cluster.hosts, "1.0.0", state_host=site.state_host))
    found = read_state(tmp_path / "state.json")
    assert found is not None
    assert found.state_host == "node2"
    return found


def test_a_site_file_that_leaves_the_state_where_it_is_passes(known: ClusterState) -> None:
    refuse_moved(known, described("node1", "node2", "node3"))
    refuse_moved(known, described("node1", "node2"))
    refuse_moved(known, described("node4", "node3", "node2", assistant=ASSISTANT | {"state_host": "node2"}))
    refuse_moved(known, described("node1", "node2", assistant=None))


@pytest.mark.parametrize(
    ("site", "place"),
    [
        (described("node1", "node3", "node2"), "node3"),  # which is the first worker now
        (described("node1", "node3"), "node3"),
        (described("node1"), "node1"),
        (described("node1", "node2", assistant=ASSISTANT | {"state_host": "node1"}), "node1"),
        (described("node1", "node3", assistant=None), "no host of the site file"),
    ],
)
def test_one_that_has_it_elsewhere_is_refused_with_where_it_is(
    known: ClusterState, site: ClusterSite, place: str
) -> None:
    with pytest.raises(UsageError, match=f"are on node2, and the site file has them on {place}") as refused:
        refuse_moved(known, site)
    assert "state_host: node2" in refused.value.hint


def test_nothing_is_compared_before_an_installation_went_through_or_while_a_restore_moves_it(
    known: ClusterState,
) -> None:
    elsewhere = described("node1", "node3")
    for state in (None, replace(known, release=""), replace(known, state_host="")):
        refuse_moved(state, elsewhere)
        assert to_be_seen(state).get("preflight_state_host", "") == ""
    assert to_be_seen(known) == {"preflight_stands": True, "preflight_state_host": "node2"}


def test_a_run_without_the_assistant_forgets_no_state(known: ClusterState) -> None:
    assert known.settled(described("node1", "node2").cluster.hosts, "1.0.0").state_host == "node2"


def test_hosts_are_asked_for_what_stands_from_the_second_run_on(here: Administrator) -> None:
    here.install()
    here.install()
    first, second = (told["vars"] for told in here.runs.told)
    assert "preflight_stands" not in first
    assert (second["preflight_stands"], second["preflight_state_host"]) == (True, "")


def test_an_installation_with_the_state_elsewhere_is_refused_before_a_bundle_is_read(here: Administrator) -> None:
    here.install()
    state = read_state(here.paths.cluster_state)
    assert state is not None
    write_state(here.paths.cluster_state, replace(state, state_host="node9"))
    with pytest.raises(UsageError, match="are on node9"):
        here.install()
    with pytest.raises(UsageError, match="are on node9"):  # an upgrade and a rollback
        installing.site_of(standing(here.paths), None)
    assert len(here.runs.told) == 1


def test_a_run_that_goes_through_with_the_assistant_notes_where_its_state_is(
    here: Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.install()
    release = Store(here.paths.store).open_release("1.0.0")
    site = described("node1", "node2", "node3")
    files = SimpleNamespace(config=site.pods.model_copy(update={"models": ()}), site_yaml=b"{}")
    monkeypatch.setattr(installing, "judged", lambda *_: {})
    monkeypatch.setattr(installing, "prepare", lambda *_, **__: Workloads((), (), (), "b"))
    wanted = installing.Wanted(site, here.folder / "site.yaml", release, files, restored=True)  # type: ignore[arg-type]  # stand-ins
    for charts in (("policies",), None):  # the first is a part of a restore
        state = read_state(here.paths.cluster_state)
        assert state is not None
        assert state.state_host == ""
        assert read_record(here.paths.judged) == {}
        brought = replace(wanted, charts=charts)
        installing.put_in_force(here.paths, brought, watch=lambda _: None, passphrase=lambda: b"")
    state = read_state(here.paths.cluster_state)
    assert state is not None
    assert state.state_host == "node2"
    assert read_record(here.paths.judged)["staff"].held["instructions"] == ("none",)


def test_no_command_brings_words_that_no_gate_let_pass_but_a_restore(here: Administrator) -> None:
    """A rollback and a renewal of certificates go by the site file as it stands then."""
    here.install()
    release = Store(here.paths.store).open_release("1.0.0")
    site = described("node1", "node2", "node3", assistant=ASSISTANT | {"instructions": "Be strict."})
    decided(here.paths, described("node1", "node2", "node3").pods, ("staff",), None, passed=True)
    files = SimpleNamespace(config=site.pods, site_yaml=b"{}")
    wanted = installing.Wanted(site, here.folder / "site.yaml", release, files)  # type: ignore[arg-type]  # stand-ins
    state, runs = here.paths.cluster_state.read_bytes(), len(here.runs.told)
    with pytest.raises(GateRefusedError, match="staff: the site's instructions"):
        installing.put_in_force(here.paths, wanted, watch=lambda _: None, passphrase=lambda: b"")
    assert (here.paths.cluster_state.read_bytes(), len(here.runs.told)) == (state, runs)


def test_a_look_ahead_of_an_upgrade_looks_for_what_stands(here: Administrator, monkeypatch: pytest.MonkeyPatch) -> None:
    here.install()
    state, asked = read_state(here.paths.cluster_state), list[dict[str, Any]]()
    assert state is not None
    monkeypatch.setattr(ahead, "run", lambda _playbook, told, *_, **__: asked.append(told["all"]["vars"]))
    release = Store(here.paths.store).open_release("1.0.0")
    site = installing.read_site(here.folder / "site.yaml")
    ahead.look_ahead(here.paths, site, release, replace(state, state_host="node2"), lambda _: None)
    assert [(one["preflight_stands"], one["preflight_state_host"]) for one in asked] == [(True, "node2")]


def test_the_preflight_is_told_whose_disk_the_log_is_to_have(
    here: Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.install()
    known, asked = read_state(here.paths.cluster_state), list[dict[str, Any]]()
    assert known is not None
    monkeypatch.setattr(ahead, "run", lambda _playbook, told, *_, **__: asked.append(told["all"]["vars"]))
    release = Store(here.paths.store).open_release("1.0.0")
    for assistant in (ASSISTANT, ASSISTANT | {"state_host": "node1"}, None):
        site = described("node1", "node2", assistant=assistant)
        told = installing.SiteSource(site, here.folder / "site.yaml", None)
        ahead.look_ahead(here.paths, told, release, known, lambda _: None)
        assert asked[-1].get("preflight_log_host") == (site.state_host if assistant else None)
    assert [one["preflight_log_host"] for one in asked[:2]] == ["node2", "node1"]


def test_the_preflight_is_told_how_many_pods_come_and_what_the_models_of_one_need() -> None:
    models = [{"name": "small", "memory_mib": 900}, {"name": "large", "memory_mib": 6000}]
    site = described("node1", "node2", assistant=ASSISTANT | {"models": models, "gateways": 2})
    assert to_have_room_for(site) == {"preflight_pods": {"count": 2, "memory_mib": 6900}}
    assert to_have_room_for(described("node1", "node2", assistant=None)) == {}
