"""Hosts are entered where the site file has them, with the keys it names, and run the very words that were given."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.cluster.reach import Reach, said
from appliance.errors import DeploymentError, UnavailableError
from tests.pretended_hosts import IDENTITY, PretendedHosts, described_cluster

HOSTILE = ("a b", "$(id)", "'; rm -rf /", "--", "line\nbreak", "é")


def test_a_host_is_entered_as_ansible_enters_it_and_unknown_keys_are_refused() -> None:
    argv = Reach(described_cluster(), Path("/site"), ("enter",)).on("node2", "true")
    assert argv[:4] == ["enter", "ssh", "-F", "none"]
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes", "UserKnownHostsFile=/site/known"} <= set(argv)
    assert argv[argv.index("-i") + 1] == "/site/id"
    assert argv[-3:] == ["--", "10.1.0.2", "true"]


def test_another_account_than_root_becomes_root() -> None:
    ssh = {"user": "admin", "port": 2222, "key": "id", "known_hosts": "known"}
    argv = Reach(described_cluster(ssh=ssh), Path("/site")).on("node1", "cat", "/etc/x")
    assert argv[-1] == "sudo -n -- cat /etc/x"
    assert (argv[argv.index("-l") + 1], argv[argv.index("-p") + 1]) == ("admin", "2222")


def test_words_arrive_as_they_were_given_whatever_is_in_them(tmp_path: Path) -> None:
    hosts = PretendedHosts(tmp_path / "hosts")
    argv = hosts.reach().on("node2", "printf", "%s|", *HOSTILE)
    assert said(argv).decode() == "".join(f"{word}|" for word in HOSTILE)
    inside = hosts.reach().inside("audit-0", "writer", "printf", "%s|", *HOSTILE)
    assert said(inside).decode() == "".join(f"{word}|" for word in HOSTILE)
    assert [address for address, _ in hosts.calls] == ["10.1.0.2", "10.1.0.1"]
    assert shlex.split(hosts.calls[1][1])[3:6] == ["kubectl", "exec", "--stdin"]


@pytest.mark.parametrize("uid", ["", "../../../../etc", "x" * 36, "0a1b2c3d-0000-4000-8000-0123456789ab/.."])
def test_a_pod_is_no_place_that_the_cluster_makes_up(tmp_path: Path, uid: str) -> None:
    hosts = PretendedHosts(tmp_path / "hosts", uid=uid)
    with pytest.raises(UnavailableError, match="not there"):
        hosts.reach().volume("audit-0", "sockets")


def test_a_pod_s_volume_lies_on_its_host(tmp_path: Path) -> None:
    found = PretendedHosts(tmp_path / "hosts").reach().volume("audit-0", "sockets")
    assert found.endswith("0a1b2c3d-0000-4000-8000-0123456789ab/volumes/kubernetes.io~empty-dir/sockets")


def test_the_pod_that_runs_is_found_and_an_answer_that_is_none_is_told(tmp_path: Path) -> None:
    hosts = PretendedHosts(tmp_path / "hosts")
    assert hosts.reach().pod_of("keycloak") == "keycloak-1"
    hosts.answers["app.kubernetes.io/name"] = "{}"
    with pytest.raises(DeploymentError, match="cannot be read"):
        hosts.reach().pod_of("keycloak")
    hosts.answers["app.kubernetes.io/name"] = '{"items": []}'
    with pytest.raises(UnavailableError, match="no pod"):
        hosts.reach().pod_of("keycloak")


def test_nothing_runs_on_a_host_of_another_site_that_has_the_address_by_now(tmp_path: Path) -> None:
    hosts = PretendedHosts(tmp_path / "hosts")
    ours = replace(hosts.reach(), identity=IDENTITY)
    assert said(ours.on("node2", "printf", "%s|", *HOSTILE)).decode() == "".join(f"{word}|" for word in HOSTILE)
    ran = tmp_path / "ran"
    for place in ("another", "gone"):
        with pytest.raises(DeploymentError, match="does not bear the mark of this site"):
            said(replace(ours, identity="2e" * 16).on("node2", "touch", str(ran)))
        (hosts.folder / "site.json").unlink(missing_ok=True)
        assert not ran.exists(), place
    with pytest.raises(DeploymentError, match="mark of this site"):
        said(ours.on("node2", "touch", str(ran)))


def test_an_account_that_becomes_root_looks_for_the_mark_as_root() -> None:
    ssh = {"user": "admin", "key": "id", "known_hosts": "known"}
    words = shlex.split(Reach(described_cluster(ssh=ssh), Path("/site"), (), IDENTITY).on("node1", "true")[-1])
    assert words[:5] == ["sudo", "-n", "--", "sh", "-c"]
    assert words[-2:] == [IDENTITY, "true"]


THREE = [{"name": f"node{at}", "address": f"10.1.0.{at}", "role": "control-plane"} for at in (1, 2, 3)]
SHARED = {"hosts": THREE, "shared_address": {"address": "10.1.0.20", "interface": "eth0"}}


def test_three_control_planes_are_asked_through_one_that_can_be_entered(tmp_path: Path) -> None:
    hosts = PretendedHosts(tmp_path / "hosts", places={"/etc/kubernetes/admin.conf": str(tmp_path / "admin.conf")})
    (tmp_path / "admin.conf").touch()
    first = hosts.reach(**SHARED)
    assert [first.kubectl("get", "pods")[-2] for _ in range(2)] == ["10.1.0.1"] * 2
    assert len(hosts.calls) == 1  # it is found out once
    lost = tmp_path / "lost"
    lost.write_text('#!/bin/sh\nfor word; do [ "$word" != 10.1.0.1 ] || exit 255; done\nexec "$@"\n')
    lost.chmod(0o755)
    assert replace(first, enter=(str(lost), *first.enter)).kubectl("get", "pods")[-2] == "10.1.0.2"
    (tmp_path / "admin.conf").unlink()  # where none is in it, the first says what is wrong
    assert hosts.reach(**SHARED).kubectl("get", "pods")[-2] == "10.1.0.1"


def test_a_control_plane_of_one_is_asked_without_a_look_before(tmp_path: Path) -> None:
    hosts = PretendedHosts(tmp_path / "hosts")
    assert hosts.reach().kubectl("get", "pods")[-2] == "10.1.0.1"
    assert hosts.calls == []
