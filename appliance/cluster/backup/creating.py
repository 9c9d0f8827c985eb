"""Making a backup of a running cluster on the administrator's machine, without stopping it.

As on a host, and in its order (`install.backup.creating`): databases, then the log, so that the log that is kept
knows of every erasure that came after the dumps; etcd and the files of this machine last. Everything streams through
the sealing; nothing of it lies open on this machine's disk. The entry in the audit log comes before the backup gets
its name.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.digest import sha256
from airgap_bundle.errors import StoreError
from airgap_bundle.store import Store
from appliance.audit.checkpoint import read_vkeys
from appliance.cluster.backup import site_part
from appliance.cluster.backup.databases import PodServer
from appliance.cluster.backup.etcd import snapshot
from appliance.cluster.backup.log import log_of
from appliance.cluster.backup.sockets import audit_socket
from appliance.cluster.backup.streams import room
from appliance.cluster.reach import Reach
from appliance.errors import UsageError
from appliance.install.backup import contents, statement
from appliance.install.backup.apart import places, replaced
from appliance.install.backup.creating import Created, enter
from appliance.install.backup.dumps import (
    GATEWAY_DATABASE,
    IDENTITY_DATABASE,
    PEOPLES_KEYS,
    WITHOUT_SESSIONS,
    WITHOUT_SIGN_INS,
)
from appliance.install.backup.folder import new_folder, seal_file
from appliance.install.backup.last import note_backup
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.lock import site_lock
from appliance.install.site_identity import site_signer
from appliance.install.steps.secrets import VKEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from appliance.audit.passing import Passed
    from appliance.cluster.standing import Standing
    from appliance.install.backup.creating import Advance
    from appliance.install.backup.recovery_key import Recipient
    from appliance.install.backup.statement import SealedFile
    from appliance.install.vault import Vault
    from appliance.site.paths import SitePaths


def create_backup(  # noqa: PLR0913 - what goes where and for whom, by keyword
    paths: SitePaths,
    known: Standing,
    *,
    out: Path,
    subject_keys: Path,
    recipients: Sequence[Recipient],
    vault: Vault,
    advance: Advance,
    enter_by: Sequence[str] = (),
) -> Created:
    """Write the new folder ``out``, and ``subject_keys``, as on a host; ``enter_by`` goes before each ssh.

    Raises ``UsageError`` for folders that cannot be used and where there is nothing to back up, ``DeploymentError``
    when a host, a pod or the log's writer does not answer or sends half, ``RefusedError`` for more than the media
    hold, ``LogInconsistentError`` for a log that does not hold. Nothing is left behind then, and the subject keys of
    the earlier backup are as they were.
    """
    refuse_half_restored(paths)
    if known.described.assistant is None or not known.state.release:
        raise UsageError("there is no assistant on the cluster to back up", "run `sovereign install` to its end first")
    if known.state.way is not None:  # the data may be the other release's by now
        raise UsageError(f"a way to release {known.state.way.heading} was cut off", known.state.onward())
    out, subject_keys = places(out, subject_keys, recipients)
    store, signer = vault.store(), site_signer(paths, vault, known.described.name)
    reach = Reach(known.described.cluster, known.source.parent, enter_by, known.state.identity)
    with site_lock(paths), new_folder(out) as folder, replaced(subject_keys) as keys_folder:
        made = datetime.now(UTC).replace(microsecond=0)
        release = Store(paths.store).open_release(known.state.release)
        parts = _Parts(recipients, advance)
        running = PodServer(reach, store)
        rest = (*WITHOUT_SESSIONS, f"--exclude-table={PEOPLES_KEYS}")  # not even locked: erasures go on meanwhile
        apart = (f"--table={PEOPLES_KEYS}",)
        dumps = (
            (folder, statement.DATABASE, GATEWAY_DATABASE, rest),
            (keys_folder, statement.SUBJECT_KEYS, GATEWAY_DATABASE, apart),
            (folder, statement.IDENTITY, IDENTITY_DATABASE, WITHOUT_SIGN_INS),
        )
        for where, name, database, options in dumps:
            parts.keep(where, name, _dump(running, database, options, room(where)))
        log = _log(reach, paths, folder, parts)
        parts.keep(keys_folder, statement.ERASED, contents.write_erased(log.erased))
        parts.keep(folder, statement.ETCD, lambda sink: snapshot(reach, sink, room(folder)))
        parts.keep(folder, statement.INVENTORY, site_part.write_inventory(paths))
        parts.keep(folder, statement.SECRETS, contents.write_secrets(store))
        parts.keep(folder, statement.SITE, site_part.write_site(paths, known))
        told = statement.Statement(
            site=known.described.name,
            made=made,
            release=release.version,
            release_digest=release.digest,
            log_size=log.head.size,
            log_root=base64.b64encode(log.head.root).decode(),
            log_pruned=log.pruned,
            recipients=tuple(one.fingerprint for one in recipients),
            imported_models=(),
            files=parts.of(statement.CLUSTER_PARTS),
        )
        signed = statement.sign(told, statement.BACKUP_TYPE, signer)
        apart_told = replace(told, files=parts.of(statement.APART))
        apart_signed = statement.sign(apart_told, statement.SUBJECT_KEYS_TYPE, signer)
        durable.write_new(folder / statement.STATEMENT, signed, 0o600)
        durable.write_new(keys_folder / statement.STATEMENT, apart_signed, 0o600)
        with audit_socket(reach, known.described.state_host) as socket:
            enter(socket, sha256(signed), told)
    with suppress(StoreError, OSError):  # the backup lies there: `status` then warns of the one before
        paths.journal.parent.mkdir(mode=0o700, exist_ok=True)
        note_backup(paths, made, sha256(signed), release.digest)
    return Created(told, sha256(signed), sha256(apart_signed))


@dataclass
class _Parts:
    """What was sealed so far, by name."""

    recipients: Sequence[Recipient]
    advance: Advance

    def __post_init__(self) -> None:
        self._files: dict[str, SealedFile] = {}

    def keep(self, where: Path, name: str, write: Callable[[BinaryIO], object]) -> None:
        self._files[name] = seal_file(where, name, self.recipients, write)
        self.advance(len(self._files), len(statement.CLUSTER_PARTS) + len(statement.APART))

    def of(self, names: Sequence[str]) -> tuple[SealedFile, ...]:
        return tuple(self._files[name] for name in names)


def _dump(running: PodServer, database: str, options: Sequence[str], most: int) -> Callable[[BinaryIO], object]:
    return lambda sink: running.dump(database, options, sink, most)


def _log(reach: Reach, paths: SitePaths, folder: Path, parts: _Parts) -> Passed:
    """Seal the log as it passes; what it is was judged by its end."""
    with log_of(reach, read_vkeys(paths.policies / VKEYS), room(folder)) as log:

        def write(sink: BinaryIO) -> None:
            while piece := log.read():
                sink.write(piece)

        parts.keep(folder, statement.LOG, write)
        return log.to_end()
