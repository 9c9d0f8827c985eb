"""What an install changes of policies, keys, waivers and statements is named, file by file, in its entry."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.apart import Item, set_apart
from appliance.audit.apart import told as saying
from appliance.audit.entry import encode_entry
from appliance.audit.events_operation import MAX_FILE, MAX_FILES, install_step
from appliance.install import audit_spool
from appliance.install.file_changes import changes_of, journaled_changes, last_said
from appliance.install.journal import Journal, Record, read_journal
from appliance.install.runner import execute
from appliance.install.steps import site
from appliance.site.paths import SitePaths
from tests.audit.former import in_words

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.install.file_changes import Changes
    from appliance.install.runner import Advance, Step

SITE = b"schema: 1\nname: ministry\nmodels: [{name: gemma3-270m}]\ngroups: [{name: clerks}]\n"
WAIVED = "gemma3-270m by deputy until 2027-01-01"


def told(**files: bytes) -> list[str]:
    return [f"{hashlib.sha256(data).hexdigest()[:12]} {name}" for name, data in files.items()]


class Watcher:
    """Nobody looks at the progress of these steps."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: None


class Desk:
    """The step that puts the operator's files in force, with the gate left out, and the journal it is noted in."""

    def __init__(self, root: Path) -> None:
        self.paths = SitePaths(root / "site")
        self.paths.policies.mkdir(parents=True)

    def step(self, installed: dict[str, bytes], site_yaml: bytes = SITE) -> Step:
        release_policy = SimpleNamespace(open=lambda: io.BytesIO(b"policy of the release"))
        files = SimpleNamespace(installed=lambda: installed, site_yaml=site_yaml)
        policy = SimpleNamespace(files={site.POLICY: release_policy})
        context: Any = SimpleNamespace(
            paths=self.paths, files=files, only=lambda _kind: policy, release=SimpleNamespace(digest="sha256:0")
        )
        return replace(site._policies(context), after=())

    def install(self, installed: dict[str, bytes], site_yaml: bytes = SITE) -> Changes:
        """The changes that the journal has of it."""
        journal = Journal.open(self.paths.journal)
        try:
            execute([self.step(installed, site_yaml)], journal, Watcher())
        finally:
            journal.close()
        last = read_journal(self.paths.journal)[-1]
        assert last.state == "done"
        return changes_of(last.detail)

    def entries(self) -> list[dict[str, Any]]:
        """What the log gets of the journal."""
        return [audit_spool._event(one, "1.0.0") for _, one in audit_spool._ended(read_journal(self.paths.journal))]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(site, "judge_models", lambda _context: (WAIVED,))
    return Desk(tmp_path)


def ours(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = event["unmapped"]["sovereign"]
    return found


def test_what_comes_changes_and_goes_is_told_by_digest_and_name(desk: Desk) -> None:
    first = desk.install({"officers/deputy.pub": b"key", "waivers/one": b"w1", "auditors/custodian.pub": b"a"})
    assert first == {
        "added": told(
            **{
                "site.yaml": SITE,
                "models.yaml": b"policy of the release",
                "officers/deputy.pub": b"key",
                "waivers/one": b"w1",
                "auditors/custodian.pub": b"a",
            }
        )
    }
    second = desk.install({"officers/deputy.pub": b"another key", "models.yaml": b"own policy", "statements/s": b"s"})
    assert second == {
        "removed": told(**{"auditors/custodian.pub": b"a", "waivers/one": b"w1"}),
        "changed": told(**{"models.yaml": b"own policy", "officers/deputy.pub": b"another key"}),
        "added": told(**{"statements/s": b"s"}),
    }
    assert not (desk.paths.policies / "auditors" / "custodian.pub").exists(), "its going is told, and it is gone"


def test_what_stays_as_it_is_is_no_change(desk: Desk) -> None:
    desk.install({"officers/deputy.pub": b"key"})
    before = read_journal(desk.paths.journal)
    desk.install({"officers/deputy.pub": b"key"})
    assert read_journal(desk.paths.journal) == before
    assert desk.install({"officers/deputy.pub": b"key"}, SITE + b"# more\n") == {
        "changed": told(**{"site.yaml": SITE + b"# more\n"})
    }
    (desk.paths.policies / "models.yaml").unlink()  # the step runs again, and puts back what somebody took away
    assert desk.install({"officers/deputy.pub": b"key"}, SITE + b"# more\n") == {
        "added": told(**{"models.yaml": b"policy of the release"})
    }


def test_a_file_that_was_edited_where_it_lies_is_a_change_by_what_it_was(desk: Desk) -> None:
    """Who installs what they wrote into the installed site.yaml changes it as much as who brings another."""
    desk.install({"officers/deputy.pub": b"key"})
    edited = SITE + b"# more\n"
    desk.paths.site_yaml.write_bytes(edited)
    assert desk.install({"officers/deputy.pub": b"key"}, edited) == {"changed": told(**{"site.yaml": edited})}
    (entry,) = [one for one in desk.entries() if ours(one).get("files", {}).get("changed")]
    assert in_words(entry)["status"] == "Success"
    (digests,) = [json.loads(one.detail["digests"]) for one in read_journal(desk.paths.journal)[-1:]]
    assert digests == {"site.yaml": [hashlib.sha256(one).hexdigest() for one in (SITE, edited)]}


def test_an_edited_file_is_put_back_by_who_brings_the_former_one(desk: Desk) -> None:
    """The step's inputs are those of the last time: what lies there says that it is to run."""
    desk.install({"officers/deputy.pub": b"key"})
    desk.paths.site_yaml.write_bytes(SITE + b"# more\n")
    assert desk.install({"officers/deputy.pub": b"key"}) == {"changed": told(**{"site.yaml": SITE})}
    assert desk.paths.site_yaml.read_bytes() == SITE


def test_a_file_that_was_taken_away_and_is_not_wanted_any_more_went(desk: Desk) -> None:
    desk.install({"officers/deputy.pub": b"key", "waivers/one": b"w"})
    (desk.paths.policies / "waivers" / "one").unlink()
    assert desk.install({"officers/deputy.pub": b"key"}) == {"removed": told(**{"waivers/one": b"w"})}
    before = read_journal(desk.paths.journal)
    desk.install({"officers/deputy.pub": b"key"})
    assert read_journal(desk.paths.journal) == before


def test_what_a_cut_off_step_brought_was_there_when_it_was_done_again() -> None:
    first, second, third = ("1" * 64, "2" * 64, "3" * 64)
    plan, more = journaled_changes({"x": (first, second)}), journaled_changes({"y": (None, third)})
    at = "2026-11-26T09:00:00.000+00:00"
    records = [
        Record(1, at, "policies", "started", "d", plan),
        Record(2, at, "policies", "started", "d"),
        Record(3, at, "policies", "done", "d"),
        Record(4, at, "policies", "started", "d", more),
        Record(5, at, "policies", "failed", "d", more),
    ]
    assert last_said(records) == {"x": second}
    assert last_said(records[:-1]) == {"x": second, "y": third}


def test_what_failed_and_was_put_back_is_no_change(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.install({})
    with monkeypatch.context() as patched:

        def refuse(_context: object) -> tuple[str, ...]:
            raise RuntimeError

        patched.setattr(site, "judge_models", refuse)
        with pytest.raises(RuntimeError):
            desk.install({}, SITE + b"# more\n")
    before = len(read_journal(desk.paths.journal))
    desk.install({})
    ended = [one.detail for one in read_journal(desk.paths.journal)[before:]]
    assert [changes_of(one) for one in ended] == [{}] * len(ended)


def test_the_logs_entry_of_the_step_says_it_and_whose_word_models_rest_on(desk: Desk) -> None:
    desk.install({"officers/deputy.pub": b"key"})
    desk.install({"officers/outsider.pub": b"other"})
    event = desk.entries()[-1]
    assert ours(event)["kind"] == "install_step"
    assert ours(event)["files"] == {
        "removed": told(**{"officers/deputy.pub": b"key"}),
        "added": told(**{"officers/outsider.pub": b"other"}),
    }
    assert event["status_detail"] == f"waived: {WAIVED}"


def test_many_other_files_push_no_changed_key_and_no_waiver_out_of_the_entry(desk: Desk) -> None:
    old = {f"waivers/of-last-year-{number:03}": b"w" for number in range(60)}
    desk.install({**old, "officers/deputy.pub": b"key"})
    desk.install({"officers/deputy.pub": b"another key"})
    event = desk.entries()[-1]
    assert len(ours(event)["files"]["removed"]) == 60
    assert ours(event)["files"]["changed"] == told(**{"officers/deputy.pub": b"another key"})
    assert event["status_detail"] == f"waived: {WAIVED}"


def test_a_name_that_reads_like_a_change_stays_one_name(desk: Desk) -> None:
    name = "waivers/x; changed: 000000000000 officers"
    assert desk.install({name: b"w"})["added"][-1:] == told(**{name: b"w"})


def test_more_files_than_an_entry_has_room_for_are_counted_and_committed_to() -> None:
    names = [f"{number:012x} statements/" + "\N{SNOWMAN}" * 200 for number in range(MAX_FILES + 40)]
    event = install_step(step="policies", files={"removed": names[:30], "added": names[30:]}, detail="\x00" * 5000)
    kept = ours(event)["files"]
    assert (len(kept["removed"]), len(kept["added"]), kept["more"]) == (30, MAX_FILES - 30, 40)
    assert all(len(json.dumps(one)) <= MAX_FILE + len('"\\u2026"') for one in kept["added"])
    short, apart = set_apart(event, "i" * 200)
    assert [one.at for one in apart] == ["/status_detail"]
    encode_entry(saying(short, [Item("/status_detail", 5000, "c" * 71, "f" * 71)]), "i" * 200)
    other = install_step(step="policies", files={"removed": names[:30], "added": [*names[30:-1], "x"]})
    assert ours(other)["files"]["all"] != kept["all"]
    assert "all" not in ours(install_step(step="policies", files={"added": names[:MAX_FILES]}))["files"]


def crash(desk: Desk, installed: dict[str, bytes]) -> None:
    """The step did all that it does, and the host died before the journal could say so."""
    held: list[bytes] = []
    step = desk.step(installed)

    def work(advance: Advance) -> None:
        step.run(advance)
        held.append(desk.paths.journal.read_bytes())

    journal = Journal.open(desk.paths.journal)
    execute([replace(step, run=work)], journal, Watcher())
    journal.close()
    desk.paths.journal.write_bytes(held[0])


def test_a_crash_hides_no_key_that_came_into_force(desk: Desk) -> None:
    desk.install({"officers/deputy.pub": b"key", "waivers/one": b"w1"})
    crash(desk, {"officers/deputy.pub": b"another key"})
    assert desk.install({"officers/deputy.pub": b"another key"}) == {}
    before, interrupted, after = desk.entries()
    assert ours(interrupted)["files"] == {
        "removed": told(**{"waivers/one": b"w1"}),
        "changed": told(**{"officers/deputy.pub": b"another key"}),
    }
    assert (in_words(before)["status"], in_words(interrupted)["status"], in_words(after)["status"]) == (
        "Success",
        "Failure",
        "Success",
    )
    assert interrupted["status_detail"] == "error: Interrupted"


def test_a_step_that_fails_tells_what_it_was_to_change(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_context: object) -> tuple[str, ...]:
        raise RuntimeError

    monkeypatch.setattr(site, "judge_models", refuse)
    with pytest.raises(RuntimeError):
        desk.install({"officers/deputy.pub": b"key"})
    (event,) = desk.entries()
    assert in_words(event)["status"] == "Failure"
    assert told(**{"officers/deputy.pub": b"key"})[0] in ours(event)["files"]["added"]
    assert not (desk.paths.policies / "officers").exists()


def test_every_ended_step_is_told_once_and_one_that_is_under_way_is_not() -> None:
    plan = journaled_changes({"x": (None, "0")})
    records = [
        Record(1, "2026-11-26T09:00:00.000+00:00", "policies", "started", "d", plan),
        Record(2, "2026-11-26T09:00:01.000+00:00", "folders", "started", "d"),
        Record(3, "2026-11-26T09:00:02.000+00:00", "folders", "done", "d"),
        Record(4, "2026-11-26T09:00:03.000+00:00", "policies", "started", "d", plan),
        Record(5, "2026-11-26T09:00:04.000+00:00", "policies", "done", "d", plan),
        Record(6, "2026-11-26T09:00:05.000+00:00", "folders", "started", "d"),
        Record(7, "2026-11-26T09:00:06.000+00:00", "folders", "started", "d"),
        Record(8, "2026-11-26T09:00:07.000+00:00", "policies", "started", "d", plan),
    ]
    found = [(known, one.seq, one.state) for known, one in audit_spool._ended(records)]
    assert found == [(3, 3, "done"), (4, 1, "failed"), (5, 5, "done")]
