"""Making TUF metadata: roots, and the metadata of one release. Pure: values in, unsigned metadata out.

Whoever signs first fixes the payload; everybody after signs the same bytes. So nothing here depends on who asks:
targets follow from ``index.json``, ``release.json`` and the instant of the first signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp

from airgap_bundle.errors import SigningError
from airgap_bundle.metadata import INDEX_FILE, MODELS_PREFIX, RELEASE_FILE, ROOT, TARGETS, issue, sign_under
from airgap_bundle.signing.root_plan import Circle, RootPlan, build, by_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tuf.api.metadata import Root

    from airgap_bundle.keys import PublicSigner, Signer
    from airgap_bundle.oci import Release


def build_root(
    signers: Sequence[PublicSigner], release: PublicSigner, threshold: int, *, now: datetime, version: int = 1
) -> Metadata[Root]:
    """An unsigned root: ``threshold`` of ``signers`` for root and targets, ``release`` for snapshot and timestamp.

    Raises ``SigningError`` for a threshold that cannot be met and for names given twice.
    """
    circle = Circle(by_name(signers), threshold)
    return build(RootPlan({ROOT: circle, TARGETS: circle}, release), version, now=now)


def build_targets(index: bytes, release_data: bytes, release: Release, *, now: datetime) -> Metadata[Targets]:
    """Unsigned targets of ``release``: version is its number, expiry the end of its support."""
    return _targets("", index, release_data, release, now)


def build_models(
    index: bytes, release_data: bytes, release: Release, under: tuple[int, bytes], *, now: datetime
) -> Metadata[Targets]:
    """As ``build_targets``, of a bundle of models; it counts ``under`` one root: its version and its file."""
    made = _targets(MODELS_PREFIX, index, release_data, release, now)
    sign_under(made.signed, *under)
    return made


def _targets(prefix: str, index: bytes, release_data: bytes, release: Release, now: datetime) -> Metadata[Targets]:
    _check_support(release, now)
    files = {
        prefix + name: TargetFile.from_data(prefix + name, data, ["sha256"])
        for name, data in ((INDEX_FILE, index), (RELEASE_FILE, release_data))
    }
    return issue(Targets(release.info.number, None, release.support_until, files), now)


def build_snapshot(targets: bytes, release: Release, *, now: datetime) -> Metadata[Snapshot]:
    """Unsigned snapshot that binds the targets file ``targets``, signatures included."""
    number = release.info.number
    meta = {"targets.json": MetaFile.from_data(number, targets, ["sha256"])}
    return issue(Snapshot(number, None, release.support_until, meta), now)


def build_timestamp(snapshot: bytes, release: Release, *, now: datetime) -> Metadata[Timestamp]:
    """Unsigned timestamp that binds the snapshot file ``snapshot``."""
    number = release.info.number
    bound = MetaFile.from_data(number, snapshot, ["sha256"])
    return issue(Timestamp(number, None, release.support_until, bound), now)


def add_signatures(metadata: Metadata[Any], signer: Signer) -> Metadata[Any]:
    """Sign ``metadata`` with both halves of ``signer``, beside what signatures it has."""
    for signature in signer.sign(metadata.signed_bytes):
        metadata.signatures[signature.keyid] = signature
    return metadata


def _check_support(release: Release, now: datetime) -> None:
    if release.support_until <= now:
        raise SigningError(
            f"support of {release.info.version} ends on {release.support_until:%Y-%m-%d}, which has passed",
            "set support_until in release.yaml and build again",
        )
