"""A cluster's gateways read the administrator's packs whole or not at all, and a command ends once each has them."""

from __future__ import annotations

import base64
import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cluster.packs import MARK, MAX_BYTES, config_map, files_of, mark_of, publish
from appliance.errors import DeploymentError, UsageError
from appliance.packs.permits import Permit, read_permits, write_permits
from appliance.packs.record import read_record, write_record
from appliance.packs.shelf import served
from tests.pretended_hosts import POD_UID, PretendedHosts
from tests.unit.cluster.test_workloads import CHARTS

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "a" * 64
PODS = "app.kubernetes.io/name=assistant"
APPLY = "apply --server-side"


def pod(name: str = "assistant-1", host: str = "node2", *volumes: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": POD_UID},
        "spec": {"nodeName": host, "volumes": [{"name": one} for one in volumes or ("packs", "tmp")]},
        "status": {"phase": "Running", "podIP": "10.88.0.7"},
    }


def told(*pods: dict[str, Any]) -> str:
    return json.dumps({"items": list(pods)})


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "packs"
    write_record(folder, {"staff": f"sha256:{DIGEST}"})
    (folder / f"{DIGEST}.pack").write_bytes(b"a pack")
    (folder / f"{DIGEST}.json").write_bytes(b"its signatures")
    (folder / "notes.txt").write_bytes(b"of the administrator's own")
    return folder


class Hosts:
    """Hosts whose API takes what it is given, and whose gateway's volume is the folder ``volume``."""

    def __init__(self, folder: Path) -> None:
        self.volume = folder / "volume"
        place = f"/var/lib/kubelet/pods/{POD_UID}/volumes/kubernetes.io~configmap/packs"
        answers = {PODS: told(pod()), "annotate pod": "annotated", APPLY: "applied"}
        self.hosts = PretendedHosts(folder / "hosts", places={place: str(self.volume)}, answers=answers)

    @property
    def applied(self) -> bool:
        return any(APPLY in line for _, line in self.hosts.calls)


def laid_out(volume: Path, files: dict[str, bytes]) -> None:
    """As kubelet writes a ConfigMap: a folder with a name of its own, a link to it, and a link for each file."""
    inside = volume / "..2026_11_27"
    inside.mkdir(parents=True, exist_ok=True)
    for name, data in {**files, MARK: mark_of(files).encode()}.items():
        (inside / name).write_bytes(data)
        link = volume / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    if not (volume / "..data").is_symlink():
        (volume / "..data").symlink_to(inside.name)


def test_what_is_brought_is_record_permits_packs_and_signatures_and_nothing_beside_them(shelf: Path) -> None:
    write_permits(shelf, {"staff": Permit(id="0" * 36, former="none", change=f"sha256:{DIGEST}", most=10)})
    made = config_map(files_of(shelf))
    assert set(made["binaryData"]) == {"groups.json", "rollouts.json", f"{DIGEST}.pack", f"{DIGEST}.json"}  # type: ignore[call-overload]
    assert base64.b64decode(made["binaryData"][f"{DIGEST}.pack"]) == b"a pack"  # type: ignore[index]
    assert "part-of" not in json.dumps(made["metadata"])  # the way back of an upgrade restores what has that label


def test_another_byte_is_another_mark_and_a_name_is_no_content(shelf: Path) -> None:
    files = files_of(shelf)
    assert mark_of(files) != mark_of({**files, f"{DIGEST}.pack": b"a pacK"})
    assert mark_of({"a": b"bc"}) != mark_of({"ab": b"c"})


def test_a_gateway_reads_what_kubernetes_laid_out_and_a_host_its_own_folder(shelf: Path, tmp_path: Path) -> None:
    laid_out(tmp_path / "volume", files_of(shelf))
    assert read_record(served(tmp_path / "volume")) == read_record(shelf) == {"staff": f"sha256:{DIGEST}"}
    assert read_permits(served(tmp_path / "volume")) == {}
    assert served(shelf) == shelf
    assert read_record(served(tmp_path / "there is none")) == {}


def test_a_command_ends_once_every_gateway_has_them(shelf: Path, tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    hosts.hosts.answers[PODS] = told(pod(), pod("assistant-2", "node1"))
    laid_out(hosts.volume, files_of(shelf))
    publish(hosts.hosts.reach(), shelf, seconds=1)
    lines = [(address, line) for address, line in hosts.hosts.calls if "sh -c" in line]
    assert [address for address, _ in lines] == ["10.1.0.2", "10.1.0.1"]
    assert all(mark_of(files_of(shelf)) in shlex.split(line) for _, line in lines)
    assert not any("a pack" in line for _, line in hosts.hosts.calls)  # on stdin, and in no argument


def test_a_gateway_that_does_not_get_them_in_time_is_named(shelf: Path, tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    laid_out(hosts.volume, {})
    with pytest.raises(DeploymentError, match="assistant-1 on node2 does not have the packs yet"):
        publish(hosts.hosts.reach(), shelf, seconds=1)


@pytest.mark.parametrize("pods", [[], [pod("assistant-0", "node1", "tmp")]], ids=["none runs", "of an older release"])
def test_nobody_waits_for_a_gateway_that_reads_no_packs(shelf: Path, tmp_path: Path, pods: list[Any]) -> None:
    hosts = Hosts(tmp_path)
    hosts.hosts.answers[PODS] = told(*pods)
    publish(hosts.hosts.reach(), shelf, seconds=1)
    assert hosts.applied
    assert not any("annotate" in line for _, line in hosts.hosts.calls)


def test_more_than_a_cluster_holds_is_refused_before_anything_is_changed(shelf: Path, tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    (shelf / f"{'b' * 64}.pack").write_bytes(bytes(MAX_BYTES - 10))
    with pytest.raises(UsageError, match="1000 kB in all"):
        publish(hosts.hosts.reach(), shelf, seconds=1)
    assert hosts.hosts.calls == []


@pytest.mark.parametrize(
    "lie",
    [
        {"metadata": {"name": "assistant-1", "uid": "../../../etc"}},
        {"metadata": {"name": "--all", "uid": POD_UID}},
        {"spec": {"nodeName": "elsewhere", "volumes": []}},
        {"status": {"phase": "Running", "podIP": "-o ProxyCommand=sh"}},
        {"status": {"phase": "Running"}},
    ],
)
def test_a_pod_that_the_cluster_makes_up_is_no_place_and_no_option(
    shelf: Path, tmp_path: Path, lie: dict[str, Any]
) -> None:
    hosts = Hosts(tmp_path)
    hosts.hosts.answers[PODS] = told({**pod(), **lie})
    with pytest.raises(DeploymentError):
        publish(hosts.hosts.reach(), shelf, seconds=1)
    assert not any("annotate" in line or "sh -c" in line for _, line in hosts.hosts.calls)


def test_packs_are_mounted_whole_and_read_only_so_that_a_running_gateway_sees_them_change() -> None:
    text = (CHARTS / "assistant/templates/deployment.yaml").read_text()
    assert "- {name: packs, mountPath: /site/packs, readOnly: true}" in text
    assert "configMap: {name: packs, optional: true}" in text
    assert text.count("name: packs") == 3  # no engine has them
