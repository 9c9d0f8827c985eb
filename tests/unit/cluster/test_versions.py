"""Kubernetes goes one minor version at a time and comes back within one, etcd does not; hosts have an order."""

from __future__ import annotations

import pytest

from appliance.cluster.change import Change, in_turn
from appliance.cluster.versions import Versions, cannot_follow, cannot_return, differences
from appliance.errors import RefusedError
from appliance.site.cluster import Host


def at(kubernetes: str, etcd: str = "v3.7.3", **more: str) -> Versions:
    return Versions({"kubernetes": kubernetes, "etcd": etcd, **more})


@pytest.mark.parametrize("after", ["v1.36.2", "v1.36.3", "v1.36.9", "v1.37.0", "v1.36.1"])
def test_a_patch_or_the_next_minor_version_may_follow(after: str) -> None:
    assert cannot_follow(at("v1.36.2"), at(after)) is None


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (at("v1.38.0"), "one minor version at a time"),
        (at("v2.36.2"), "one minor version at a time"),
        (at("v1.35.9"), "does not go back from v1.36.2 to v1.35.9"),
        (at("v1.36.3", "v3.6.9"), "etcd v3.6.9 does not read what etcd v3.7.3 wrote"),
    ],
)
def test_what_kubernetes_does_not_support_is_refused_with_the_reason(after: Versions, why: str) -> None:
    assert why in str(cannot_follow(at("v1.36.2"), after))


def test_it_goes_back_within_a_minor_version_with_the_same_etcd_alone() -> None:
    assert cannot_return(at("v1.36.3"), at("v1.36.2")) is None
    assert "another minor version" in str(cannot_return(at("v1.37.0"), at("v1.36.9")))
    assert "etcd does not go back from v3.7.4 to v3.7.3" in str(cannot_return(at("v1.36.3", "v3.7.4"), at("v1.36.2")))


@pytest.mark.parametrize("version", ["", "latest", "v1.36", "1.36.x"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(RefusedError):
        cannot_follow(at("v1.36.2"), at(version))


def test_only_what_differs_is_shown() -> None:
    found = differences(at("v1.36.2", cilium="v1.20.2"), at("v1.36.3", cilium="v1.20.2", runc="v1.3.1"))
    assert [(each.name, each.before, each.after) for each in found] == [
        ("kubernetes", "v1.36.2", "v1.36.3"),
        ("runc", "", "v1.3.1"),
    ]


HOSTS = [
    Host.model_validate({"name": name, "address": f"10.0.0.{number}", "role": role})
    for number, (name, role) in enumerate(
        [("w1", "worker"), ("c1", "control-plane"), ("w2", "worker"), ("c2", "control-plane")], 1
    )
]


def test_no_kubelet_is_ever_newer_than_an_api_server() -> None:
    assert in_turn(HOSTS, back=False) == ("c1", "c2", "w1", "w2")
    assert in_turn(HOSTS, back=True) == ("w1", "w2", "c1", "c2")


def test_a_patch_drains_no_host_and_a_minor_version_drains_each() -> None:
    assert Change("v1.36.2", ("v1.36.2",), "v1.36.3").options()["kubernetes_drain"] is False
    assert Change("v1.36.2", ("v1.36.2",), "v1.37.0").options()["kubernetes_drain"] is True


def test_a_way_that_was_cut_off_goes_back_in_the_reverse_order_where_a_host_may_be_newer() -> None:
    cut_off = Change("v1.36.2", ("v1.36.2", "v1.36.3"), "v1.36.2")
    assert (cut_off.of_kubernetes, cut_off.back) == (True, True)
    onward = Change("v1.36.2", ("v1.36.2", "v1.36.3"), "v1.36.3")
    assert (onward.of_kubernetes, onward.back) == (True, False)
    assert not Change("v1.36.3", ("v1.36.3",), "v1.36.3").of_kubernetes
