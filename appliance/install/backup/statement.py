"""What a backup says of itself: whose it is, of when, of which release and log, and every file. Signed by the site.

Two folders make a backup. The larger one holds everything but the keys of people's contents; those lie in a folder of
their own, beside a list of whom the log says were erased, and are replaced by each backup. So an older copy of the
larger one opens no content of somebody who was erased since, and a restore from it erases them again.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError, MalformedError
from airgap_bundle.metadata import format_time, parse_time
from airgap_bundle.statement import sign_statement, verify_statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airgap_bundle.keys import PublicSigner, Signer

BACKUP_TYPE = "application/vnd.sovereign.backup.v1+json"
SUBJECT_KEYS_TYPE = "application/vnd.sovereign.subject-keys.v1+json"
STATEMENT = "backup.json"
SITE, SECRETS, DATABASE, IDENTITY, LOG = "site", "secrets", "database", "identity", "log"
SUBJECT_KEYS, ERASED = "subject-keys", "erased"
ETCD, INVENTORY = "etcd", "inventory"
PARTS = (DATABASE, IDENTITY, LOG, SECRETS, SITE)
CLUSTER_PARTS = (DATABASE, ETCD, IDENTITY, INVENTORY, LOG, SECRETS, SITE)
"""Of a cluster: also a snapshot of etcd, and what the store held."""
APART = (ERASED, SUBJECT_KEYS)
SEALED = ".sealed"


@dataclass(frozen=True)
class SealedFile:
    """One file as the statement lists it: ``name`` with ``SEALED`` behind it; ``size`` in bytes, as sealed.

    ``header`` is the digest of its first line, which holds its key for each recipient: what opens under another key
    than the site's was not sealed by the site.
    """

    name: str
    size: int
    sha256: Digest
    header: Digest


@dataclass(frozen=True)
class Statement:
    """What was backed up of the site ``site``, when, and the head of its log then (``root`` in base64)."""

    site: str
    made: datetime
    release: str
    release_digest: Digest
    log_size: int
    log_root: str
    log_pruned: int
    """How many entries of the log's beginning were gone, and with them what they told of erasures."""
    recipients: tuple[str, ...]
    """Fingerprints of the recovery keys that open it."""
    imported_models: tuple[str, ...]
    """Models that served from bundles of their own, which a backup does not hold."""
    files: tuple[SealedFile, ...]

    @property
    def of_cluster(self) -> bool:
        """Whether it is of a cluster: it comes back on one, and not on a single host."""
        return any(file.name == ETCD for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """The statement's payload."""
        files = [{**asdict(file), "sha256": file.sha256.hex, "header": file.header.hex} for file in self.files]
        return {
            "schema": 1,
            "site": self.site,
            "made": format_time(self.made),
            "release": {"version": self.release, "sha256": self.release_digest.hex},
            "log": {"size": self.log_size, "root": self.log_root, "pruned": self.log_pruned},
            "recipients": list(self.recipients),
            "imported_models": list(self.imported_models),
            "files": files,
        }


def sign(statement: Statement, type_: str, signer: Signer) -> bytes:
    """The envelope of ``statement``."""
    return sign_statement(statement.to_json(), type_, signer)


def verified(data: bytes, type_: str, site_keys: Sequence[PublicSigner]) -> Statement:
    """The statement in ``data``, by one of ``site_keys``, which must be the site that it names.

    Raises a ``VerificationError``.
    """
    payload, signer = verify_statement(data, type_, site_keys)
    try:
        found = _parse(payload, (APART,) if type_ == SUBJECT_KEYS_TYPE else (PARTS, CLUSTER_PARTS))
    except (KeyError, TypeError, ValueError, FormatError) as error:
        raise MalformedError("the backup's statement is not of this format", "use the release that wrote it") from error
    if found.site != signer:
        raise MalformedError(f"a backup of {found.site} is signed by {signer}", "give the key of the site itself")
    return found


def _parse(payload: dict[str, Any], allowed: Sequence[tuple[str, ...]]) -> Statement:
    if payload["schema"] != 1:
        raise ValueError("schema")
    files = tuple(_file(fields) for fields in payload["files"])
    if tuple(file.name for file in files) not in allowed:
        raise ValueError("files")
    base64.b64decode(payload["log"]["root"], validate=True)
    return Statement(
        site=str(payload["site"]),
        made=parse_time(payload["made"]),
        release=str(payload["release"]["version"]),
        release_digest=Digest.from_hex(payload["release"]["sha256"]),
        log_size=int(payload["log"]["size"]),
        log_root=str(payload["log"]["root"]),
        log_pruned=int(payload["log"]["pruned"]),
        recipients=tuple(map(str, payload["recipients"])),
        imported_models=tuple(map(str, payload["imported_models"])),
        files=files,
    )


def _file(fields: dict[str, Any]) -> SealedFile:
    digests = (Digest.from_hex(fields[name]) for name in ("sha256", "header"))
    return SealedFile(str(fields["name"]), int(fields["size"]), *digests)
