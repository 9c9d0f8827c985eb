"""Somebody who was erased: not in the store, not in an older copy of it, not in the log; and every proof still holds.

The attacker here holds the site's keys, a copy of the database from before, and the log. The commands run as an
operator runs them, against a real database and a real audit writer; only Keycloak is played.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from appliance.audit.commitment import opens
from appliance.audit.prove import prove, verify_proof
from appliance.cli.main import app
from appliance.cli.reached import own_log
from appliance.errors import UnavailableError, UsageError
from appliance.gateway.quota import owner_of
from appliance.gateway.sealing import SealError, new_wrapped_key, unwrap_key
from appliance.site.paths import AUDIT
from tests.audit.erasing import ANSWER, KEYS, PROMPT, SUBS
from tests.audit.former import in_words

if TYPE_CHECKING:
    from pathlib import Path

    from tests.audit.erasing import Site


@pytest.fixture
def site(erasure_site: Site) -> Site:
    return erasure_site


def test_41_after_an_erasure_nothing_opens_neither_in_the_store_nor_in_an_older_copy(site: Site) -> None:
    subject, columns = site.subject("analyst"), "m.id, m.content, m.receipt"
    copied = site.query(
        f"SELECT {columns} FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE c.subject = '{subject}'"
    )
    assert len(copied) == 2
    site.query(f"INSERT INTO quota_counter VALUES ('{owner_of(subject)}', 'tokens', now(), 1, 2) RETURNING used")
    result = site.run("erase", "analyst", "--yes", "--output", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "subject": subject, "conversations": 1, "messages": 2, "sessions": 0, "key": True, "documents": 0
    }  # fmt: skip
    for table in ("user_key", "conversation", "session", "quota_counter"):
        assert site.query(f"SELECT count(*) FROM {table} WHERE subject LIKE '%{subject}%'") == [(0,)]
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
    acts = [(in_words(e)["activity_name"], e["entity"]["type"], e["entity"]["name"]) for e in seen if "entity" in e]
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
