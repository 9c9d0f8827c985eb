"""A change of the assistant's pod while somebody asks: with room on a host for both pods, nobody is turned away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cluster_upgrade.asking import Asking
from tests.e2e.two_hosts.kubernetes import Kubernetes

if TYPE_CHECKING:
    from tests.e2e.two_hosts.administrator import Desk

pytestmark = pytest.mark.cluster
_LONGEST_S = 30.0


def _pods(cluster: Kubernetes) -> set[str]:
    """Those that stay: who is on the way out may be ending answers still."""
    found = cluster.get("pods", "--namespace=sovereign", "--selector=app.kubernetes.io/name=assistant")
    return {pod["metadata"]["name"] for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]}


def test_a_changed_setting_of_the_assistant_costs_nobody_an_answer_where_a_host_has_room(desk: Desk) -> None:
    cluster = Kubernetes(desk.lab)
    before = _pods(cluster)
    path = desk.folder / "site.yaml"
    described: dict[str, Any] = yaml.safe_load(path.read_text())
    described["assistant"]["models"][0]["queue"] = 48
    path.write_text(yaml.safe_dump(described))
    with Asking(desk) as asking:
        desk.install()
    strategy = cluster.get("deployment", "assistant", "--namespace=sovereign")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}, "no host of the lab had room for both pods"
    assert not before & _pods(cluster), "the pod was changed"
    assert asking.answered > 1
    assert asking.failed == 0, asking.told
    assert asking.gap < _LONGEST_S, asking.told


def test_a_second_run_after_it_changes_nothing_though_room_is_another_now(desk: Desk) -> None:
    assert not any(desk.install()["changed"].values())
