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
from appliance.cluster.standing import is_cluster, standing
from appliance.cluster.state import KnownHost, begin_state, write_state
from appliance.errors import DeploymentError, UsageError
from appliance.site.paths import SitePaths
from tests.unit.roles.plugins import ANSIBLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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

    def run(playbook: str, inventory: Mapping[str, Any], _watch: object, **_: object) -> dict[str, int]:
        assert playbook == "removal.yml"
        assert (paths.root / "secrets/a.sealed").exists()
        told.append(inventory["all"])
        return {}

    monkeypatch.setattr(removal, "run", run)
    known = standing(paths)
    done = removal.uninstall(paths, known, watch=lambda _: None)
    groups = told[0]["children"]["cluster"]["children"]
    assert {*groups["control_plane"]["hosts"], *groups["workers"]["hosts"]} == {"node1", "node2", "node3"}
    assert told[0]["vars"]["site_id"] == known.state.identity
    assert done.hosts == ("node1", "node2", "node3")
    assert not paths.root.exists()


def test_a_host_that_could_not_be_cleaned_keeps_everything_here(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> dict[str, int]:
        raise DeploymentError("node2: host_removal: undo the roles: no route to host")

    monkeypatch.setattr(removal, "run", run)
    before = {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()}
    with pytest.raises(DeploymentError, match="node2"):
        removal.uninstall(paths, standing(paths), watch=lambda _: None)
    assert {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()} == before


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
