"""A host is lost after somebody was erased and before the next backup: an auditor's later copy of the log knows it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.store import VerifiedRelease
from appliance.audit.erased import erased_people
from appliance.audit.errors import LaterLogError
from appliance.cli import restore as restore_command
from appliance.install.backup.mark import mark
from appliance.install.host import Installed
from appliance.site.paths import SitePaths
from tests.audit.former import in_words
from tests.install.lost import SUBS

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.later import LaterLog
    from tests.install.lost import Lost


def test_who_was_erased_after_the_backup_is_known_again_until_a_later_log_says_so(lost: Lost) -> None:
    assert lost.erase_again(None) == {"people": "0"}
    assert lost.held() == {"analyst": 2, "officer": 2}
    assert lost.erasures() == []
    later = lost.later()
    assert later.erased == {lost.subject("analyst")}
    told = lost.erase_again(later)
    assert told == {"people": "1", "later log": str(later)}
    assert lost.subject("analyst") not in json.dumps(told)
    assert lost.held() == {"analyst": 0, "officer": 2}
    assert lost.keycloak.accounts == {"officer": SUBS["officer"]}


def test_the_log_says_by_what_they_were_erased_again_and_the_next_backup_knows_them(lost: Lost) -> None:
    later = lost.later()
    lost.erase_again(later)
    (entry,) = lost.erasures()
    assert (in_words(entry)["activity_name"], entry["entity"]["name"]) == ("Delete", lost.subject("analyst"))
    assert "as a later copy of its log says; erased again" in json.dumps(entry)
    assert not any(word in json.dumps(entry) for word in ("analyst", SUBS["analyst"]))
    assert erased_people(lost.site.paths.audit_log, vkeys=lost.site.bench.vkeys) == {lost.subject("analyst")}
    assert lost.site.bench.verify().size == lost.pair.main.statement.log_size + 1  # nothing of the later one is in it


def test_a_restore_that_goes_on_erases_once_more_and_enters_it_once(lost: Lost) -> None:
    later = lost.later()
    lost.erase_again(later)
    assert lost.erase_again(later) == {"people": "0", "later log": str(later)}
    assert len(lost.erasures()) == 1
    assert lost.held() == {"analyst": 0, "officer": 2}


def test_the_step_is_due_again_where_another_later_log_is_given(lost: Lost) -> None:
    later = lost.later()
    first, with_one = lost.step(None).inputs(), lost.step(later).inputs()
    assert first != with_one
    assert with_one == lost.step(later).inputs()


def test_the_command_hands_on_what_it_verified_and_says_so(
    lost: Lost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[LaterLog | None] = []

    def bring_back(*_: object, later: LaterLog | None, **__: object) -> Installed:
        given.append(later)
        return Installed(VerifiedRelease("assistant", "1.0.0", 0, 0, "", (), {}, sha256(b"")), (), 0, "https://site")

    monkeypatch.setattr(restore_command, "bring_back", bring_back)
    monkeypatch.setattr(restore_command, "tell_kept_down", lambda _paths: None)
    done = lost.command(tmp_path / "new", lost.copy, "--output", "json")
    assert done.exit_code == 0, (done.exception, done.output)
    later = lost.later()
    assert given == [later]
    told = {"since": later.since, "size": later.head.size, "root": later.root, "erased": 1}
    assert json.loads(done.stdout)["later_log"] == told
    assert str(later) in " ".join(done.stderr.split())
    assert lost.subject("analyst") not in done.output


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_restore_that_goes_on_takes_no_other_later_log_than_what_goes_on_from_the_first(
    lost: Lost, tmp_path: Path, more: tuple[str, ...]
) -> None:
    paths, later = SitePaths(tmp_path / "new"), lost.later()
    mark(paths, lost.pair.main.digest, replace(later, head=replace(later.head, root=bytes(32))))
    before = paths.restoring.read_bytes()
    done = lost.command(paths.root, lost.copy, *more)
    assert isinstance(done.exception, LaterLogError), (done.exception, done.output)
    assert f"its first {later.head.size} entries are not those of the later log that was named before" in str(
        done.exception
    )
    assert paths.restoring.read_bytes() == before


def test_a_dry_run_says_how_far_the_later_log_goes_and_changes_nothing(lost: Lost, tmp_path: Path) -> None:
    done = lost.command(tmp_path / "new", lost.copy, "--dry-run", "--output", "json")
    assert json.loads(done.stdout)["later_log"]["erased"] == 1, (done.exception, done.output)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_later_log_that_does_not_hold_begins_nothing(lost: Lost, tmp_path: Path, more: tuple[str, ...]) -> None:
    for bundle in (path for path in (lost.copy / "tile/entries").rglob("*") if path.is_file()):
        bundle.write_bytes(bundle.read_bytes()[:-1])
    done = lost.command(tmp_path / "new", lost.copy, *more)
    assert isinstance(done.exception, LaterLogError), (done.exception, done.output)
    assert not (tmp_path / "new").exists()
    assert lost.held() == {"analyst": 2, "officer": 2}
