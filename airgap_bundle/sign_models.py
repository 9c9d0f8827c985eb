"""Signing a bundle of models: the persons whom the root grants it sign ``metadata/models.json``, in any order.

As in ``sign``, a signature says: this index and this release file, which I have checked against the blobs; so every
blob is read first. There is no seal: with one metadata file there is nothing to exchange for something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle import ceremony, metadata, oci
from airgap_bundle.blobs import blob_path, hash_blob, take_all
from airgap_bundle.digest import sha256
from airgap_bundle.errors import SigningError
from airgap_bundle.medium import Medium
from airgap_bundle.metadata import INDEX_FILE, MODELS, RELEASE_FILE, SNAPSHOT, TARGETS, TIMESTAMP
from airgap_bundle.model_bundle import KIND
from airgap_bundle.root_policy import charge, tally
from airgap_bundle.sign import Signed, put_all, roots_for
from airgap_bundle.signing.release_draft import check_payload, names_in, read_draft

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from tuf.api.metadata import Metadata, Targets

    from airgap_bundle.blobs import Progress
    from airgap_bundle.descriptor import Descriptor
    from airgap_bundle.keys import PublicSigner, Signer
    from airgap_bundle.signing.release_draft import ReleaseDraft

_FILE = f"metadata/{MODELS}.json"


@dataclass(frozen=True)
class _Begun:
    """The bundle as it lies there: what it holds, and ``models.json`` where somebody has signed it."""

    draft: ReleaseDraft
    models: bytes | None


def sign_models(
    bundle: Path,
    signer: Signer,
    *,
    now: datetime,
    roots: Mapping[int, bytes] | None = None,
    progress: Progress | None = None,
) -> Signed:
    """Add ``signer``'s signatures to the bundle of models in the directory ``bundle``.

    ``roots`` (by version) are needed by the first signature. Raises ``SigningError`` when it is not theirs to sign, or
    the bundle holds more than models, ``NotGrantedError`` for a root that grants nobody models, and a
    ``VerificationError`` when the bundle is not what its index says; the bundle is unchanged then.
    """
    begun = _open(bundle, roots or {}, progress)
    draft = begun.draft
    _check_person(draft, signer.public)
    signed = ceremony.add_signatures(_payload(begun, now), signer)
    paths = {bundle / f"metadata/{version}.root.json": data for version, data in draft.roots.items()}
    new = {path: data for path, data in paths.items() if not path.exists()}
    put_all({**new, bundle / _FILE: signed.to_bytes()}, bundle)
    counted, info = tally(draft.root, MODELS, signed), draft.contents.release.info
    name = f"{info.name} {info.version} (number {info.number})"
    complete = len(counted.signed) >= counted.threshold
    return Signed(signer.name, name, str(sha256(draft.index)), str(counted), complete)


def _open(bundle: Path, roots: Mapping[int, bytes], progress: Progress | None) -> _Begun:
    with Medium(bundle) as medium:
        files = medium.list().files
        if any(f"metadata/{role}.json" in files for role in (TARGETS, SNAPSHOT, TIMESTAMP)):
            raise SigningError("this bundle is signed as a release", "sign it without --models, or build it again")

        def fetch(descriptor: Descriptor) -> bytes:
            return medium.read(blob_path(descriptor.digest), oci.MAX_DOCUMENT_BYTES)

        index, release = (medium.read(name, oci.MAX_DOCUMENT_BYTES) for name in (INDEX_FILE, RELEASE_FILE))
        draft = read_draft(roots_for(medium, files, roots), index, release, fetch, targets=None)
        _check_scope(draft)
        take_all(medium, draft.contents.blobs, hash_blob, progress)
        return _Begun(draft, medium.read(_FILE, metadata.MAX_METADATA_BYTES) if _FILE in files else None)


def _check_scope(draft: ReleaseDraft) -> None:
    for name, (kind, _, _) in sorted(draft.contents.release.artifacts.items()):
        if kind != KIND:
            raise SigningError(f"{name} is a {kind}, and a bundle of models holds models", "that comes with a release")


def _check_person(draft: ReleaseDraft, signer: PublicSigner) -> None:
    charge(draft.root, MODELS)
    if signer.name not in names_in(draft.root, MODELS, signer):
        raise SigningError(
            f"the root does not let {signer.name} bring models", "the root names who may: `sovereign trust show`"
        )


def _payload(begun: _Begun, now: datetime) -> Metadata[Targets]:
    """What everybody signs, with the signatures that it has, all of them valid."""
    draft = begun.draft
    under = (draft.root.version, draft.roots[draft.root.version])
    expected = ceremony.build_models(draft.index, draft.release_data, draft.contents.release, under, now=now)
    if begun.models is None:
        return expected
    found = metadata.parse_models(begun.models)
    if metadata.signed_under(found.signed) != metadata.signed_under(expected.signed):
        raise SigningError(
            f"models.json counts under root {metadata.signed_under(found.signed)[0]} alone, "
            f"and root {draft.root.version} is here",
            f"remove {_FILE} and sign again",
        )
    check_payload(found.signed, expected.signed, now)
    tally(draft.root, MODELS, found)
    return found
