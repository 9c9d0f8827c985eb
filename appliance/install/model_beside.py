"""Changing a model while people are answered: the new one's engine comes up beside the old one's, and takes over.

Order: the model goes on trial and the standby engine starts on it, which says what it has loaded; the decision is put
in force (``bring_up``). Then (``hand_back``) the gateway is told to ask the standby (``divert``), and for a moment
longer than it remembers what an engine serves, both answer; the engine itself ends its answers, stops and starts, and
finds the new model; the gateway is told to ask it again, and the standby ends its answers and is gone.

Until the decision is in force, the engine that serves is not touched: a model that does not come up costs nobody an
answer. From then on there is no way back but another decision: whatever fails, the standby serves what was decided, and
``settle`` brings it to its end.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError, SovereignError
from appliance.install.model_settle import on_trial, put
from appliance.install.model_trial import check_loaded, go_back, said
from appliance.models.serving import write_decisions

if TYPE_CHECKING:
    from appliance.install.engines import Engines
    from appliance.models.serving import Decisions
    from appliance.models.shelf import Held
    from appliance.site.paths import SitePaths

GRACE_S = 20.0
"""For so long both answer: longer than a gateway remembers what an engine serves (``gateway.catalogue``)."""
ANSWER_S = 600.0
"""The gateway ends every answer after so long (``gateway.answers.MAX_SECONDS``)."""
_POLL_S = 1.0
_IDLE_READINGS = 2  # in a row: a request may be on its way when nothing runs


def bring_up(  # noqa: PLR0913, PLR0917 - one private caller, as ``try_model``
    paths: SitePaths, engines: Engines, standby: Engines, made: Decisions, decided: Decisions, wanted: Held
) -> None:
    """Start ``standby`` on ``wanted`` and put ``decided`` in force, which chooses it last. Raises as ``try_model``."""
    name, tried = wanted.name, replace(made, trial=decided.in_force)
    write_decisions(paths, name, tried)
    try:
        standby.start(name)
        check_loaded(standby, wanted)
        write_decisions(paths, name, decided)
    except BaseException as error:
        standby.stop(name)
        _undo(paths, engines, tried, name, error)
        raise


def _undo(paths: SitePaths, engines: Engines, tried: Decisions, name: str, error: BaseException) -> None:
    """Take the trial away. An engine that ended by itself meanwhile may have found it, or be about to: it goes back."""
    made = replace(tried, trial=None)
    if not on_trial(engines, name, tried):
        put(paths, name, made)
        if not on_trial(engines, name, tried):
            return
    go_back(paths, engines, made, name, error)


def hand_back(engines: Engines, standby: Engines, wanted: Held) -> None:
    """Let the engine itself serve what ``standby`` does, each ending its answers first.

    Raises ``DeploymentError`` where it does not start: the standby serves then, and on.
    """
    name = wanted.name
    engines.divert(name)
    time.sleep(GRACE_S)
    _let_end(engines, name)
    try:
        engines.stop(name)
        engines.start(name)
        check_loaded(engines, wanted)
    except SovereignError as error:
        raise DeploymentError(
            f"{name} serves what was decided, by its second engine alone: {said(error)}",
            "mend it, then `sovereign up`; or decide again",
        ) from error
    engines.restore(name)
    _let_end(standby, name)
    standby.stop(name)


def _let_end(engines: Engines, model: str) -> None:
    """Wait until nobody waits for an answer of this engine, at most as long as any answer takes."""
    deadline, idle = time.monotonic() + ANSWER_S, 0
    while idle < _IDLE_READINGS and time.monotonic() < deadline:
        idle = 0 if engines.busy(model) else idle + 1
        time.sleep(_POLL_S)
