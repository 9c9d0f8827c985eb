"""What a signature would say, in words: every line is derived from the bytes that are signed, on the signer's machine.

Names and versions come from files that somebody else made. They are shown with everything that a terminal would act
upon, or a person could misread, spelled out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.digest import sha256
from airgap_bundle.metadata import TARGETS, format_time
from airgap_bundle.names import printable
from airgap_bundle.root_policy import tally
from airgap_bundle.trust_state import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airgap_bundle.oci import Manifest
    from airgap_bundle.signing.described import Described
    from airgap_bundle.signing.models_draft import ModelsDraft
    from airgap_bundle.signing.release_draft import ReleaseDraft
    from airgap_bundle.signing.root_draft import RootDraft
    from airgap_bundle.signing.root_plan import RootPlan


def describe_release(draft: ReleaseDraft, now: datetime) -> tuple[str, ...]:
    """What a person, or the release key, says by signing ``draft`` where no blob is. Raises as ``draft.begun``."""
    targets, info, contact = draft.begun(now), draft.contents.release.info, draft.contact_text
    return (
        f"release {printable(info.name)} {printable(info.version)}, number {info.number}",
        f"sites may go back to number {info.min_release}",
        *_content(draft),
        f"targets, the bytes that persons sign: {sha256(targets.signed_bytes)}",
        *([] if contact is None else [f"FIRST-CONTACT, which they sign for new sites: {sha256(contact)}"]),
        f"signed so far by {tally(draft.root, TARGETS, targets)}",
        *_surroundings(draft),
    )


def describe_models(draft: ModelsDraft, now: datetime) -> tuple[str, ...]:
    """What a person says by signing ``draft`` where no blob is. Raises as ``draft.begun``."""
    models, info = draft.begun(now), draft.contents.release.info
    return (
        f"bundle of models {printable(info.name)} {printable(info.version)}, number {info.number}, for running sites",
        f"bundles of models below number {info.min_release} may not be chosen any more",
        *_content(draft),
        f"models, the bytes that persons sign: {sha256(models.signed_bytes)}",
        f"signed so far by {draft.counted(now)}",
        "it counts under the root named here, and under no later one",
        *_surroundings(draft),
    )


def describe_root(draft: RootDraft) -> tuple[str, ...]:
    """What a person says by signing ``draft``: the whole root, and what it changes."""
    root, plan = draft.metadata.signed, draft.plan
    before = [
        f"it follows root {version}, fingerprint {fingerprint(data)}: compare it with the one that you know"
        for version, data in draft.history.items()
        if version == max(draft.history)
    ]
    return (
        f"root {root.version}, good until {format_time(root.expires)}",
        *describe_plan(plan),
        *before,
        *(f"change: {line}" for line in draft.changes()),
        f"the bytes that persons sign: {sha256(draft.metadata.signed_bytes)}",
        f"signed so far by {draft.progress()}",
    )


def describe_plan(plan: RootPlan) -> Iterator[str]:
    """Who may sign what, with the digest of each public key file."""
    for role, circle in plan.circles.items():
        yield f"{role}: {circle.threshold} of {len(circle.members)}: {', '.join(circle.members)}"
    yield f"release key: {plan.release.name}"
    for name, signer in plan.everybody().items():
        yield f"  {name}.pub {signer.fingerprint}"


def _content(draft: Described) -> Iterator[str]:
    yield f"support until {format_time(draft.contents.release.support_until)}"
    for manifest in draft.contents.artifacts:
        yield from _artifact(manifest, draft)
    yield f"index.json {sha256(draft.index)}"
    yield f"release.json {sha256(draft.release_data)}"


def _surroundings(draft: Described) -> Iterator[str]:
    last = max(draft.roots)
    yield f"under root {last}, fingerprint {fingerprint(draft.roots[last])}: compare it with the one that you know"
    yield _unseen(draft)


def _artifact(manifest: Manifest, draft: Described) -> Iterator[str]:
    kind, version, digest = draft.contents.release.artifacts[manifest.name]
    size = sum(layer.size for layer in manifest.layers)
    yield f"{kind} {printable(manifest.name)} {printable(version)}: {len(manifest.layers)} files, {size:,} bytes"
    yield f"  {digest}"


def _unseen(draft: Described) -> str:
    unseen = draft.contents.blobs.keys() - draft.documents.keys()
    size = sum(draft.contents.blobs[digest] for digest in unseen)
    return (
        f"NOT SEEN here: the {len(unseen)} files themselves ({size:,} bytes); this machine knows their digests only. "
        "Whoever built the release, or somebody who signs beside the bundle, has read them"
    )
