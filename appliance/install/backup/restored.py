"""The steps that a restore adds to an installation: secrets, databases, log, erasures; and the mark's end."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.tiles import TileReader
from appliance.audit.verify import verify_log
from appliance.errors import LogInconsistentError, SovereignError
from appliance.install.backup.contents import read_erased, read_secrets, unpack
from appliance.install.backup.dumps import GATEWAY_DATABASE, IDENTITY_DATABASE, server
from appliance.install.backup.mark import restoring_from, unmark
from appliance.install.backup.statement import DATABASE, ERASED, IDENTITY, LOG, SECRETS, SUBJECT_KEYS
from appliance.install.runner import Step
from appliance.install.startup import prepare_runtime, start_services, stop_services
from appliance.install.steps import install_steps
from appliance.install.steps.secrets import VKEYS
from appliance.install.vault import take_back
from appliance.site import paths as site
from appliance.site.secrets import SecretStore
from appliance.site.site_key import key_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from appliance.audit.later import LaterLog
    from appliance.audit.note import VerifierKey
    from appliance.install.backup.folder import Backup
    from appliance.install.backup.recovery_key import RecoveryKey
    from appliance.install.backup.statement import Statement
    from appliance.install.runner import Advance
    from appliance.install.steps.context import Context

Erase = Callable[["Context", frozenset[str], frozenset[str]], int]
"""Erases people again: those of the subject keys, those of a later log, and whom else the site's log tells of; of how
many something was there."""


@dataclass(frozen=True)
class Source:
    """Both folders of the backup, verified, the key that opens them, and a later copy of the log, if there is one."""

    main: Backup
    subject_keys: Backup
    key: RecoveryKey
    later: LaterLog | None = None

    def backup(self) -> dict[str, str]:
        """What a step's data come from: the backup alone."""
        return {"backup": str(self.main.digest)}

    def both(self) -> dict[str, str]:
        """As ``backup``, and the subject keys."""
        return {**self.backup(), "subject keys": str(self.subject_keys.digest)}

    def erasures(self) -> dict[str, str]:
        """As ``both``, and the later log."""
        return {**self.both(), **({"later log": self.later.root} if self.later else {})}


def restore_steps(context: Context, source: Source, erase: Erase) -> tuple[Step, ...]:
    """The installation's steps with the restore's among them."""
    added = (
        _secrets(context, source),
        _database(context, source),
        _log(context, source),
        _erasures(context, source, erase),
        _whole(context, source),
    )
    wait = {"services": ("restored-database", "restored-log"), "gateway": ("restored",)}
    steps = [replace(step, behind=(*step.behind, *wait.get(step.name, ()))) for step in install_steps(context)]
    built = {"secrets": ("restored-secrets",)}  # and so are certificates, whose keys those of the backup would replace
    steps = [replace(step, after=(*step.after, *built.get(step.name, ()))) for step in steps]
    return (*steps, *added)


def _secrets(context: Context, source: Source) -> Step:
    folder = context.paths.secrets

    def work(_: Advance) -> Mapping[str, str]:
        store = context.vault.create(context.config.site_key.kind)
        with source.main.open(SECRETS, source.key) as content:
            found = read_secrets(content)
        for name, value in found.items():
            store.put(name, value)
        take_back(context.paths)
        return {"kind": str(key_kind(folder)), "secrets": str(len(found))}

    return Step(
        name="restored-secrets",
        title="secrets of the backup, under a new site key",
        after=("folders",),
        inputs=source.backup,
        run=work,
        present=lambda: key_kind(folder) is not None and SecretStore(folder, b"").names() != (),
    )


def _database(context: Context, source: Source) -> Step:
    paths, config = context.paths, context.config

    def work(advance: Advance) -> None:
        database = [s for s in context.services if s.name == site.DATABASE]
        prepare_runtime(config, paths, context.accounts, context.vault)
        stop_services(paths, context.services)
        start_services(paths, database, lambda _done, _total: None)
        parts = (
            (source.main, DATABASE, GATEWAY_DATABASE),
            (source.subject_keys, SUBJECT_KEYS, GATEWAY_DATABASE),
            (source.main, IDENTITY, IDENTITY_DATABASE),
        )
        with server(config, paths, context.vault.store()) as running:
            for name in (GATEWAY_DATABASE, IDENTITY_DATABASE):
                running.empty(name)
            for done, (folder, part, name) in enumerate(parts, 1):
                with folder.open(part, source.key) as content:
                    running.load(name, content)
                advance(done, len(parts))

    return Step(
        name="restored-database",
        title="conversations, people and sign-in of the backup",
        after=("activate", "policies", "certificates", "audit-keys", "database", "supervision"),
        inputs=source.both,
        run=work,
    )


def _log(context: Context, source: Source) -> Step:
    final, told = context.paths.audit_log, source.main.statement
    part = context.paths.journal.with_name("log.partial")  # where nobody else comes to; its writer owns the other place

    def work(advance: Advance) -> Mapping[str, str]:
        vkeys = read_vkeys(context.paths.policies / VKEYS)
        if not _goes_on(final, told, vkeys):
            for left in (part, final):
                shutil.rmtree(left, ignore_errors=True)
            with source.main.open(LOG, source.key) as content:
                unpack(content, part)
            found = verify_log(part / LOG, vkeys=vkeys, progress=advance)
            if (found.size, _text(found.root)) != (told.log_size, told.log_root):
                cause = "the log in the backup is not the one that its statement names"
                raise LogInconsistentError(cause, "use another copy")
            _give(part, context)
            os.sync()
            (part / LOG).rename(final)
            part.rmdir()
        return {"size": str(told.log_size), "root": told.log_root}

    return Step(
        name="restored-log",
        title="audit log of the backup, verified",
        after=("audit-keys", "folders"),
        inputs=source.backup,
        run=work,
        present=final.is_dir,
    )


def _goes_on(log: Path, told: Statement, vkeys: Sequence[VerifierKey]) -> bool:
    """Whether ``log`` is there from an earlier run, whole, and begins with what was backed up: it is kept then."""
    if not log.is_dir():
        return False
    try:
        size = verify_log(log, vkeys=vkeys).size
        return size >= told.log_size and _text(TileReader(log, told.log_size).root()) == told.log_root
    except SovereignError:  # a power cut came before all of it was on the disk; no writer begins on that
        return False


def _text(root: bytes) -> str:
    return base64.b64encode(root).decode()


def _give(folder: Path, context: Context) -> None:
    """Files and folders belong to the log's writer, with the modes that it makes its own with."""
    account = context.accounts.account(site.AUDIT)
    for path in folder.rglob("*"):
        path.chmod(0o750 if path.is_dir() else 0o640)
        if os.geteuid() == 0:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _erasures(context: Context, source: Source, erase: Erase) -> Step:
    def work(_: Advance) -> Mapping[str, str]:
        with source.subject_keys.open(ERASED, source.key) as content:
            people = read_erased(content)
        later = source.later
        told = {"later log": str(later)} if later else {}
        try:
            return {"people": str(erase(context, people, later.erased if later else frozenset())), **told}
        except BaseException:
            stop_services(context.paths, context.services)  # Keycloak among them, which knows people who were erased
            raise

    return Step(
        name="restored-erasures",
        title="who was erased before is erased again",
        after=("restored-database", "restored-log", "realm"),
        inputs=source.erasures,
        run=work,
    )


def _whole(context: Context, source: Source) -> Step:
    return Step(
        name="restored",
        title="the site is whole",
        after=("restored-erasures",),
        inputs=source.erasures,
        run=lambda _: unmark(context.paths),
        present=lambda: restoring_from(context.paths) is None,
    )
