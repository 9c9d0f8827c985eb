"""After a promotion that was cut off: what it left is taken away, and the log hears of it.

A promotion ends in two writes, the decision and the journal's line. Where the decision was written, the engine had
shown itself ready, and only the line is missing; where a trial lies there, nothing was shown, and the model that served
before serves again. So a power cut at any moment leaves one of the two, and never a model that nobody decided for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import Store
from appliance.install.journal import read_journal
from appliance.install.model_record import ACTIONS, INTERRUPTED, STEPS, UNKNOWN, describe, note
from appliance.models.serving import Decisions, forget_decisions, read_decisions, write_decisions
from appliance.models.shelf import held_models

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap_bundle.store import VerifiedRelease
    from appliance.install.engines import Engines
    from appliance.install.journal import Record
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


def settle(config: SiteConfig, paths: SitePaths, engines: Engines | None) -> tuple[str, ...]:
    """Undo every trial and close what the journal left open; models whose trial was undone.

    With ``engines``, one that runs is brought back to the model that served before. The caller holds the site's lock,
    or runs before any service does.
    """
    undone = tuple(model.name for model in config.models if _drop_trial(paths, model.name))
    for record in _left_open(paths):
        _close(paths, record)
    for name in undone:
        if engines is not None and engines.serves(name) is not None:
            engines.stop(name)
            engines.start(name)
    return undone


def put(paths: SitePaths, name: str, decisions: Decisions) -> None:
    """Put ``decisions`` in force as they are; without any, the file goes."""
    if decisions.made or decisions.trial:
        write_decisions(paths, name, decisions)
    else:
        forget_decisions(paths, name)


def enter_imports(paths: SitePaths, active: VerifiedRelease, by: str) -> int:
    """Journal every model in the store that the journal does not know yet; how many.

    ``by`` brought them, or is unknown: where an import was cut off after the store had them.
    """
    known = {(r.digest, r.detail.get("bundle")) for r in _done(paths, STEPS["import"])}
    if not Store(paths.store, SHELF).records():
        return 0
    new = [
        held
        for held in held_models(paths, active)
        if held.shelf == SHELF and (str(held.artifact.digest), held.bundle.version) not in known
    ]
    for held in new:
        note(
            paths, "import", "done", str(held.artifact.digest), describe(held, by, "" if by != UNKNOWN else INTERRUPTED)
        )
    return len(new)


def _drop_trial(paths: SitePaths, name: str) -> bool:
    decisions = read_decisions(paths, name)
    if decisions.trial is None:
        return False
    put(paths, name, Decisions(decisions.made))
    return True


def _left_open(paths: SitePaths) -> Iterable[Record]:
    """The last line about each kind of decision, where it announces one and nothing follows."""
    last: dict[str, Record] = {record.step: record for record in read_journal(paths.journal) if record.step in ACTIONS}
    return [record for record in last.values() if record.state == "started"]


def _close(paths: SitePaths, record: Record) -> None:
    name = record.detail.get("name", "")
    decided = read_decisions(paths, name).in_force if name else None
    made = decided is not None and (decided.digest, decided.since) == (record.digest, record.detail.get("since"))
    detail = dict(record.detail) if made else {**record.detail, "error": INTERRUPTED}
    note(paths, ACTIONS[record.step], "done" if made else "failed", record.digest, detail)


def _done(paths: SitePaths, step: str) -> Iterable[Record]:
    return [record for record in read_journal(paths.journal) if record.step == step and record.state == "done"]
