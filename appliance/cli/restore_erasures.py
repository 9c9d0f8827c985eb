"""What a restore does before it serves: who was erased before (the log and the subject keys say so) is erased again."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.client import SyncAuditClient
from appliance.audit.erased import PERSON, erased_people
from appliance.audit.events_operation import admin_change
from appliance.audit.roles import OPERATOR
from appliance.errors import UnavailableError
from appliance.gateway import database
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.people import Erased, People
from appliance.gateway.pseudonyms import Subject, subject_of
from appliance.identity.admin import administration
from appliance.identity.users import every_user_id, remove_user
from appliance.install.steps.secrets import VKEYS
from appliance.site.paths import AUDIT, DATABASE

if TYPE_CHECKING:
    from appliance.install.steps.context import Context


def erase_again(context: Context, known: frozenset[str]) -> int:
    """Destroy keys, rows and accounts of ``known`` and whom the log names; of how many people something was found."""
    logged = erased_people(context.paths.audit_log, vkeys=read_vkeys(context.paths.policies / VKEYS))
    erased = known | logged
    if not erased:
        return 0
    _enter(context, known - logged)
    found = asyncio.run(_rows(context, erased))
    return len(found | _accounts(context, erased))


def _enter(context: Context, people: frozenset[str]) -> None:
    """Whom this log does not tell of: the next backup's list is made of what it tells."""
    with SyncAuditClient(context.paths.socket(AUDIT)) as audit:
        for subject in sorted(people):
            event = admin_change(
                actor=f"uid {os.getuid()}",
                action="delete",
                kind=PERSON,
                target=subject,
                detail="erased after the backup that this site was restored from; erased again",
            )
            audit.append(event, id=OPERATOR.id("erased again", subject))


async def _rows(context: Context, erased: frozenset[str]) -> frozenset[str]:
    store = context.vault.store()
    password, content_key = store.get("gateway/db_password").decode(), store.get("gateway/content_key")
    pool = database.connect(context.paths.run / DATABASE, context.config.listen.database_port, password)
    try:
        people = People(pool, ConversationStore(pool, content_key))
        gone = {subject: await people.erase(Subject(subject)) for subject in sorted(erased)}
    except database.DATABASE_DOWN as error:
        raise UnavailableError("the database does not answer", "run `sovereign restore` again") from error
    finally:
        await pool.dispose()
    return frozenset(subject for subject, what in gone.items() if what != Erased(0, 0, 0, key=False))


def _accounts(context: Context, erased: frozenset[str]) -> frozenset[str]:
    store, config = context.vault.store(), context.config
    key = store.get("gateway/pseudonym_key")
    ca = context.paths.tls / "ca.pem" if config.scheme == "https" else None
    with administration(config, secret=store.get("identity/bootstrap_admin_secret").decode(), ca=ca) as admin:
        found = {subject_of(user, key): user for user in every_user_id(admin)}
        back = {subject: user for subject, user in found.items() if subject in erased}
        for user in back.values():
            remove_user(admin, user)
    return frozenset(back)
