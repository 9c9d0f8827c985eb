"""A change of a model in a process that is killed: before or after anything that lasts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from appliance.install import model_beside, model_settle, model_switch, model_trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.site_of_models import GatedEngines

KILLED = 9
_LASTING = (
    (model_switch, "note"),
    (model_switch, "write_decisions"),
    (model_trial, "write_decisions"),
    (model_beside, "write_decisions"),
    (model_settle, "note"),
)


def moments(monkeypatch: pytest.MonkeyPatch, engines: GatedEngines, wanted: int, state: Path) -> None:
    """Kill this process, as a power cut would, at the ``wanted`` moment; engines as they are go to ``state``."""
    count = 0

    def tick() -> None:
        nonlocal count
        engines.remember(state)
        if count == wanted:
            os._exit(KILLED)
        count += 1

    def around(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*arguments: Any, **more: Any) -> Any:
            tick()
            result = act(*arguments, **more)
            tick()
            return result

        return acted

    for module, name in _LASTING:
        monkeypatch.setattr(module, name, around(getattr(module, name)))
    for one in (engines, engines.standby):
        for name in ("stop", "start", "divert", "restore"):
            monkeypatch.setattr(one, name, around(getattr(one, name)))


def killed(
    monkeypatch: pytest.MonkeyPatch, engines: GatedEngines, wanted: int, act: Callable[[], object], state: Path
) -> bool:
    """Do ``act`` in a process that is killed at the ``wanted`` moment; whether it came to that."""
    child = os.fork()
    if child == 0:
        moments(monkeypatch, engines, wanted, state)
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
