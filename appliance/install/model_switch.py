"""`sovereign model promote` and `rollback`: another of a site's models serves under the same name, or the former again.

Order: the model is looked up, and judged now by policy, waivers and bytes, as every start judges it; the journal
announces the decision; the model goes on trial, the engine is stopped and started on it, and says what it has loaded;
only then is the decision in force, and the journal's line and the log's entry about it done. Whatever fails on the way,
the former model is put back and shown ready before the error is told. Where the host has the memory, a second engine
takes over (``model_beside``) and nobody notices; what is left to do then follows the journal's line, for nothing of it
changes what was decided. Where the memory is not there, one engine runs at a time, and nobody is answered while it is
changed (requests get "not ready", and none gets a wrong receipt).

Whether the engine answers now is not asked: one whose model policy refuses by now does not, and another is its remedy.

A bundle of models may bring a name that the site does not serve yet. Promoted, its model is judged and decided for as
any other, and no engine is started: which it is has been decided when site.yaml comes to name it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.install.decisions import check_allowed, demand_log, installed, tell_log
from appliance.install.engines import Engines, SupervisedEngines
from appliance.install.interruption import ending_in_order
from appliance.install.journal import beside
from appliance.install.lock import site_lock
from appliance.install.model_beside import bring_up, hand_back
from appliance.install.model_history import choice_of, former, history, served_before, serving_now
from appliance.install.model_record import describe, note, operator
from appliance.install.model_settle import end_standby, put, settle
from appliance.install.model_trial import said, try_model
from appliance.models.adapters import require_adapter
from appliance.models.admission import examine_model, grounds
from appliance.models.errors import ModelRefusedError
from appliance.models.serving import Decisions, read_decisions, write_decisions
from appliance.models.shelf import Held, damaged_bundles, held_models, pick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.audit.events_models import Action
    from appliance.install.runner import Advance
    from appliance.models.admission import Grounds
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

MAX_REASON = 500


@dataclass(frozen=True)
class Switched:
    """What serves now, from which release or bundle, and what did before.

    ``changed`` False: it served already, nothing was done. ``waived`` are checks that rest on a waiver; ``unlogged``
    says why the audit log has no entry about it yet, ``paused`` why nobody was answered meanwhile; None: all were.
    ``listed`` False: the site serves nothing by that name yet, and this is what will serve once it does.
    """

    name: str
    source: str
    digest: str
    former: str
    waived: tuple[str, ...]
    changed: bool
    paused: str | None = None
    unlogged: str | None = None
    listed: bool = True


@dataclass(frozen=True)
class _Order:
    """What was asked, at one site."""

    action: Action
    name: str
    reason: str
    config: SiteConfig
    paths: SitePaths
    engines: Engines
    progress: Advance | None

    @property
    def listed(self) -> bool:
        """Whether the site serves a model by that name."""
        return self.name in (model.name for model in self.config.models)


def promote(  # noqa: PLR0913 - what a decision consists of, by keyword
    paths: SitePaths,
    name: str,
    digest: str | None = None,
    *,
    reason: str,
    engines: Engines | None = None,
    progress: Advance | None = None,
) -> Switched:
    """Let the newest model ``name``, or the one whose digest begins with ``digest``, serve under that name.

    Raises ``NotAllowedError``, ``UsageError`` for a name that no bundle brought and the site does not serve, one of
    ``appliance.models.errors`` for a refusal, ``DeploymentError`` when the engine does not start on it: the former
    model serves then.
    """
    order = _order("promote", paths, name, reason, engines, progress)
    return _switch(order, lambda models, _served: pick(models, name, digest, damaged_bundles(paths)))


def rollback(
    paths: SitePaths,
    name: str,
    *,
    reason: str,
    engines: Engines | None = None,
    progress: Advance | None = None,
) -> Switched:
    """Let the model serve that served as ``name`` before. A new decision, judged as one; raises as ``promote``."""
    order = _order("rollback", paths, name, reason, engines, progress)
    if not order.listed:
        raise _not_served(order)
    return _switch(order, lambda models, served: former(models, served, name, damaged_bundles(paths)))


def _order(  # noqa: PLR0913, PLR0917 - one private caller each
    action: Action,
    paths: SitePaths,
    name: str,
    reason: str,
    engines: Engines | None,
    progress: Advance | None,
) -> _Order:
    config = installed(paths)
    check_allowed(paths)
    if not reason.strip() or len(reason) > MAX_REASON or not reason.isprintable():
        raise UsageError(
            f"a reason of 1 to {MAX_REASON} printable characters is needed", "the audit log keeps it: --reason TEXT"
        )
    return _Order(action, name, reason.strip(), config, paths, engines or SupervisedEngines(config, paths), progress)


def _not_served(order: _Order) -> UsageError:
    names = ", ".join(model.name for model in order.config.models)
    return UsageError(f"this site serves no model {order.name}", f"it serves {names}; site.yaml names them")


def _switch(order: _Order, choose: Callable[[tuple[Held, ...], Decisions], Held]) -> Switched:
    paths, name = order.paths, order.name
    with site_lock(paths), ending_in_order():
        settle(order.config, paths, order.engines)
        found = grounds(paths)
        models = held_models(paths, found.release)
        if not order.listed and not any(held.name == name and not held.from_release for held in models):
            raise _not_served(order)
        made = read_decisions(paths, name)
        now = serving_now(models, made, name) if order.listed or made.made else None
        wanted = choose(models, history(paths, made, now))
        if now is not None and now.withdrawn is None and _same(now, wanted):
            return Switched(
                name, _source(wanted), wanted.weights, wanted.weights, (), changed=False, listed=order.listed
            )
        demand_log(order.config, paths)
        before = served_before(now, made) if order.listed else ""
        paused, standby = _pause(order) if order.listed else None, order.engines.standby
        second = standby if order.listed and paused is None else None
        waived = _decide(order, found, made, now, wanted, second)
        unlogged = tell_log(order.config, paths)
        if second is not None:
            hand_back(order.engines, second, wanted)
        elif order.listed:
            end_standby(paths, order.engines, name)
        return Switched(
            name,
            _source(wanted),
            wanted.weights,
            before,
            waived,
            changed=True,
            paused=paused,
            unlogged=unlogged,
            listed=order.listed,
        )


def _pause(order: _Order) -> str | None:
    """Why answers have to end before the model changes; None where another engine can take over."""
    if order.engines.serves(order.name) is None:
        return "its engine did not answer"
    return order.engines.lacks(order.name)


def _decide(  # noqa: PLR0913, PLR0917 - one private caller
    order: _Order, found: Grounds, made: Decisions, now: Held | None, wanted: Held, second: Engines | None
) -> tuple[str, ...]:
    """Judge, try and decide, journaled; the checks that were waived. Raises as ``promote``."""
    by, since = operator(), datetime.now(UTC).isoformat(timespec="milliseconds")
    choice, digest = choice_of(wanted, since, by, order.reason), str(wanted.artifact.digest)
    before = served_before(now, made) if order.listed else ""
    detail = {**describe(wanted, by, order.reason, before), "since": since}
    try:
        waived = _judge(wanted, found, order.progress, _adapters(order.config, wanted.name))
        detail["waived"] = ", ".join(waived)  # announced with the decision: a power cut must not lose it
        note(order.paths, order.action, "started", digest, detail)
        decided = history(order.paths, made, now).decided(choice)
        if not order.listed:
            _choose(order, made, decided)
        elif second is not None:
            bring_up(order.paths, order.engines, second, made, decided, wanted)
        else:
            try_model(order.paths, order.engines, made, decided, wanted)
    except BaseException as error:
        with beside(error):
            note(order.paths, order.action, "failed", digest, {**detail, "error": said(error)})
            tell_log(order.config, order.paths)
        raise
    note(order.paths, order.action, "done", digest, detail)
    return waived


def _choose(order: _Order, made: Decisions, decided: Decisions) -> None:
    """Put ``decided`` in force for a name that no engine serves, or leave ``made`` so."""
    try:
        write_decisions(order.paths, order.name, decided)
    except BaseException:
        put(order.paths, order.name, made)
        raise


def _adapters(config: SiteConfig, name: str) -> tuple[str, ...]:
    return next((model.adapters for model in config.models if model.name == name), ())


def _judge(wanted: Held, found: Grounds, progress: Advance | None, adapters: Sequence[str]) -> tuple[str, ...]:
    """Every check on the model, as its engine will make them again; those that were waived. Raises a refusal."""
    for name in adapters:
        require_adapter(wanted.bundle, name, wanted.name)
    verdict = examine_model(wanted.name, replace(found, release=wanted.bundle), progress)
    if not verdict.ok:
        failed = "\n  ".join(f"{check.name}: {check.detail}" for check in verdict.failed)
        error = ModelRefusedError(f"this site's policy refuses {wanted.name}\n  {failed}", "nothing was changed")
        error.verdict = verdict
        raise error
    return tuple(check.name for check in verdict.checks if check.status == "waived")


def _same(now: Held, wanted: Held) -> bool:
    return (now.shelf, now.artifact.digest) == (wanted.shelf, wanted.artifact.digest)


def _source(held: Held) -> str:
    return f"{'release' if held.from_release else 'bundle'} {held.bundle.version}"
