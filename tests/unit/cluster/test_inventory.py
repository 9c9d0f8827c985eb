"""The inventory says of each option what the site file and the release say, and a host twice named stays two hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.cluster.change import Change
from appliance.cluster.inventory import Site, inventory
from appliance.cluster.parts import KubernetesImages, Program, ReleaseParts
from appliance.cluster.state import KnownHost
from appliance.cluster.workloads import Workloads
from appliance.site.cluster import Cluster

ROLES = Path(__file__).parents[3] / "ansible/roles"
SITE = Site("s", "id-1", Path("/srv/site"))
PARTS = ReleaseParts(
    "v1.36.3",
    (Program("kube", Path("/store/kube"), 64 * "a", "/usr/local/bin/kube"),),
    Path("/store/layout"),
    1000,
    KubernetesImages("registry.example", "3.6", "registry.example/dns", "1.14"),
    "registry.example/pause:1",
    Path("/store/cilium.tgz"),
    "agent@sha256:1",
    "operator@sha256:2",
    {"/usr/local/bin/kubectl": "kube"},
)
THREE = {"role": "control-plane"}
GIVEN: dict[str, Any] = {
    "hosts": [
        {"name": "a", "address": "192.168.7.1", "role": "control-plane"},
        {"name": "b", "address": "192.168.7.2"},
    ],
    "ssh": {"key": "id", "known_hosts": "known"},
    "administration": ["192.168.7.9/32"],
}


def cluster(**fields: Any) -> Cluster:
    return Cluster.model_validate_json(json.dumps({**GIVEN, **fields}))


def made(settings: dict[str, Any] | None = None, change: Change | None = None, **fields: Any) -> dict[str, Any]:
    assistant, given = Workloads((), (), (), "b"), settings or {}
    told = inventory(SITE, cluster(**fields), PARTS, settings=given, workloads=assistant, change=change)
    return dict(told["all"])


def names(group: dict[str, Any]) -> list[str]:
    return list(group["hosts"])


def test_hosts_are_in_the_groups_of_their_roles() -> None:
    groups = made()["children"]["cluster"]["children"]
    assert (names(groups["control_plane"]), names(groups["workers"])) == (["a"], ["b"])
    assert groups["workers"]["hosts"]["b"] == {"ansible_host": "192.168.7.2", "node_name": "b"}


def test_a_name_given_twice_keeps_both_hosts_in_sight() -> None:
    hosts = [*GIVEN["hosts"], {"name": "b", "address": "192.168.7.3"}]
    workers = made(hosts=hosts)["children"]["cluster"]["children"]["workers"]["hosts"]
    assert {key: host["node_name"] for key, host in workers.items()} == {"b": "b", "b#2": "b"}


def test_hosts_that_left_are_a_group_of_their_own() -> None:
    left = inventory(SITE, cluster(), PARTS, settings={}, leaving=[KnownHost("c", "192.168.7.3")])
    assert names(left["all"]["children"]["leaving"]) == ["c"]


def test_files_are_found_beside_the_site_file_and_foreign_host_keys_refused() -> None:
    options = made()["vars"]
    assert options["ansible_ssh_private_key_file"] == "/srv/site/id"
    assert "UserKnownHostsFile=/srv/site/known -o StrictHostKeyChecking=yes" in options["ansible_ssh_common_args"]
    assert options["ansible_become"] is False
    assert made(ssh={**GIVEN["ssh"], "user": "officer"})["vars"]["ansible_become"] is True


def test_settings_for_special_hosts_come_last() -> None:
    assert made({"pod_subnet": "10.1.0.0/16"})["vars"]["pod_subnet"] == "10.1.0.0/16"


@pytest.mark.parametrize(
    ("fields", "endpoint"),
    [
        ({}, "192.168.7.1:6443"),
        ({"shared_address": {"address": "192.168.7.50", "interface": "eth0"}}, "192.168.7.50:6443"),
        ({"endpoint": "192.168.7.60"}, "192.168.7.60:6443"),
    ],
)
def test_the_api_is_reached_at_what_the_site_says(fields: dict[str, Any], endpoint: str) -> None:
    assert made(**fields)["vars"]["control_plane_endpoint"] == endpoint


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hosts": [{"name": "b", "address": "192.168.7.2"}]}, "1 or 3 hosts, not 0"),
        ({"hosts": [{**THREE, "name": n, "address": f"10.9.7.{i}"} for i, n in enumerate("abc")]}, "needs an endpoint"),
        ({"hosts": [{"name": "a", "address": "192.168.7.300", "role": "control-plane"}]}, "is no address"),
        ({"shared_address": {"address": "192.168.7.2", "interface": "e"}}, "shared_address.address: b has it already"),
        ({"shared_address": {"address": "192.168.7.300", "interface": "e"}}, "shared_address.address: 192.168.7.300"),
        ({"shared_address": {"address": "192.168.7.50", "interface": "e"}, "endpoint": "10.9.7.1"}, "has one address"),
        ({"pod_subnet": "10.0.0.1/8"}, "host bits set"),
        ({"administration": []}, "at least 1 item"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)  # fmt: skip
def test_a_cluster_that_cannot_be_is_a_mistake_in_the_site_file(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cluster(**fields)


def specifications() -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for file in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        for entry, spec in yaml.safe_load(file.read_text())["argument_specs"].items():
            found.append((file.parts[-3], entry, spec))
    return found


def test_a_cluster_without_an_assistant_is_told_of_none() -> None:
    told = inventory(SITE, cluster(), PARTS, settings={})["all"]["vars"]
    assert not [name for name in told if name.startswith("assistant_")]


def test_every_role_says_what_it_takes() -> None:
    assert {role for role, _, _ in specifications()} == {folder.name for folder in ROLES.iterdir()}
    for role, entry, spec in specifications():
        assert spec["short_description"], (role, entry)
        for name, option in spec["options"].items():
            assert option["description"], (role, name)
            assert option["type"], (role, name)


@pytest.mark.parametrize("role", sorted({role for role, entry, _ in specifications() if entry == "main"}))
def test_every_option_that_a_role_requires_is_in_the_inventory(role: str) -> None:
    required = {
        name
        for owner, entry, spec in specifications()
        if (owner, entry) == (role, "main")
        for name, option in spec["options"].items()
        if option.get("required")
    }
    way = Change("v1.36.2", ("v1.36.2",), "v1.36.3") if role == "kubernetes" else None
    assert required <= set(made(change=way)["vars"])


@pytest.mark.parametrize(("wanted", "order"), [("v1.36.3", ["a", "b"]), ("v1.36.1", ["b", "a"])])
def test_hosts_on_their_way_are_listed_in_their_order(wanted: str, order: list[str]) -> None:
    told = made(change=Change("v1.36.2", ("v1.36.2",), wanted))
    assert names(told["children"]["changing"]) == order
    assert told["vars"]["release_changing"] is True
    assert "release_changing" not in made()["vars"]
