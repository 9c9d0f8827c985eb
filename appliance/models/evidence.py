"""What travels with a model and speaks for it: its publisher's signature, and statements of origin.

Both are files of the artifact that its signed record names; a site may install further statements, its officers'
approval for one. What is not there, or is by nobody who is named, says nothing, and a check that needed it fails. What
is there, by somebody who is named, and does not hold is refused: nobody can waive a broken signature.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from airgap_bundle.errors import BundleError, HalfSignatureError, SignatureError, UnknownSignerError
from airgap_bundle.provenance.errors import OtherModelError, UnknownPublisherError
from airgap_bundle.provenance.folder import check_listed
from airgap_bundle.provenance.origin import SUFFIX, OriginStatement, verify_origin
from airgap_bundle.provenance.publisher_signature import MAX_BYTES, verify_signature
from airgap_bundle.statement import MAX_STATEMENT_BYTES
from appliance.models.errors import ArtifactError, PublisherSignatureError, StatementError
from appliance.models.files import checked
from appliance.models.origin import Evidence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from airgap_bundle.provenance.manifest import Manifest
    from airgap_bundle.provenance.publisher_signature import PublishedManifest
    from airgap_bundle.store import Artifact
    from appliance.models.policy import ModelPolicy
    from appliance.models.record import ModelRecord

_OFFICERS_SAY = frozenset({"approval"})


def publisher_evidence(artifact: Artifact, record: ModelRecord, policy: ModelPolicy, now: datetime) -> Evidence:
    """The publisher whose signature holds for this artifact and its producer, if there is one.

    Raises ``PublisherSignatureError`` and ``ArtifactError``.
    """
    if record.signature is None:
        return Evidence()
    data = _read(artifact, record.signature.file, MAX_BYTES)
    try:
        found = verify_signature(data, [trusted.publisher() for trusted in policy.publishers], now)
        _check_subject(record, found.manifest)
        _check_files(artifact, record, found.manifest)
    except UnknownPublisherError as error:
        return Evidence(note=error.cause)
    except BundleError as error:
        raise PublisherSignatureError(f"{record.name}: {error.cause}", error.hint) from error
    return _for_producer(found, record, policy)


def _for_producer(found: PublishedManifest, record: ModelRecord, policy: ModelPolicy) -> Evidence:
    trusted = next(p for p in policy.publishers if p.name == found.publisher)
    if record.producer.name not in trusted.producers:
        return Evidence(note=f"signed by {found.publisher}, who does not publish for {record.producer.name!r:.80}")
    return Evidence(publisher=found.publisher, note=f"signed by {found.publisher}")


def _check_subject(record: ModelRecord, manifest: Manifest) -> None:
    """Raise ``OtherModelError`` unless the signature is about this model, as far as it says."""
    assert record.signature is not None
    said = manifest.identity
    wanted = record.signature.subject or record.name
    for what, signed, here in (
        ("name", said.name, wanted),
        ("version", said.version, record.version),
        ("role", said.role, record.role),
    ):
        if signed is not None and signed != here:
            raise OtherModelError(f"the publisher signed the {what} {signed!r:.80}, and the record says {here!r:.80}")


def _check_files(artifact: Artifact, record: ModelRecord, manifest: Manifest) -> None:
    """Every file of the artifact is signed, and every signed file is there.

    Statements of origin may be left out: they carry signatures of their own, and are often made later. A file that is
    something else as well, the template for one, may not: a statement by nobody known says nothing, and would serve.
    """
    assert record.signature is not None
    signed = {path: pieces[0] for path, pieces in manifest.by_path().items()}
    serving = {record.weights.file, *record.licence.files, *([record.template.file] if record.template else [])}
    later = {title for title in record.attestations if title not in signed} - serving
    check_listed(set(artifact.files) - {record.signature.file} - later, set(signed))
    for path, piece in signed.items():
        if manifest.shard_size is not None:
            raise SignatureError(
                "the publisher signed pieces of files, and a release knows whole ones",
                "check it with `sovereign model verify FOLDER`, and sign the folder again",
            )
        if artifact.files[path].digest.hex != piece.sha256:
            raise OtherModelError(f"{path} is not the file that the publisher signed")


class Voice(NamedTuple):
    """Somebody whose statements of these kinds count."""

    signer: PublicSigner
    kinds: frozenset[str]


def voices(policy: ModelPolicy, officers: Sequence[PublicSigner]) -> tuple[Voice, ...]:
    """The policy's attesters, and the site's officers, who may approve."""
    named = [Voice(attester.signer(), frozenset(attester.attests)) for attester in policy.attesters]
    return (*named, *(Voice(officer, _OFFICERS_SAY) for officer in officers))


def stated_evidence(
    artifact: Artifact, record: ModelRecord, site_files: Sequence[Path], heard: Sequence[Voice]
) -> tuple[OriginStatement, ...]:
    """The statements in the artifact and in ``site_files`` that hold, by somebody in ``heard`` who may make them.

    Raises ``StatementError`` and ``ArtifactError``.
    """
    travelling = [(title, _read(artifact, title, MAX_STATEMENT_BYTES)) for title in record.attestations]
    here = [(path.name, _read_file(path)) for path in site_files]
    found = [_statement(title, data, heard) for title, data in [*travelling, *here]]
    return tuple(statement for statement in found if statement is not None)


def _statement(title: str, data: bytes, heard: Sequence[Voice]) -> OriginStatement | None:
    """The statement in ``data``, or ``None`` where nobody who is heard made it. Raises ``StatementError``."""
    if not title.endswith(SUFFIX):
        raise StatementError(f"{title} is no statement of origin: its name does not end with {SUFFIX}")
    for voice in heard:
        try:
            statement = verify_origin(data, [voice.signer])
        except UnknownSignerError:
            continue
        except HalfSignatureError as error:
            raise StatementError(f"{title}: {error.cause}", "whoever states it signs with both keys") from error
        except BundleError as error:
            raise StatementError(f"{title}: {error.cause}", error.hint) from error
        if statement.kind in voice.kinds:
            return statement
    return None


def _read_file(path: Path) -> bytes:
    """A statement that the operator installed. Raises ``StatementError``."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_STATEMENT_BYTES + 1)
    except OSError as error:
        raise StatementError(
            f"{path.name} cannot be read: {error.strerror}", "run `sovereign install` again"
        ) from error
    if len(data) > MAX_STATEMENT_BYTES:
        raise StatementError(f"{path.name} is larger than {MAX_STATEMENT_BYTES} bytes")
    return data


def _read(artifact: Artifact, title: str, max_bytes: int) -> bytes:
    """A small file of the artifact, hashed as it is read. Raises ``ArtifactError`` and ``ModelFileError``."""
    stored = artifact.files.get(title)
    if stored is None:
        raise ArtifactError(f"{artifact.name} has no file {title}", "the release was built wrongly")
    if stored.size > max_bytes:
        raise ArtifactError(f"{title} is larger than {max_bytes} bytes")
    with checked(stored.path, size=stored.size, sha256=stored.digest.hex) as fd:
        return os.pread(fd, stored.size, 0)
