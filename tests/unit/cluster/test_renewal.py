"""A renewal that cannot be begun changes nothing; one that was interrupted is begun again by the next run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from appliance.cluster.custody import provide
from appliance.errors import UsageError
from appliance.install.vault import Vault
from appliance.site.paths import SitePaths
from tests.unit.cluster.test_workloads import described
from tests.unit.roles.plugins import ANSIBLE

if TYPE_CHECKING:
    from pathlib import Path

ROLE = ANSIBLE / "roles/control_plane"
CTR = """#!/bin/sh
case "$*" in
  *"containers list"*) echo one ;;
  *"tasks list"*) echo "TASK PID STATUS"; test -e "$FAKE/asked" || echo "one 7 RUNNING" ;;
  *"tasks kill"*) touch "$FAKE/asked"; echo "ctr: $SAYS" >&2; exit 1 ;;
esac
"""

ALL_RUN = """#!/bin/sh
case "$*" in
  *"containers list"*) echo "${*##*==}" ;;
  *"tasks list"*)
    echo "TASK PID STATUS"
    for one in etcd kube-apiserver kube-controller-manager kube-scheduler; do
      grep -qx "$one" "$FAKE/ended" || echo "$one 7 RUNNING"
    done ;;
  *"tasks kill"*) for one; do :; done; echo "$one" >> "$FAKE/ended" ;;
esac
"""


def test_a_mistyped_passphrase_leaves_every_certificate_as_it_was(tmp_path: Path) -> None:
    paths, config = SitePaths(tmp_path), described(site_key={"kind": "passphrase"}).pods
    provide(paths, Vault(paths, lambda: b"right passphrase"), config)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="passphrase"):
        provide(paths, Vault(paths, lambda: b"mistyped passphrase"), config, anew=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_leaves_are_issued_anew_and_authorities_stay(tmp_path: Path) -> None:
    paths, config = SitePaths(tmp_path), described(site_key={"kind": "file"}).pods
    provide(paths, Vault(paths, lambda: b""), config)
    before = {path.name: path.read_bytes() for path in paths.tls.iterdir()}
    provide(paths, Vault(paths, lambda: b""), config, anew=True)
    same = {path.name for path in paths.tls.iterdir() if before[path.name] == path.read_bytes()}
    assert same == {"ca.pem", "links-ca.pem"}
    assert {path.name for path in paths.tls.iterdir()} == set(before)


def test_a_host_is_marked_from_before_its_renewal_until_its_own_api_server_runs_with_it() -> None:
    tasks = yaml.safe_load((ROLE / "tasks/renew.yml").read_text())
    first, *between, last = tasks
    mark = first["ansible.builtin.copy"]["dest"]
    assert last["ansible.builtin.file"] == {"path": mark, "state": "absent"}
    assert between[-1]["ansible.builtin.include_tasks"] == "start_anew.yml"
    assert between[-1]["vars"] == {"control_plane_started_anew": []}
    assert waits_for_its_own(yaml.safe_load((ROLE / "tasks/start_anew.yml").read_text()))
    main = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    renewal = next(task for task in main if task.get("ansible.builtin.include_tasks") == "renew.yml")
    assert f"control_plane_renew or '{mark}' in host_standing.files" in renewal["when"]
    (due,) = yaml.safe_load((ROLE / "tasks/due.yml").read_text())
    assert f"not control_plane_renew and '{mark}' not in host_standing.files" in due["vars"]["control_plane_stands"]
    looked = yaml.safe_load((ROLE.parent / "standing/defaults/main.yml").read_text())["standing_files"]
    assert f"{mark.rpartition('/')[0]}/" in looked


def waits_for_its_own(tasks: list[dict[str, Any]]) -> bool:
    """Whether the last of ``tasks`` asks this host's own API server, and not whoever has the shared address."""
    asked = tasks[-1]["ansible.builtin.command"]["argv"]
    return "--server=https://{{ ansible_host }}:6443" in asked and "/readyz" in asked


def test_an_api_server_alone_is_started_with_a_changed_policy_also_by_the_run_after_an_interrupted_one() -> None:
    """What it runs by is noted once it runs so; the file that it reads says nothing about that."""
    files = yaml.safe_load((ROLE / "tasks/api_files.yml").read_text())
    laid = next(task for task in files if task.get("laid") == "{{ control_plane_policy }}")
    anew = next(task for task in files if task.get("ansible.builtin.include_tasks") == "start_anew.yml")
    assert anew["vars"] == {"control_plane_started_anew": ["kube-apiserver"]}
    assert files.index(laid) < files.index(anew)
    assert "not [control_plane_policy_in_force] | stands(host_standing)" in anew["when"]
    assert "inventory_hostname in control_plane_members" in anew["when"]
    main = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    noted = next(task for task in main if task.get("laid") == "{{ control_plane_policy_in_force }}")
    begun = next(task for task in main if "begin.yml" in str(task.get("ansible.builtin.include_tasks")))
    named = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    assert "control_plane_policy | combine({'dest': " in named["control_plane_policy_in_force"]
    assert main.index(begun) < main.index(noted)


@pytest.mark.parametrize("named", [(), ("kube-apiserver",)], ids=["all", "one"])
def test_parts_that_are_not_named_go_on(tmp_path: Path, named: tuple[str, ...]) -> None:
    (tmp_path / "ended").touch()
    done = started_anew(tmp_path, ALL_RUN, *named)
    assert done.returncode == 0, done.stderr
    everything = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    assert set((tmp_path / "ended").read_text().split()) == (set(named) or everything)


@pytest.mark.parametrize(
    ("says", "code"), [("process already finished: not found", 0), ("permission denied", 1)], ids=["ended", "refused"]
)
def test_a_container_that_ended_by_itself_is_no_failure(tmp_path: Path, says: str, code: int) -> None:
    done = started_anew(tmp_path, CTR, says=says)
    assert done.returncode == code, done.stderr
    assert (says in done.stderr) is (code == 1)


def started_anew(folder: Path, ctr: str, *named: str, says: str = "") -> subprocess.CompletedProcess[str]:
    """The role's program with ``ctr`` for containerd's, which keeps what it does in ``folder``."""
    (folder / "ctr").write_text(ctr)
    (folder / "ctr").chmod(0o755)
    told = {"PATH": f"{folder}:{os.environ['PATH']}", "FAKE": str(folder), "SAYS": says}
    program = (ROLE / "files/restart_static_pods.py").read_text()
    command = [sys.executable, "-", *named]
    return subprocess.run(command, input=program, env=told, capture_output=True, text=True, check=False)
