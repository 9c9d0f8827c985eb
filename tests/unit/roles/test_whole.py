"""A cluster is whole as the site file has it now: which hosts take pods, and names told from two of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.plugins import ANSIBLE

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = (ANSIBLE / "roles/whole/files/whole.py").read_text()
LEVEL = "pod-security.kubernetes.io/enforce"
SPACES = ("default", "kube-node-lease", "kube-public", "kube-system", "of-the-site", "sovereign")
MARK = "node-role.kubernetes.io/control-plane"
# Keeps nodes and pods in one file, and does with them what the program may ask for; anything else fails.
KUBECTL = """#!{python}
import json, pathlib, sys
place = pathlib.Path({place!r})
held = json.loads(place.read_text())
said = [word for word in sys.argv[1:] if not word.startswith("--")]
held["calls"].append(said)
if said == ["get", "nodes"]:
    chosen = [n for n in held["nodes"] if {mark!r} in n["metadata"].get("labels", {{}})]
    print(json.dumps({{"items": chosen}}))
elif said == ["get", "nodes,pods"]:
    print(json.dumps({{"items": held["nodes"] + held["pods"]}}))
elif said[:2] == ["taint", "node"]:
    *names, change = said[2:]
    for node in held["nodes"]:
        if node["metadata"]["name"] in names:
            rest = [t for t in node["spec"].get("taints", ()) if t["key"] != {mark!r}]
            added = [] if change.endswith("-") else [{{"key": {mark!r}, "effect": change.partition(":")[2]}}]
            node["spec"]["taints"] = rest + added
elif said == ["get", "namespaces"]:
    print(json.dumps({{"items": [{{"metadata": {{"name": n, "labels": l}}}} for n, l in held["namespaces"].items()]}}))
elif said[:2] == ["label", "namespace"]:
    *names, change = said[2:]
    for name in names:
        held["namespaces"][name].update([change.split("=")])
elif said[:2] == ["delete", "pod"]:
    held["pods"] = [p for p in held["pods"] if p["metadata"]["name"] not in said[2:]]
elif said[0] not in ("wait", "rollout"):
    sys.exit(1)
place.write_text(json.dumps(held))
"""


class Cluster:
    """What a fake kubectl holds."""

    def __init__(
        self, folder: Path, nodes: list[dict[str, Any]], names_on: tuple[str, str], wide: tuple[str, ...] = ()
    ) -> None:
        self.folder, self.place = folder, folder / "held.json"
        pods = [
            {
                "kind": "Pod",
                "metadata": {"name": f"coredns-{number}", "labels": {"k8s-app": "kube-dns"}},
                "spec": {"nodeName": host},
            }
            for number, host in enumerate(names_on)
        ]
        spaces = {name: {} if name in wide else {LEVEL: "restricted"} for name in SPACES}
        self.place.write_text(json.dumps({"nodes": nodes, "pods": pods, "namespaces": spaces, "calls": []}))
        kubectl = folder / "kubectl"
        kubectl.write_text(KUBECTL.format(python=sys.executable, place=str(self.place), mark=MARK))
        kubectl.chmod(0o755)

    def run(self, wish: str) -> dict[str, list[str]]:
        path = f"{self.folder}:{os.environ['PATH']}"
        argv = [sys.executable, "-", "5", wish]
        done = subprocess.run(argv, input=PROGRAM, env={"PATH": path}, text=True, capture_output=True, check=True)
        return dict(json.loads(done.stdout))

    @property
    def levels(self) -> dict[str, str]:
        spaces = json.loads(self.place.read_text())["namespaces"]
        return {name: labels.get(LEVEL, "") for name, labels in spaces.items()}

    @property
    def taints(self) -> dict[str, list[str]]:
        nodes = json.loads(self.place.read_text())["nodes"]
        return {n["metadata"]["name"]: [t["key"] for t in n["spec"].get("taints", ())] for n in nodes}


def node(name: str, *taints: str, member: bool = False) -> dict[str, Any]:
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {MARK: ""} if member else {}},
        "spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]},
    }


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    nodes = [node("node1", MARK, "of-the-site", member=True), node("node2", "of-the-site")]
    return Cluster(tmp_path, nodes, ("node1", "node2"))


def test_a_control_plane_that_is_to_run_pods_by_now_takes_them_and_other_marks_stay(cluster: Cluster) -> None:
    assert cluster.run("open") == {"marked": ["node1"], "narrowed": [], "moved": []}
    assert cluster.taints == {"node1": ["of-the-site"], "node2": ["of-the-site"]}


def test_one_that_is_to_run_none_any_more_takes_none_and_no_other_host_is_marked(cluster: Cluster) -> None:
    cluster.run("open")
    assert cluster.run("kept") == {"marked": ["node1"], "narrowed": [], "moved": []}
    assert cluster.taints == {"node1": ["of-the-site", MARK], "node2": ["of-the-site"]}


@pytest.mark.parametrize("wish", ["open", "kept"])
def test_a_second_run_changes_nothing(cluster: Cluster, wish: str) -> None:
    cluster.run(wish)
    before = cluster.taints
    assert cluster.run(wish) == {"marked": [], "narrowed": [], "moved": []}
    assert cluster.taints == before


def test_of_two_pods_that_tell_names_on_one_of_two_hosts_one_is_ended(tmp_path: Path) -> None:
    alike = Cluster(tmp_path, [node("node1", MARK, member=True), node("node2")], ("node1", "node1"))
    assert alike.run("kept") == {"marked": [], "narrowed": [], "moved": ["coredns-0"]}


def test_on_one_host_both_stay_where_they_are(tmp_path: Path) -> None:
    alone = Cluster(tmp_path, [node("node1", member=True)], ("node1", "node1"))
    assert alone.run("open") == {"marked": [], "narrowed": [], "moved": []}


def test_namespaces_in_which_nobody_runs_anything_let_in_restricted_pods_alone(tmp_path: Path) -> None:
    fresh = Cluster(tmp_path, [node("node1", member=True)], ("node1", "node1"), wide=SPACES)
    assert fresh.run("open")["narrowed"] == ["default", "kube-node-lease", "kube-public"]
    assert [name for name, level in fresh.levels.items() if level] == ["default", "kube-node-lease", "kube-public"]
    assert fresh.run("open")["narrowed"] == []


def test_a_level_that_the_site_gave_a_namespace_stays(tmp_path: Path) -> None:
    given = Cluster(tmp_path, [node("node1", member=True)], ("node1", "node1"))
    held = json.loads(given.place.read_text())
    held["namespaces"]["default"] = {LEVEL: "privileged"}
    given.place.write_text(json.dumps(held))
    assert given.run("open")["narrowed"] == []
    assert given.levels["default"] == "privileged"
