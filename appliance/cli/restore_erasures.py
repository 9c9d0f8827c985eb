"""What a restore does before it serves: who was erased before is erased again.

The site's log says so, the list beside the subject keys, and a later copy of the log, where somebody kept one.
"""

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
    from contextlib import AbstractContextManager
    from pathlib import Path

    from keycloak import KeycloakAdmin

    from appliance.cluster.backup.restored import Doors
    from appliance.install.steps.context import Context
    from appliance.site.secrets import SecretStore


_LISTED = "erased after the backup that this site was restored from; erased again"
_LATER = "erased after the backup that this site was restored from, as a later copy of its log says; erased again"


def erase_again(context: Context, known: frozenset[str], later: frozenset[str]) -> int:
    """Destroy keys, rows and accounts of ``known``, of ``later`` and whom the log names; of how many people there were.

    Entered first is whom the log does not name: those of ``later`` in other words than those of ``known``.
    """
    paths, config, store = context.paths, context.config, context.vault.store()
    logged = erased_people(paths.audit_log, vkeys=read_vkeys(paths.policies / VKEYS))
    if not (people := known | logged | later):
        return 0
    _enter(paths.socket(AUDIT), known - logged, later - known - logged)
    found = asyncio.run(_rows(paths.run / DATABASE, config.listen.database_port, store, people))
    ca = paths.tls / "ca.pem" if config.scheme == "https" else None
    admin = administration(config, secret=_secret(store), ca=ca)
    return len(found | _accounts(admin, store, people))


def erase_again_on_cluster(doors: Doors, known: frozenset[str], logged: frozenset[str], later: frozenset[str]) -> int:
    """The same of a cluster, whose log was read already and names ``logged``."""
    if not (people := known | logged | later):
        return 0
    _enter(doors.audit, known - logged, later - known - logged)
    found = asyncio.run(_rows(doors.database, doors.database_port, doors.store, people))
    admin = administration(doors.config, secret=_secret(doors.store), ca=None, address=doors.keycloak)
    return len(found | _accounts(admin, doors.store, people))


def _secret(store: SecretStore) -> str:
    return store.get("identity/bootstrap_admin_secret").decode()


def _enter(socket: Path, listed: frozenset[str], later: frozenset[str]) -> None:
    """Whom this log does not tell of: the next backup's list is made of what it tells."""
    with SyncAuditClient(socket) as audit:
        for people, why, source in ((listed, _LISTED, ()), (later, _LATER, ("later log",))):
            for subject in sorted(people):
                actor = f"uid {os.getuid()}"
                event = admin_change(actor=actor, action="delete", kind=PERSON, target=subject, detail=why)
                audit.append(event, id=OPERATOR.id("erased again", *source, subject))


async def _rows(folder: Path, port: int, store: SecretStore, erased: frozenset[str]) -> frozenset[str]:
    password, content_key = store.get("gateway/db_password").decode(), store.get("gateway/content_key")
    pool = database.connect(folder, port, password)
    try:
        people = People(pool, ConversationStore(pool, content_key))
        gone = {subject: await people.erase(Subject(subject)) for subject in sorted(erased)}
    except database.DATABASE_DOWN as error:
        raise UnavailableError("the database does not answer", "run `sovereign restore` again") from error
    finally:
        await pool.dispose()
    return frozenset(subject for subject, what in gone.items() if what != Erased(0, 0, 0, key=False, documents=0))


def _accounts(
    administrator: AbstractContextManager[KeycloakAdmin], store: SecretStore, erased: frozenset[str]
) -> frozenset[str]:
    key = store.get("gateway/pseudonym_key")
    with administrator as admin:
        found = {subject_of(user, key): user for user in every_user_id(admin)}
        back = {subject: user for subject, user in found.items() if subject in erased}
        for user in back.values():
            remove_user(admin, user)
    return frozenset(back)
