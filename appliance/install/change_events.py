"""One entry of the log for each file of the operator's that a step changed, and one for the root that the site trusts.

Which policy, waiver or key came, changed or went is then found by its name and its digest, without a reader who takes
a step's entry apart. Pure, but for the reading of the trust state.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from airgap_bundle.errors import BundleError
from airgap_bundle.metadata import parse_root
from airgap_bundle.trust_state import TrustState, fingerprint
from appliance.audit.events import admin_change
from appliance.install.file_changes import digests_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.install.journal import Record

_KINDS = {"officers": "key", "auditors": "key", "waivers": "waiver", "statements": "statement"}
"""Of what is in these folders; everything else is ``policy``."""
OPERATOR = "operator"


def file_events(record: Record) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each file that the step of ``record`` changed, or was to change when it failed, by its name, with its entry."""
    for name, (before, after) in digests_of(record.detail).items():
        yield (
            name,
            admin_change(
                actor=OPERATOR,
                action=_action(before, after),
                kind=_KINDS.get(name.partition("/")[0], "policy"),
                target=name,
                success=record.state == "done",
                detail=f"by the step {record.step}",
                before_digest=_named(before),
                after_digest=_named(after),
                at=datetime.fromisoformat(record.at),
            ),
        )


def trusted_root(trust: Path) -> tuple[str, int] | None:
    """Fingerprint and version of the root that the site trusts; None where it trusts none, or nobody can tell."""
    try:
        state = TrustState.find(trust)
        return (str(fingerprint(state.root)), parse_root(state.root).signed.version) if state and state.root else None
    except (BundleError, OSError):
        return None


def root_event(before: str | None, root: str, version: int) -> dict[str, Any]:
    """That the site trusts ``root`` from now on, and ``before`` no longer, as the log knows it."""
    return admin_change(
        actor=OPERATOR,
        action="create" if before is None else "update",
        kind="key",
        target="trust root",
        detail=f"root {version}, which signed bundles brought",
        before_digest=before,
        after_digest=root,
    )


def _action(before: str | None, after: str | None) -> Literal["create", "update", "delete"]:
    if after is None:
        return "delete"
    return "create" if before is None else "update"


def _named(digest: str | None) -> str | None:
    return None if digest is None else f"sha256:{digest}"
