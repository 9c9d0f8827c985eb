"""How an act on a whole cluster stands in its administrator's journal, and from there in the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from appliance.audit.events import install_step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.install.journal import Record

STEPS = frozenset({"install", "upgrade", "rollback", "renew", "restore", "uninstall"})
ACT = "act"
"""In a record's detail: the act's own id, which its beginning and its end share."""
LOG = "log"
"""In a record's detail: what its operator said becomes of the log that a removal takes along."""
LOG_HEAD = "log_head"
"""In a record's detail: the signed head by which a cluster's log was let go, once nothing writes it any more."""
BACKUP = "backup"
"""In a record's detail: the digest of the backup that a restore brings back."""
LATER_LOG = "later_log"
"""In a record's detail: what a restore made erasures again by, beside the backup."""
_ACTIONS: Mapping[str, Literal["install", "remove"]] = {
    "install": "install",
    "restore": "install",
    "uninstall": "remove",
}
_WORDS = {"started": "begun", "done": "went through", "failed": "failed"}


@dataclass(frozen=True)
class Release:
    """One end of an act: a release by version and by digest; both are empty where none was in force."""

    version: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return f"release {self.version} ({self.digest})" if self.version else "no release"


def is_act(record: Record) -> bool:
    """Whether a record is of an act: each of its states is an entry, its beginning, too."""
    return record.step in STEPS and ACT in record.detail


def act_id(record: Record) -> tuple[str, str, str]:
    """What tells the entry of an act's record from all others of the site."""
    return record.step, record.detail[ACT], record.state


def act_event(record: Record) -> dict[str, Any]:
    """The audit log's entry for a record. Pure: the same record gives the same bytes whenever it is sent."""
    told = record.detail
    ends = (Release(told["from"], told["from_digest"]), Release(told["to"], told["to_digest"]))
    why = next((f": {told[name]}" for name in ("error", "note") if name in told), "")
    backup = f", out of backup {told[BACKUP]}" if BACKUP in told else ""
    log = f"; the log is {told[LOG]}" if LOG in told else ""
    backup += f", and a later log: {told[LATER_LOG]}" if LATER_LOG in told else ""
    return install_step(
        step=record.step,
        action=_ACTIONS.get(record.step, "update"),
        success=record.state != "failed",
        release=told["to"] or told["from"],
        detail=f"{_WORDS[record.state]}{why}; from {ends[0]} to {ends[1]}{backup}{log}",
        actor=f"uid {told['uid']}",
        inputs_digest=record.digest or None,
        at=datetime.fromisoformat(record.at),
    )
