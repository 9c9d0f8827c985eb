"""Which hosts go through Kubernetes' own order: the playbook's plays, run here, with tasks that only say where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from appliance.cluster.playbook import ROLES

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "v1.36.2"


def play(
    folder: Path, joined: dict[str, str], members: list[str], order: list[str]
) -> tuple[int, str, list[list[str]]]:
    """Exit status, output, and per play of the order the hosts that it came to, one after the other.

    ``joined`` has what the look at each host read as its Kubernetes.
    """
    _look, *plays = yaml.safe_load((ROLES / "playbooks/kubernetes.yml").read_text())
    which, _standing, *rest = plays
    for number, each in enumerate(rest):
        each.pop("roles", None)
        note = f"echo {{{{ inventory_hostname }}}} >> {folder}/{number}"
        each["tasks"] = [{"name": "Where", "ansible.builtin.shell": note, "throttle": 1}]
    (folder / "play.yml").write_text(yaml.safe_dump([which, *rest], sort_keys=False))
    told = {
        name: {"preflight_probe": {"stdout": json.dumps({"kubernetes": version})}} for name, version in joined.items()
    }
    groups: dict[str, Any] = {
        "control_plane": {"hosts": {name: told[name] for name in members}},
        "workers": {"hosts": {name: told[name] for name in told if name not in members}},
    }
    given = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    children = {"cluster": {"children": groups}, "changing": {"hosts": {name: {} for name in order}}}
    (folder / "hosts.json").write_text(json.dumps({"all": {"vars": given, "children": children}}))
    env = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROLES / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "home/local"),
        "ANSIBLE_STDOUT_CALLBACK": "default",
    }
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", str(folder / "hosts.json"), str(folder / "play.yml")]
    done = subprocess.run(argv, env=env, cwd=ROLES, capture_output=True, text=True, check=False)
    files = (folder / str(number) for number in range(len(rest)))
    ran = [file.read_text().split() if file.exists() else [] for file in files]
    return done.returncode, done.stdout + done.stderr, ran


def test_a_host_that_comes_new_is_no_part_of_it_and_the_others_keep_their_order(tmp_path: Path) -> None:
    here = {"node1": VERSION, "node2": VERSION, "node3": ""}
    status, said, ran = play(tmp_path, here, ["node1"], ["node3", "node2", "node1"])
    assert status == 0, said
    images, order, clear = ran
    assert order == ["node2", "node1"]
    assert set(images) == set(clear) == {"node1", "node2"}


@pytest.mark.parametrize("order", [["node0", "node1", "node2"], ["node2", "node1", "node0"]])
def test_a_first_host_that_is_not_in_the_cluster_ends_it_before_anything_is_sent(
    order: list[str], tmp_path: Path
) -> None:
    """It may be known by name: an installation that a look refused remembers every host that it might have touched."""
    here = {"node0": "", "node1": VERSION, "node2": VERSION}
    status, said, ran = play(tmp_path, here, ["node0", "node1"], order)
    assert status != 0
    assert "node0 is not in the cluster yet, and Kubernetes would be changed from there" in said
    assert ran == [[], [], []]
