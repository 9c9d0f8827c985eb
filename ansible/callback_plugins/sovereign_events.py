"""Tells the installer what Ansible does: one JSON object per line on stdout."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: sovereign_events
type: stdout
short_description: one JSON object per event, for the installer
description:
  - Events are play, task, done, failed, unreachable, finding, note, reading and end.
  - Of a task with no_log only its name is told.
  - The end tells how many times a host was asked or changed (trips): what an installation's time is made of.
"""
HINTS = (
    (r"No space left on device", "make room on the host and run the installation again"),
    (r"certificate has expired|not yet valid", "compare the host's clock with this machine's"),
    (r"Address already in use|Port-\d+", "stop what listens on that port of the host"),
    (r"context deadline exceeded|connection refused|timed out", "look at `journalctl -u kubelet -u containerd` there"),
    (r"nft|firewall\.nft", "look at /etc/sovereign/firewall.nft and `nft -c -f` on the host"),
)  # fmt: skip
RESUME = "mend the cause on the host and run the installation again; it continues from there"
_TAIL = 3
_KUBEADM = "[ERROR "  # a check of its that failed; general advice comes after it
_HERE = {"include_role", "include_tasks", "set_fact", "validate_argument_spec", "fail", "group_by", "meta"}


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible ships no types
    """The events."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "sovereign_events"

    def __init__(self) -> None:
        super().__init__()
        self._trips = 0

    def _tell(self, event: str, **fields: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
        sys.stdout.flush()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins."""
        self._tell("play", name=play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: Any) -> None:  # noqa: ARG002 - Ansible's signature
        """A task begins on all its hosts."""
        role = task._role.get_name() if task._role else ""  # noqa: SLF001 - there is no other way to the role
        self._tell("task", name=task.get_name().removeprefix(f"{role} : "), role=role)

    def v2_runner_on_ok(self, result: Any) -> None:
        """One host has done the task."""
        found = result._result  # noqa: SLF001 - Ansible's interface to callbacks
        for event, fact in (("finding", "preflight_findings"), ("note", "preflight_notes")):
            for said in found.get("ansible_facts", {}).get(fact, ()):
                self._tell(event, **{key: str(value) for key, value in said.items()})
        if "host_reading" in found.get("ansible_facts", {}):
            self._tell("reading", host=self._host(result), value=found["ansible_facts"]["host_reading"])
        self._count(result, "results" in found or "stood" in found)
        self._tell("done", host=self._host(result), changed=bool(found.get("changed", False)))

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """One item of a loop is done."""
        self._count(result, again="stood" in result._result)  # noqa: SLF001 - as above

    def _count(self, result: Any, again: bool) -> None:  # noqa: FBT001 - one private caller of each kind
        """A trip to a host; ``again``: it was counted item by item, or a look before it had seen all."""
        action = result._task.action.rpartition(".")[2]  # noqa: SLF001 - Ansible's interface to callbacks
        self._trips += action not in _HERE and not again

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: FBT001, FBT002 - Ansible's
        """One host has not."""
        if ignore_errors:
            return
        cause = _cause(result._result)  # noqa: SLF001 - Ansible's interface to callbacks
        hint = next((hint for pattern, hint in HINTS if re.search(pattern, cause)), RESUME)
        self._tell("failed", host=self._host(result), cause=cause, hint=hint)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """One host did not answer; ``passed``: the task goes on without it."""
        passed = bool(result._task.ignore_unreachable)  # noqa: SLF001 - Ansible's interface to callbacks
        self._tell("unreachable", host=self._host(result), cause=_cause(result._result), passed=passed)  # noqa: SLF001 - as above

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run has ended."""
        counts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        self._tell("end", hosts=counts, trips=self._trips)

    def _host(self, result: Any) -> str:
        return str(result._host.get_name())  # noqa: SLF001 - Ansible's interface to callbacks


def _cause(result: dict[str, Any]) -> str:
    """What a program marked as errors, else the last lines of what was said; of a loop, by the first that failed."""
    if "censored" in result:
        return "it failed; what it said may hold a secret and is not shown"
    for item in result.get("results", ()):
        if item.get("failed"):
            return _cause(item)
    said = (
        result.get("stderr") or result.get("module_stderr") or result.get("msg") or result.get("stdout") or "no reason"
    )
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    lines = [line for line in lines if line.startswith(_KUBEADM)] or lines
    return " / ".join(lines[-_TAIL:])
