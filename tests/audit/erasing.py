"""A site at which two people asked something each, and from which one of them is erased.

The commands run as an operator runs them, against a real database and a real audit writer; only Keycloak is played.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit import events
from appliance.audit.client import SyncAuditClient
from appliance.audit.commitment import commit, new_salt
from appliance.cli import user_person
from appliance.cli.main import app
from appliance.gateway import database
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.pseudonyms import subject_of
from appliance.gateway.schema_upgrade import migrate
from appliance.gateway.turns import TurnStore
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.gateway import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

SITE = f"""\
schema: 1
name: ministry
models: [{{name: gemma3-270m}}]
groups: [{{name: clerks}}]
listen: {{database_port: {postgres.PORT}}}
"""
KEYS = {"content_key": b"c" * 32, "pseudonym_key": b"p" * 32, "db_password": postgres.PASSWORD.encode()}
SUBS = {"analyst": "9f1c0a52-2f3f-4a5e-8a1c-0d7d5ac3c001", "officer": "77aa91b0-57ee-4d0f-9f43-6a0d6f1ec002"}
REQUESTS = {"analyst": "r1", "officer": "r2"}
PROMPT, ANSWER = "may I tell my superior that I am ill?", "You need not say what ails you."


@dataclass
class Keycloak:
    """What the commands ask Keycloak for: names and accounts."""

    accounts: dict[str, str] = field(default_factory=lambda: dict(SUBS))

    def change_current_realm(self, realm: str) -> None:
        assert realm

    def get_user_id(self, username: str) -> str | None:
        return self.accounts.get(username)

    def get_users(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        assert not query
        return [{"id": one} for one in self.accounts.values()]

    def delete_user(self, user_id: str) -> None:
        self.accounts = {name: one for name, one in self.accounts.items() if one != user_id}


@dataclass
class Site:
    """A site at which two people asked something each."""

    paths: SitePaths
    bench: Bench
    keycloak: Keycloak
    cluster: postgres.Cluster
    salts: dict[str, bytes] = field(default_factory=dict)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["--site", str(self.paths.root), "user", *arguments])

    def pool(self) -> AsyncEngine:
        return database.connect(self.cluster.socket_dir, postgres.PORT, postgres.PASSWORD)

    def subject(self, name: str) -> Any:
        return subject_of(SUBS[name], KEYS["pseudonym_key"])

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with self.cluster.admin("sovereign") as connection:
            return connection.execute(statement.encode()).fetchall()

    def ask(self, name: str) -> None:
        """A conversation in the database, with its receipt, and the entry of it in the log."""
        salt = self.salts[name] = new_salt()
        receipt = {"prompt_salt": base64.b64encode(salt).decode()}
        asyncio.run(self._converse(name, receipt))
        event = events.request(
            request_id=REQUESTS[name],
            subject=self.subject(name),
            groups=("clerks",),
            model_digest="sha256:a5",
            model_name="gemma3-270m",
            prompt_commitment=commit(PROMPT.encode(), salt),
        )
        with SyncAuditClient(self.paths.socket(AUDIT)) as client:
            client.append(event, id=f"gateway/{REQUESTS[name]}")

    async def _converse(self, name: str, receipt: dict[str, Any]) -> None:
        pool = self.pool()
        store = ConversationStore(pool, KEYS["content_key"])
        turns, made = TurnStore(pool, store), await store.create(self.subject(name), "gemma3-270m")
        turn = await turns.open(self.subject(name), made.id, PROMPT)
        await turns.start(turn)
        await turns.finish(turn, ANSWER, "stop", receipt)
        await turns.close(turn)
        await pool.dispose()


@pytest.fixture(scope="module")
def erasure_cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as running:
        yield running


@pytest.fixture
def erasure_site(erasure_cluster: postgres.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    erasure_cluster.fresh_database()
    paths, keycloak = SitePaths(tmp_path / "site"), Keycloak()
    bench = Bench(paths.audit_log)
    found = Site(paths, bench, keycloak, erasure_cluster)
    paths.policies.mkdir(parents=True)
    paths.site_yaml.write_text(SITE)
    (paths.policies / "audit-vkeys").write_text("".join(f"{key.encode()}\n" for key in bench.vkeys))
    paths.credentials(GATEWAY).mkdir(parents=True)
    for name, value in KEYS.items():
        (paths.credentials(GATEWAY) / name).write_bytes(value)
    (paths.run / DATABASE).symlink_to(erasure_cluster.socket_dir)

    @contextmanager
    def played(_paths: SitePaths, _fd: int | None) -> Iterator[Keycloak]:
        yield keycloak

    monkeypatch.setattr(user_person, "keycloak", played)
    asyncio.run(_migrate(found.pool()))
    keys = tmp_path / "keys"
    keys.mkdir()
    with writers(bench, keys, paths.socket(AUDIT), {"operator": os.getuid(), "gateway": os.getuid()}) as begin:
        begin()
        for name in SUBS:
            found.ask(name)
        yield found
    shutil.rmtree(paths.run)


async def _migrate(pool: AsyncEngine) -> None:
    await migrate(pool)
    await pool.dispose()
