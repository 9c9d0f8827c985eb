"""Removing a cluster: every host that was ever touched is cleaned first, and keys go last of all."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from appliance.cluster import removal
from appliance.cluster.events import Reading
from appliance.cluster.standing import is_cluster, standing
from appliance.cluster.state import KnownHost, begin_state, write_state
from appliance.errors import DeploymentError, UsageError
from appliance.install.journal import read_journal
from appliance.site.paths import SitePaths
from tests.unit.roles.plugins import ANSIBLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from appliance.cluster.playbook import Watch

HOSTS = [{"name": "node1", "address": "10.1.0.1", "role": "control-plane"}, {"name": "node2", "address": "10.1.0.2"}]


@pytest.fixture
def paths(tmp_path: Path) -> SitePaths:
    """An administrator's site after an installation; of a third host, the site file speaks no more."""
    cluster = {"hosts": HOSTS, "ssh": {"key": "id", "known_hosts": "known"}, "administration": ["10.1.0.9/32"]}
    described = {"schema": 1, "name": "s", "profile": "cluster", "cluster": cluster}
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(described))
    found = SitePaths(tmp_path / "root")
    (found.root / "secrets").mkdir(parents=True)
    (found.root / "secrets/a.sealed").write_text("key")
    known = tuple(KnownHost(name, f"10.1.0.{i}") for i, name in enumerate(("node1", "node2", "node3"), 1))
    write_state(found.cluster_state, replace(begin_state(tmp_path / "site.yaml"), hosts=known))
    return found


def test_every_host_that_was_touched_is_cleaned_and_then_the_root_goes(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Mapping[str, Any]] = []

    def run(playbook: str, inventory: Mapping[str, Any], watch: Watch, **_: object) -> dict[str, int]:
        assert playbook == "removal.yml"
        assert (paths.root / "secrets/a.sealed").exists()
        told.append(inventory["all"])
        clean(watch, "node1", "node2", "node3")
        return {}

    monkeypatch.setattr(removal, "run", run)
    known = standing(paths)
    done = removal.uninstall(paths, known, watch=lambda _: None)
    groups = told[0]["children"]["cluster"]["children"]
    assert {*groups["control_plane"]["hosts"], *groups["workers"]["hosts"]} == {"node1", "node2", "node3"}
    assert told[0]["vars"]["site_id"] == known.state.identity
    assert done.hosts == ("node1", "node2", "node3")
    assert not paths.root.exists()


@pytest.mark.parametrize("release", ["1.0.0", ""])
def test_keys_stay_while_a_host_of_a_finished_run_shows_no_mark(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    """Another machine may have its address; of a run that never went through, a host may never have had one."""
    write_state(paths.cluster_state, replace(standing(paths).state, release=release))

    def run(_: object, __: object, watch: Watch, **___: object) -> dict[str, int]:
        clean(watch, "node1", "node3")
        watch(Reading("node2", {"marked": False}))
        watch(Reading("node2", {"removed": True}))
        return {}

    monkeypatch.setattr(removal, "run", run)
    if not release:
        removal.uninstall(paths, standing(paths), watch=lambda _: None)
        assert not paths.root.exists()
        return
    for _ in range(2):  # also the second time, when hosts that were cleaned are asked no more
        with pytest.raises(DeploymentError, match=r"node2 \(10\.1\.0\.2\) bears no mark"):
            removal.uninstall(paths, standing(paths), watch=lambda _: None)
        assert (paths.root / "secrets/a.sealed").read_text() == "key"
        assert [host.name for host in standing(paths).state.hosts] == ["node2"]


def test_a_removal_that_was_interrupted_goes_on_with_the_hosts_that_are_left(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(paths.cluster_state, replace(standing(paths).state, release="1.0.0"))

    def broken(_: object, __: object, watch: Watch, **___: object) -> dict[str, int]:
        clean(watch, "node1", "node3")
        raise DeploymentError("node2: no route to host")

    monkeypatch.setattr(removal, "run", broken)
    with pytest.raises(DeploymentError, match="no route"):
        removal.uninstall(paths, standing(paths), watch=lambda _: None)

    def whole(_: object, __: object, watch: Watch, **___: object) -> dict[str, int]:
        clean(watch, "node2")
        return {}

    monkeypatch.setattr(removal, "run", whole)
    assert removal.uninstall(paths, standing(paths), watch=lambda _: None).hosts == ("node2",)
    assert not paths.root.exists()


@pytest.mark.parametrize(("name", "address", "root"), [("node2", "10.1.0.77", ""), ("node1", "127.0.0.1", "here")])
def test_a_machine_that_is_not_what_was_installed_is_not_entered(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch, name: str, address: str, root: str
) -> None:
    """A host that moved in the site file; and this machine, where cleaning the host would remove the keys."""
    changed = [{**host, "address": address} if host["name"] == name else host for host in HOSTS]
    file = paths.root.parent / "site.yaml"
    value = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**value, "cluster": {**value["cluster"], "hosts": changed}}))
    if root:
        monkeypatch.setattr(removal, "ON_HOSTS", paths.root)
        monkeypatch.setattr(removal, "_is_here", lambda asked: asked == address)
        state = standing(paths).state
        moved = tuple(KnownHost(h.name, address if h.name == name else h.address) for h in state.hosts)
        write_state(paths.cluster_state, replace(state, hosts=moved))
    monkeypatch.setattr(removal, "run", lambda *_, **__: pytest.fail("a host was entered"))
    before = {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="is this machine" if root else "the last run had it at"):
        removal.uninstall(paths, standing(paths), watch=lambda _: None)
    assert {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()} == before


def test_a_host_that_no_run_has_touched_is_not_entered(paths: SitePaths) -> None:
    state = standing(paths).state
    write_state(paths.cluster_state, replace(state, hosts=state.hosts[:1]))
    groups = standing(paths).touched().inventory()["all"]["children"]["cluster"]["children"]
    assert {*groups["control_plane"]["hosts"], *groups["workers"]["hosts"]} == {"node1"}


def test_files_of_the_operator_stay_and_what_names_the_hosts_goes_last(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {paths.root / name for name in ("thesis.txt", "site.yaml")}
    for path in kept:
        path.write_text("mine")
    order: list[Path] = []
    remove = removal._remove
    monkeypatch.setattr(removal, "_remove", lambda path: (order.append(path), remove(path)))

    def run(_: object, __: object, watch: Watch, **___: object) -> dict[str, int]:
        clean(watch, "node1", "node2", "node3")
        return {}

    monkeypatch.setattr(removal, "run", run)
    removal.uninstall(paths, standing(paths), watch=lambda _: None)
    assert {path for path in paths.root.rglob("*") if path.is_file()} == kept
    assert order[-2:] == [paths.cluster_state, paths.cluster_state.parent]


def clean(watch: Watch, *hosts: str) -> None:
    """What the playbook tells of hosts that it cleaned."""
    for host in hosts:
        watch(Reading(host, {"marked": True}))
        watch(Reading(host, {"removed": True}))


def test_a_host_that_could_not_be_cleaned_keeps_everything_here(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> dict[str, int]:
        raise DeploymentError("node2: host_removal: undo the roles: no route to host")

    monkeypatch.setattr(removal, "run", run)
    before = {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()}
    with pytest.raises(DeploymentError, match="node2"):
        removal.uninstall(paths, standing(paths), watch=lambda _: None)
    after = {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()}
    assert [record.state for record in read_journal(paths.journal)] == ["started", "failed"]
    del after[paths.journal]
    assert after == before


def test_without_the_site_file_hosts_cannot_be_entered_and_it_is_asked_for(paths: SitePaths) -> None:
    (paths.root.parent / "site.yaml").unlink()
    with pytest.raises(UsageError, match=r"site\.yaml is gone"):
        standing(paths)


def test_where_no_cluster_was_begun_there_is_none(tmp_path: Path) -> None:
    assert not is_cluster(SitePaths(tmp_path))
    with pytest.raises(UsageError, match="no cluster"):
        standing(SitePaths(tmp_path))


def test_the_program_that_cleans_leaves_another_site_s_host_alone(tmp_path: Path) -> None:
    program = (ANSIBLE / "roles/host_removal/files/clean.py").read_text()
    mark = tmp_path / "site.json"
    mark.write_text(json.dumps({"id": "another", "name": "s"}))
    asked = program.replace("/etc/sovereign/site.json", str(mark)).replace(
        "    remove_unit(IMAGES)", "    sys.exit(9)", 1
    )
    assert asked.count(str(mark)) == 1
    for identity, code in (("mine", 1), ("another", 9)):
        done = subprocess.run([sys.executable, "-", identity], input=asked, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert ("belongs to another site" in done.stderr) is (code == 1)
