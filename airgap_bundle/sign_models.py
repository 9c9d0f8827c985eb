"""Signing a bundle of models: the persons whom the root grants it sign ``metadata/models.json``, in any order.

As in ``sign``, a signature says: this index and this release file, which I have checked against the blobs; so every
blob is read first. Whoever cannot come to the bundle signs a request. There is no seal: with one metadata file there is
nothing to exchange for something else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airgap_bundle import metadata, oci
from airgap_bundle.blobs import blob_path, hash_blob, take_all
from airgap_bundle.digest import sha256
from airgap_bundle.errors import SigningError
from airgap_bundle.medium import Medium
from airgap_bundle.metadata import INDEX_FILE, RELEASE_FILE, SNAPSHOT, TARGETS, TIMESTAMP
from airgap_bundle.sign import Signed, put_all, roots_for
from airgap_bundle.signing.models_draft import MODELS_FILE, ModelsDraft, read_models_draft
from airgap_bundle.signing.request import dump_request
from airgap_bundle.signing.response import collect_models

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.blobs import Progress
    from airgap_bundle.descriptor import Descriptor
    from airgap_bundle.keys import Signer


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
    draft = _open(bundle, roots, progress)
    after = replace(draft, models=draft.signed_by(signer, now))
    _write(bundle, after)
    return _standing(after, signer.name, now)


def prepare_models_request(
    bundle: Path, roots: Mapping[int, bytes] | None, *, now: datetime, progress: Progress | None = None
) -> tuple[ModelsDraft, bytes]:
    """What ``bundle`` needs signed, and the request file for it.

    Fixes ``models.json`` in the bundle, unsigned, so that every request asks for the same bytes. Raises as
    ``sign_models`` and ``dump_request``; the bundle is unchanged then.
    """
    draft = _open(bundle, roots, progress)
    begun = draft.begun(now)
    prepared = replace(draft, models=draft.models or begun.to_bytes())
    data = dump_request(prepared)
    _write(bundle, prepared)
    return prepared, data


def collect_into_models(
    bundle: Path, responses: Sequence[bytes], *, now: datetime, progress: Progress | None = None
) -> Signed:
    """Add to the bundle of models in ``bundle`` the signatures of every response in ``responses``, or of none.

    Raises as ``response.collect_models``; the bundle is unchanged then.
    """
    draft = _open(bundle, None, progress)
    after = collect_models(draft, responses, now)
    if after != draft:
        _write(bundle, after)
    return _standing(after, "", now)


def _open(bundle: Path, roots: Mapping[int, bytes] | None, progress: Progress | None) -> ModelsDraft:
    with Medium(bundle) as medium:
        files = medium.list().files
        if any(f"metadata/{role}.json" in files for role in (TARGETS, SNAPSHOT, TIMESTAMP)):
            raise SigningError("this bundle is signed as a release", "leave --models away, or build it again")

        def fetch(descriptor: Descriptor) -> bytes:
            return medium.read(blob_path(descriptor.digest), oci.MAX_DOCUMENT_BYTES)

        index, release = (medium.read(name, oci.MAX_DOCUMENT_BYTES) for name in (INDEX_FILE, RELEASE_FILE))
        models = medium.read(MODELS_FILE, metadata.MAX_METADATA_BYTES) if MODELS_FILE in files else None
        draft = read_models_draft(roots_for(medium, files, roots or {}), index, release, fetch, models=models)
        take_all(medium, draft.contents.blobs, hash_blob, progress)
        return draft


def _write(bundle: Path, draft: ModelsDraft) -> None:
    """Put ``models.json`` into ``bundle``, and the roots that are not there yet."""
    paths = {bundle / f"metadata/{version}.root.json": data for version, data in draft.roots.items()}
    new = {path: data for path, data in paths.items() if not path.exists()}
    assert draft.models is not None
    put_all({**new, bundle / MODELS_FILE: draft.models}, bundle)


def _standing(draft: ModelsDraft, signer: str, now: datetime) -> Signed:
    counted, info = draft.counted(now), draft.contents.release.info
    name = f"{info.name} {info.version} (number {info.number})"
    complete = len(counted.signed) >= counted.threshold
    return Signed(signer, name, str(sha256(draft.index)), str(counted), complete)
