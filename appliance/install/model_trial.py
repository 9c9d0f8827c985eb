"""A model on trial: its engine is started on it and says what it has loaded, or the former model is put back.

What an engine that starts finds is changed only while it is stopped. So whatever cuts this off, an engine that runs has
loaded what the decisions say, or a trial lies there for ``model_settle`` to find.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError, SovereignError
from appliance.install.model_settle import put
from appliance.models.record import parse_record
from appliance.models.serving import write_decisions
from appliance.models.unservable import unservable

if TYPE_CHECKING:
    from appliance.install.engines import Engines
    from appliance.models.serving import Decisions
    from appliance.models.shelf import Held
    from appliance.site.paths import SitePaths


def try_model(paths: SitePaths, engines: Engines, made: Decisions, decided: Decisions, wanted: Held) -> None:
    """Start the engine on ``wanted``, see what it has loaded, and put ``decided`` in force, which chooses that last.

    Until then ``made`` is in force. Raises ``DeploymentError``; the former serves then, or the error says why it does
    not.
    """
    write_decisions(paths, wanted.name, replace(made, trial=decided.in_force))
    try:
        engines.stop(wanted.name)
        engines.start(wanted.name)
        check_loaded(engines, wanted)
        write_decisions(paths, wanted.name, decided)
    except BaseException as error:
        go_back(paths, engines, made, wanted.name, error)
        raise


def check_loaded(engines: Engines, wanted: Held) -> None:
    """Raise ``DeploymentError`` unless the engine says that it has loaded ``wanted``."""
    said = engines.serves(wanted.name) or {}
    record = parse_record(wanted.artifact.config)
    expected = {
        "digest": wanted.weights,
        "template_digest": f"sha256:{record.template.sha256}" if record.template else "",
        "release": wanted.bundle.version,
    }
    if {field: said.get(field) for field in expected} != expected:
        raise DeploymentError(f"the engine of {wanted.name} has loaded something else than was decided", "see its log")


def go_back(paths: SitePaths, engines: Engines, made: Decisions, name: str, error: BaseException) -> None:
    """Put ``made`` in force again, and the engine on it, where that is something.

    Raises ``DeploymentError`` when it does not start.
    """
    try:
        engines.stop(name)
        put(paths, name, made)
        if not unservable((name,), paths):
            engines.start(name)
    except SovereignError as second:
        raise DeploymentError(
            f"{said(error)}; and the former model does not start again: {second.cause}", "`sovereign up`"
        ) from error


def said(error: BaseException) -> str:
    """What ``error`` says, or its kind where it is none of ours."""
    return error.cause if isinstance(error, SovereignError) else type(error).__name__
