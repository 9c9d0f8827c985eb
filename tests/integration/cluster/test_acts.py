"""What an operator does to a cluster is in its log: begun before, ended after, never lost and never twice."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.client import SyncAuditClient
from appliance.audit.entry import decode_entry
from appliance.audit.tiles import TileReader
from appliance.cluster.acts import Acting, Name, in_force
from appliance.cluster.backup import restored
from appliance.errors import DeploymentError
from appliance.install import act_record, audit_spool
from appliance.install.act_record import Release
from appliance.install.journal import read_journal
from appliance.install.pack_record import note
from tests.audit.former import in_words

if TYPE_CHECKING:
    from tests.integration.cluster.desk import Desk

OLD, NEW = Release("1.0.0", "sha256:" + "1" * 64), Release("1.1.0", "sha256:" + "2" * 64)


def entries(desk: Desk) -> list[dict[str, Any]]:
    """Entries of acts, in the log's order."""
    with SyncAuditClient(desk.folder / "sock") as client:
        client.checkpoint()  # what is in the journal goes into tiles
    size = desk.log.verify().head.size
    tiles = TileReader(desk.log.directory, size)
    found = (decode_entry(tiles.entry(at))[1] for at in range(size))
    return [one for one in found if one["unmapped"]["sovereign"].get("step") in act_record.STEPS]


def told(desk: Desk) -> list[tuple[str, str, str]]:
    """Step, outcome, and what became of it."""
    return [
        (one["unmapped"]["sovereign"]["step"], in_words(one)["status"], one["status_detail"].partition(";")[0])
        for one in entries(desk)
    ]


def acting(desk: Desk) -> Acting:
    return Acting(desk.paths, desk.known.described, desk.config.parent, desk.hosts.enter)


def act(desk: Desk, name: Name = "upgrade", before: Release = OLD, after: Release = NEW) -> str | None:
    with acting(desk) as run:
        run.begin(name, before, after)
    return run.unlogged


def fail(desk: Desk, name: Name, error: BaseException) -> None:
    with acting(desk) as run:
        run.begin(name, OLD, NEW)
        raise error


def away(desk: Desk) -> None:
    desk.hosts.answers["get pod audit-0"] = ""


def test_an_act_is_in_the_log_before_anything_changes_and_again_at_its_end(desk: Desk) -> None:
    with acting(desk) as run:
        run.begin("upgrade", OLD, NEW)
        assert told(desk) == [("upgrade", "Success", "begun")]
    assert run.unlogged is None
    assert told(desk) == [("upgrade", "Success", "begun"), ("upgrade", "Success", "went through")]
    last = entries(desk)[-1]
    assert last["status_detail"].endswith(f"from release 1.0.0 ({OLD.digest}) to release 1.1.0 ({NEW.digest})")
    assert last["actor"]["user"]["uid"].startswith("uid ")
    assert last["unmapped"]["sovereign"]["inputs_digest"] == NEW.digest
    assert last["app"]["version"] == "1.1.0"


def test_an_act_that_fails_is_entered_with_the_kind_of_failure_and_no_word_of_it(desk: Desk) -> None:
    with pytest.raises(DeploymentError):
        fail(desk, "rollback", DeploymentError("node2: password=a-canary"))
    assert told(desk)[-1] == ("rollback", "Failure", "failed: DeploymentError")
    assert "a-canary" not in str(entries(desk))


def test_what_the_writer_could_not_take_is_entered_by_the_next_run_and_once(desk: Desk) -> None:
    away(desk)
    assert "audit-0" in str(act(desk))
    assert told(desk) == []
    desk.hosts.answers.clear()
    assert act(desk, "rollback", NEW, OLD) is None
    wanted = [("upgrade", "begun"), ("upgrade", "went through"), ("rollback", "begun"), ("rollback", "went through")]
    assert [(step, what) for step, _, what in told(desk)] == wanted
    audit_spool._marker(desk.paths).unlink()  # what was noted of it is lost: all is sent again
    assert act(desk, "install", OLD, OLD) is None
    assert len(entries(desk)) == len(wanted) + 2


def test_a_failure_that_the_log_has_not_heard_of_says_so(desk: Desk) -> None:
    away(desk)
    with pytest.raises(DeploymentError) as failed:
        fail(desk, "upgrade", DeploymentError("node2: disk full"))
    assert "nor is it in the audit log yet" in failed.value.__notes__[0]


def test_a_first_installation_asks_for_no_writer_until_there_is_one(desk: Desk) -> None:
    with acting(desk) as run:
        run.begin("install", Release(), OLD)
        assert desk.hosts.calls == []
    assert [what for _, _, what in told(desk)] == ["begun", "went through"]
    assert entries(desk)[0]["status_detail"].startswith("begun; from no release to release 1.0.0")


def test_an_act_whose_administrator_was_lost_is_entered_as_failed_once_another_begins(desk: Desk) -> None:
    lost = acting(desk)
    lost.begin("upgrade", OLD, NEW)  # killed: nobody ends it
    assert act(desk) is None
    assert [what for _, _, what in told(desk)] == ["begun", "failed: interrupted", "begun", "went through"]
    assert len({record.detail["act"] for record in read_journal(desk.paths.journal)}) == 2


def test_who_presses_a_key_waits_for_no_host_and_the_next_run_enters_it(desk: Desk) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail(desk, "upgrade", KeyboardInterrupt())
    assert len([line for _, line in desk.hosts.calls if "get pod audit-0" in line]) == 1  # of its beginning
    assert act(desk) is None
    assert [what for _, _, what in told(desk)][:2] == ["begun", "failed: KeyboardInterrupt"]


def test_what_never_began_is_no_entry(desk: Desk) -> None:
    with pytest.raises(DeploymentError), acting(desk):
        raise DeploymentError("the bundle was changed")
    assert not desk.paths.journal.exists()
    assert in_force(desk.paths).version == "1.0.0"


def test_what_commands_did_here_meanwhile_goes_into_the_log_with_an_act_each_once(desk: Desk) -> None:
    away(desk)
    assert act(desk) is not None
    note(desk.paths, "drop", "done", "sha256:" + "3" * 64, {"uid": "0", "group": "analysts"})
    desk.hosts.answers.clear()
    assert act(desk, "rollback", NEW, OLD) is None
    assert [what for _, _, what in told(desk)] == ["begun", "went through"] * 2
    size = desk.log.verify().head.size
    tiles = TileReader(desk.log.directory, size)
    found = [decode_entry(tiles.entry(at))[1]["unmapped"]["sovereign"] for at in range(size)]
    assert len([one for one in found if one["kind"] == "learning_decision"]) == 1


def test_an_act_that_was_killed_once_all_of_it_was_done_is_no_failure(desk: Desk) -> None:
    """A release is in force only after its last step: what was lost is the note of that."""
    acting(desk).begin("upgrade", OLD, NEW)
    assert act(desk, "install", NEW, NEW) is None
    assert [what for _, _, what in told(desk)][:2] == ["begun", "went through: its end was noted later"]
    assert [outcome for _, outcome, _ in told(desk)] == ["Success"] * 4


@pytest.mark.parametrize("marker", [b"", b"[]", b'{"seq": "x"}', b'{"seq": 2, "at": "2026-01-01T00:00:00+00:00"}'])
def test_a_note_of_what_was_sent_that_is_none_of_this_journal_keeps_nothing_back(marker: bytes, desk: Desk) -> None:
    desk.paths.journal.parent.mkdir(exist_ok=True)
    audit_spool._marker(desk.paths).write_bytes(marker)
    assert act(desk) is None
    assert [what for _, _, what in told(desk)] == ["begun", "went through"]
    assert act(desk) is None
    assert len(told(desk)) == 4


def test_what_the_log_has_in_other_words_holds_up_no_later_act(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that was replaced between sending and noting it words the same record another way."""
    with monkeypatch.context() as former:
        former.setitem(act_record._WORDS, "started", "started")
        former.setattr(audit_spool, "write_private", lambda *_: None)
        lost = acting(desk)
        lost.begin("upgrade", OLD, NEW)
    assert act(desk) is None
    assert [what for _, _, what in told(desk)] == ["started", "failed: interrupted", "begun", "went through"]


def test_a_log_that_was_put_back_is_told_again_of_what_it_lacks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert act(desk) is None
    for name in ("receive_log", "take_log", "_demand_told"):
        monkeypatch.setattr(restored, name, lambda *_: None)
    run: Any = SimpleNamespace(paths=desk.paths, log=nullcontext)
    restored.lay_log(run, desk.hosts.reach(), "node2")
    restored.lay_log(run, desk.hosts.reach(), "node2")  # whoever restores again finds no note
    assert not audit_spool._marker(desk.paths).exists()
    assert act(desk, "rollback", NEW, OLD) is None
    assert len(told(desk)) == 4


def test_an_act_is_told_to_no_log_of_another_site_at_the_same_addresses(desk: Desk) -> None:
    (desk.hosts.folder / "site.json").write_text('{"id": "another"}')
    assert "does not bear the mark of this site" in str(act(desk))
    assert told(desk) == []
