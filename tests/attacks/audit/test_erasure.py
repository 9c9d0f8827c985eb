"""Somebody who was erased: not in the store, not in an older copy of it, not in the log; and every proof still holds.

The attacker here holds the site's keys, a copy of the database from before, and the log. The commands run as an
operator runs them, against a real database and a real audit writer; only Keycloak is played.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit import events
from appliance.audit.client import SyncAuditClient
from appliance.audit.commitment import commit, new_salt, opens
from appliance.audit.prove import prove, verify_proof
from appliance.cli import user_person
from appliance.cli.main import app
from appliance.cli.reached import own_log
from appliance.errors import UnavailableError, UsageError
from appliance.gateway import database
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.pseudonyms import subject_of
from appliance.gateway.schema_upgrade import migrate
from appliance.gateway.sealing import SealError, new_wrapped_key, unwrap_key
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
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as running:
        yield running


@pytest.fixture
def site(cluster: postgres.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    cluster.fresh_database()
    paths, keycloak = SitePaths(tmp_path / "site"), Keycloak()
    bench = Bench(paths.audit_log)
    found = Site(paths, bench, keycloak, cluster)
    paths.policies.mkdir(parents=True)
    paths.site_yaml.write_text(SITE)
    (paths.policies / "audit-vkeys").write_text("".join(f"{key.encode()}\n" for key in bench.vkeys))
    paths.credentials(GATEWAY).mkdir(parents=True)
    for name, value in KEYS.items():
        (paths.credentials(GATEWAY) / name).write_bytes(value)
    (paths.run / DATABASE).symlink_to(cluster.socket_dir)

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


def test_41_after_an_erasure_nothing_opens_neither_in_the_store_nor_in_an_older_copy(site: Site) -> None:
    subject, columns = site.subject("analyst"), "m.id, m.content, m.receipt"
    copied = site.query(
        f"SELECT {columns} FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE c.subject = '{subject}'"
    )
    assert len(copied) == 2
    result = site.run("erase", "analyst", "--yes", "--output", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "subject": subject, "conversations": 1, "messages": 2, "sessions": 0, "key": True
    }  # fmt: skip
    for table in ("user_key", "conversation", "session", "quota_counter"):
        assert site.query(f"SELECT count(*) FROM {table} WHERE subject = '{subject}'") == [(0,)]
    sealers = [unwrap_key(KEYS["content_key"], subject, new_wrapped_key(KEYS["content_key"], subject))]
    sealers += [
        unwrap_key(KEYS["content_key"], other, bytes(wrapped))
        for other, wrapped in site.query("SELECT subject, wrapped FROM user_key")
    ]
    for sealer in sealers:  # the attacker has the site's content key and whatever keys are left
        for row, content, receipt in copied:
            for place, sealed in ((f"content:{row}", content), (f"receipt:{row}", receipt)):
                if sealed is not None:
                    with pytest.raises(SealError):
                        sealer.unseal(bytes(sealed), bound_to=place)


def test_41_the_pages_of_the_key_s_table_hold_the_erased_key_no_more(site: Site) -> None:
    ((wrapped,),) = site.query(f"SELECT wrapped FROM user_key WHERE subject = '{site.subject('analyst')}'")
    assert site.run("erase", "analyst", "--yes").exit_code == 0
    ((path,),) = site.query("SELECT pg_relation_filepath('user_key')")
    with site.cluster.admin("sovereign") as connection:
        connection.execute("CHECKPOINT")
    assert bytes(wrapped) not in (site.cluster.socket_dir / "data" / path).read_bytes()


def test_41_the_log_keeps_its_entries_and_proofs_and_says_that_somebody_was_erased(site: Site) -> None:
    own_log(site.paths)
    before = site.bench.verify().size
    assert site.run("erase", "analyst", "--yes").exit_code == 0
    seen: list[dict[str, Any]] = []
    own_log(site.paths)
    size = site.bench.verify(visit=lambda _, entries: seen.extend(map(json.loads, entries))).size
    assert size == before + 2
    acts = [(e["activity_name"], e["entity"]["type"], e["entity"]["name"]) for e in seen if "entity" in e]
    assert acts == [("Delete", "person", site.subject("analyst"))] * 2
    assert not any(word in json.dumps(seen) for word in ("analyst", SUBS["analyst"], PROMPT, ANSWER))
    index = next(i for i, e in enumerate(seen) if e["metadata"]["uid"] == "gateway/r1")
    event = verify_proof(prove(site.bench.directory, index, vkeys=site.bench.vkeys), vkeys=site.bench.vkeys)
    made = event["unmapped"]["sovereign"]["prompt_commitment"]
    assert opens(made, PROMPT.encode(), site.salts["analyst"])  # only who kept the salt could tell
    assert not any(opens(made, PROMPT.encode(), salt) for salt in (bytes(32), site.salts["officer"]))


def test_an_erasure_leaves_everybody_else_as_they_were_and_the_account_is_gone(site: Site, tmp_path: Path) -> None:
    assert site.run("erase", "analyst", "--yes").exit_code == 0
    assert site.keycloak.accounts == {"officer": SUBS["officer"]}
    out = tmp_path / "officer.json"
    assert site.run("export", "officer", "--out", str(out)).exit_code == 0
    held = json.loads(out.read_text())
    assert [m["content"] for m in held["conversations"][0]["messages"]] == [PROMPT, ANSWER]
    again = site.run("erase", "analyst", "--yes")
    assert isinstance(again.exception, UsageError)


def test_a_person_gets_everything_that_is_held_and_nothing_of_others(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "analyst.json"
    assert site.run("export", "analyst", "--out", str(out)).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    held = json.loads(out.read_text())
    assert (held["username"], held["subject"]) == ("analyst", site.subject("analyst"))
    (conversation,) = held["conversations"]
    assert conversation["messages"][1]["receipt"]["prompt_salt"] == base64.b64encode(site.salts["analyst"]).decode()
    assert [one["event"]["metadata"]["uid"] for one in held["log"]] == ["gateway/r1"]
    assert site.subject("officer") not in out.read_text()
    assert isinstance(site.run("export", "analyst", "--out", str(out)).exception, UsageError)  # never overwritten


def test_without_the_log_nobody_is_erased_nor_read(site: Site, tmp_path: Path) -> None:
    site.paths.socket(AUDIT).unlink()
    for arguments in (("erase", "analyst", "--yes"), ("export", "analyst", "--out", str(tmp_path / "out"))):
        assert isinstance(site.run(*arguments).exception, UnavailableError)
    assert site.query("SELECT count(*) FROM conversation") == [(2,)]
    assert site.keycloak.accounts == SUBS
    assert not (tmp_path / "out").exists()


def test_nothing_is_erased_unless_it_is_confirmed(site: Site) -> None:
    result = CliRunner().invoke(app, ["--site", str(site.paths.root), "user", "erase", "analyst"], input="n\n")
    assert isinstance(result.exception, UsageError)
    assert site.query("SELECT count(*) FROM conversation") == [(2,)]
