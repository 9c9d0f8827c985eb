"""Changing a model while people are answered: the new one's engine comes up beside the old one's, and takes over.

Order: the model goes on trial and the standby engine starts on it, which says what it has loaded; the decision is put
in force; the gateway is told to ask the standby (``divert``), and for a moment longer than it remembers what an engine
serves, both answer; then the engine itself is stopped, which lets its answers end, and started, and finds the new
model; the gateway is told to ask it again, and the standby lets its answers end and is gone.

Until the decision is in force, the engine that serves is not touched: a model that does not come up costs nobody an
answer. Whatever cuts this off, ``settle`` finds the standby running and brings what was decided to its end.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.install.model_settle import put
from appliance.install.model_trial import check_loaded, go_back
from appliance.models.serving import write_decisions

if TYPE_CHECKING:
    from appliance.install.engines import Engines
    from appliance.models.serving import Decisions
    from appliance.models.shelf import Held
    from appliance.site.paths import SitePaths

GRACE_S = 20.0
"""For so long both answer: longer than a gateway remembers what an engine serves (``gateway.catalogue``)."""


def take_over(  # noqa: PLR0913, PLR0917 - one private caller, as ``try_model``
    paths: SitePaths, engines: Engines, standby: Engines, made: Decisions, decided: Decisions, wanted: Held
) -> None:
    """Put ``decided`` in force, which chooses ``wanted`` last, by way of ``standby``. Raises as ``try_model``."""
    name = wanted.name
    write_decisions(paths, name, replace(made, trial=decided.in_force))
    try:
        standby.start(name)
        check_loaded(standby, wanted)
        write_decisions(paths, name, decided)
    except BaseException as error:
        standby.stop(name)
        said = engines.serves(name)
        if said is not None and said.get("digest") == wanted.weights:  # it ended by itself, and found the trial
            go_back(paths, engines, made, name, error)
        put(paths, name, made)
        raise
    try:
        engines.divert(name)
        time.sleep(GRACE_S)
        engines.stop(name)
        engines.start(name)
        check_loaded(engines, wanted)
    except BaseException as error:
        go_back(paths, engines, made, name, error)
        raise
    finally:
        engines.restore(name)
        standby.stop(name)
