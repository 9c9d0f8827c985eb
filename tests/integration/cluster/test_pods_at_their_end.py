"""A removal says that nothing writes the log any more only where Ansible saw the assistant's pods come to their end."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.cluster import playbook
from appliance.cluster.events import Reading

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.cluster.events import Event

PLAY = "- hosts: all\n  gather_facts: false\n  roles: [quiet]\n"
NONE_LEFT = "echo 'error: no matching resources found' >&2; exit 1"
TIMED_OUT = "echo 'error: timed out waiting for the condition' >&2; exit 1"
ENDED_LEFT = (
    'case "$*" in *" pod --all --field-selector=status.phase!=Succeeded,status.phase!=Failed "*) exit 0;; esac; '
    + TIMED_OUT
)
"""A Job's pod that failed: it writes nothing, and nobody deletes it."""


@pytest.mark.parametrize(
    ("there", "scale", "wait", "said"),
    [
        (True, "exit 0", "exit 0", True),
        (True, "exit 0", NONE_LEFT, True),
        (True, "exit 1", "exit 0", False),
        (True, "exit 0", ENDED_LEFT, True),
        (True, "exit 0", TIMED_OUT, False),
        (True, "exit 1", NONE_LEFT, False),
        (False, "exit 0", "exit 0", False),
    ],
)
def test_quiet_is_said_where_pods_were_scaled_down_and_none_is_left(  # noqa: PLR0913 - the cases
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool, scale: str, wait: str, said: bool
) -> None:
    """This machine stands for the host; ``there``: it has the file that leads to an API server."""
    roles, kubectl, admin = tmp_path / "ansible", tmp_path / "kubectl", tmp_path / "admin.conf"
    shutil.copytree(playbook.ROLES, roles)
    kubectl.write_text(f'#!/bin/sh\ncase "$*" in *scale*) {scale};; *) {wait};; esac\n')
    kubectl.chmod(0o755)
    if there:
        admin.touch()
    tasks = roles / "roles/quiet/tasks/main.yml"
    text = tasks.read_text()
    assert text.count("[kubectl,") == 2
    tasks.write_text(text.replace("[kubectl,", f"[{kubectl},").replace("/etc/kubernetes/admin.conf", str(admin)))
    (roles / "playbooks/quiet.yml").write_text(PLAY)
    monkeypatch.setattr(playbook, "ROLES", roles)
    seen: list[Event] = []
    playbook.run("quiet.yml", {"all": {"hosts": {"node1": {"ansible_connection": "local"}}}}, seen.append)
    readings = [event for event in seen if isinstance(event, Reading)]
    assert readings == ([Reading("node1", {"quiet": True})] if said else [])
