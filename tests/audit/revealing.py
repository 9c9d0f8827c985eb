"""A site at which somebody asked something, and auditors who sign requests to see it and approvals of them.

The commands run as people run them, against a real database and a real audit writer.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from airgap_bundle.keys import save
from airgap_bundle.statement import sign_statement
from appliance.audit import events, reveal
from appliance.audit.client import SyncAuditClient
from appliance.audit.commitment import commit, new_salt
from appliance.cli.main import app
from appliance.gateway import database
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.pseudonyms import Subject
from appliance.gateway.schema_upgrade import migrate
from appliance.gateway.turns import TurnStore
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.gateway import postgres
from tests.signers import signer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

AUDITORS = ("custodian", "deputy")
SITE = f"""\
schema: 1
name: ministry
models: [{{name: gemma3-270m}}]
groups: [{{name: clerks}}]
listen: {{database_port: {postgres.PORT}}}
auditors:
  - {{name: custodian, public_key: custodian.pub}}
  - {{name: deputy, public_key: deputy.pub}}
"""
KEYS = {"content_key": b"c" * 32, "db_password": postgres.PASSWORD.encode()}
SUBJECT = Subject("ab" * 16)
PROMPT, ANSWER = "may I tell my superior that I am ill?", "You need not say what ails you."
LONG = "the step failed: " + "x" * 9000
REASON = "complaint of the third of May"
NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass
class Site:
    """A site at which somebody asked something, and the auditors' keys."""

    paths: SitePaths
    bench: Bench
    desk: Path

    def run(self, *words: str) -> Result:
        reader, writer = os.pipe()
        os.write(writer, b"passphrase\n")
        os.close(writer)
        fd = ["--passphrase-fd", str(reader)] if words[0] != "show" else []
        try:
            return CliRunner().invoke(app, ["--site", str(self.paths.root), "reveal", *words, *fd])
        finally:
            os.close(reader)

    def request(self, who: str = "custodian", entry: int = 0, **options: str) -> Path:
        out = self.desk / "request"
        words = ["--key", str(self.desk / f"{who}.key"), "--reason", options.get("reason", REASON), "--out", str(out)]
        done = self.run("request", str(entry), *words)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return out

    def approve(self, who: str = "deputy") -> Path:
        out = self.desk / "approval"
        done = self.run(
            "approve", str(self.desk / "request"), "--key", str(self.desk / f"{who}.key"), "--out", str(out), "--yes"
        )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return out

    def show(self, name: str = "said") -> Result:
        return self.run("show", str(self.desk / "request"), str(self.desk / "approval"), "--out", str(self.desk / name))

    def logged(self) -> list[tuple[str, str, str]]:
        """Who did what to which entry's content, by the log."""
        seen: list[dict[str, Any]] = []
        self.bench.verify(visit=lambda _, entries: seen.extend(map(json.loads, entries)))
        return [
            (e["actor"]["user"]["uid"], e["entity"]["name"], e["comment"].partition(";")[0])
            for e in seen
            if e.get("entity", {}).get("type") == "content"
        ]


async def _converse(pool: AsyncEngine, receipt: dict[str, Any]) -> None:
    await migrate(pool)
    store = ConversationStore(pool, KEYS["content_key"])
    turns, made = TurnStore(pool, store), await store.create(SUBJECT, "gemma3-270m")
    for question, answer, kept in (("good morning", "good morning", {}), (PROMPT, ANSWER, receipt)):
        turn = await turns.open(SUBJECT, made.id, question)
        await turns.start(turn)
        await turns.finish(turn, answer, "stop", kept)
        await turns.close(turn)
    await pool.dispose()


@pytest.fixture(scope="module")
def reveal_cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as running:
        yield running


@pytest.fixture
def reveal_site(reveal_cluster: postgres.Cluster, tmp_path: Path) -> Iterator[Site]:
    reveal_cluster.fresh_database()
    paths, desk = SitePaths(tmp_path / "site"), tmp_path / "desk"
    bench = Bench(paths.audit_log, origin="sovereign/ministry")
    (paths.policies / "auditors").mkdir(parents=True)
    desk.mkdir()
    for name in (*AUDITORS, "stranger"):
        save(signer(name), desk, b"passphrase", cost=2)
    for name in AUDITORS:
        shutil.copyfile(desk / f"{name}.pub", paths.policies / "auditors" / f"{name}.pub")
    paths.site_yaml.write_text(SITE)
    (paths.policies / "audit-vkeys").write_text("".join(f"{key.encode()}\n" for key in bench.vkeys))
    paths.credentials(GATEWAY).mkdir(parents=True)
    for name, value in KEYS.items():
        (paths.credentials(GATEWAY) / name).write_bytes(value)
    (paths.run / DATABASE).symlink_to(reveal_cluster.socket_dir)
    salts = new_salt(), new_salt()
    commitment = commit(PROMPT.encode(), salts[0])
    receipt = {
        "commitments": {
            "prompt": commitment,
            "answer": commit(ANSWER.encode(), salts[1]),
            "answer_salt": base64.b64encode(salts[1]).decode(),
        }
    }
    asyncio.run(_converse(database.connect(reveal_cluster.socket_dir, postgres.PORT, postgres.PASSWORD), receipt))
    who = {"subject": SUBJECT, "groups": ("clerks",), "model_digest": "sha256:a5", "model_name": "gemma3-270m"}
    request = events.request(request_id="r1", **who, prompt_commitment=commitment)
    unkept = events.request(request_id="r2", **who, prompt_commitment=commit(b"by a program", salts[1]))
    keys = tmp_path / "keys"
    keys.mkdir()
    with writers(bench, keys, paths.socket(AUDIT), {"operator": os.getuid(), "gateway": os.getuid()}) as begin:
        begin()
        with SyncAuditClient(paths.socket(AUDIT)) as client:
            client.append(request, id="gateway/r1")
            client.append(unkept, id="gateway/r2")
            client.append(events.sign_in(subject=SUBJECT), id="gateway/s1")
        yield Site(paths, bench, desk)
    shutil.rmtree(paths.run)


def statement(who: str, kind: str, payload: dict[str, Any], **changes: object) -> bytes:
    times = {
        "issued": f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "expires": f"{NOW + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
    }
    return sign_statement({"schema": 1, "by": who, **times, **payload, **changes}, kind, signer(who))


def asked(site: Site, who: str = "custodian", **changes: object) -> bytes:
    leaf = reveal.open_request(
        (site.desk / "request").read_bytes(), [signer(n).public for n in AUDITORS], site.bench.origin, datetime.now(UTC)
    )["leaf"]
    payload = {"origin": site.bench.origin, "entry": 0, "leaf": leaf, "reason": REASON}
    return statement(who, reveal.REQUEST_TYPE, payload, **changes)


def agreed(request: bytes, who: str = "deputy", **changes: object) -> bytes:
    return statement(who, reveal.APPROVAL_TYPE, {"request": reveal._digest(request)}, **changes)
