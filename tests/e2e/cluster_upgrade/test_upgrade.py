"""A cluster goes from one Kubernetes to the next by a delta, is cut off on the way, and comes back; people keep asking.

The stages build on each other and run in the file's order.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.tiles import TileReader
from appliance.audit.verify import verify_log
from demo.release import MODEL
from tests.e2e.cluster_upgrade.asking import ASK, PEOPLE, Asking
from tests.e2e.cluster_upgrade.desk import UpgradeDesk
from tests.e2e.cluster_upgrade.releases import AFTER, BEFORE, OTHER_MODEL
from tests.e2e.two_hosts.hosts import NODES, assert_same, contents
from tests.e2e.two_hosts.kubernetes import Kubernetes, until
from tests.e2e.two_hosts.records import log_copy

pytestmark = pytest.mark.cluster
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab

MARK = "/etc/sovereign/changing"


@pytest.fixture(scope="module")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpgradeDesk]:
    """Both hosts with the older release; afterwards they are as they were before it."""
    found = UpgradeDesk(lab, tmp_path_factory.mktemp("desk"))
    found.prepare()
    found.prepare_newer()
    before = contents(lab)
    assert set(found.install()["changed"]) == set(NODES)
    yield found
    found.sovereign("uninstall", "--yes", "--discard-log")
    assert_same(contents(lab), before)
    assert not found.site.exists()


@pytest.fixture(scope="module")
def cluster(desk: UpgradeDesk) -> Kubernetes:
    return Kubernetes(desk.lab)


def versions(cluster: Kubernetes) -> dict[str, str]:
    nodes = cluster.get("nodes")["items"]
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}


def served(desk: UpgradeDesk) -> str:
    """Ask, and name the model that answered."""
    found = desk.visit(*ASK)
    assert found["text"].strip()
    return str(found["receipt"]["model"]["name"])


def answers(desk: UpgradeDesk) -> bool:
    """Whether anybody is answered. What pods say is older than a power cut for a while after it."""
    try:
        return bool(served(desk))
    except AssertionError:
        return False


def step(desk: UpgradeDesk, node: str) -> str:
    """At which step of its way a host is; empty where it is on none, or does not answer."""
    done = desk.lab.host(node).run(["cat", MARK], check=False)
    return str(json.loads(done.stdout)["step"]) if done.returncode == 0 else ""


def images(cluster: Kubernetes) -> set[str]:
    """Digests of the images that the policy admits."""
    found = cluster.get("validatingadmissionpolicy", "sovereign-images")["spec"]["variables"]
    return set(json.loads(next(each["expression"] for each in found if each["name"] == "released")))


def entries(desk: UpgradeDesk, name: str) -> list[bytes]:
    """Entries of a copy of the log that verifies; one is made where there is none of that name."""
    copied = desk.folder / name
    if not copied.exists():
        log_copy(desk, name)
    report = verify_log(copied, vkeys=read_vkeys(desk.site / "policies/audit-vkeys"))
    size = report.head.size - report.journaled
    tiles = TileReader(copied, size)
    return [tiles.entry(at) for at in range(size)]


def test_the_older_release_answers(desk: UpgradeDesk, cluster: Kubernetes) -> None:
    assert desk.visit(*PEOPLE) == ["analyst"]
    assert served(desk) == MODEL
    assert versions(cluster) == dict.fromkeys(NODES, BEFORE)
    assert len(entries(desk, "log-before")) >= 4  # the model's load, the sign-in, the request and its answer


def test_a_delta_carries_less_than_the_release(desk: UpgradeDesk) -> None:
    """Weights, PostgreSQL and the network's images are on the site already."""
    made = desk.make_delta()
    assert 0 < made.carried < made.held


def test_install_does_not_take_another_release(desk: UpgradeDesk, cluster: Kubernetes) -> None:
    with pytest.raises(AssertionError, match="sovereign upgrade"):
        desk.sovereign("install", str(desk.folder / "delta"), "--profile", "cluster")
    assert versions(cluster) == dict.fromkeys(NODES, BEFORE)


def test_the_plan_names_versions_hosts_and_the_way_back(desk: UpgradeDesk, cluster: Kubernetes) -> None:
    config = ("--config", str(desk.folder / "other.yaml"))
    found = json.loads(
        desk.run(desk.typed("upgrade", str(desk.folder / "delta"), *config, "--dry-run", "--output", "json"))
    )
    assert found["upgrade"]["versions"] == [{"name": "kubernetes", "before": BEFORE, "after": AFTER}]
    assert found["upgrade"]["hosts"] == list(NODES)
    assert found["upgrade"]["rollback_impossible"] is None
    assert found["upgrade"]["pods"]["next_first"] in {True, False}, found["upgrade"]["pods"]
    assert versions(cluster) == dict.fromkeys(NODES, BEFORE)


def test_an_administrator_who_is_lost_on_the_way_is_told_where_it_was(desk: UpgradeDesk, cluster: Kubernetes) -> None:
    """The installer is killed while kubeadm upgrades the control plane; the older release serves."""
    desk.kill_upgrade_when(lambda: step(desk, "node1") == "control plane")
    status = desk.status()
    assert any(each["what"] == "the way from release 1.0.0 to 1.1.0" for each in status["waiting"])
    assert any(each["what"] == f"node1 on its way to Kubernetes {AFTER}" for each in status["waiting"])
    assert served(desk) == MODEL
    assert versions(cluster)["node2"] == BEFORE


def test_a_host_that_loses_its_power_on_the_way_boots(desk: UpgradeDesk, cluster: Kubernetes) -> None:
    """The worker's programs are being replaced; it comes back with one kubelet or the other."""
    desk.kill_upgrade_when(lambda: step(desk, "node2") in {"programs", "kubelet"})
    desk.lab.cut_power("node2")
    desk.lab.start("node2")
    until(lambda: answers(desk), "the older release answered again")
    assert served(desk) == MODEL
    assert versions(cluster) == {"node1": AFTER, "node2": BEFORE}


def test_a_release_that_does_not_come_to_leaves_the_former_one_serving(desk: UpgradeDesk, cluster: Kubernetes) -> None:
    """Kubernetes is through; the engine of the newer release fits on no host."""
    with pytest.raises(AssertionError, match="the former release serves again"):
        desk.run(desk.upgrading(desk.ask_too_much()))
    until(lambda: answers(desk), "the older release answered")
    assert served(desk) == MODEL
    assert versions(cluster) == dict.fromkeys(NODES, AFTER)
    state = json.loads((desk.site / "cluster/state.json").read_text())
    assert (state["release"], state["way"]["heading"]) == ("1.0.0", "1.1.0")


def test_a_second_run_that_fails_leaves_the_same_one_serving(desk: UpgradeDesk, cluster: Kubernetes) -> None:
    """What the first run brought of the newer release is not taken for the former one."""
    with pytest.raises(AssertionError, match="the former release serves again"):
        desk.run(desk.upgrading(desk.ask_too_much()))
    until(lambda: answers(desk), "the older release answered")
    assert served(desk) == MODEL
    assert "sovereign-former" in cluster.kubectl("--namespace=kube-system", "get", "secrets", "--output=name")


def test_run_again_it_goes_on_and_people_are_answered_meanwhile(desk: UpgradeDesk, cluster: Kubernetes) -> None:
    with Asking(desk) as asking:
        done = desk.upgrade()
    sys.stderr.write(f"upgrade: {asking.told}\n")
    assert asking.answered, asking.told
    assert done["release"] == "1.1.0"
    assert versions(cluster) == dict.fromkeys(NODES, AFTER)
    until(cluster.ready, "every host and pod was ready")
    assert served(desk) == OTHER_MODEL
    assert all(not node["spec"].get("unschedulable") for node in cluster.get("nodes")["items"])
    assert "kube-apiserver" in (desk.site / "cluster/plans/1.1.0.txt").read_text()
    gone = f"! ls -d {MARK} /usr/local/lib/sovereign-next /etc/kubernetes/tmp 2>/dev/null | grep ."
    for name in NODES:
        desk.lab.host(name).run(["sh", "-c", gone])


def test_only_the_newer_release_is_admitted_afterwards(desk: UpgradeDesk, cluster: Kubernetes) -> None:
    ours = [pod for pod in cluster.pods() if pod["metadata"]["namespace"] == "sovereign"]
    running = {c["image"].rpartition("@")[2] for pod in ours for c in pod["spec"]["containers"]}
    state = json.loads((desk.site / "cluster/state.json").read_text())
    assert running <= images(cluster) == set(state["digests"])
    assert (state["release"], state["way"], state["history"]) == ("1.1.0", None, ["1.0.0", "1.1.0"])
    assert "sovereign-former" not in cluster.kubectl("--namespace=kube-system", "get", "secrets", "--output=name")


def test_the_log_went_on_from_where_it_was(desk: UpgradeDesk) -> None:
    """Its first entries are those of before, byte for byte, and so their root is."""
    before, after = entries(desk, "log-before"), entries(desk, "log-after")
    assert len(after) > len(before)
    assert after[: len(before)] == before


def test_a_second_run_changes_nothing(desk: UpgradeDesk) -> None:
    assert desk.upgrade()["changed"] == dict.fromkeys(NODES, 0)


def test_a_rollback_that_is_cut_off_says_which_commands_end_it(desk: UpgradeDesk) -> None:
    desk.kill_when(desk.rolling_back(), lambda: step(desk, "node2") != "")
    waits = next(
        each for each in desk.status()["waiting"] if each["what"] == "the rollback from release 1.1.0 to 1.0.0"
    )
    assert "`sovereign rollback` goes on, and `sovereign rollback 1.1.0` goes back to 1.1.0" in waits["why"]
    with pytest.raises(AssertionError, match=r"a rollback from 1\.1\.0 to 1\.0\.0 was cut off"):
        desk.run(desk.upgrading())


def test_it_comes_back(desk: UpgradeDesk, cluster: Kubernetes) -> None:
    listed = json.loads(desk.sovereign("rollback", "--dry-run", "--output", "json"))
    assert [(each["version"], each["refusal"]) for each in listed] == [("1.0.0", None), ("1.1.0", None)]
    with Asking(desk) as asking:
        assert desk.roll_back()["release"] == "1.0.0"
    sys.stderr.write(f"rollback: {asking.told}\n")
    assert asking.answered, asking.told
    assert versions(cluster) == dict.fromkeys(NODES, BEFORE)
    until(cluster.ready, "every host and pod was ready")
    assert served(desk) == MODEL


def test_every_act_is_in_the_log_with_both_releases(desk: UpgradeDesk) -> None:
    """Those that were killed, too; one that failed says so."""
    kept = [json.loads(entry) for entry in entries(desk, "log-acts")]
    acts = [one for one in kept if one["unmapped"]["sovereign"].get("step") in {"install", "upgrade", "rollback"}]
    told = [(a["unmapped"]["sovereign"]["step"], a["status_detail"].partition(";")[0]) for a in acts]
    assert told[:2] == [("install", "begun"), ("install", "went through")]
    assert ("upgrade", "failed: interrupted") in told
    assert ("upgrade", "failed: DeploymentError") in told
    assert ("rollback", "failed: interrupted") in told
    assert told[-2:] == [("rollback", "begun"), ("rollback", "went through")]
    assert "from release 1.1.0 (sha256:" in acts[-1]["status_detail"]
    assert sum(what == "begun" for _, what in told) == sum(what != "begun" for _, what in told)
