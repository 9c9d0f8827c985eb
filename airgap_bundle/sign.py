"""The signing ceremony of a bundle: persons first, the release key last, on one machine or on many.

A person's signature says: this index and this release file, which I have checked against the blobs. So signing reads
every blob first. A person signs FIRST-CONTACT at the same moment, with the same Ed25519 key. The state of the ceremony
is the bundle itself:

1. ``index.json`` and ``release.json`` are fixed (``bundle build``);
2. the first person's signature makes ``metadata/targets.json`` and FIRST-CONTACT, and puts the roots beside them;
3. further persons add theirs, until the threshold; ``verify`` says "1 of 2, waiting for …" meanwhile;
4. the release key seals: snapshot binds the targets file with its signatures, timestamp binds the snapshot.

A sealed bundle takes no further signature: adding one would break the seal. Persons who cannot be brought to the
bundle sign a request instead (``signing.request``), which carries everything but the blobs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airgap_bundle import ceremony, durable, metadata, oci
from airgap_bundle.blobs import blob_path, hash_blob, take_all
from airgap_bundle.chain import read_roots
from airgap_bundle.digest import sha256
from airgap_bundle.errors import RootPolicyError, SigningError, StoreError
from airgap_bundle.first_contact import ceremony as first_contact
from airgap_bundle.first_contact import record, signatures
from airgap_bundle.medium import Medium
from airgap_bundle.metadata import INDEX_FILE, MODELS, RELEASE_FILE, SNAPSHOT, TARGETS, TIMESTAMP
from airgap_bundle.root_policy import check_root
from airgap_bundle.signing.release_draft import ReleaseDraft, read_draft, sign_draft
from airgap_bundle.signing.request import dump_request
from airgap_bundle.signing.response import collect_release

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from tuf.api.metadata import Metadata, Root

    from airgap_bundle.blobs import Progress
    from airgap_bundle.descriptor import Descriptor
    from airgap_bundle.keys import Signer


@dataclass(frozen=True)
class Signed:
    """What was signed, and where the ceremony stands after it."""

    signer: str
    release: str
    index: str
    targets: str
    sealed: bool

    @classmethod
    def of(cls, draft: ReleaseDraft, signer: str) -> Signed:
        """What to tell about ``draft``, last touched by ``signer``."""
        info = draft.contents.release.info
        name = f"{info.name} {info.version} (number {info.number})"
        return cls(signer, name, str(sha256(draft.index)), str(draft.counted()), draft.sealed)


def sign_bundle(
    bundle: Path,
    signer: Signer,
    *,
    now: datetime,
    roots: Mapping[int, bytes] | None = None,
    progress: Progress | None = None,
) -> Signed:
    """Add ``signer``'s signatures to the bundle directory ``bundle``.

    ``roots`` (by version) are needed by the first signature, and later to bring a successor of the root that the
    bundle carries; once FIRST-CONTACT names that root, a successor begins the ceremony anew. Raises ``SigningError``
    when it is not this signer's turn, and a ``VerificationError`` when the bundle is not what its index says or carries
    signatures that are not valid; the bundle is unchanged then.
    """
    draft = _open_bundle(bundle, roots, progress)
    files = sign_draft(draft, signer, now)
    contact = files.pop(signatures.ROLE, None)
    _write(bundle, draft, files, {} if contact is None else {signer.name: contact})
    seal = {} if TARGETS in files else files
    after = replace(draft, targets=files.get(TARGETS, draft.targets), seal=seal)
    return Signed.of(after, signer.name)


def prepare_request(
    bundle: Path, roots: Mapping[int, bytes] | None, *, now: datetime, progress: Progress | None = None
) -> tuple[ReleaseDraft, bytes]:
    """What ``bundle`` needs signed, and the request file for it.

    Fixes the targets in the bundle, unsigned, so that every request asks for the same bytes. Raises as ``sign_bundle``
    and ``dump_request``; the bundle is unchanged then.
    """
    draft = _open_bundle(bundle, roots, progress)
    if draft.sealed:
        raise SigningError("the bundle is sealed already", "`sovereign bundle verify` checks it")
    prepared = replace(draft, targets=draft.begun(now).to_bytes() if draft.targets is None else draft.targets)
    prepared.begun(now)
    data = dump_request(prepared)
    _write(bundle, draft, {} if draft.targets else {TARGETS: prepared.targets or b""}, {})
    return prepared, data


def collect_bundle(
    bundle: Path, responses: Sequence[bytes], *, now: datetime, progress: Progress | None = None
) -> Signed:
    """Add to ``bundle`` the signatures of every response in ``responses``, or of none.

    Raises as ``response.collect_release``; the bundle is unchanged then.
    """
    draft = _open_bundle(bundle, None, progress)
    after = collect_release(draft, responses, now)
    if after != draft:
        _write(bundle, draft, {TARGETS: after.targets or b"", **after.seal}, after.contact)
    return Signed.of(after, "")


def _open_bundle(bundle: Path, roots: Mapping[int, bytes] | None, progress: Progress | None) -> ReleaseDraft:
    """The draft that the bundle directory ``bundle`` holds, every blob hashed. Raises as ``sign_bundle``."""
    with Medium(bundle) as medium:
        files = medium.list().files
        if f"metadata/{MODELS}.json" in files:
            raise SigningError("this bundle is signed as one of models", "say so with --models")
        known = roots_for(medium, files, roots or {})

        def fetch(descriptor: Descriptor) -> bytes:
            return medium.read(blob_path(descriptor.digest), oci.MAX_DOCUMENT_BYTES)

        index, release = (medium.read(name, oci.MAX_DOCUMENT_BYTES) for name in (INDEX_FILE, RELEASE_FILE))
        made = {
            role: medium.read(path, metadata.MAX_METADATA_BYTES)
            for role in (TARGETS, SNAPSHOT, TIMESTAMP)
            if (path := f"metadata/{role}.json") in files
        }
        targets = made.pop(TARGETS, None)
        draft = read_draft(known, index, release, fetch, targets=targets, seal=made if TIMESTAMP in made else {})
        take_all(medium, draft.contents.blobs, hash_blob, progress)
        first_contact.check_program(medium, draft.contents)
        found = medium.read(record.FILE, record.MAX_BYTES) if record.FILE in files else None
        return replace(draft, contact=signatures.read(medium, draft.root, files), contact_found=found)


def roots_for(medium: Medium, files: Mapping[str, int], given: Mapping[int, bytes]) -> dict[int, bytes]:
    """The roots on ``medium`` and those ``given``. Raises ``SigningError`` without any, or where they differ."""
    carried = read_roots(medium, files) if any(path.endswith(".root.json") for path in files) else {}
    if not carried and not given:
        raise SigningError("the first signature brings the root", "give it: --root 1.root.json")
    if any(carried.get(version, data) != data for version, data in given.items()):
        raise SigningError("the bundle carries another root than the one given", "ask who put it there")
    return {**carried, **given}


def _write(bundle: Path, draft: ReleaseDraft, files: Mapping[str, bytes], contact: Mapping[str, bytes]) -> None:
    """Put the metadata ``files`` (by role) into ``bundle``, what is new of roots and first contact beside them.

    ``contact``: signatures on FIRST-CONTACT by name. The order is that of the ceremony: roots, targets, first contact,
    seal, so that what a power cut leaves is an earlier state of it.
    """
    named = {f"metadata/{version}.root.json": data for version, data in draft.roots.items()}
    paths = {path: data for path, data in named.items() if not (bundle / path).exists()}
    written = {f"metadata/{role}.json": data for role, data in files.items()}
    paths |= {path: data for path, data in written.items() if path == f"metadata/{TARGETS}.json"}
    if (text := draft.contact_text) is not None:
        paths[record.FILE] = text
    paths |= {signatures.path(name): data for name, data in contact.items()} | written
    put_all({bundle / path: data for path, data in paths.items()}, bundle)


def put_all(files: Mapping[Path, bytes], bundle: Path) -> None:
    """Write ``files``; folders that were made for them go again when that fails."""
    made: list[Path] = []
    try:
        for folder in sorted({path.parent for path in files}):
            if not folder.exists():
                folder.mkdir(mode=0o755)
                made.append(folder)
        durable.replace_all(files)
    except (OSError, StoreError) as error:
        for folder in made:
            with suppress(OSError):  # it holds what was written before the failure
                folder.rmdir()
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{bundle} cannot be written: {error.strerror}", "check free space and rights") from error


def sign_root(root: Metadata[Root], signers: list[Signer]) -> bytes:
    """The root file: ``root`` signed by every one of ``signers``. Raises ``RootPolicyError`` for an unsound root."""
    check_root(root.signed)
    for signer in signers:
        ceremony.add_signatures(root, signer)
    if not root.signatures:
        raise RootPolicyError("a root without signatures binds nobody")
    return root.to_bytes()
