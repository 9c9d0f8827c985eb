"""The journal: durable, append-only, resumable, and honest about damage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.errors import DeploymentError
from appliance.install.journal import Journal, latest_done, read_journal

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "state" / "journal.jsonl")
    journal.append("a", "started", "sha256:1")
    journal.append("a", "done", "sha256:1", {"made": "2"})
    journal.close()
    records = read_journal(tmp_path / "state" / "journal.jsonl")
    assert [(r.seq, r.step, r.state) for r in records] == [(1, "a", "started"), (2, "a", "done")]
    assert records[1].detail == {"made": "2"}


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_a_torn_last_line_is_cut_off_and_appending_goes_on(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal.open(path)
    journal.append("a", "done", "x")
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept])
    journal = Journal.open(path)
    journal.append("b", "done", "y")
    journal.close()
    assert [r.step for r in read_journal(path)] == ["a", "b"]


def test_a_damaged_line_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"{}\n")
    with pytest.raises(DeploymentError, match="line 1 of the install journal is damaged"):
        Journal.open(path)


def test_a_line_taken_out_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal.open(path)
    for name in "abc":
        journal.append(name, "done", "x")
    journal.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(DeploymentError, match="line 2"):
        read_journal(path)


def test_a_step_started_again_is_no_longer_done(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.jsonl")
    journal.append("a", "done", "x")
    assert journal.done("a") is not None
    journal.append("a", "started", "x")
    assert latest_done(journal.records, "a") is None
    journal.close()


def test_the_journal_is_its_owners_alone(tmp_path: Path) -> None:
    Journal.open(tmp_path / "state" / "journal.jsonl").close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "journal.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_journals_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        Journal.open(tmp_path / "journal.jsonl")


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none") == ()
