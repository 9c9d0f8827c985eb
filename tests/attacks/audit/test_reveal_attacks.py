"""What was said behind an entry is shown to nobody on one person's word, and to nobody unseen.

The commands run as people run them, against a real database and a real audit writer. The attacker is one of the
auditors, or the operator, and has every file that the other ever signed.
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
from appliance.audit.errors import ApartError, RevealError
from appliance.audit.events_operation import install_step
from appliance.audit.merkle import leaf_hash
from appliance.audit.roles import OPERATOR
from appliance.cli.main import app
from appliance.errors import SovereignError, UnavailableError, UsageError
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
    from collections.abc import Callable, Iterator
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
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as running:
        yield running


@pytest.fixture
def site(cluster: postgres.Cluster, tmp_path: Path) -> Iterator[Site]:
    cluster.fresh_database()
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
    (paths.run / DATABASE).symlink_to(cluster.socket_dir)
    salts = new_salt(), new_salt()
    commitment = commit(PROMPT.encode(), salts[0])
    receipt = {
        "commitments": {
            "prompt": commitment,
            "answer": commit(ANSWER.encode(), salts[1]),
            "answer_salt": base64.b64encode(salts[1]).decode(),
        }
    }
    asyncio.run(_converse(database.connect(cluster.socket_dir, postgres.PORT, postgres.PASSWORD), receipt))
    who = {"subject": SUBJECT, "groups": ("clerks",), "model_digest": "sha256:a5", "model_name": "gemma3-270m"}
    asked = events.request(request_id="r1", **who, prompt_commitment=commitment)
    unkept = events.request(request_id="r2", **who, prompt_commitment=commit(b"by a program", salts[1]))
    keys = tmp_path / "keys"
    keys.mkdir()
    with writers(bench, keys, paths.socket(AUDIT), {"operator": os.getuid(), "gateway": os.getuid()}) as begin:
        begin()
        with SyncAuditClient(paths.socket(AUDIT)) as client:
            client.append(asked, id="gateway/r1")
            client.append(unkept, id="gateway/r2")
            client.append(events.sign_in(subject=SUBJECT), id="gateway/s1")
        yield Site(paths, bench, desk)
    shutil.rmtree(paths.run)


def test_two_persons_see_what_was_said_and_the_log_has_both_and_each_showing(site: Site) -> None:
    site.request()
    site.approve()
    assert site.logged() == []
    assert site.show().exit_code == 0
    said = site.desk / "said"
    assert said.stat().st_mode & 0o777 == 0o600
    told = json.loads(said.read_text())
    assert told == {"entry": 0, "subject": SUBJECT, "question": PROMPT, "answer": ANSWER, "proven": True}
    once = [("custodian", "entry 0", "requested"), ("deputy", "entry 0", "approved")]
    shown = (f"uid {os.getuid()}", "entry 0", "shown")
    assert site.logged() == [*once, shown]
    assert isinstance(site.show().exception, UsageError)  # never overwritten
    assert site.show("again").exit_code == 0
    assert site.logged() == [*once, shown, shown]


def test_a_text_that_is_kept_apart_is_shown_to_two_persons_and_to_nobody_unseen(site: Site) -> None:
    step = install_step(step="start", detail=LONG, actor="uid 0", success=False)
    with SyncAuditClient(site.paths.socket(AUDIT)) as audit:
        index = audit.append(step, id=OPERATOR.id("step")).index
    site.request(entry=index)
    with pytest.raises(RevealError, match="asked for it"):
        site.approve("custodian")
    assert isinstance(site.show().exception, UsageError)
    assert not (site.desk / "said").exists()
    assert site.logged() == []
    site.approve()
    assert site.show().exit_code == 0
    (told,) = json.loads((site.desk / "said").read_text())["apart"]
    assert (told["at"], told["text"]) == ("/status_detail", LONG)
    assert [what for _, _, what in site.logged()] == ["requested", "approved", "shown"]
    (file,) = site.paths.audit_log.glob("apart/??/*")
    file.write_bytes(b"something else")
    assert isinstance(site.show("again").exception, ApartError)
    assert not (site.desk / "again").exists()


def _refused(site: Site, kind: type[SovereignError] = RevealError) -> str:
    done = site.show()
    assert isinstance(done.exception, kind), done.exception
    assert not (site.desk / "said").exists()
    assert site.logged() == []
    return done.exception.cause


def _statement(who: str, kind: str, payload: dict[str, Any], **changes: object) -> bytes:
    times = {
        "issued": f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "expires": f"{NOW + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
    }
    return sign_statement({"schema": 1, "by": who, **times, **payload, **changes}, kind, signer(who))


def _asked(site: Site, who: str = "custodian", **changes: object) -> bytes:
    leaf = reveal.open_request(
        (site.desk / "request").read_bytes(), [signer(n).public for n in AUDITORS], site.bench.origin, datetime.now(UTC)
    )["leaf"]
    payload = {"origin": site.bench.origin, "entry": 0, "leaf": leaf, "reason": REASON}
    return _statement(who, reveal.REQUEST_TYPE, payload, **changes)


def _agreed(request: bytes, who: str = "deputy", **changes: object) -> bytes:
    return _statement(who, reveal.APPROVAL_TYPE, {"request": reveal._digest(request)}, **changes)


def _put(site: Site, request: bytes, approval: bytes) -> None:
    (site.desk / "request").write_bytes(request)
    (site.desk / "approval").write_bytes(approval)


def test_one_person_is_not_two(site: Site) -> None:
    site.request("deputy")
    with pytest.raises(RevealError, match="asked for it"):
        site.approve("deputy")
    asked = _asked(site, "deputy")
    _put(site, asked, _agreed(asked, "deputy"))
    assert "no second person" in _refused(site)


def test_one_key_under_two_names_is_one_person(site: Site) -> None:
    """The operator enrols the custodian's key a second time, under the deputy's name."""
    site.request()
    asked = _asked(site)
    public = json.loads((site.desk / "custodian.pub").read_bytes()) | {"name": "deputy"}
    (site.paths.policies / "auditors/deputy.pub").write_text(json.dumps(public))
    _put(site, asked, _agreed(asked, "custodian", by="deputy"))
    assert "not by custodian" in _refused(site)
    halves = json.loads((site.desk / "deputy.pub").read_bytes())
    mixed = halves | {"keys": halves["keys"] | {"ed25519": public["keys"]["ed25519"]}}
    (site.paths.policies / "auditors/deputy.pub").write_text(json.dumps(mixed))
    _put(site, asked, _agreed(asked))
    _refused(site)


CHANGES: dict[str, Callable[[Site], tuple[bytes, bytes]]] = {
    "no approval": lambda site: (_asked(site), b""),
    "the request for an approval": lambda site: (_asked(site), _asked(site, "deputy")),
    "an approval of another request": lambda site: (_asked(site, entry=1), _agreed(_asked(site))),
    "another reason": lambda site: (_asked(site, reason="curiosity, after all"), _agreed(_asked(site))),
    "no reason": lambda site: _both(_asked(site, reason="")),
    "a stranger's request": lambda site: _both(_asked(site, "stranger")),
    "a stranger's approval": lambda site: (_asked(site), _agreed(_asked(site), "stranger")),
    "in another's name": lambda site: (_asked(site), _agreed(_asked(site), "custodian", by="deputy")),
    "an approval that ended": lambda site: (_asked(site), _agreed(_asked(site), expires="2026-01-02T00:00:00Z")),
    "an approval for ever": lambda site: (_asked(site), _agreed(_asked(site), expires="2096-01-02T00:00:00Z")),
    "a request from tomorrow": lambda site: _both(
        _asked(site, issued="2095-01-01T00:00:00Z", expires="2095-01-02T00:00:00Z")
    ),
    "no end": lambda site: _both(_asked(site, expires=None)),
    "another log": lambda site: _both(_asked(site, origin="sovereign/elsewhere")),
    "another entry's hash": lambda site: _both(_asked(site, leaf=leaf_hash(b"x").hex())),
    "no entry": lambda site: _both(_asked(site, entry=True)),
    "a later version": lambda site: _both(_asked(site, schema=2)),
}


def _both(request: bytes) -> tuple[bytes, bytes]:
    return request, _agreed(request)


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_less_than_two_whole_statements_shows_anything(site: Site, change: str) -> None:
    site.request()
    _put(site, *CHANGES[change](site))
    _refused(site)


def test_a_statement_with_half_a_signature_is_none(site: Site) -> None:
    site.request()
    site.approve()
    path = site.desk / "approval"
    envelope = json.loads(path.read_bytes())
    for half in range(2):
        path.write_text(json.dumps(envelope | {"signatures": [envelope["signatures"][half]]}))
        _refused(site)


def test_without_the_log_nothing_is_shown(site: Site) -> None:
    site.request()
    site.approve()
    site.paths.socket(AUDIT).unlink()
    assert isinstance(site.show().exception, UnavailableError)
    assert not (site.desk / "said").exists()


def test_an_entry_that_is_no_request_or_whose_content_is_not_held_shows_nothing(site: Site) -> None:
    with pytest.raises(UsageError, match="no request"):
        site.request(entry=2)
    site.request(entry=1)
    site.approve()
    done = site.show()
    assert isinstance(done.exception, UsageError)
    assert "nothing is held" in done.exception.cause
    assert [what for _, _, what in site.logged()] == ["requested", "approved", "shown"]  # it was looked for


def test_a_request_needs_a_reason(site: Site) -> None:
    with pytest.raises(RevealError, match="characters"):
        site.request(reason="why")
    assert not (site.desk / "request").exists()
