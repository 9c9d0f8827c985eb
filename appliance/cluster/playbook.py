"""Runs a playbook with the release's roles, tells every event, and turns its end into a result or an error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.cluster.events import Ended, Event, EventReader, Failure, Finding, Said
from appliance.errors import DeploymentError, PreflightError
from appliance.install import process
from appliance.install.interruption import ending_in_order
from appliance.install.own_folder import own_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Watch = Callable[[Event], None]
_SHIPPED = Path(__file__).with_name("ansible")
ROLES = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parents[2] / "ansible"
_TAIL = 3
_COLUMNS = ("host", "check", "found", "hint")


class HostsRefusedError(PreflightError):
    """The preflight found something; ``findings`` is all of it, for all hosts. Nothing was changed."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        hosts = len({finding.host for finding in findings})
        super().__init__(
            f"{len(findings)} finding{'s' if len(findings) != 1 else ''} on {hosts} host{'s' if hosts != 1 else ''}; "
            "nothing was changed",
            "mend what the table names and run it again",
        )
        self.findings = findings


PLAYBOOK_SECONDS = 3600.0


def run(
    name: str,
    inventory: Mapping[str, Any],
    watch: Watch,
    *,
    enter: Sequence[str] = (),
    timeout_s: float = PLAYBOOK_SECONDS,
) -> dict[str, int]:
    """Run ``name`` of the playbooks on ``inventory``; how many tasks changed something, by host.

    ``enter`` goes before the command line, for an administrator whose way to the hosts leads through something.
    Raises ``HostsRefusedError`` when the preflight found something and ``DeploymentError`` with host, task, cause and
    hint when a task failed. The inventory, which holds the site's secrets, lies in a folder that only this user reads,
    for as long as the run lasts: a lost terminal ends it in order, and what a killed one left the next command removes.
    """
    reader, seen = EventReader(), list[Event]()

    def on_line(line: str) -> None:
        event = reader.read(line)
        if event is not None:
            seen.append(event)
            watch(event)

    with ending_in_order(), own_folder() as folder:
        hosts = folder / "inventory.json"
        hosts.write_text(json.dumps(inventory))
        argv = [*enter, sys.executable, "-m", "ansible", "playbook", "-i", str(hosts), str(ROLES / "playbooks" / name)]
        status = process.stream(argv, on_line, env=_environment(str(folder)), cwd=ROLES, timeout_s=timeout_s)
    return outcome(status, seen)


def _environment(folder: str) -> dict[str, str]:
    return {
        "ANSIBLE_CONFIG": str(ROLES / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "sovereign_events",
        "ANSIBLE_HOME": folder,
        "ANSIBLE_LOCAL_TEMP": str(Path(folder, "local")),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{folder}/ssh",
        "ANSIBLE_NOCOLOR": "1",
        "HOME": folder,
    }


def outcome(status: int, seen: Sequence[Event]) -> dict[str, int]:
    """What a run of this exit status told, as a result. Raises as ``run`` does, and not for hosts that it passed by."""
    findings = tuple(event for event in seen if isinstance(event, Finding))
    if findings:
        raise HostsRefusedError(findings)
    failures = [event for event in seen if isinstance(event, Failure) and not event.passed]
    if failures:
        first = failures[0]
        others = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        where = f"{first.role}: " if first.role else ""
        told = max(
            (f.cause for f in failures if f.cause.startswith(first.cause)), key=len
        )  # and what was done about it
        raise DeploymentError(f"{first.host}: {where}{first.task.lower()}: {told}{others}", first.hint)
    ends = [event for event in seen if isinstance(event, Ended)]
    if status != 0 or not ends:
        said = " / ".join([event.text for event in seen if isinstance(event, Said)][-_TAIL:])
        raise DeploymentError(f"ansible ended with status {status}: {said or 'it said nothing'}")
    return ends[-1].changed


def table(findings: Sequence[Finding]) -> str:
    """The findings as lines in columns, for a terminal."""
    rows = [tuple(str(getattr(finding, column)) for column in _COLUMNS) for finding in findings]
    widths = [max(len(row[i]) for row in (_COLUMNS, *rows)) for i in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in (_COLUMNS, *rows)
    )
