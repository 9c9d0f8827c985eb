"""When backups are due, what systemd runs for them, and what `status` says where one was not made."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from appliance.errors import SiteFileError
from appliance.install.backup.due import around, calendar, next_due
from appliance.install.backup.last import LastBackup
from appliance.install.backup.recovery_key import FOLDER
from appliance.install.backup.runs import Ran, last_run, note_run, run_warnings
from appliance.install.site_files import read_site_files
from appliance.install.supervision.systemd import Systemd
from appliance.install.timed import timed_commands
from appliance.site.backups import Backups
from appliance.site.load import parse_site
from appliance.site.paths import SitePaths
from tests.gateway.doubles import site

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = (Path(__file__).parents[4] / "appliance" / "install" / "site.example.yaml").read_text()
FIELDS: Mapping[str, Any] = {
    "out": "/media/disk",
    "subject_keys": "/media/stick/keys",
    "recovery_keys": ["r.key.pub"],
}
NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
NIGHT = "2026-03-02T03:35:00+00:00"


def plan(**changes: Any) -> Backups:
    return Backups.model_validate({**FIELDS, **changes})


def text(**changes: Any) -> str:
    fields = {**FIELDS, **changes}
    return EXAMPLE + "backup:\n" + "".join(f"  {name}: {value}\n" for name, value in fields.items())


@pytest.mark.parametrize(
    ("every", "at", "lines"),
    [
        (24, "03:30", ["03:30"]),
        (12, "15:05", ["03:05", "15:05"]),
        (6, "02:30", ["02:30", "08:30", "14:30", "20:30"]),
    ],
)
def test_systemd_backs_up_at_the_times_that_the_site_says_after_everybody_else(
    every: int, at: str, lines: list[str]
) -> None:
    declared = site(backup={**FIELDS, "every_hours": every, "at": at})
    paths = SitePaths(Path("/srv/sovereign"))
    units = Systemd(paths, Path("/units")).files((), "demo", timed_commands(declared))
    texts = {path.name.removeprefix(f"{paths.run.name}-"): unit for path, unit in units.items()}
    assert [line for line in texts["backup.timer"].splitlines() if line.startswith("OnCalendar=")] == [
        f"OnCalendar=*-*-* {line}:00" for line in lines
    ]
    assert "Persistent=true" in texts["backup.timer"]
    assert "backup run\n" in texts["backup.service"]
    assert {"Nice=19", "IOSchedulingClass=idle", "Type=oneshot"} <= set(texts["backup.service"].splitlines())
    assert not {"User=", "SuccessExitStatus="} & {line.split("=")[0] + "=" for line in texts["backup.service"].split()}
    assert [name for name in Systemd(paths).files((), "demo", timed_commands(site())) if "backup" in name.name] == []


def test_moments_are_of_the_hosts_day_also_where_the_clock_is_moved() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)  # the night in which summer begins
    assert around(plan(at="03:30"), before, berlin) == (
        datetime(2026, 3, 28, 2, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    )
    assert around(plan(at="00:10", every_hours=1), datetime(2026, 3, 2, 23, 10, tzinfo=UTC), UTC) == (
        datetime(2026, 3, 2, 23, 10, tzinfo=UTC),
        datetime(2026, 3, 3, 0, 10, tzinfo=UTC),
    )
    assert calendar(plan(at="00:10")) == ("OnCalendar=*-*-* 00:10:00",)


def test_status_says_when_the_next_is_due_where_something_runs_it() -> None:
    assert next_due(plan(), NOW, UTC, timed=True) == "2026-03-03T03:30:00+00:00"
    assert next_due(plan(), NOW, UTC, timed=False) is None
    assert next_due(None, NOW, UTC, timed=True) is None


@pytest.mark.parametrize(
    ("ran", "made", "part"),
    [
        (Ran(NIGHT, cause="/media/disk: no such folder"), None, "no backup was made at 2026-03-02 03:35 UTC: /media"),
        (Ran(NIGHT, cause="the stick is full"), "2026-03-01T03:30:00+00:00", "the stick is full"),
        (Ran(NIGHT, "/media/disk/x", "older backups stay"), "2026-03-02T03:30:00+00:00", "after the backup of"),
        (Ran("2026-03-01T03:35:00+00:00", "/media/disk/x"), None, "due 2026-03-02 03:30 UTC was not made"),
    ],
)
def test_a_backup_that_was_not_made_is_told(ran: Ran, made: str | None, part: str) -> None:
    last = LastBackup(made, "sha256:x", "sha256:y") if made else None
    (line,) = run_warnings(plan(), ran, last, NOW, UTC)
    assert part in line


@pytest.mark.parametrize(
    ("ran", "made"),
    [
        (Ran(NIGHT, "/media/disk/x"), NIGHT),
        (None, None),
        (Ran(NIGHT, cause="the stick is full"), "2026-03-02T07:00:00+00:00"),
    ],
)
def test_a_backup_that_was_made_or_made_up_for_by_hand_is_no_warning(ran: Ran | None, made: str | None) -> None:
    last = LastBackup(made, "sha256:x", "sha256:y") if made else None
    assert run_warnings(plan(), ran, last, NOW, UTC) == ()
    assert run_warnings(None, Ran(NIGHT, cause="x"), None, NOW) == ()


def test_what_is_kept_of_a_run_is_read_back_and_damage_counts_as_nothing(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path)
    paths.journal.parent.mkdir()
    assert last_run(paths) is None
    note_run(paths, Ran(NIGHT, "/media/disk/x"))
    assert last_run(paths) == Ran(NIGHT, "/media/disk/x")
    for damage in (b"", b"{", b"[]", b'{"ended": "x"}', b'{"ended": "2026-03-02T03:35:00"}', b" " * (17 << 10)):
        (paths.journal.parent / "backup-run.json").write_bytes(damage)
        assert last_run(paths) is None


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"subject_keys": "/media/disk/keys"}, "is to lie apart"),
        ({"out": "/media/disk/../stick"}, "named without `..`"),
        ({"out": "media/disk"}, "out"),
        ({"keep": 0}, "keep"),
        ({"every_hours": 5}, "every_hours"),
        ({"at": "24:00"}, "at"),
        ({"recovery_keys": "[]"}, "recovery_keys"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused_with_its_line(changes: Mapping[str, Any], part: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        parse_site(text(**changes).encode(), "site.yaml")
    (line,) = caught.value.mistakes
    assert part in line
    assert int(line.split(":")[0].removeprefix("line ")) > EXAMPLE.count("\n")


def test_a_site_key_that_asks_for_a_passphrase_has_no_timer() -> None:
    with pytest.raises(SiteFileError, match="no timer can type"):
        parse_site((text() + "site_key: {kind: passphrase}\n").encode(), "site.yaml")
    assert parse_site((text() + "site_key: {kind: file}\n").encode(), "site.yaml").backup == plan()


def test_recovery_keys_are_installed_with_the_site_and_a_private_or_false_one_is_a_mistake(
    tmp_path: Path, recovery_file: Path
) -> None:
    source = tmp_path / "site.yaml"
    source.write_text(text(recovery_keys=f"[{recovery_file.name}.pub]"))
    files = read_site_files(source, SitePaths(tmp_path / "site"))
    public = Path(f"{recovery_file}.pub").read_bytes()
    assert files.installed() == {f"{FOLDER}/{recovery_file.name}.pub": public}
    source.write_text(text(recovery_keys=f"[{recovery_file.name}]"))
    with pytest.raises(SiteFileError, match="private recovery key"):
        read_site_files(source, SitePaths(tmp_path / "site"))
    source.write_text(text(recovery_keys="[site.yaml]"))
    with pytest.raises(SiteFileError, match="no recovery key"):
        read_site_files(source, SitePaths(tmp_path / "site"))
