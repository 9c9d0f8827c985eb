"""Whoever leaves the control plane is taken out of etcd by name or address, and nobody else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.unit.roles.plugins import ANSIBLE

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = ANSIBLE / "roles/control_plane/files/member_away.py"
ETCDCTL = """\
#!{python}
import json, pathlib, sys
state = pathlib.Path({state!r})
members = json.loads(state.read_text())
if "list" in sys.argv:
    print(json.dumps({{"members": members}}))
elif len(members) < 3 and {refuses}:
    sys.exit("etcdserver: re-configuration failed due to not enough started members")
else:
    state.write_text(json.dumps([m for m in members if m["ID"] != sys.argv[-1]]))
"""
MEMBERS: list[dict[str, Any]] = [
    {"ID": "a1", "name": "node1", "peerURLs": ["https://10.1.0.11:2380"]},
    {"ID": "b2", "name": "node2", "peerURLs": ["https://10.1.0.12:2380"]},
    {"ID": "c3", "peerURLs": ["https://10.1.0.13:2380"], "isLearner": True},
]


def run(folder: Path, *arguments: str, members: list[dict[str, Any]] = MEMBERS, refuses: bool = False) -> Any:
    """What the program ends with, and the members that are left."""
    state, fake = folder / "members", folder / "etcdctl"
    state.write_text(json.dumps(members))
    fake.write_text(ETCDCTL.format(python=sys.executable, state=str(state), refuses=refuses))
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    argv = [sys.executable, str(PROGRAM), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    return done, [m["ID"] for m in json.loads(state.read_text())]


def test_one_that_leaves_goes_by_its_name(tmp_path: Path) -> None:
    done, left = run(tmp_path, "node2=10.1.0.12")
    assert (json.loads(done.stdout), left) == (["node2"], ["a1", "c3"])


def test_one_that_never_started_has_no_name_and_goes_by_its_address(tmp_path: Path) -> None:
    done, left = run(tmp_path, "node3=10.1.0.13")
    assert (json.loads(done.stdout), left) == (["node3"], ["a1", "b2"])


def test_who_is_no_member_takes_nobody_along(tmp_path: Path) -> None:
    done, left = run(tmp_path, "node4=10.1.0.1")
    assert (json.loads(done.stdout), left) == ([], ["a1", "b2", "c3"])


def test_a_name_is_not_mixed_up_with_another_s_address(tmp_path: Path) -> None:
    done, left = run(tmp_path, "node9=10.1.0.12")
    assert (json.loads(done.stdout), left) == ([], ["a1", "b2", "c3"])


def test_members_are_listed_and_stay(tmp_path: Path) -> None:
    done, left = run(tmp_path, "--list")
    assert (json.loads(done.stdout), left) == (["", "node1", "node2"], ["a1", "b2", "c3"])


def test_what_etcd_refuses_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    done, left = run(tmp_path, "node1=10.1.0.11", members=MEMBERS[:2], refuses=True)
    assert done.returncode != 0
    assert "not enough started members" in done.stderr
    assert left == ["a1", "b2"]
