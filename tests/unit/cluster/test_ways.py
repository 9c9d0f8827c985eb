"""A way between two releases is one record: what goes on with it, turns it round, or finds hosts that come new."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airgap_bundle.trust_state import TrustState
from appliance.cluster import upgrade as upgrading
from appliance.cluster.playbook import HostsRefusedError
from appliance.cluster.standing import standing
from appliance.cluster.state import FORMER, ClusterState, Way, read_state, write_state
from appliance.cluster.status import cluster_status
from appliance.errors import DeploymentError, RefusedError, UsageError
from appliance.install.admission import admit
from appliance.install.host import Request
from tests.bundles import NOW, tree
from tests.unit.cluster.test_upgrade import HOSTS, WAY, Ground, _quiet, _silent, ground

if TYPE_CHECKING:
    from pathlib import Path

AMONG = [*HOSTS, {"name": "node3", "address": "192.168.7.3"}]


__all__ = ["ground"]


def cut(ground: Ground, bundle: Path | None, at: str) -> None:
    """Upgrade with ``bundle``, or roll back, and fail at a playbook."""
    ground.runs.failing = at
    with pytest.raises(DeploymentError):
        ground.go(bundle) if bundle is not None else ground.back()
    ground.runs.failing = ""


def describe(ground: Ground, hosts: list[dict[str, str]], **more: str) -> None:
    site = yaml.safe_load((ground.folder / "site.yaml").read_text())
    site["cluster"] |= {"hosts": hosts, **more}
    (ground.folder / "site.yaml").write_text(yaml.safe_dump(site))


def noted_as_before(ground: Ground, changing: str) -> None:
    """The state as programs noted it that knew no ways."""
    told = json.loads(ground.paths.cluster_state.read_bytes())
    del told["way"]
    ground.paths.cluster_state.write_text(json.dumps({**told, "changing": changing}))


def test_hosts_that_are_refused_keep_a_site_from_learning_of_a_release(ground: Ground) -> None:
    """It ends the older ones: learnt of, it could neither be put in force nor gone back from."""
    bundle = ground.bundle(2, "v1.36.3", min_release=2)
    ground.backed_up()
    before, ground.runs.refusing = tree(ground.paths.root), "preflight.yml"
    with pytest.raises(HostsRefusedError):
        ground.go(bundle)
    assert tree(ground.paths.root) == before
    assert ground.runs.ran == ["preflight.yml"]
    ground.runs.refusing = ""
    ground.go(bundle)
    assert ground.runs.trusted == [1, 1]
    assert TrustState.load(ground.paths.trust).min_release == 2


def test_the_first_look_has_the_new_release_s_images_and_versions_of_both(ground: Ground) -> None:
    ground.go(ground.bundle(2, "v1.36.3"))
    given = ground.runs.told[0]["vars"]
    assert (given["kubernetes_version"], given["kubernetes_met"]) == ("v1.36.3", ["v1.36.2", "v1.36.3"])
    assert not given["release_layout"].startswith(str(ground.paths.root))


def test_what_a_host_has_is_not_asked_room_for_by_figures_of_this_machine(ground: Ground) -> None:
    bundle = ground.bundle(2, "v1.36.3")
    cut(ground, bundle, "cluster.yml")
    ground.go(bundle)
    assert [told["vars"].get("preflight_more_bytes", 0) for told in ground.runs.told] == [0] * len(ground.runs.told)


def test_a_rollback_that_was_cut_off_goes_on_when_it_is_repeated(ground: Ground) -> None:
    ground.go(ground.bundle(2, "v1.36.3"))
    cut(ground, None, "kubernetes.yml")
    assert ground.state().way == Way(ground.runs.last["vars"]["release_way"], "2.0.0", "1.0.0", "1.0.0", back=True)
    ground.back()
    assert (ground.state().release, ground.state().way) == ("1.0.0", None)


@pytest.mark.parametrize("by", ["upgrade", "install"])
def test_bringing_a_release_again_does_not_undo_its_rollback_unasked(by: str, ground: Ground) -> None:
    newer = ground.bundle(2, "v1.36.3")
    ground.go(newer)
    cut(ground, None, "cluster.yml")
    before, ran = tree(ground.paths.root), list(ground.runs.ran)
    with pytest.raises(UsageError, match=r"a rollback from 2\.0\.0 to 1\.0\.0 was cut off") as refused:
        ground.go(newer) if by == "upgrade" else ground.install(newer)
    assert refused.value.hint == "`sovereign rollback` goes on, and `sovereign rollback 2.0.0` goes back to 2.0.0"
    assert tree(ground.paths.root) == before
    assert ground.runs.ran == ran
    ground.back("2.0.0")
    assert (ground.state().release, ground.state().way) == ("2.0.0", None)


def test_an_upgrade_that_was_turned_round_names_both_commands_and_each_does_what_it_says(ground: Ground) -> None:
    newer = ground.bundle(2, "v1.36.3")
    cut(ground, newer, "cluster.yml")
    there = ground.state().onward()
    assert there == "`sovereign upgrade` with the bundle of 2.0.0 goes on, and `sovereign rollback` goes back to 1.0.0"
    mark = ground.runs.last["vars"]["release_way"]
    cut(ground, None, "cluster.yml")
    assert ground.state().onward() == (
        "`sovereign rollback` goes on, and `sovereign upgrade` with the bundle of 2.0.0 goes back to 2.0.0"
    )
    assert ground.runs.last["vars"]["release_way"] == mark  # the former release stays the one of the beginning
    found = cluster_status(ground.paths, standing(ground.paths), {}, NOW)
    told = next(each for each in found.waiting if "rollback" in each.what)
    assert told.what == "the rollback from release 2.0.0 to 1.0.0"
    assert told.why.startswith("not whole; it was at: network and assistant; `sovereign rollback` goes on")
    ground.go(newer)
    assert (ground.state().release, ground.runs.last["vars"]["release_way"]) == ("2.0.0", mark)


def test_a_rollback_to_a_third_release_waits_until_the_way_is_whole(ground: Ground) -> None:
    ground.go(ground.bundle(2, "v1.36.3"))
    cut(ground, ground.bundle(3, "v1.36.3"), "cluster.yml")
    before = tree(ground.paths.root)
    with pytest.raises(RefusedError, match=r"between release 2\.0\.0 and 3\.0\.0"):
        ground.back("1.0.0")
    assert tree(ground.paths.root) == before


def test_letting_go_of_the_former_release_is_a_step_of_its_own_that_is_gone_on_with(ground: Ground) -> None:
    bundle = ground.bundle(2, "v1.36.3")
    cut(ground, bundle, "former.yml")
    way, digests = ground.state().way, ground.state().digests
    assert way is not None
    assert (way.step, ground.state().release) == (FORMER, "1.0.0")
    ground.go(bundle)
    assert ground.runs.ran[-1] == "former.yml"
    assert ground.state().way is None
    assert set(ground.state().digests) <= set(digests)


def test_a_host_that_comes_new_joins_afterwards_and_is_not_in_the_plan_s_order(ground: Ground) -> None:
    describe(ground, AMONG)
    bundle = ground.bundle(2, "v1.36.3")
    assert ground.may(bundle).order == ("node1", "node2")
    ground.go(bundle)
    assert "node3" in ground.runs.last["children"]["cluster"]["children"]["workers"]["hosts"]
    assert [host.name for host in ground.state().hosts] == ["node1", "node2", "node3"]


def test_a_new_host_that_would_lead_the_way_is_refused_before_anything_is_brought_in(ground: Ground) -> None:
    coming = [{"name": f"node{n}", "address": f"192.168.7.9{n}", "role": "control-plane"} for n in (0, 4)]
    describe(ground, [*coming, *HOSTS], endpoint="192.168.7.99")
    ground.refuses(ground.bundle(2, "v1.36.3"), "node0 is not in the cluster yet")
    ground.go(ground.bundle(3, "v1.36.2"))  # without another Kubernetes nothing is led from there


def test_a_way_that_an_earlier_program_began_is_gone_on_with(ground: Ground) -> None:
    bundle = ground.bundle(2, "v1.36.3")
    cut(ground, bundle, "cluster.yml")
    noted_as_before(ground, "2.0.0")
    assert ground.state().way == Way("", "1.0.0", "2.0.0", "2.0.0", back=False)
    ground.go(bundle)
    assert (ground.state().release, ground.state().way) == ("2.0.0", None)
    assert ground.runs.last["vars"]["release_way"]


def test_a_rollback_that_an_earlier_program_began_is_gone_on_with_whatever_kubernetes_hosts_run(ground: Ground) -> None:
    """It noted one end alone: 1.0.0, which is in force, and of 2.0.0 only that its images are admitted."""
    cut(ground, ground.bundle(2, "v1.36.3"), "cluster.yml")
    noted_as_before(ground, "1.0.0")
    assert ground.state().onward() == "`sovereign rollback` goes on"
    ground.back()
    assert ground.runs.last["vars"]["kubernetes_met"] == ["v1.36.2", "v1.36.3"]
    assert (ground.state().release, ground.state().way) == ("1.0.0", None)


def test_a_state_with_a_way_is_read_as_it_was_written(tmp_path: Path) -> None:
    for state in (
        ClusterState("a", "site.yaml", release="1.0.0"),
        ClusterState("a", "site.yaml", release="1.0.0").going_to("2.0.0", ("one",), back=True).at(FORMER),
    ):
        write_state(tmp_path / "cluster/state.json", state)
        assert read_state(tmp_path / "cluster/state.json") == state


def test_every_step_of_a_way_is_remembered_before_it_begins(ground: Ground) -> None:
    ground.go(ground.bundle(2, "v1.36.3"))
    steps = [
        (name, state.way.step) for name, state in zip(ground.runs.ran, ground.runs.remembered, strict=True) if state.way
    ]
    assert steps == list(zip(WAY, ("Kubernetes", "network and assistant", FORMER), strict=True))


def test_a_rollback_that_was_turned_round_twice_names_commands_that_go_where_they_say(ground: Ground) -> None:
    """Unnamed, a rollback goes to what is in force; to the other end it goes by name."""
    newer = ground.bundle(2, "v1.36.3")
    ground.go(newer)
    cut(ground, None, "cluster.yml")
    ground.runs.failing = "cluster.yml"
    with pytest.raises(DeploymentError):
        ground.back("2.0.0")
    cut(ground, newer, "cluster.yml")
    assert ground.state().onward() == (
        "`sovereign upgrade` with the bundle of 2.0.0 goes on, and `sovereign rollback 1.0.0` goes back to 1.0.0"
    )
    ground.back("1.0.0")
    assert (ground.state().release, ground.state().way) == ("1.0.0", None)


def test_a_way_without_return_is_gone_on_with_when_its_backup_has_grown_old(ground: Ground) -> None:
    """Between two releases none is made: asked for again, no command would be left."""
    final = ground.bundle(2, "v1.36.3", min_release=2)
    ground.backed_up()
    cut(ground, final, "cluster.yml")
    (ground.paths.root / "state/backup.json").unlink()
    assert ground.may(final).found.final is not None
    ground.go(final)
    assert (ground.state().release, ground.state().way) == ("2.0.0", None)


def test_a_way_that_another_run_began_since_it_was_asked_is_left_for_no_third_release(ground: Ground) -> None:
    third = ground.bundle(3, "v1.36.2")
    asked = ground.may(third)
    cut(ground, ground.bundle(2, "v1.36.2"), "cluster.yml")
    way = ground.state().way
    with pytest.raises(RefusedError, match=r"between release 1\.0\.0 and 2\.0\.0, and 3\.0\.0 was compared with none"):
        upgrading.upgrade(
            ground.paths, Request(third, None, None), asked, watch=_quiet, progress=_silent, passphrase=lambda: b""
        )
    assert ground.state().way == way
    assert TrustState.load(ground.paths.trust).release_number == 2


def test_a_way_that_another_run_ended_meanwhile_is_not_begun_again_by_an_installation(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = ground.bundle(2, "v1.36.2")
    cut(ground, second, "cluster.yml")

    def slower(*given: Any) -> Any:
        write_state(ground.paths.cluster_state, replace(ground.state(), way=None))
        return admit(*given)

    monkeypatch.setattr("appliance.cluster.install.admit", slower)
    ran = list(ground.runs.ran)
    with pytest.raises(UsageError, match=r"runs release 1\.0\.0, and the bundle brings 2\.0\.0"):
        ground.install(second)
    assert ground.runs.ran == ran
