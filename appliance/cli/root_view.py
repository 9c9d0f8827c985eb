"""How a root is shown: who signs what, where its ceremony stands, and a fingerprint once it is final."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airgap_bundle.metadata import MODELS, ROOT, format_time, parse_root, role_in
from airgap_bundle.root_policy import check_root, persons, tally
from airgap_bundle.signing.root_draft import RootDraft, RootProgress
from airgap_bundle.trust_state import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console


def root_summary(data: bytes, history: Mapping[int, bytes]) -> dict[str, Any]:
    """The root in ``data`` as plain values; ``history`` are the roots before it, as far as they are at hand.

    ``fingerprint`` is None until the root is complete: a further signature changes it. Without the predecessor, what
    it says about the draft is not established, and ``signatures.old`` is None. Raises a ``BundleError`` for bytes that
    are no sound root.
    """
    root = parse_root(data).signed
    check_root(root)
    progress = _progress(data, {version: other for version, other in history.items() if version < root.version})
    established = root.version == 1 or progress.old is not None
    roles = {
        role: {"threshold": entry.threshold // 2, "persons": sorted(persons(root, role))}
        for role in sorted({*root.roles, MODELS})
        if (entry := role_in(root, role)) is not None
    }
    return {
        "fingerprint": str(fingerprint(data)) if progress.complete else None,
        "version": root.version,
        "expires": format_time(root.expires),
        "complete": progress.complete if established or not progress.complete else None,
        "signatures": str(progress) if established else f"{progress}; {root.version - 1}.root.json is not beside it",
        "signed_by": sorted({name for found in (progress.old, progress.new) if found for name in found.signed}),
        "waiting_for": list(progress.waiting),
        "roles": roles,
    }


def _progress(data: bytes, history: Mapping[int, bytes]) -> RootProgress:
    metadata = parse_root(data)
    root = metadata.signed
    if root.version == 1 or root.version - 1 in history:
        return RootDraft(history, data).progress()
    return RootProgress(None, tally(root, ROOT, metadata, others=frozenset(metadata.signatures)))


def render_root(console: Console, summary: dict[str, Any]) -> None:
    """Draw ``root_summary``."""
    console.print(f"root {summary['version']}, expires {summary['expires']}", markup=False)
    if summary["fingerprint"] is None:
        console.print("a draft: it has no fingerprint until enough persons signed", markup=False)
    else:
        console.print(f"fingerprint {summary['fingerprint']}", markup=False, soft_wrap=True)
    console.print(f"signed by {summary['signatures']}", markup=False, soft_wrap=True)
    for role, entry in summary["roles"].items():
        names = ", ".join(entry["persons"])
        console.print(f"  {role:<10} {entry['threshold']} of {len(entry['persons'])}: {names}", markup=False)
    if "site" in summary:
        site = summary["site"]
        console.print(f"release floor {site['release_floor']}; may roll back to {site['min_release']}", markup=False)
