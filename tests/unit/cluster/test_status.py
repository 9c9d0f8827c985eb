"""`sovereign status` of a cluster says what is not ready, and why; whatever is missing counts against it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cluster import looking
from appliance.cluster.events import Failure, Reading
from appliance.cluster.reading import checked
from appliance.cluster.state import KnownHost
from appliance.cluster.status import cluster_status
from appliance.errors import DeploymentError
from appliance.site.paths import SitePaths
from tests.unit.cluster.readings import NOW, certificate, known, reading, readings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from appliance.cluster.status import ClusterStatus


def status(folder: Path, told: dict[str, Any], *left: KnownHost) -> ClusterStatus:
    return cluster_status(SitePaths(folder), known(*left), told, NOW)


def test_a_whole_cluster_is_ok_and_says_where_everything_is(tmp_path: Path) -> None:
    found = status(tmp_path, readings())
    assert found.ok
    assert (found.release, found.endpoint) == ("1.0.0", "10.1.0.1:6443")
    assert {(w.name, w.nodes) for w in found.workloads} == {("assistant", ("node2",)), ("audit", ("node2",))}
    assert not found.warnings


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a host that does not answer": (lambda r: r.update(node2={"failed": "no route"}), "no answer: no route"),
    "a host that was not asked": (lambda r: r.pop("node2"), "it was not asked"),
    "a firewall that is off": (
        lambda r: r["node2"]["units"].update({"sovereign-firewall.service": "inactive"}),
        "sovereign-firewall.service is inactive",
    ),
    "a node that is gone": (lambda r: r["node1"]["cluster"]["nodes"].pop(), "it is not in the cluster"),
    "a node that went silent": (lambda r: r["node1"]["cluster"]["nodes"][1].update(ready=False), "not heard of it"),
    "a node without room": (lambda r: r["node1"]["cluster"]["nodes"][1].update(pressure=["DiskPressure"]), "DiskPres"),
    "a cordoned node": (lambda r: r["node1"]["cluster"]["nodes"][1].update(schedulable=False), "takes no new pods"),
    "no API server": (lambda r: r["node1"].update(cluster=None), "no API server answers"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_wrong_with_a_host_stands_beside_it(tmp_path: Path, change: str) -> None:
    told = readings()
    act, expected = CHANGES[change]
    act(told)
    found = status(tmp_path, told)
    assert not found.ok
    assert any(expected in host.why for host in found.hosts if not host.ready)


def test_what_waits_is_named_with_its_reason(tmp_path: Path) -> None:
    told = readings()
    told["node1"]["cluster"]["pods"][1].update(ready=False, reason="audit: CrashLoopBackOff")
    told["node1"]["cluster"]["workloads"][1]["ready"] = 0
    told["node1"]["cluster"]["unbound"] = [{"namespace": "sovereign", "name": "audit-data"}]
    found = status(tmp_path, told)
    assert not found.ok
    assert [(w.what, w.why) for w in found.waiting] == [
        ("sovereign/audit-0", "audit: CrashLoopBackOff"),
        ("sovereign/audit (statefulset)", "0 of 1 ready"),
        ("sovereign/audit-data (storage)", "not bound"),
    ]


@pytest.mark.parametrize(("days", "said"), [(31, None), (29, "ends in 29 days"), (-1, "ended")])
def test_a_certificate_is_warned_of_in_time_and_counts_once_it_ended(
    tmp_path: Path, days: int, said: str | None
) -> None:
    told = readings()
    told["node1"]["certificates"]["apiserver"] = certificate(days)
    found = status(tmp_path, told)
    assert found.ok is (days >= 0)
    assert next(c.days for c in found.certificates if c.name == "apiserver") == days
    assert [said in warning for warning in found.warnings] == ([True] if said else [])


def test_a_full_disk_and_a_host_that_was_not_cleaned_are_warned_of(tmp_path: Path) -> None:
    told = readings() | {"node2": {**reading("node2"), "disk_free": 1 << 30}}
    warned = "\n".join(status(tmp_path, told, KnownHost("node9", "10.1.0.99")).warnings)
    assert "node2 has 1.0 GiB of disk left" in warned
    assert "node9 is no longer in the site file" in warned


def test_a_host_that_cannot_be_entered_is_a_reading_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(playbook: str, _told: Mapping[str, Any], watch: Callable[[object], None], **_: object) -> dict[str, int]:
        assert playbook == "status.yml"
        watch(Reading("node1", reading("node1")))
        watch(Failure("node2", "looking", "Read the host", "no route to host", ""))
        watch(Reading("node2", {"failed": "no reason"}))
        raise DeploymentError("node2: looking: no route to host")

    monkeypatch.setattr(looking, "run", run)
    found = looking.look(known())
    assert found["node2"] == {"failed": "no route to host"}
    assert found["node1"]["cluster"]


def test_without_ansible_there_is_no_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> dict[str, int]:
        raise DeploymentError("ansible ended with status 250")

    monkeypatch.setattr(looking, "run", run)
    with pytest.raises(DeploymentError, match="250"):
        looking.look(known())


def test_a_worker_s_word_about_the_cluster_is_not_taken(tmp_path: Path) -> None:
    told = readings()
    whole = reading("node1")["cluster"]
    told["node1"]["cluster"]["nodes"][0]["ready"] = False
    assert not status(tmp_path, {"node2": {**told["node2"], "cluster": whole}, "node1": told["node1"]}).ok
    told["node1"]["cluster"] = None
    found = status(tmp_path, {"node2": {**told["node2"], "cluster": whole}, "node1": told["node1"]})
    assert any("no API server" in each.why for each in found.waiting)


def test_a_certificate_that_cannot_be_read_counts_as_ended(tmp_path: Path) -> None:
    told = readings()
    told["node2"]["certificates"] = {"kubelet": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}
    edge = SitePaths(tmp_path).tls / "edge.pem"
    edge.parent.mkdir(parents=True)
    edge.write_bytes(b"")
    found = status(tmp_path, told)
    assert not found.ok
    assert [w for w in found.warnings if "cannot be read" in w] == [
        "certificate edge of the site cannot be read; `sovereign certificates renew`",
        "certificate kubelet of node2 cannot be read; the kubelet renews it; see its log on the host",
    ]


def test_advice_about_authorities_names_no_command_that_leaves_them(tmp_path: Path) -> None:
    told = readings()
    told["node1"]["certificates"] = {"etcd/ca": certificate(10)}
    (warning,) = status(tmp_path, told).warnings
    assert "plan a new cluster" in warning


MINUTE = 60.0


@pytest.mark.parametrize(
    ("ago", "taken", "cause", "expected"),
    [
        (1, 1, "", ""),
        (1, 10 * MINUTE, "", ""),
        (1, MINUTE, "nobody answers", ""),
        (
            1,
            10 * MINUTE,
            "nobody answers",
            "log since 2026-11-26T11:50:00+00:00: nobody answers; 3.0 of",
        ),
        (10 * MINUTE, 10 * MINUTE, "", "has said nothing since"),
    ],
    ids=["told", "nothing to tell", "a moment", "an outage", "silent"],
)
def test_what_does_not_reach_the_log_is_told_with_how_much_waits(
    tmp_path: Path, ago: float, taken: float, cause: str, expected: str
) -> None:
    told = readings()
    now = NOW.timestamp()
    told["node1"]["observed"] = {"time": now - ago, "taken": now - taken, "behind": 3 << 20, "cause": cause}
    found = status(tmp_path, told)
    assert found.ok
    assert {host.name: host.unlogged for host in found.hosts} == {"node1": 3 << 20, "node2": None}
    assert [expected in warning for warning in found.warnings] == [True] * bool(expected)


def test_a_way_that_was_cut_off_is_told_with_the_step_of_each_host(tmp_path: Path) -> None:
    told, standing = readings(), known()
    told["node2"]["changing"] = {"to": "v1.36.3", "step": "programs"}
    on_its_way = replace(standing, state=standing.state.going_to("2.0.0"))
    found = cluster_status(SitePaths(tmp_path), on_its_way, told, NOW)
    assert not found.ok
    assert [(each.what, each.why.split(";")[0]) for each in found.waiting] == [
        ("the way from release 1.0.0 to 2.0.0", "not whole"),
        ("node2 on its way to Kubernetes v1.36.3", "it was at: programs"),
    ]


@pytest.mark.parametrize("said", [{"to": "v1.36.3"}, "v1.36.3", {"to": 1, "step": []}])
def test_a_host_that_says_nonsense_of_its_way_is_not_read(said: object) -> None:
    assert "changing" in str(checked(reading("node2") | {"changing": said})["failed"])
