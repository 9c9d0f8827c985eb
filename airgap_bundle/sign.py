"""The signing ceremony of a bundle: persons first, the release key last, on one machine or on many.

A person's signature says: this index and this release file, which I have checked against the blobs. So signing reads
every blob first. A person signs FIRST-CONTACT at the same moment, with the same Ed25519 key. The state of the ceremony
is the bundle itself:

1. ``index.json`` and ``release.json`` are fixed (``bundle build``);
2. the first person's signature makes ``metadata/targets.json`` and FIRST-CONTACT, and puts the roots beside them;
3. further persons add theirs, until the threshold; ``verify`` says "1 of 2, waiting for …" meanwhile;
4. the release key seals: snapshot binds the targets file with its signatures, timestamp binds the snapshot.

A sealed bundle takes no further signature: adding one would break the seal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from airgap_bundle import ceremony, durable, metadata, oci
from airgap_bundle.blobs import blob_path, hash_blob, take_all
from airgap_bundle.chain import follow, read_roots
from airgap_bundle.digest import sha256
from airgap_bundle.errors import RootPolicyError, SigningError
from airgap_bundle.first_contact import ceremony as first_contact
from airgap_bundle.first_contact.record import Release
from airgap_bundle.keys import SIGNER_FIELD
from airgap_bundle.medium import Medium
from airgap_bundle.metadata import INDEX_FILE, RELEASE_FILE, SNAPSHOT, TARGETS, TIMESTAMP
from airgap_bundle.root_policy import check_root, tally

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from tuf.api.metadata import Metadata, Root, Targets

    from airgap_bundle.blobs import Progress
    from airgap_bundle.descriptor import Descriptor
    from airgap_bundle.keys import Signer
    from airgap_bundle.root_policy import Tally

CLOCK_TOLERANCE = timedelta(days=1)
_AGAIN = "remove metadata/, FIRST-CONTACT and FIRST-CONTACT.sig/ and sign again"


@dataclass(frozen=True)
class Signed:
    """What was signed, and where the ceremony stands after it."""

    signer: str
    release: str
    index: str
    targets: str
    sealed: bool


@dataclass(frozen=True)
class _Draft:
    """A bundle that was read for signing: its contents agree and every blob is what the index says."""

    bundle: Path
    root: Root
    index: bytes
    release_data: bytes
    contents: oci.Contents
    targets: bytes | None
    contact: first_contact.Contact | None
    sealed: bool

    def signed(self, signer: Signer, targets: Tally, *, sealed: bool) -> Signed:
        """What to tell the signer."""
        info = self.contents.release.info
        name = f"{info.name} {info.version} (number {info.number})"
        return Signed(signer.name, name, str(sha256(self.index)), str(targets), sealed)


def sign_bundle(
    bundle: Path,
    signer: Signer,
    *,
    now: datetime,
    roots: Mapping[int, bytes] | None = None,
    progress: Progress | None = None,
) -> Signed:
    """Add ``signer``'s signatures to the bundle directory ``bundle``.

    ``roots`` (by version, ascending) are needed by the first signature only. Raises ``SigningError`` when it is not
    this signer's turn, and a ``VerificationError`` when the bundle is not what its index says or carries signatures
    that are not valid; the bundle is unchanged then.
    """
    draft = _read(bundle, roots, progress)
    if signer.name in _names(draft.root, TARGETS, signer):
        return _add_person(draft, signer, now, roots or {})
    if signer.name in _names(draft.root, SNAPSHOT, signer):
        return _seal(draft, signer, now)
    raise SigningError(
        f"the root does not know the keys of {signer.name}", "the root names who signs: `sovereign trust show`"
    )


def _read(bundle: Path, roots: Mapping[int, bytes] | None, progress: Progress | None) -> _Draft:
    with Medium(bundle) as medium:
        files = medium.list().files
        if any(path.endswith(".root.json") for path in files):
            carried = read_roots(medium, files)
            if roots and any(carried.get(version, data) != data for version, data in roots.items()):
                raise SigningError("the bundle carries another root than the one given", "ask who put it there")
        elif roots:
            carried = dict(roots)
        else:
            raise SigningError("the first signature brings the root", "give it: --root 1.root.json")
        chain = follow(carried, min(carried))

        def fetch(descriptor: Descriptor) -> bytes:
            return medium.read(blob_path(descriptor.digest), oci.MAX_DOCUMENT_BYTES)

        index, release = (medium.read(name, oci.MAX_DOCUMENT_BYTES) for name in (INDEX_FILE, RELEASE_FILE))
        contents = oci.read_contents(index, release, fetch)
        take_all(medium, contents.blobs, hash_blob, progress)
        path = f"metadata/{TARGETS}.json"
        targets = medium.read(path, metadata.MAX_METADATA_BYTES) if path in files else None
        contact = first_contact.read(medium, files, Release(index, release, contents), chain, begun=targets is not None)
        sealed = f"metadata/{TIMESTAMP}.json" in files
        return _Draft(bundle, chain.root, index, release, contents, targets, contact, sealed)


def _names(root: Root, role: str, signer: Signer) -> set[str]:
    """Names under which ``role`` knows both keys of ``signer``."""
    held = {key.keyid for key in signer.public.keys}
    if not held <= set(root.roles[role].keyids):
        return set()
    return {str(root.keys[keyid].unrecognized_fields.get(SIGNER_FIELD)) for keyid in held}


def _add_person(draft: _Draft, signer: Signer, now: datetime, roots: Mapping[int, bytes]) -> Signed:
    if draft.sealed:
        raise SigningError("the bundle is sealed by the release key", "enough persons have signed; nothing is missing")
    expected = ceremony.build_targets(draft.index, draft.release_data, draft.contents.release, now=now)
    found = expected if draft.targets is None else metadata.parse_targets(draft.targets)
    _check_payload(found.signed, expected.signed, now)
    tally(draft.root, TARGETS, found)
    ceremony.add_signatures(found, signer)
    files = {f"metadata/{version}.root.json": data for version, data in roots.items()}
    files[f"metadata/{TARGETS}.json"] = found.to_bytes()
    if draft.contact is not None:
        draft.contact.check(draft.root)
        files |= draft.contact.signed(signer)
    _write(draft.bundle, files)
    return draft.signed(signer, tally(draft.root, TARGETS, found), sealed=False)


def _check_payload(found: Targets, expected: Targets, now: datetime) -> None:
    """Whoever signs next answers for every field of what lies there, and nobody may have signed it yet.

    Only the instant of the first signature is not ours to say; it cannot lie ahead of our clock, but for clocks that
    differ: sites take it for a lower bound of theirs.
    """
    if found.targets != expected.targets or found.version != expected.version:
        raise SigningError("targets.json is about another build of this bundle", _AGAIN)
    if found.expires != expected.expires or set(found.unrecognized_fields) != set(expected.unrecognized_fields):
        raise SigningError("targets.json promises something else than this release's support", _AGAIN)
    if metadata.issued(found) > now + CLOCK_TOLERANCE:
        raise SigningError(f"targets.json says it was made at {metadata.issued(found)}, which lies ahead", _AGAIN)


def _seal(draft: _Draft, signer: Signer, now: datetime) -> Signed:
    if draft.sealed:
        raise SigningError("the bundle is sealed already", "`sovereign bundle verify` checks it")
    if draft.targets is None:
        raise SigningError("no person has signed yet", "the release key seals, last, what persons have signed")
    counted = _counted(draft.root, metadata.parse_targets(draft.targets))
    if draft.contact is not None:
        draft.contact.check(draft.root)
        draft.contact.require(counted.signed)
    snapshot = ceremony.build_snapshot(draft.targets, draft.contents.release, now=now)
    snapshot_data = ceremony.add_signatures(snapshot, signer).to_bytes()
    timestamp = ceremony.build_timestamp(snapshot_data, draft.contents.release, now=now)
    timestamp_data = ceremony.add_signatures(timestamp, signer).to_bytes()
    _write(draft.bundle, {f"metadata/{SNAPSHOT}.json": snapshot_data, f"metadata/{TIMESTAMP}.json": timestamp_data})
    return draft.signed(signer, counted, sealed=True)


def _counted(root: Root, targets: Metadata[Any]) -> Tally:
    found = tally(root, TARGETS, targets)
    if len(found.signed) < found.threshold:
        raise SigningError(f"targets are signed by {found}", "the release key seals once enough persons have signed")
    return found


def _write(bundle: Path, files: Mapping[str, bytes]) -> None:
    for folder in {(bundle / path).parent for path in files}:
        folder.mkdir(mode=0o755, exist_ok=True)
    durable.replace_all({bundle / path: data for path, data in files.items()})


def sign_root(root: Metadata[Root], signers: list[Signer]) -> bytes:
    """The root file: ``root`` signed by every one of ``signers``. Raises ``RootPolicyError`` for an unsound root."""
    check_root(root.signed)
    for signer in signers:
        ceremony.add_signatures(root, signer)
    if not root.signatures:
        raise RootPolicyError("a root without signatures binds nobody")
    return root.to_bytes()
