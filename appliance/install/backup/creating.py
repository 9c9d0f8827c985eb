"""Making a backup of a running site, without stopping it.

The order matters: databases first, then the log. So the log that is kept knows of everything that the databases hold,
and of every erasure that came after: a restore replays those. What was written is entered in the audit log by the
digest of its statement before it gets its name: no log entry, no backup.
"""

from __future__ import annotations

import base64
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import StoreError
from airgap_bundle.store import Store
from appliance.audit.checkpoint import read_vkeys
from appliance.audit.client import SyncAuditClient
from appliance.audit.erased import erased_people
from appliance.audit.events import admin_change
from appliance.audit.roles import OPERATOR
from appliance.audit.stored import read_stored
from appliance.install.backup import contents, statement
from appliance.install.backup.apart import places, replaced
from appliance.install.backup.dumps import (
    GATEWAY_DATABASE,
    IDENTITY_DATABASE,
    PEOPLES_KEYS,
    WITHOUT_SESSIONS,
    WITHOUT_SIGN_INS,
    server,
)
from appliance.install.backup.folder import new_folder, seal_file
from appliance.install.backup.last import note_backup
from appliance.install.lock import site_lock
from appliance.install.release_description import active_version
from appliance.install.site_identity import site_signer
from appliance.install.steps.secrets import VKEYS
from appliance.models.serving import damaged_decisions, read_decisions
from appliance.models.shelf import absent, held_models
from appliance.site.load import load_site
from appliance.site.paths import AUDIT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from airgap_bundle.store import VerifiedRelease
    from appliance.install.backup.recovery_key import Recipient
    from appliance.install.backup.statement import SealedFile, Statement
    from appliance.install.vault import Vault
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

    Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Created:
    """What was written, and the digests under which the log knows it."""

    statement: Statement
    digest: Digest
    subject_keys_digest: Digest


def create_backup(  # noqa: PLR0913 - what goes where and for whom, by keyword
    paths: SitePaths,
    *,
    out: Path,
    subject_keys: Path,
    recipients: Sequence[Recipient],
    vault: Vault,
    advance: Advance,
) -> Created:
    """Write the new folder ``out``, and ``subject_keys``; where that holds those of an earlier backup, they go.

    ``advance`` gets parts done and in all. Raises ``UsageError`` for folders that cannot be used,
    ``UnavailableError`` when the database or the log's writer does not answer; nothing is left behind then, and the
    subject keys of the earlier backup are as they were.
    """
    config = load_site(paths.site_yaml)
    out, subject_keys = places(out, subject_keys, recipients)
    store, signer = vault.store(), site_signer(paths, vault, config.name)
    with site_lock(paths), new_folder(out) as folder, replaced(subject_keys) as keys_folder:
        made = datetime.now(UTC).replace(microsecond=0)
        release = Store(paths.store).open_release(active_version(paths))
        parts: list[SealedFile] = []

        def keep(where: Path, name: str, write: Callable[[BinaryIO], object]) -> SealedFile:
            parts.append(seal_file(where, name, recipients, write))
            advance(len(parts), len(statement.PARTS) + len(statement.APART))
            return parts[-1]

        with server(config, paths, store) as running:
            rest = (*WITHOUT_SESSIONS, f"--exclude-table={PEOPLES_KEYS}")  # not even locked: erasures go on meanwhile
            keep(folder, statement.DATABASE, lambda out: running.dump(GATEWAY_DATABASE, rest, out))
            apart = (f"--table={PEOPLES_KEYS}",)
            keep(keys_folder, statement.SUBJECT_KEYS, lambda out: running.dump(GATEWAY_DATABASE, apart, out))
            keep(folder, statement.IDENTITY, lambda out: running.dump(IDENTITY_DATABASE, WITHOUT_SIGN_INS, out))
        vkeys = read_vkeys(paths.policies / VKEYS)
        stored = read_stored(paths.audit_log, vkeys)
        keep(folder, statement.LOG, contents.write_log(stored))
        keep(keys_folder, statement.ERASED, contents.write_erased(erased_people(paths.audit_log, vkeys=vkeys)))
        keep(folder, statement.SECRETS, contents.write_secrets(store))
        keep(folder, statement.SITE, contents.write_site(paths))
        files = {file.name: file for file in parts}
        told = statement.Statement(
            site=config.name,
            made=made,
            release=release.version,
            release_digest=release.digest,
            log_size=stored.head.size,
            log_root=base64.b64encode(stored.head.root).decode(),
            log_pruned=stored.pruned.end if stored.pruned else 0,
            recipients=tuple(one.fingerprint for one in recipients),
            imported_models=_imported(config, paths, release),
            files=tuple(files[name] for name in statement.PARTS),
        )
        apart_told = statement.Statement(**{**vars(told), "files": tuple(files[name] for name in statement.APART)})
        signed = statement.sign(told, statement.BACKUP_TYPE, signer)
        apart_signed = statement.sign(apart_told, statement.SUBJECT_KEYS_TYPE, signer)
        durable.write_new(folder / statement.STATEMENT, signed, 0o600)
        durable.write_new(keys_folder / statement.STATEMENT, apart_signed, 0o600)
        enter(paths.socket(AUDIT), sha256(signed), told)
    with suppress(StoreError):  # the backup lies there: `status` then warns of the one before
        note_backup(paths, made, sha256(signed), release.digest)
    return Created(told, sha256(signed), sha256(apart_signed))


def _imported(config: SiteConfig, paths: SitePaths, release: VerifiedRelease) -> tuple[str, ...]:
    """Names whose model a bundle has to bring again: decided for, named by site.yaml or not; or lacking already."""
    listed = [model.name for model in config.models]
    held = sorted({held.name for held in held_models(paths, release) if not held.from_release})
    names = tuple(dict.fromkeys((*listed, *held)))
    damaged, lacking = damaged_decisions(paths, names), absent(paths, listed, release)
    decided = {name: read_decisions(paths, name).loads for name in names if name not in damaged}
    chosen = {name for name, choice in decided.items() if choice is not None and not choice.from_release}
    return tuple(name for name in names if name in chosen or name in lacking)


def enter(socket: Path, digest: Digest, told: Statement) -> None:
    """Enter the backup into the audit log. Raises ``AuditUnavailableError``: it gets no name then."""
    event = admin_change(
        actor=f"uid {os.getuid()}",
        action="read",
        kind="backup",
        target=str(digest),
        detail=f"log of {told.log_size} entries; sealed to {', '.join(told.recipients)}; subject keys apart",
        after_digest=str(digest),
    )
    with SyncAuditClient(socket) as audit:
        audit.append(event, id=OPERATOR.id("backup", digest.hex))
