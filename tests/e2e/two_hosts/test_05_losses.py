"""What two hosts lose and get over by themselves: the host that holds no state, and room on a disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.two_hosts.kubernetes import Kubernetes, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.machine import Running
    from tests.e2e.two_hosts.administrator import Desk

pytestmark = pytest.mark.cluster
PERSON = ("analyst", "a-Passphrase-of-the-analyst-1")
ASK = ("ask", *PERSON, "Which city is the capital of Italy?")
MOST_SECONDS = 120.0
NAMES_KEPT_SECONDS = 30
"""How long who asked for a name may keep the answer (the cluster's own names)."""
COLLECTED_FROM, EVICTED_FROM = 0.85, 0.90
"""The kubelet's defaults: how much of a disk is used when images go, and when pods go."""
FILLER = "/var/tmp/filler"
ROOM = "import os; s = os.statvfs('/var/lib/containerd'); print(s.f_blocks * s.f_frsize, s.f_bavail * s.f_frsize)"


@pytest.fixture(scope="module")
def cluster(desk: Desk) -> Kubernetes:
    found = Kubernetes(desk.lab)
    until(found.ready, "everything was ready")
    desk.visit("people", *PERSON, "analysts")
    return found


@pytest.fixture(scope="module")
def filled(cluster: Kubernetes) -> Iterator[set[str]]:
    """The state's host with so little room that its kubelet takes images away; which it had before."""
    node2 = cluster.lab.host("node2")
    had = images(node2)
    total, free = map(int, node2.run(["python3", "-c", ROOM]).stdout.split())
    wanted = int(total * (COLLECTED_FROM + EVICTED_FROM) / 2) - (total - free)
    assert wanted > 0, f"{free} of {total} bytes are free: the disk is as full as it is to be made"
    node2.run(["fallocate", "--length", str(wanted), FILLER])
    yield had
    cluster.lab.host("node2").run(["rm", "-f", FILLER])


def images(host: Running) -> set[str]:
    """Names of what containerd could start pods from."""
    return set(host.run(["ctr", "--namespace", "k8s.io", "images", "list", "--quiet"]).stdout.split())


def test_names_are_answered_on_both_hosts(cluster: Kubernetes) -> None:
    found = cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"]
    assert {pod["spec"]["nodeName"] for pod in found} == {"node1", "node2"}


def test_when_the_host_without_state_is_lost_people_are_answered_within_two_minutes(
    desk: Desk, cluster: Kubernetes, filled: set[str]
) -> None:
    """It is the control plane: nobody is left who would move a pod, or take a lost one off a service."""
    assert filled
    desk.lab.cut_power("node1")
    gone = time.monotonic()
    try:
        answered(desk)
        first = time.monotonic() - gone
        time.sleep(max(0.0, NAMES_KEPT_SECONDS + 5 - first))  # from here on names are asked for again
        again = time.monotonic()
        answered(desk)
        assert first < MOST_SECONDS, first
        assert time.monotonic() - again < MOST_SECONDS
    finally:
        desk.lab.start("node1")
    until(cluster.answers, "the API answered again")
    until(cluster.ready, "everything was ready again")


def answered(desk: Desk) -> None:
    """Return once a person signed in, asked and has an answer."""
    said, deadline = "", time.monotonic() + 2 * MOST_SECONDS
    while time.monotonic() < deadline:
        try:
            assert desk.visit(*ASK)["text"].strip()
        except AssertionError as error:
            said = str(error)
        else:
            return
    raise AssertionError(f"nobody is answered: {said}")


def test_after_the_kubelet_took_images_from_a_full_disk_and_a_reboot_every_pod_starts(
    desk: Desk, cluster: Kubernetes, filled: set[str]
) -> None:
    node2 = desk.lab.host("node2")
    until(lambda: not filled <= images(node2) or collected(node2), "the kubelet took images away", seconds=600)
    node2.run(["rm", "-f", FILLER])
    desk.lab.cut_power("node2")
    node2 = desk.lab.start("node2")
    until(lambda: filled <= images(node2), "every image of the release was there again")
    until(cluster.ready, "everything was ready")
    assert desk.visit(*ASK)["text"].strip()


def collected(host: Running) -> bool:
    """Whether the kubelet says that it made room."""
    said = host.run(
        ["journalctl", "--unit=kubelet", "--no-pager", "--grep=Disk usage on image filesystem"], check=False
    )
    return "over the high threshold" in said.stdout
