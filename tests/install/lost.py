"""A site that comes back from its backup after it was lost, and what an auditor took along before that.

Database, log, backup and the commands are real; Keycloak is played. What is brought back is brought by the restore's
own means.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit.client import SyncAuditClient
from appliance.audit.events_operation import admin_change
from appliance.audit.roles import OPERATOR
from appliance.cli import restore_erasures, user_person
from appliance.cli.main import app
from appliance.cli.reached import own_log
from appliance.gateway import database
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.pseudonyms import subject_of
from appliance.gateway.turns import TurnStore
from appliance.install.backup import statement
from appliance.install.backup.contents import unpack
from appliance.install.backup.dumps import GATEWAY_DATABASE, server
from appliance.install.backup.later import open_later
from appliance.install.backup.recovery_key import open_recovery_key
from appliance.install.backup.restored import Source, _erasures
from appliance.install.backup.restoring import open_pair
from appliance.install.site_identity import site_signer
from appliance.install.steps.context import Context
from appliance.install.vault import Vault
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, DATABASE
from tests.audit.later import kept_copy
from tests.gateway import postgres
from tests.install.backed_up import PHRASE, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.audit.later import LaterLog
    from appliance.install.backup.recovery_key import RecoveryKey
    from appliance.install.backup.restoring import Pair
    from appliance.install.runner import Step

SUBS = {"analyst": "9f1c0a52-2f3f-4a5e-8a1c-0d7d5ac3c001", "officer": "77aa91b0-57ee-4d0f-9f43-6a0d6f1ec002"}


class Keycloak:
    """What is asked of Keycloak: names and accounts."""

    def __init__(self) -> None:
        self.accounts = dict(SUBS)

    def change_current_realm(self, realm: str) -> None:
        assert realm

    def get_user_id(self, username: str) -> str | None:
        return self.accounts.get(username)

    def get_users(self, _query: object) -> list[dict[str, str]]:
        return [{"id": one} for one in self.accounts.values()]

    def delete_user(self, user_id: str) -> None:
        self.accounts = {name: one for name, one in self.accounts.items() if one != user_id}


@dataclass
class Lost:
    """A site as its backup brought it back, and what an auditor took along before it was lost."""

    site: Site
    keycloak: Keycloak
    pair: Pair
    key: RecoveryKey
    copy: Path

    def subject(self, name: str) -> str:
        return subject_of(SUBS[name], vault(self.site).store().get("gateway/pseudonym_key"))

    def later(self) -> LaterLog:
        return open_later(self.copy, self.pair, self.key)

    def step(self, later: LaterLog | None) -> Step:
        """The restore's own."""
        config: Any = SimpleNamespace(config=load_site(self.site.paths.site_yaml))
        nothing: Any = None
        context = Context(self.site.paths, config, nothing, vault(self.site), Path())
        source = Source(self.pair.main, self.pair.subject_keys, self.key, later)
        return _erasures(context, source, restore_erasures.erase_again)

    def erase_again(self, later: LaterLog | None) -> dict[str, str]:
        """What the log is told of the step."""
        return dict(self.step(later).run(lambda _done, _total: None) or {})

    def command(self, root: Path, later: Path, *more: str) -> Result:
        """`sovereign restore` to another root."""
        folder, reading = self.copy.parent, passphrase()
        (folder / "SITE.pub").write_bytes(site_signer(self.site.paths, vault(self.site), "ministry").public.to_bytes())
        told = ("--subject-keys", self.site.apart, "--site-key", folder / "SITE.pub", "--recovery-key", self.site.key)
        given = ("--bundle", folder / "bundle", "--later-log", later, "--recovery-fd", reading)
        line = ["--site", root, "restore", self.pair.main.folder, *told, *given, *more]
        return CliRunner().invoke(app, [str(word) for word in line])

    def held(self) -> dict[str, int]:
        """How many conversations and data keys each person has."""
        return {name: asyncio.run(held(self.site, self.subject(name))) for name in SUBS}

    def erasures(self) -> list[dict[str, Any]]:
        with SyncAuditClient(self.site.paths.socket(AUDIT)) as client:
            client.checkpoint()
        seen: list[dict[str, Any]] = []
        self.site.bench.verify(visit=lambda _, entries: seen.extend(map(json.loads, entries)))
        return [one for one in seen if one.get("entity", {}).get("type") == "person"]


def passphrase() -> int:
    reading, writing = os.pipe()
    os.write(writing, PHRASE + b"\n")
    os.close(writing)
    return reading


def vault(site: Site) -> Vault:
    return Vault(site.paths, lambda: b"")


def pool_of(site: Site) -> Any:
    return database.connect(site.paths.run / DATABASE, postgres.PORT, postgres.PASSWORD)


def enter_account(site: Site, name: str) -> None:
    event = admin_change(actor="uid 0", action="create", kind="user", target=f"{name} of the site")
    with SyncAuditClient(site.paths.socket(AUDIT)) as client:
        client.append(event, id=OPERATOR.id("user", name))


async def converse(site: Site, name: str) -> None:
    keys, pool = vault(site).store(), pool_of(site)
    subject = subject_of(SUBS[name], keys.get("gateway/pseudonym_key"))
    store = ConversationStore(pool, keys.get("gateway/content_key"))
    turns, made = TurnStore(pool, store), await store.create(subject, "m")
    await turns.close(await turns.open(subject, made.id, "may I tell my superior that I am ill?"))
    await pool.dispose()


async def held(site: Site, subject: str) -> int:
    pool = pool_of(site)
    async with pool.connect() as connection:
        found = [
            await connection.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE subject = '{subject}'")
            for table in ("conversation", "user_key")
        ]
        counts = [one.scalar_one() for one in found]
    await pool.dispose()
    return sum(counts)


@pytest.fixture
def lost(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lost:
    keycloak = Keycloak()

    @contextmanager
    def played(*_: object, **__: object) -> Iterator[Keycloak]:
        yield keycloak

    monkeypatch.setattr(user_person, "keycloak", played)
    monkeypatch.setattr(restore_erasures, "administration", played)
    for name in SUBS:
        asyncio.run(converse(site, name))
        enter_account(site, name)
    done = site.run()
    assert done.exit_code == 0, (done.exception, done.stderr)
    erased = CliRunner().invoke(app, ["--site", str(site.paths.root), "user", "erase", "analyst", "--yes"])
    assert erased.exit_code == 0, (erased.exception, erased.output)
    public = site_signer(site.paths, vault(site), "ministry").public
    pair = open_pair(Path(json.loads(done.stdout)["backup"]), site.apart, [public], lambda _done, _all: None)
    found = Lost(site, keycloak, pair, open_recovery_key(site.key, lambda: PHRASE), tmp_path / "copy")
    own_log(site.paths)
    kept_copy(site.bench, found.copy)
    bring_back(found, tmp_path / "unpacked")
    return found


def bring_back(lost: Lost, unpacked: Path) -> None:
    """Log, rows, keys and accounts as the backup has them."""
    site = lost.site
    site.writer.kill()
    site.writer.wait()
    shutil.rmtree(site.paths.audit_log)
    with lost.pair.main.open(statement.LOG, lost.key) as content:
        unpack(content, unpacked)
    (unpacked / statement.LOG).rename(site.paths.audit_log)
    with server(load_site(site.paths.site_yaml), site.paths, vault(site).store()) as running:
        running.empty(GATEWAY_DATABASE)
        for folder, part in ((lost.pair.main, statement.DATABASE), (lost.pair.subject_keys, statement.SUBJECT_KEYS)):
            with folder.open(part, lost.key) as content:
                running.load(GATEWAY_DATABASE, content)
    lost.keycloak.accounts = dict(SUBS)
    site.begin()
