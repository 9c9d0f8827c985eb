"""A clock that goes back is told: by one entry each time, by the service, and by ``sovereign status``."""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.audit.clock import TOLERANCE_SECONDS, behind
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.server import create_app
from appliance.install.status_warnings import log_warnings
from appliance.site.paths import AUDIT, SitePaths
from tests.audit.bench import EVERY_ROLE
from tests.audit.filling_storage import FillingStorage
from tests.audit.turned import HOUR, NOON, Turned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

    from appliance.audit.log import TileLog
    from tests.audit.bench import Bench
    from tests.audit.running import Running

ONCE = {"kind": "clock_behind", "seconds": 3600, "signed": int(NOON)}


@pytest.fixture
def turned(bench: Bench) -> Turned:
    return Turned(bench)


@pytest.mark.parametrize("how", ["enter", "append"])
def test_one_entry_says_that_the_clock_went_back_and_positions_are_those_of_what_was_handed_in(
    bench: Bench, turned: Turned, how: str
) -> None:
    log = turned.open()
    put = getattr(log, how)
    assert put(bench.records(0)) == [0]
    turned.now -= HOUR
    assert put(bench.records(1, 2)) == [1, 2]
    assert put(bench.records(3)) == [4]
    turned.now += 60
    assert put(bench.records(4)) == [5]
    assert turned.told() == [ONCE]
    names = [name for name, _ in turned.entries()]
    assert names == ["e0", "e1", "e2", f"writer/clock/{int(NOON)}", "e3", "e4"]
    event = turned.entries()[3][1]
    assert event["time"] == int(NOON - HOUR) * 1000
    assert bench.verify().head.time == int(NOON)


def test_an_episode_ends_when_the_clock_has_caught_up_and_the_next_one_is_told_again(
    bench: Bench, turned: Turned
) -> None:
    log = turned.open()
    log.append(bench.records(0))
    for number, moment in enumerate((NOON - HOUR, NOON - 60, NOON + 60, NOON, NOON + 120, NOON + 180), 1):
        turned.now = moment
        log.append(bench.records(number))
    assert turned.told() == [ONCE, {"kind": "clock_behind", "seconds": 60, "signed": int(NOON + 60)}]
    assert log.clock_behind == 0


def test_a_writer_that_starts_again_tells_nothing_twice_and_still_knows(bench: Bench, turned: Turned) -> None:
    turned.open().append(bench.records(0))
    turned.now -= HOUR
    log = turned.open()  # the first thing that happens is a start
    assert (log.clock_behind, turned.told()) == (3600, [])
    log.enter(bench.records(1))
    for number in (2, 3):
        log = turned.open()
        assert log.clock_behind == 3600
        log.enter(bench.records(number))
    assert turned.told() == [ONCE]


def test_what_time_services_correct_is_no_finding(bench: Bench, turned: Turned) -> None:
    log = turned.open()
    log.append(bench.records(0))
    turned.now -= TOLERANCE_SECONDS
    log.append(bench.records(1))
    assert (turned.told(), log.clock_behind) == ([], 0)
    turned.now -= 1
    log.append(bench.records(2))
    assert [one["seconds"] for one in turned.told()] == [TOLERANCE_SECONDS + 1] == [log.clock_behind]
    assert [behind(NOON + more, int(NOON)) for more in (0.9, 1, HOUR)] == [0, 0, 0]


def test_a_batch_that_failed_leaves_nothing_and_tells_it_once_when_it_succeeds(bench: Bench, turned: Turned) -> None:
    storage = FillingStorage(bench.directory)
    log = turned.open(storage)
    log.append(bench.records(0))
    turned.now -= HOUR
    before = bench.snapshot()
    storage.room = 0
    for _ in range(3):
        with pytest.raises(AuditUnavailableError):
            log.append(bench.records(1))
    assert bench.snapshot() == before
    storage.room = None
    assert log.append(bench.records(1)) == [1]
    assert turned.told() == [ONCE]
    storage.disk.close()


def test_a_batch_that_was_signed_and_not_made_durable_is_gone_on_with_and_tells_it_once(
    bench: Bench, turned: Turned
) -> None:
    storage = FillingStorage(bench.directory)
    log = turned.open(storage)
    log.append(bench.records(0))
    turned.now -= HOUR
    storage.checkpoint_error = errno.EIO
    with pytest.raises(AuditUnavailableError):
        log.append(bench.records(1))
    storage.checkpoint_error = None
    log.append(bench.records(2))
    names = [name for name, _ in turned.entries()]
    assert names[:3] == ["e0", "e1", f"writer/clock/{int(NOON)}"]
    assert (names[3].startswith("writer/recovery/"), names[4:]) == (True, ["e2"])
    assert turned.told() == [ONCE]
    storage.disk.close()


def test_what_a_dead_writer_told_in_the_journal_is_not_told_again(bench: Bench, turned: Turned, tmp_path: Path) -> None:
    log = turned.open()
    log.enter(bench.records(0))
    turned.now -= HOUR
    log.enter(bench.records(1))
    crashed = Turned(type(bench)(tmp_path / "crashed", bench.keys), turned.now)
    shutil.copytree(bench.directory, crashed.bench.directory)
    crashed.open().enter(bench.records(2))
    assert crashed.told() == [ONCE]
    crashed.bench.close()


def test_the_service_and_status_say_by_how_much_the_clock_is_behind(
    bench: Bench, turned: Turned, tmp_path: Path, serve: Callable[[ASGIApp], Running]
) -> None:
    log: TileLog = turned.open()
    log.append(bench.records(0))
    bench.logs.remove(log)  # the service closes it
    paths = SitePaths(tmp_path / "site")
    assert log_warnings(paths) == ()
    paths.socket(AUDIT).parent.mkdir(parents=True)
    paths.socket(AUDIT).symlink_to(serve(create_app(log, EVERY_ROLE)).socket)
    assert log_warnings(paths) == ()
    turned.now -= HOUR
    (warned,) = log_warnings(paths)
    assert warned.startswith("the host's clock is 3600 s behind the audit log's last signature")
    turned.now += HOUR
    assert log_warnings(paths) == ()
