"""`sovereign user export` and `sovereign user erase`: what is held about one person, given out or destroyed.

Both are entered in the audit log before anything is read or destroyed; without a durable entry nothing happens. The
log itself is never changed: it holds a pseudonym and salted commitments, whose key, salts and bearer are destroyed.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from airgap_bundle import durable
from airgap_bundle.errors import StoreError
from appliance.audit.about import entries_about
from appliance.audit.apart import items_of
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import ApartError, EntryRefusedError
from appliance.audit.events_operation import admin_change
from appliance.audit.roles import OPERATOR
from appliance.cli.audit_options import verifier_keys
from appliance.cli.reached import own_log, reached, service_secret
from appliance.cli.site_database import site_pool
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    progress,
    say,
)
from appliance.cli.user_keycloak import keycloak
from appliance.errors import UsageError
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.people import Erased, People
from appliance.gateway.pseudonyms import Subject, subject_of
from appliance.identity.users import find_user, remove_user
from appliance.install.backup.last import note_erasure
from appliance.site.paths import AUDIT, GATEWAY, SitePaths

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Result = TypeVar("Result")
UserArgument = Annotated[str, typer.Argument(metavar="USERNAME", help="The name that the person signs in with.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``user``."""
    app.command()(export)
    app.command()(erase)


def export(
    context: typer.Context,
    username: UserArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A new file (0600) for the person.")],
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """Write everything that is held about a person to FILE: conversations, quotas, documents brought, log entries.

    Of documents that they brought it tells which, since what is in them is their groups'.
    """
    paths = reached(context)
    with keycloak(paths, passphrase_fd) as admin:
        subject = _subject(paths, find_user(admin, username), passphrase_fd)
    _enter(paths, subject, "read", "everything that is held is exported")
    held = asyncio.run(_with_people(paths, passphrase_fd, lambda people: people.export(subject)))
    with progress("reading the log", unit="steps") as report:
        keys = verifier_keys(context, None)
        entries = entries_about(own_log(paths), subject, vkeys=keys, progress=report)
    texts = _kept_apart(paths, entries)
    _write_private(
        out,
        json.dumps(held | {"kept_apart": texts, "username": username, "log": entries}, indent=1, default=str) + "\n",
    )
    say(f"written: {out} ({len(held['conversations'])} conversations, {len(entries)} entries of the log)")


def erase(
    context: typer.Context,
    username: UserArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Destroy what is held about a person: data key, conversations with their salts, sessions, quotas, the account.

    What was copied before under that key cannot be read any more. Documents that the person brought for their groups
    stay, and no longer say who brought them. The log's entries stay, and so do all proofs: they hold a pseudonym that
    nothing leads to any more.
    """
    if not yes and not typer.confirm(f"destroy everything that is held about {username}?", err=True):
        raise UsageError("nothing was erased", "answer y, or give --yes")
    paths = reached(context)
    with keycloak(paths, passphrase_fd) as admin:
        user_id = find_user(admin, username)
        subject = _subject(paths, user_id, passphrase_fd)
        _enter(paths, subject, "delete", "the erasure begins")
        note_erasure(paths, datetime.now(UTC))  # before: without room for the note, nothing is erased
        gone = _erase(paths, subject, passphrase_fd)
        remove_user(admin, user_id)
    _erase(paths, subject, passphrase_fd)  # what a session that was open still wrote in between
    _enter(
        paths, subject, "delete", f"erased: {gone.conversations} conversations, {gone.messages} messages, the account"
    )
    with suppress(StoreError):  # a backup that was begun meanwhile may hold what is theirs; the first note stands
        note_erasure(paths, datetime.now(UTC))
    emit(
        {"subject": subject, **asdict(gone)},
        output,
        lambda console: console.print(
            f"erased: {gone.conversations} conversations with {gone.messages} messages, "
            f"{gone.sessions} sessions, the data key and the account; "
            f"{gone.documents} documents stay, and name nobody",
            markup=False,
        ),
    )


def _kept_apart(paths: SitePaths, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The person's texts that were too long for their entries; where one cannot be had, why."""
    found: list[dict[str, Any]] = []
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        for index in (one["index"] for one in entries if any(item.file for item in items_of(one["event"]))):
            try:
                found += [{"index": index, "at": one.at, "text": one.text} for one in audit.apart(index)]
            except (ApartError, EntryRefusedError) as error:  # pruned since, or lost with the disk
                found.append({"index": index, "missing": error.cause})
    return found


def _erase(paths: SitePaths, subject: Subject, passphrase_fd: int | None) -> Erased:
    return asyncio.run(_with_people(paths, passphrase_fd, lambda people: people.erase(subject)))


def _subject(paths: SitePaths, user_id: str, passphrase_fd: int | None) -> Subject:
    return subject_of(user_id, service_secret(paths, GATEWAY, "pseudonym_key", passphrase_fd))


async def _with_people(
    paths: SitePaths, passphrase_fd: int | None, act: Callable[[People], Awaitable[Result]]
) -> Result:
    """What ``act`` makes of the people in the site's database."""
    content_key = service_secret(paths, GATEWAY, "content_key", passphrase_fd)
    async with site_pool(paths, passphrase_fd) as pool:
        return await act(People(pool, ConversationStore(pool, content_key)))


def _enter(paths: SitePaths, subject: Subject, action: Literal["read", "delete"], detail: str) -> None:
    event = admin_change(actor=f"uid {os.getuid()}", action=action, kind="person", target=subject, detail=detail)
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        audit.append(event, id=OPERATOR.id("person", secrets.token_hex(16)))


def _write_private(out: Path, text: str) -> None:
    try:
        durable.write_new(out, text.encode(), 0o600)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name a new file with room") from error
