"""`status` knows when the site was last backed up, and says when that no longer does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from appliance.install.backup.last import (
    MAX_BYTES,
    OVERDUE,
    LastBackup,
    backup_warnings,
    last_backup,
    note_backup,
    note_erasure,
    warnings_of,
)
from appliance.site.paths import SitePaths

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DIGEST, RELEASE = sha256(b"statement"), sha256(b"release")


@pytest.fixture
def paths(tmp_path: Path) -> SitePaths:
    paths = SitePaths(tmp_path)
    paths.journal.parent.mkdir()
    return paths


def test_a_site_that_was_never_backed_up_says_so(paths: SitePaths) -> None:
    assert last_backup(paths) is None
    assert backup_warnings(paths, NOW) == ("nothing of this site is backed up: `sovereign backup create`",)


def test_a_backup_is_named_and_warned_of_when_it_is_old(paths: SitePaths) -> None:
    note_backup(paths, NOW, DIGEST, RELEASE)
    assert last_backup(paths) == LastBackup(NOW.isoformat(), str(DIGEST), str(RELEASE))
    assert backup_warnings(paths, NOW + OVERDUE) == ()
    (warned,) = backup_warnings(paths, NOW + OVERDUE + HOUR)
    assert "begun 2026-11-26 12:00 UTC" in warned


def test_who_is_erased_after_a_backup_begins_makes_it_one_to_replace(paths: SitePaths) -> None:
    note_backup(paths, NOW, DIGEST, RELEASE)
    note_erasure(paths, NOW - HOUR)
    assert backup_warnings(paths, NOW) == ()
    note_erasure(paths, NOW + HOUR)
    assert "still opens what was theirs" in "".join(backup_warnings(paths, NOW + HOUR))
    note_backup(paths, NOW + HOUR / 2, DIGEST, RELEASE)  # it was being made while somebody was erased
    assert "still opens what was theirs" in "".join(backup_warnings(paths, NOW + HOUR))
    note_backup(paths, NOW + 2 * HOUR, DIGEST, RELEASE)
    assert backup_warnings(paths, NOW + 2 * HOUR) == ()


def test_where_nothing_is_backed_up_an_erasure_leaves_no_trace(paths: SitePaths) -> None:
    note_erasure(paths, NOW)
    assert list(paths.journal.parent.iterdir()) == []


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"[]",
        b'{"made": "yesterday", "digest": "sha256:00", "release": "sha256:01"}',
        b'{"made": "2026-11-26T12:00:00", "digest": "sha256:00", "release": "sha256:01"}',
        b'{"made": 7, "digest": "sha256:00", "release": "sha256:01"}',
        b" " * (MAX_BYTES + 1),
    ],
)
def test_what_says_nothing_counts_as_no_backup(paths: SitePaths, kept: bytes) -> None:
    (paths.journal.parent / "backup.json").write_bytes(kept)
    assert last_backup(paths) is None


@pytest.mark.parametrize("kept", [b"", b"{}", b'{"ended": "once"}', b'{"ended": "2026-11-26T12:00:00"}'])
def test_a_note_of_an_erasure_that_says_nothing_hides_no_backup(paths: SitePaths, kept: bytes) -> None:
    note_backup(paths, NOW, DIGEST, RELEASE)
    (paths.journal.parent / "erased.json").write_bytes(kept)
    assert last_backup(paths) == LastBackup(NOW.isoformat(), str(DIGEST), str(RELEASE))


def test_a_backup_that_is_dated_tomorrow_is_not_believed() -> None:
    last = LastBackup((NOW + HOUR).isoformat(), str(DIGEST), str(RELEASE))
    assert "yet to come" in "".join(warnings_of(last, NOW))


def test_both_things_are_said_at_once() -> None:
    last = LastBackup(NOW.isoformat(), str(DIGEST), str(RELEASE), (NOW + HOUR).isoformat())
    assert len(warnings_of(last, NOW + OVERDUE + HOUR)) == 2
