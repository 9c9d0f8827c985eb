"""Two gateways, each with engines of its own: without either the other answers the same people, in the same log.

Both are on the host that takes pods. What replaces one that went is kept waiting there meanwhile, so that who answers
is the other.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from demo.release import MODEL
from tests.e2e.two_hosts.kubernetes import Kubernetes, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.two_hosts.administrator import Desk

pytestmark = pytest.mark.cluster
PERSON = ("analyst", "a-Passphrase-of-the-analyst-1")
ASK = ("ask", *PERSON, "Which city is the capital of Portugal?")
NAMED = "app.kubernetes.io/name"
PODS = "node2"
MOST_SECONDS = 30.0


@pytest.fixture(scope="module")
def cluster(desk: Desk) -> Iterator[Kubernetes]:
    """With two gateways; with one, as before, afterwards."""
    found, site = Kubernetes(desk.lab), desk.folder / "site.yaml"
    desk.visit("people", *PERSON, "analysts")
    before = site.read_text()
    described = yaml.safe_load(before)
    described["assistant"]["gateways"] = 2
    site.write_text(yaml.safe_dump(described))
    try:
        desk.install()
        yield found
    finally:
        found.kubectl("uncordon", PODS)
        site.write_text(before)
        desk.install()
    until(lambda: len(gateways(found)) == 1 and found.ready(), "one gateway was left, and everything was ready")


def gateways(cluster: Kubernetes) -> dict[str, dict[str, Any]]:
    """Pods that answer and are not on their way out, by name."""
    ours = [pod for pod in cluster.pods() if pod["metadata"].get("labels", {}).get(NAMED) == "assistant"]
    return {pod["metadata"]["name"]: pod for pod in ours if "deletionTimestamp" not in pod["metadata"]}


def ready(cluster: Kubernetes) -> set[str]:
    """Names of those that are ready."""
    return {
        name
        for name, pod in gateways(cluster).items()
        if {"type": "Ready", "status": "True"}
        in [{key: c[key] for key in ("type", "status")} for c in pod["status"].get("conditions", ())]
    }


def answered(desk: Desk) -> int:
    """Sign in and ask; where the answer stands in the log. A connection to the pod that went may break once."""
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        try:
            return int(desk.visit(*ASK)["receipt"]["log"]["answer_index"])
        except AssertionError:
            if time.monotonic() > deadline:
                raise


def test_two_pods_answer_with_engines_of_their_own(desk: Desk, cluster: Kubernetes) -> None:
    until(lambda: len(ready(cluster)) == 2, "two gateways were ready")
    for pod in gateways(cluster).values():
        assert {c["name"] for c in pod["spec"]["containers"]} > {"gateway"}
        assert not [v for v in pod["spec"]["volumes"] if "persistentVolumeClaim" in v or "hostPath" in v]
    assert {desk.visit(*ASK)["receipt"]["model"]["name"] for _ in range(4)} == {MODEL}


def test_without_either_the_other_answers_the_same_people_in_the_same_log(desk: Desk, cluster: Kubernetes) -> None:
    indices = [answered(desk)]
    for gone in sorted(ready(cluster)):
        cluster.kubectl("cordon", PODS)
        cluster.kubectl("--namespace=sovereign", "delete", "pod", gone, "--timeout=120s")
        left = ready(cluster)
        assert len(left) == 1
        indices.append(answered(desk))
        assert ready(cluster) == left
        cluster.kubectl("uncordon", PODS)
        until(lambda: len(ready(cluster)) == 2, "two gateways were ready again")
    assert indices == sorted(set(indices))
    assert json.loads(desk.sovereign("audit", "verify", "--output", "json"))["size"] > indices[-1]
