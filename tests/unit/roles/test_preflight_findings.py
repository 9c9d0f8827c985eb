"""Every bad input becomes a finding of the host it concerns; good hosts have none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.roles.plugins import load

preflight = load("filter_plugins/preflight.py")
RULES = {
    "site_id": "site-1",
    "kubernetes_version": "v1.36.3",
    "pod_subnet": "10.88.0.0/16",
    "service_subnet": "10.96.0.0/16",
    "clock_seconds": 30,
    "disk_bytes": 10 << 30,
    "spare_bytes": 2 << 30,
    "more_bytes": 0,
    "images": [],
    "kubernetes_met": [],
    "memory_mib": 1700,
    "cores": 2,
    "cgroup_versions": [2],
    "members": ["node1"],
    "endpoint": "192.168.7.50:6443",
    "shared_address": "192.168.7.50",
    "interface": "eth0",
    "stands": False,
    "state_host": "",
}
SHARES: dict[str, Any] = {
    "interfaces": ["eth0", "lo"],
    "keepalived": True,
    "keepalived_of_others": False,
    "endpoint": "",
    "holds": False,
    "answers": [],
    "our_api": False,
    "hardware": [],
}
GOOD = {
    "skew_seconds": 0.4,
    "uid": 0,
    "python": [3, 11],
    "swap": [],
    "free_bytes": {"/var/lib/containerd": 40 << 30, "/var/lib/etcd": 20 << 30},
    "memory_mib": 4000,
    "cores": 4,
    "systemd": True,
    "cgroup_version": 2,
    "missing_commands": [],
    "service_route": True,
    "shares": SHARES,
    "seat": "",
    "state": False,
    "cluster_traces": [],
    "kubernetes": "",
    "site": "",
    "taken_ports": [],
    "blobs": [],
    "images": [],
}
OURS = json.dumps({"id": "site-1", "name": "s"})


def probe(number: int, **changes: Any) -> dict[str, Any]:
    """What the probe's task registers for a host, with some readings changed."""
    own = {"hostname": f"node{number}", "machine_id": f"id{number}", "networks": [f"192.168.7.{number}/24"]}
    return {
        "address": f"192.168.7.{number}",
        "node_name": f"node{number}",
        "stdout": json.dumps({**GOOD, **own, **changes}),
    }


def judge(**probes: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f["host"], f["check"]) for f in preflight.findings(probes, RULES)]


def test_good_hosts_have_no_findings() -> None:
    assert judge(node1=probe(1), node2=probe(2)) == []


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        ("clock", {"skew_seconds": 31}),
        ("clock", {"skew_seconds": -3600}),
        ("swap", {"swap": ["/dev/sda2"]}),
        ("disk", {"free_bytes": {"/var/lib/containerd": 40 << 30, "/var/lib/etcd": (10 << 30) - 1}}),
        ("memory", {"memory_mib": 1024}),
        ("cores", {"cores": 1}),
        ("cgroups", {"cgroup_version": 1}),
        ("programs", {"missing_commands": ["nft"]}),
        ("systemd", {"systemd": False}),
        ("root", {"uid": 1000}),
        ("python", {"python": [3, 8]}),
        ("route", {"service_route": False}),
        ("cluster", {"cluster_traces": ["/etc/kubernetes/kubelet.conf"]}),
        ("cluster", {"site": json.dumps({"id": "another", "name": "s"})}),
        ("cluster", {"site": "no json"}),
        ("ports", {"taken_ports": [6443]}),
        ("hostname", {"hostname": "node1"}),
        ("machine id", {"machine_id": "id1"}),
        ("networks", {"networks": ["10.88.3.4/24"]}),
        ("networks", {"networks": ["10.0.0.9/8"]}),
    ],
)
def test_a_bad_host_is_found_and_the_good_one_is_not(check: str, changes: dict[str, Any]) -> None:
    found = set(judge(node1=probe(1), node2=probe(2, **changes)))
    assert found == {("node2", check)}


@pytest.mark.parametrize(
    ("check", "changes", "shares"),
    [
        ("shared address", {}, {"interfaces": ["eno1", "lo"]}),
        ("programs", {}, {"keepalived": False}),
        ("keepalived", {}, {"keepalived_of_others": True}),
        ("shared address", {"networks": ["192.168.9.1/24"]}, {}),
        ("endpoint", {"site": OURS}, {"endpoint": "192.168.7.1:6443"}),
    ],
)
def test_a_host_that_cannot_share_the_address_is_found_where_it_is_in_the_control_plane(
    check: str, changes: dict[str, Any], shares: dict[str, Any]
) -> None:
    bad = {**changes, "shares": {**SHARES, **shares}}
    assert judge(node1=probe(1, **bad), node2=probe(2)) == [("node1", check)]
    assert judge(node1=probe(1), node2=probe(2, **bad)) == []


def test_an_address_that_a_host_has_is_shared_by_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "shared_address", "192.168.7.2")
    assert judge(node1=probe(1), node2=probe(2)) == [("node2", "shared address")]


def test_nothing_is_asked_for_a_shared_address_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "shared_address", "")
    assert judge(node1=probe(1, shares={**SHARES, "interfaces": [], "keepalived": False})) == []


def test_all_findings_of_all_hosts_are_told_at_once_in_the_inventory_s_order() -> None:
    bad = {"swap": ["/swap"], "skew_seconds": 99, "memory_mib": 5}
    found = judge(zeta=probe(1, **bad), alpha=probe(2, **bad))
    assert found == [(host, check) for host in ("zeta", "alpha") for check in ("clock", "swap", "memory")]


@pytest.mark.parametrize(
    ("said", "check"),
    [
        (
            "Failed to connect to the host via ssh: ssh: connect to host 192.168.7.2 port 22: No route to host",
            "reachable",
        ),
        ("Failed to connect to the host via ssh: root@192.168.7.2: Permission denied (publickey).", "access"),
        ("Host key verification failed.", "access"),
        ("@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@\nHost key verification failed.", "access"),
        ("", "reachable"),
    ],
)
def test_a_host_that_cannot_be_entered_does_not_hide_the_others(said: str, check: str) -> None:
    found = judge(
        node1=probe(1, swap=["/swap"]),
        node2={"unreachable": True, "msg": said, "address": "192.168.7.2", "node_name": "node2"},
    )
    assert found == [("node1", "swap"), ("node2", check)]


def test_a_host_without_python_is_found() -> None:
    assert judge(node1={"rc": 127, "stderr": "sh: python3: not found", "stdout": "", "address": "a"}) == [
        ("node1", "python")
    ]


def test_two_hosts_at_one_address_are_found_even_when_neither_answers() -> None:
    lost = {"unreachable": True, "msg": "timed out", "address": "192.168.7.1"}
    assert ("node2", "address") in judge(node1=lost, node2=lost)


def test_networks_that_meet_are_found_once_for_all() -> None:
    rules = {**RULES, "service_subnet": "10.88.128.0/17"}
    found = preflight.findings({"node1": probe(1), "node2": probe(2)}, rules)
    assert [(f["host"], f["check"]) for f in found] == [("all", "networks")]


def test_a_host_of_this_site_may_hold_its_cluster_and_needs_no_second_room_for_images() -> None:
    changes: dict[str, Any] = {
        "site": OURS,
        "cluster_traces": ["/etc/kubernetes/kubelet.conf", "/var/lib/etcd/member"],
        "taken_ports": [6443, 10250],
        "free_bytes": {"/var/lib/containerd": 3 << 30},
    }
    assert judge(node1=probe(1, **changes)) == []
    assert judge(node1=probe(1, **{**changes, "free_bytes": {"/var/lib/etcd": 1 << 30}})) == [("node1", "disk")]


def test_the_table_names_host_check_finding_and_hint() -> None:
    text = preflight.table(preflight.findings({"node1": probe(1, swap=["/dev/sda2"])}, RULES))
    assert text.splitlines() == [
        "1 finding; nothing was changed",
        "node1  swap  on: /dev/sda2; hint: swapoff -a, and take it out of /etc/fstab",
    ]


def test_a_name_that_the_site_gives_twice_is_found() -> None:
    again = {**probe(2), "node_name": "node1"}
    assert preflight.findings({"node1": probe(1), "node1#2": again}, RULES) == [
        {"host": "node1#2", "check": "name", "found": "node1 is also that of node1", "hint": "give each host its own"}
    ]


def test_a_cluster_of_another_kubernetes_is_not_replaced_under_its_pods() -> None:
    assert judge(node1=probe(1, site=OURS, kubernetes="v1.36.2")) == [("node1", "kubernetes")]
    assert judge(node1=probe(1, site=OURS, kubernetes="v1.36.3")) == []


def test_a_host_on_its_way_from_another_release_may_run_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "kubernetes_met", ["v1.36.2", "v1.36.3"])
    assert judge(node1=probe(1, site=OURS, kubernetes="v1.36.2")) == []
    assert judge(node1=probe(1, site=OURS, kubernetes="v1.35.9")) == [("node1", "kubernetes")]


def test_a_host_of_this_site_needs_room_for_what_another_release_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"/var/lib/containerd": 5 << 30}
    assert judge(node1=probe(1, site=OURS, free_bytes=free)) == []
    monkeypatch.setitem(RULES, "more_bytes", 4 << 30)
    assert judge(node1=probe(1, site=OURS, free_bytes=free)) == [("node1", "disk")]


def test_a_host_that_comes_new_needs_room_for_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are counted apart when hosts are looked at before the site learns of a release."""
    enough, less = ({"/var/lib/containerd": (10 << 30) + more} for more in (4 << 30, (4 << 30) - 1))
    monkeypatch.setitem(RULES, "more_bytes", 4 << 30)
    assert judge(node1=probe(1, free_bytes=enough)) == []
    assert judge(node1=probe(1, free_bytes=less)) == [("node1", "disk")]


IMAGES = [
    {"digest": "sha256:a", "blobs": {"a": 0, "shared": 1 << 30}},
    {"digest": "sha256:b", "blobs": {"b": 0, "shared": 1 << 30, "own": 2 << 30}},
]


@pytest.mark.parametrize(
    ("blobs", "images", "gib"),
    [
        ([], [], 2 + 6),
        (["shared"], [], 2 + 5),  # cut off while images were sent
        (["a", "b", "shared", "own"], [], 2 + 3),  # … and before they were imported
        (["a", "shared"], ["sha256:a"], 2 + 4),  # what a former release had in common
        (["a", "b", "shared", "own"], ["sha256:a", "sha256:b"], 2),
    ],
)
def test_a_run_that_goes_on_asks_a_host_for_no_room_that_its_images_take_already(
    blobs: list[str], images: list[str], gib: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RULES, "images", IMAGES)
    has = {"site": OURS, "blobs": blobs, "images": images}
    enough, less = ({"/var/lib/containerd": (gib << 30) - lacks} for lacks in (0, 1))
    assert judge(node1=probe(1, **has, free_bytes=enough)) == []
    assert judge(node1=probe(1, **has, free_bytes=less)) == [("node1", "disk")]
