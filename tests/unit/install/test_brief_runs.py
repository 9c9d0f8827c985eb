"""What the last night came to is kept for `status`; a timer runs it where a group has a brief, and only there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.install.brief_runs import Compiled, brief_warnings, compile_at, last, note
from appliance.install.supervision.systemd import Systemd
from appliance.install.timed import briefs_compile, documents_sync, timed_commands
from appliance.site.paths import SitePaths
from tests.gateway.doubles import site

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig

PATHS = SitePaths(Path("/srv/sovereign"))
NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
NIGHT = "2026-03-02T02:31:00+00:00"


def declared(at: str = "02:30") -> SiteConfig:
    groups = [{"name": "clerks", "models": ["small"], "brief": True}]
    return site(groups=groups, memory={"compile": {"at": at}})


def test_a_site_without_a_brief_has_nothing_to_say_and_no_timer() -> None:
    assert compile_at(site()) is None
    assert brief_warnings(site(), None, NOW) == ()
    assert not [path for path in Systemd(PATHS, Path("/units")).files((), "demo") if "briefs" in path.name]


@pytest.mark.parametrize(
    ("compiled", "part"),
    [
        (None, "never compiled"),
        (Compiled(NIGHT, cause="the database does not answer"), "in vain: the database does not answer"),
        (Compiled("2026-02-27T02:31:00+00:00"), "look at its timer"),
        (Compiled(NIGHT, {"clerks": "compiled", "guards": "empty"}), "briefs of clerks wait"),
    ],
)
def test_the_operator_is_told_what_to_act_on(compiled: Compiled | None, part: str) -> None:
    (line,) = brief_warnings(declared(), compiled, NOW)
    assert part in line


def test_a_night_that_went_well_is_no_warning() -> None:
    assert brief_warnings(declared(), Compiled(NIGHT, {"clerks": "in_force"}, 12.5), NOW) == ()
    assert brief_warnings(declared(), Compiled(NIGHT, {"clerks": "empty"}), NOW + timedelta(hours=40)) == ()


def test_what_is_kept_of_a_night_is_read_back_and_damage_counts_as_nothing(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path)
    (tmp_path / "state").mkdir()
    assert last(paths) is None
    note(paths, Compiled(NIGHT, {"clerks": "in_force"}, 12.5))
    assert last(paths) == Compiled(NIGHT, {"clerks": "in_force"}, 12.5)
    for damage in (b"", b"{", b"[]", b'{"ended": "x"}', b"{}", b'{"ended": "2026-03-02T08:30:00"}', b"x" * 70_000):
        (tmp_path / "state" / "briefs.json").write_bytes(damage)
        assert last(paths) is None


def test_systemd_compiles_at_the_hour_that_the_site_says_and_comes_after_everybody() -> None:
    files = {
        path.name: text
        for path, text in Systemd(PATHS, Path("/units"))
        .files((), "demo", (documents_sync(60), *timed_commands(declared("03:15"))))
        .items()
    }
    prefix = PATHS.run.name
    timer, unit = files[f"{prefix}-briefs.timer"], files[f"{prefix}-briefs.service"]
    assert "OnCalendar=*-*-* 03:15:00" in timer
    assert "Persistent=true" in timer
    assert "memory compile" in unit
    assert "Nice=19" in unit
    target = files[f"{prefix}.target"]
    assert f"{prefix}-briefs.timer" in target
    assert f"{prefix}-documents.timer" in target


def test_a_site_that_has_no_brief_any_more_has_no_timer_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr("appliance.install.supervision.systemd.succeeds", lambda words, **_: told.append(words))
    manager, prefix = Systemd(PATHS, tmp_path), PATHS.run.name
    for path, text in manager.files((), "demo", (briefs_compile("02:30"),)).items():
        path.write_text(text)
    manager.drop(manager.files((), "demo"))
    assert told == [
        ["systemctl", act, f"{prefix}-briefs.{kind}"]
        for kind in ("timer", "service")
        for act in ("stop", "reset-failed")
    ]
