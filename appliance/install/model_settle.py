"""After a promotion that was cut off: what it left is taken away, and the log hears of it.

A promotion ends in two writes, the decision and the journal's line. Where the decision was written, the engine had
shown itself ready (or none serves that name yet), and only the line is missing; where a trial lies there, nothing was
shown, and the model that served before serves again. So a power cut at any moment leaves one of the two, and never a
model that nobody decided for.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from airgap_bundle.errors import VerificationError
from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import Store
from appliance.errors import DeploymentError
from appliance.install.journal import read_journal
from appliance.install.model_record import ACTIONS, INTERRUPTED, STEPS, UNKNOWN, describe, note
from appliance.models.serving import (
    DecisionsDamagedError,
    damaged_decisions,
    forget_decisions,
    read_decisions,
    write_decisions,
)
from appliance.models.shelf import Held
from appliance.models.unservable import unservable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from appliance.install.engines import Engines
    from appliance.install.journal import Record
    from appliance.models.serving import Decisions
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


def settle(config: SiteConfig, paths: SitePaths, engines: Engines | None) -> tuple[str, ...]:
    """Undo every trial and close what the journal left open; models whose trial was undone.

    One whose decisions are damaged is left as it is, and with it what the journal left open about it.

    With ``engines``, one that runs on its trial, be it ready or still loading, is stopped before that is taken away and
    started after: cut off in between, it is found again. A standby that runs was to take over: what was decided is
    brought to its end, and it is stopped (``end_standby``). Without ``engines`` nothing runs, and no standby is to be
    asked. The caller holds the site's lock, or runs before any service does.
    """
    names = [m.name for m in config.models]
    damaged = damaged_decisions(paths, names)
    readable = {name: read_decisions(paths, name) for name in names if name not in damaged}
    undone = {name: found for name, found in readable.items() if found.trial is not None}
    running = [name for name, found in undone.items() if engines is not None and on_trial(engines, name, found)]
    for name in running:
        assert engines is not None
        engines.stop(name)
    for name, decisions in undone.items():
        put(paths, name, replace(decisions, trial=None))
    for record in _left_open(paths):
        with suppress(DecisionsDamagedError):
            _close(paths, record)
    without = unservable(running, paths)
    for name in (one for one in running if one not in without):
        assert engines is not None
        engines.start(name)
    if engines is not None:
        end_standbys(config, paths, engines)
    else:
        for name in names:
            paths.diverted(name).unlink(missing_ok=True)
    return tuple(undone)


def on_trial(engines: Engines, name: str, found: Decisions) -> bool:
    """Whether a process runs that has loaded what is on trial, or may load it."""
    said = engines.serves(name)
    return engines.runs(name) and (said is None or found.trial is None or said.get("digest") == found.trial.weights)


def end_standbys(config: SiteConfig, paths: SitePaths, engines: Engines) -> None:
    """As ``end_standby``, for every model whose decisions can be read."""
    names = [m.name for m in config.models]
    damaged = damaged_decisions(paths, names)
    for name in names:
        if name not in damaged:
            end_standby(paths, engines, name)


def end_standby(paths: SitePaths, engines: Engines, name: str) -> None:
    """Where a standby runs, see that the engine serves what is in force; then do without it.

    An engine that does not start is left to whoever starts it next: the standby serves on, if it does.
    """
    standby = engines.standby
    if standby is None or not standby.runs(name):
        engines.restore(name)
        return
    try:
        _see_to(paths, engines, standby, name)
    except DeploymentError:
        if standby.serves(name) is not None:
            return
    engines.restore(name)
    standby.stop(name)


def _see_to(paths: SitePaths, engines: Engines, standby: Engines, name: str) -> None:
    """Have the engine serve what is in force, the standby being asked meanwhile. Raises ``DeploymentError``."""
    decided, said = read_decisions(paths, name).in_force, engines.serves(name)
    other = decided is not None and said is not None and said.get("digest") != decided.weights
    if said is not None and not other:
        return
    if standby.serves(name) is not None:
        engines.divert(name)
    if other:
        engines.stop(name)
    engines.start(name)


def put(paths: SitePaths, name: str, decisions: Decisions) -> None:
    """Put ``decisions`` in force as they are; without any, the file goes."""
    if decisions.made or decisions.trial:
        write_decisions(paths, name, decisions)
    else:
        forget_decisions(paths, name)


def enter_imports(paths: SitePaths, by: str) -> int:
    """Journal every model in the store that the journal does not know yet; how many.

    ``by`` brought them, or is unknown: where an import was cut off after the store had them. A bundle that others have
    signed since counts anew; one that the store holds damaged waits until it is brought again.
    """
    known = {(r.digest, r.detail.get("bundle"), r.detail.get("signers")) for r in _done(paths, STEPS["import"])}
    new = [held for held in _brought(paths) if _key(held) not in known]
    for held in new:
        note(
            paths, "import", "done", str(held.artifact.digest), describe(held, by, "" if by != UNKNOWN else INTERRUPTED)
        )
    return len(new)


def imports(paths: SitePaths) -> set[tuple[str, str]]:
    """Digest and bundle of every model that the journal has as brought."""
    return {(record.digest, record.detail.get("bundle", "")) for record in _done(paths, STEPS["import"])}


def _brought(paths: SitePaths) -> Iterator[Held]:
    shelf = Store(paths.store, SHELF)
    for record in shelf.survey()[0]:
        with suppress(VerificationError):
            bundle = shelf.open_record(record)
            yield from (Held(SHELF, bundle, artifact) for artifact in bundle.artifacts.values())


def _key(held: Held) -> tuple[str, str, str]:
    return str(held.artifact.digest), held.bundle.version, describe(held, "", "")["signers"]


def _left_open(paths: SitePaths) -> Iterable[Record]:
    """The last line about each model and kind of decision, where it announces one and nothing follows."""
    records = (record for record in read_journal(paths.journal) if record.step in ACTIONS)
    last: dict[tuple[str, str], Record] = {(r.step, r.detail.get("name", "")): r for r in records}
    return [record for record in last.values() if record.state == "started"]


def _close(paths: SitePaths, record: Record) -> None:
    name = record.detail.get("name", "")
    decided = read_decisions(paths, name).in_force if name else None
    made = decided is not None and (decided.digest, decided.since) == (record.digest, record.detail.get("since"))
    detail = dict(record.detail) if made else {**record.detail, "error": INTERRUPTED}
    note(paths, ACTIONS[record.step], "done" if made else "failed", record.digest, detail)


def _done(paths: SitePaths, step: str) -> Iterable[Record]:
    return [record for record in read_journal(paths.journal) if record.step == step and record.state == "done"]
