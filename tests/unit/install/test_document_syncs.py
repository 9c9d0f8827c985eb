"""What `status` says of document folders and sweeps, and what systemd runs for them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.install.document_syncs import (
    Synced,
    last,
    note,
    sweep_warnings,
    sync_minutes,
    sync_warnings,
    vector_warnings,
)
from appliance.install.supervision.systemd import Systemd
from appliance.install.timed import documents_sync, timed_commands
from appliance.site.paths import SitePaths
from tests.gateway.doubles import site

FOLDER = {"path": "/srv/house-rules", "groups": ["clerks"]}
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PATHS = SitePaths(Path("/srv/site"))


def declared(**changes: Any) -> Any:
    return site(documents={"folders": [FOLDER], **changes})


@pytest.mark.parametrize(
    ("synced", "said"),
    [
        (None, ["never read"]),
        (Synced("2026-03-02T11:30:00+00:00", taken=3), []),
        (Synced("2026-03-02T11:30:00+00:00", refused=2), ["2 files"]),
        (Synced("2026-03-02T11:30:00+00:00", cause="/srv/house-rules: no such folder"), ["in vain: /srv/house-rules"]),
        (Synced("2026-03-02T08:30:00+00:00"), ["last read 2026-03-02 08:30"]),
    ],
)
def test_folders_that_are_not_read_are_told_and_those_that_are_are_not(synced: Synced | None, said: list[str]) -> None:
    found = sync_warnings(declared(), synced, NOW)
    assert len(found) == len(said)
    assert all(part in line for part, line in zip(said, found, strict=True))


def test_a_site_without_folders_is_told_nothing_of_them() -> None:
    assert sync_warnings(site(), None, NOW) == ()
    assert sync_minutes(site()) is None


@pytest.mark.parametrize("told", [None, {}, {"sweep_due": None}, {"sweep_due": 7}, []])
def test_no_sweep_is_told_where_none_is_due_or_nobody_says(told: Any) -> None:
    assert sweep_warnings(told, NOW) == ()


def test_a_sweep_that_is_due_is_told_with_what_to_do() -> None:
    (line,) = sweep_warnings({"sweep_due": "2026-03-02T08:30:00+00:00"}, NOW)
    assert line.startswith("since 2026-03-02 08:30")
    assert "sovereign document sweep" in line


def test_a_sweep_that_the_gateway_has_still_to_try_is_not_told() -> None:
    assert sweep_warnings({"sweep_due": "2026-03-02T11:45:00+00:00"}, NOW) == ()
    assert sweep_warnings({"sweep_due": "2026-03-02T11:29:00+00:00"}, NOW) != ()


def test_what_is_kept_of_a_sync_is_read_back_and_damage_counts_as_nothing(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path)
    (tmp_path / "state").mkdir()
    assert last(paths) is None
    note(paths, Synced("2026-03-02T08:30:00+00:00", 1, 2, 3))
    assert last(paths) == Synced("2026-03-02T08:30:00+00:00", 1, 2, 3)
    for damage in (
        *(b"", b"{", b"[]", b'{"ended": "x", "more": 1}', b"x" * 5000, b'{"ended": 5}', b'{"ended": "x"}', b"{}"),
        *(b'{"ended": "2026-03-02T08:30:00"}', b'{"ended": "2026-03-02T08:30:00+00:00", "taken": "3"}'),
    ):
        (tmp_path / "state" / "documents.json").write_bytes(damage)
        assert last(paths) is None


def test_systemd_reads_the_folders_as_often_as_the_site_says_and_only_where_there_are_some() -> None:
    manager = Systemd(PATHS, Path("/units"))
    files = {
        path.name: text for path, text in manager.files((), "demo", timed_commands(declared(every_minutes=15))).items()
    }
    prefix = PATHS.run.name
    timer, unit = files[f"{prefix}-documents.timer"], files[f"{prefix}-documents.service"]
    assert "OnUnitInactiveSec=15min" in timer
    assert unit.count("document sync") == 1
    assert f"{prefix}-documents.timer" in files[f"{prefix}.target"]
    assert not [path for path in manager.files((), "demo") if "documents" in path.name]


def test_a_site_that_declares_folders_no_more_has_no_timer_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr("appliance.install.supervision.systemd.succeeds", lambda words, **_: told.append(words))
    manager, prefix = Systemd(PATHS, tmp_path), PATHS.run.name
    declared_files = manager.files((), "demo", (documents_sync(60),))
    for path, text in declared_files.items():
        path.write_text(text)
    manager.drop(declared_files)
    assert (told, len(list(tmp_path.iterdir()))) == ([], len(declared_files))
    left = manager.files((), "demo")
    manager.drop(left)
    assert told == [
        ["systemctl", act, f"{prefix}-documents.{kind}"]
        for kind in ("timer", "service")
        for act in ("stop", "reset-failed")
    ]
    assert set(tmp_path.iterdir()) == set(left)


@pytest.mark.parametrize(
    "told", [None, [], {}, {"without_vectors": 0}, {"without_vectors": True}, {"without_vectors": "9"}]
)
def test_where_the_gateway_gave_no_document_up_nothing_is_told(told: object) -> None:
    assert vector_warnings(told) == ()


def test_documents_that_get_no_vectors_are_told_with_what_says_why() -> None:
    (line,) = vector_warnings({"without_vectors": 2})
    assert "2 documents" in line
    assert "sovereign document vectors" in line
