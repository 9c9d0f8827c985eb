"""Lays a file on a host unless the look at it found it so: `ansible.builtin.copy`, without a trip in vain.

Arguments are `dest`, `content` and `mode`, and `validate` as `copy` has it. The look is the role `standing`'s, of this
very run; without one, the file is compared as `copy` compares it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

_TAKEN = {"dest", "content", "mode", "validate"}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no types
    """The action."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Compare with what was seen, and go to the host only where it differs. Root is whose the file is."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = dict(self._task.args)
        unknown = set(given) - _TAKEN
        if unknown or not {"dest", "content", "mode"} <= set(given):
            raise AnsibleActionFail(f"laid takes dest, content, mode and validate, not {sorted(unknown)}")
        seen = task_vars.get("host_standing", {}).get("files", {}).get(given["dest"])
        if seen == as_seen(given["content"], given["mode"]):
            return result | {"changed": False, "stood": True, "dest": given["dest"]}
        task = self._task.copy()
        task.args = {**given, "owner": "root", "group": "root"}
        copying = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return result | dict(copying.run(task_vars=task_vars))


def as_seen(content: str, mode: str) -> str:
    """How the look tells a regular file of root's with this content and mode."""
    return f"{int(mode, 8):o} {hashlib.sha256(content.encode()).hexdigest()}"
