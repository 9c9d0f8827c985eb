"""A renewal that cannot be begun changes nothing; one that was interrupted is begun again by the next run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

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
    asked = between[-1]["ansible.builtin.command"]["argv"]
    assert "--server=https://{{ ansible_host }}:6443" in asked
    main = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    seen = next(task for task in main if task.get("ansible.builtin.stat", {}).get("path") == mark)
    renewal = next(task for task in main if task.get("ansible.builtin.include_tasks") == "renew.yml")
    assert f"control_plane_renew or {seen['register']}.stat.exists" in renewal["when"]
    assert main.index(seen) < main.index(renewal)


@pytest.mark.parametrize(
    ("says", "code"), [("process already finished: not found", 0), ("permission denied", 1)], ids=["ended", "refused"]
)
def test_a_container_that_ended_by_itself_is_no_failure(tmp_path: Path, says: str, code: int) -> None:
    ctr = tmp_path / "ctr"
    ctr.write_text(CTR)
    ctr.chmod(0o755)
    told = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FAKE": str(tmp_path), "SAYS": says}
    program = (ROLE / "files/restart_static_pods.py").read_text()
    done = subprocess.run([sys.executable, "-"], input=program, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert (says in done.stderr) is (code == 1)
