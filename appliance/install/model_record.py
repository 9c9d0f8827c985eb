"""How an operator's decision about a model stands in the install journal, and from there in the audit log."""

from __future__ import annotations

import os
import pwd
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.audit import events
from appliance.install.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from appliance.audit.events_models import Action
    from appliance.install.journal import Record, State
    from appliance.models.shelf import Held
    from appliance.site.paths import SitePaths

ACTIONS: Mapping[str, Action] = {
    "model-import": "import",
    "model-promote": "promote",
    "model-rollback": "rollback",
}
STEPS: Mapping[Action, str] = {action: step for step, action in ACTIONS.items()}
INTERRUPTED = "Interrupted"
UNKNOWN = "unknown"
_UNSET_LOGIN = 2**32 - 1
_LIST = ", "


def operator() -> str:
    """Who gives the command: the user it runs as, and who signed in for that, as the kernel keeps it (pam_loginuid)."""
    user = _name(os.getuid())
    try:
        login = int(Path("/proc/self/loginuid").read_text())
    except (OSError, ValueError):
        return user
    return user if login in {_UNSET_LOGIN, os.getuid()} else f"{_name(login)} as {user}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def describe(held: Held, by: str, reason: str, former: str = "", waived: Iterable[str] = ()) -> dict[str, str]:
    """What the journal keeps about a decision for ``held``; ``former`` is the digest that served until then."""
    return {
        "name": held.name,
        "weights": held.weights,
        "former": former,
        "bundle": held.bundle.version,
        "signers": _LIST.join(held.bundle.signers),
        "waived": _LIST.join(waived),
        "by": by,
        "reason": reason,
    }


def note(paths: SitePaths, action: Action, state: State, digest: str, detail: Mapping[str, str]) -> None:
    """Journal one line about ``action`` on the artifact ``digest``."""
    with closing(Journal.open(paths.journal)) as journal:
        journal.append(STEPS[action], state, digest, detail)


def model_event(record: Record) -> dict[str, Any]:
    """The audit log's entry for the journal's ``record``."""
    detail = record.detail
    return events.model_change(
        action=ACTIONS[record.step],
        model_name=detail.get("name") or UNKNOWN,
        model_digest=detail.get("weights") or UNKNOWN,
        actor=detail.get("by") or UNKNOWN,
        reason=detail.get("reason"),
        former_digest=detail.get("former"),
        artifact_digest=record.digest,
        bundle=detail.get("bundle"),
        signers=_split(detail.get("signers")),
        waived=_split(detail.get("waived")),
        success=record.state == "done",
        detail=detail.get("error"),
        at=datetime.fromisoformat(record.at),
    )


def _split(text: str | None) -> list[str]:
    return text.split(_LIST) if text else []
