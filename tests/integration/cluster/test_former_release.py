"""The former release is what was there when the way began: tasks of the role, run here, with Kubernetes pretended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cluster.playbook import ROLES

if TYPE_CHECKING:
    from pathlib import Path

KUBECTL = """#!/bin/sh
cd '{folder}'
echo "kubectl $*" >> calls
case "$*" in
  *"delete secret sovereign-former"*) [ ! -e kept.json ] || (rm kept.json && echo deleted) ;;
  *"get secret sovereign-former"*) [ ! -e kept.json ] || cat kept.json ;;
  *"get secrets,configmaps"*) cat objects.json ;;
  *"get secrets --all-namespaces"*) cat releases ;;
  *"apply --server-side"*) cat > kept.json ;;
  *"apply --filename=-"*) cat > applied.json ;;
  "get nodes,pods"*) cat hosts.json ;;
  "scale deployment/assistant"*) ;;
  *) exit 1 ;;
esac
"""
HELM = """#!/bin/sh
cd '{folder}'
case "$*" in
  "get manifest assistant"*) cat manifest.yaml ;;
  *) echo "helm $*" >> calls ;;
esac
"""
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"include_role": {"name": "assistant", "tasks_from": "{{ part }}"}},
        ],
    }
]


@dataclass
class Cluster:
    """What the API and Helm would say; ``folder`` has what they were told."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir()
        for name, text in (("kubectl", KUBECTL), ("helm", HELM)):
            program = self.folder / "bin" / name
            program.write_text(text.format(folder=self.folder))
            program.chmod(0o755)
        (self.folder / "play.json").write_text(json.dumps(PLAY))

    def stands(self, value: str, *revisions: tuple[int, str, str], chart: str = "audit") -> None:
        """Its one object holds ``value``; of its one chart there are these revisions: number, status, digest."""
        metadata = {"name": "site", "namespace": "sovereign", "labels": {"a": "b"}, "uid": "given by the API"}
        item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}
        (self.folder / "objects.json").write_text(json.dumps({"kind": "List", "items": [item]}))
        labels = [
            {"name": chart, "version": str(n), "status": s, "sovereign.digest": d, "owner": "helm"}
            for n, s, d in revisions
        ]
        self.lines = [f"sovereign {json.dumps(each)}" for each in labels]
        (self.folder / "releases").write_text("".join(f"{line}\n" for line in self.lines))

    def play(self, part: str, way: str = "w1") -> list[str]:
        """Run tasks of the role; what was called meanwhile."""
        (self.folder / "calls").write_text("")
        charts = [
            {"name": name, "namespace": "sovereign", "archive": "a", "values": {}}
            for name in ("policies", "audit", "assistant")
        ]
        given: dict[str, Any] = {
            "part": part,
            "release_way": way,
            "assistant_charts": charts,
            "helm_releases": {"stdout_lines": self.lines},
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
        }
        env = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(ROLES / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "home/local"),
            "ANSIBLE_STDOUT_CALLBACK": "default",
        }
        words = ["-i", "here,", "-e", json.dumps(given), str(self.folder / "play.json")]
        argv = [sys.executable, "-m", "ansible", "playbook", *words]
        done = subprocess.run(argv, env=env, cwd=ROLES, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return (self.folder / "calls").read_text().splitlines()

    @property
    def applied(self) -> str:
        (item,) = json.loads((self.folder / "applied.json").read_text())["items"]
        assert "uid" not in item["metadata"]
        return str(item["data"]["value"])


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_what_a_second_run_finds_of_the_newer_release_is_not_taken_for_the_former_one(cluster: Cluster) -> None:
    """The first run brings the newer release in part; the second one fails, and goes back past it."""
    cluster.stands("of the former", (1, "deployed", "old"))
    cluster.play("former")
    kept = (cluster.folder / "kept.json").read_bytes()
    assert b"of the former" not in kept  # packed
    cluster.stands("of the newer", (1, "superseded", "old"), (2, "deployed", "new"))
    cluster.play("former")
    assert (cluster.folder / "kept.json").read_bytes() == kept
    called = cluster.play("back")
    assert cluster.applied == "of the former"
    assert [line for line in called if line.startswith("helm")] == [
        "helm rollback audit 1 --namespace=sovereign --wait --timeout=900s"
    ]


def test_what_another_way_left_is_kept_no_longer_and_gone_back_to_never(cluster: Cluster) -> None:
    cluster.stands("of the first", (1, "deployed", "first"))
    cluster.play("former")
    cluster.stands("of the second", (1, "superseded", "first"), (2, "deployed", "second"))
    called = cluster.play("back", "w2")
    assert not (cluster.folder / "applied.json").exists()
    assert not [line for line in called if line.startswith("helm")]
    cluster.play("former", "w2")
    cluster.stands("of the third", (2, "superseded", "second"), (3, "failed", "third"))
    cluster.play("back", "w2")
    assert cluster.applied == "of the second"


def test_once_the_way_is_whole_nothing_is_kept_and_a_second_time_there_is_nothing_to_do(cluster: Cluster) -> None:
    cluster.stands("of the former", (1, "deployed", "old"))
    cluster.play("former")
    cluster.play("narrow")
    assert not (cluster.folder / "kept.json").exists()
    cluster.play("narrow")


ROLLBACK = "helm rollback assistant 1 --namespace=sovereign --wait --timeout=900s"
AWAY = "kubectl scale deployment/assistant --namespace=sovereign --replicas=0"


@pytest.mark.parametrize(
    ("memory", "surge", "called"),
    [("2Gi", 1, [ROLLBACK]), ("1Gi", 1, [AWAY, ROLLBACK]), ("1Gi", 0, [ROLLBACK])],
    ids=["room for both", "no room any more", "a revision that asks for none"],
)
def test_a_way_back_whose_pod_would_wait_for_room_for_ever_makes_room_first(
    memory: str, surge: int, called: list[str], cluster: Cluster
) -> None:
    """Its revision lets the former pod come first; the newer one, which never became ready, would not go for it."""
    cluster.stands("of the former", (1, "deployed", "old"), chart="assistant")
    cluster.play("former")
    cluster.stands("of the newer", (1, "superseded", "old"), (2, "failed", "new"), chart="assistant")
    asked = {"containers": [{"resources": {"requests": {"memory": "900Mi"}}}]}
    status = {"allocatable": {"memory": memory, "pods": "9"}, "conditions": [{"type": "Ready", "status": "True"}]}
    labels = {"app.kubernetes.io/name": "assistant"}
    about = {"name": "assistant-1", "namespace": "sovereign", "labels": labels}
    newer = {"kind": "Pod", "metadata": about, "spec": {**asked, "nodeName": "node1"}, "status": {"phase": "Running"}}
    host = {"kind": "Node", "metadata": {"name": "node1"}, "spec": {}, "status": status}
    (cluster.folder / "hosts.json").write_text(json.dumps({"items": [host, newer]}))
    strategy, selector = {"rollingUpdate": {"maxSurge": surge}}, {"matchLabels": labels}
    spec = {"replicas": 1, "strategy": strategy, "selector": selector, "template": {"spec": asked}}
    former = {"kind": "Deployment", "metadata": {"name": "assistant"}, "spec": spec}
    (cluster.folder / "manifest.yaml").write_text(json.dumps(former))
    did = cluster.play("back")
    assert [line for line in did if line in {AWAY, ROLLBACK}] == called
