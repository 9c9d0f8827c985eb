"""How an operator's decision about a pack stands in the install journal, and from there in the audit log."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from appliance.audit.events_learning import learning_decision
from appliance.install.journal import Journal, read_journal
from appliance.install.model_record import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from appliance.audit.events_learning import Action as Verb
    from appliance.install.journal import Record, State
    from appliance.site.paths import SitePaths

Action = Literal["import", "use", "back", "drop", "mend"]
_VERBS: Mapping[str, Verb] = {
    "pack-import": "create",
    "pack-use": "update",
    "pack-back": "update",
    "pack-mend": "update",
    "pack-drop": "delete",
}
STEPS = frozenset(_VERBS)
CHOICES = frozenset({"pack-use", "pack-back", "pack-mend"})
"""Those that say under which pack a group answers: ``detail`` has the group, and the record's digest is the pack."""


def note(paths: SitePaths, action: Action, state: State, digest: str, detail: Mapping[str, str]) -> None:
    """Journal one line about ``action`` on the pack ``digest``, which may be ``none``."""
    with closing(Journal.open(paths.journal)) as journal:
        journal.append(f"pack-{action}", state, digest, detail)


def pack_event(record: Record) -> dict[str, Any]:
    """The audit log's entry for the journal's ``record``."""
    detail = dict(record.detail)
    actor = detail.pop("by", UNKNOWN)
    return learning_decision(
        actor=actor,
        what="pack",
        target=record.digest,
        figures={"step": record.step.removeprefix("pack-"), **detail},
        action=_VERBS[record.step],
        success=record.state == "done",
        at=datetime.fromisoformat(record.at),
    )


def last_choices(paths: SitePaths) -> dict[str, str]:
    """What each group was put under last, to the end of it, by the journal: a digest or ``none``.

    It outlives the record of packs in use and the database; so who lost one of them, or both, is not taken for a group
    that never had a pack.
    """
    done = (r for r in read_journal(paths.journal) if r.step in CHOICES and r.state == "done")
    return {record.detail.get("group", ""): record.digest for record in done}


def left_open(paths: SitePaths) -> Iterable[Record]:
    """The last line about each group where it announces a choice and nothing follows."""
    last = {r.detail.get("group", ""): r for r in read_journal(paths.journal) if r.step in CHOICES}
    return [record for record in last.values() if record.state == "started"]


def came_in(paths: SitePaths, digest: str) -> bool:
    """Whether the pack ``digest`` was imported, to the end of it."""
    return any((r.step, r.state, r.digest) == ("pack-import", "done", digest) for r in read_journal(paths.journal))


def highest_number(paths: SitePaths, name: str) -> tuple[int, str]:
    """The highest number of a pack ``name`` that came in, and its digest; 0 and nothing where none did.

    The journal says so, which outlives the pack: who drops the newest cannot bring an older one back.
    """
    found = [r for r in read_journal(paths.journal) if (r.step, r.state) == ("pack-import", "done")]
    numbers = [(int(r.detail["number"]), r.digest) for r in found if r.detail.get("name") == name]
    return max(numbers, default=(0, ""))
