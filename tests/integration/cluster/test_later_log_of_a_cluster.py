"""A cluster that comes back with a later copy of its log: erased again is whom that names, or nothing is begun."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import LaterLogError
from appliance.audit.events_operation import admin_change
from appliance.audit.export import export_range
from appliance.audit.roles import OPERATOR
from appliance.cli import cluster_restore
from appliance.cli.main import app
from appliance.errors import DeploymentError, LogInconsistentError, UsageError
from appliance.install.act_record import act_event, is_act
from appliance.install.backup.later import open_later
from appliance.install.journal import read_journal
from tests.audit.bench import Bench
from tests.audit.later import grow, kept_copy
from tests.integration.cluster.desk import PHRASE, Desk, Return, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.audit.later import LaterLog
    from appliance.cluster.install import Installed
    from appliance.install.backup.restoring import Pair


def erase_later(desk: Desk, subject: str) -> None:
    """What the site's operator did after the backup, and nobody backed up."""
    with SyncAuditClient(desk.folder / "sock") as audit:
        event = admin_change(actor="uid 0", action="delete", kind="person", target=subject)
        audit.append(event, id=OPERATOR.id("person", subject))
        audit.checkpoint()


@pytest.fixture
def lost(desk: Desk) -> Pair:
    """A backup after which somebody was erased; an auditor came by, and then the site was lost."""
    pair = desk.back_up()
    erase_later(desk, "erased-later")
    kept_copy(desk.log, desk.folder / "copy")
    return pair


@pytest.mark.parametrize("layout", ["copy", "export"])
def test_who_was_erased_after_the_backup_is_erased_again_and_the_log_says_by_what(
    desk: Desk, way_back: Return, lost: Pair, layout: str
) -> None:
    begin = lost.main.statement.log_size
    if layout == "export":
        last = desk.log.verify().size - 1
        export_range(desk.folder / "copy", desk.folder / "export", first=begin, last=last, vkeys=desk.log.vkeys)
    later = open_later(desk.folder / layout, lost, desk.opened())
    assert (later.since, later.erased) == (begin, {"erased-later"})
    way_back.restore(lost, later=later)
    assert way_back.erased == [(frozenset({"erased-before"}), frozenset({"erased-before"}))]
    assert way_back.later == [frozenset({"erased-later"})]
    acts = [act_event(one) for one in read_journal(way_back.paths.journal) if is_act(one)]
    for act in acts:
        assert f"and a later log: entries {begin} to {later.head.size - 1} under root {later.root}" in json.dumps(act)
        assert "erased-later" not in json.dumps(act)
    assert len(acts) == 2


def test_the_log_goes_on_from_the_backup_and_takes_no_later_entry_over(
    desk: Desk, way_back: Return, lost: Pair
) -> None:
    way_back.restore(lost, later=open_later(desk.folder / "copy", lost, desk.opened()))
    back = Bench(way_back.hosts.folder / "state/volumes/audit/log", desk.log.keys, desk.log.origin)
    assert back.verify().size == lost.main.statement.log_size < desk.log.verify().size


def test_without_a_later_log_nothing_is_said_of_one(way_back: Return, lost: Pair) -> None:
    way_back.restore(lost)
    assert way_back.later == [frozenset()]
    assert not any("later" in json.dumps(act_event(one)) for one in read_journal(way_back.paths.journal) if is_act(one))


@pytest.mark.parametrize("fail_at", [1, 2, 3])
def test_a_restore_that_was_begun_with_a_later_log_does_not_go_on_without_it(
    desk: Desk, way_back: Return, lost: Pair, fail_at: int
) -> None:
    later = open_later(desk.folder / "copy", lost, desk.opened())
    way_back.runs.fail_at = fail_at
    with pytest.raises(DeploymentError, match="disk full"):
        way_back.restore(lost, later=later)
    before = tree(way_back.paths.root)
    with pytest.raises(UsageError, match=f"restored with a later log of {later.head.size} entries"):
        way_back.restore(lost)
    assert tree(way_back.paths.root) == before
    way_back.restore(lost, later=later)
    assert way_back.later[-1] == {"erased-later"}
    assert len(way_back.loaded) == 3
    assert not way_back.paths.restoring.exists()


def test_a_later_log_that_is_given_in_the_middle_stops_what_serves_and_is_heard(
    desk: Desk, way_back: Return, lost: Pair
) -> None:
    way_back.runs.fail_at = 3  # the last one, which opens the site to people
    with pytest.raises(DeploymentError):
        way_back.restore(lost)
    way_back.restore(lost, later=open_later(desk.folder / "copy", lost, desk.opened()))
    first, again = way_back.runs.told[:3], way_back.runs.told[3:]
    assert first == again
    assert way_back.later == [frozenset(), frozenset({"erased-later"})]


def forked(desk: Desk, lost: Pair) -> Path:
    fork = Bench(desk.folder / "fork", desk.log.keys, desk.log.origin)
    grow(fork, lost.main.statement.log_size, "erased-two", more=9)
    return fork.directory


def edited(desk: Desk, _lost: Pair) -> Path:
    for path in (path for path in (desk.folder / "copy").rglob("*") if path.is_file()):  # tiles, and the journal
        path.write_bytes(path.read_bytes().replace(b"erased-later", b"erased-other"))
    return desk.folder / "copy"


def of_others(desk: Desk, lost: Pair) -> Path:
    other = Bench(desk.folder / "other", origin=desk.log.origin)
    grow(other, lost.main.statement.log_size, "erased-two")
    return other.directory


def older(desk: Desk, _lost: Pair) -> Path:
    short = Bench(desk.folder / "older", desk.log.keys, desk.log.origin)
    short.fill(2)
    return short.directory


def truncated(desk: Desk, _lost: Pair) -> Path:
    shutil.rmtree(desk.folder / "copy" / "tile/entries")
    return desk.folder / "copy"


def nothing(desk: Desk, _lost: Pair) -> Path:
    return desk.folder / "nowhere"


def state(desk: Desk) -> dict[str, bytes]:
    """Everything but the key that the command is given, and what the lost site's writer still does by itself."""
    return {name: data for name, data in tree(desk.folder).items() if not name.startswith(("SITE.pub", "writer/"))}


def command(desk: Desk, way_back: Return, folder: Path, *more: str) -> Result:
    reading, writing = os.pipe()
    os.write(writing, PHRASE + b"\n")
    os.close(writing)
    site_key = desk.folder / "SITE.pub"
    site_key.write_bytes(desk.site_key.to_bytes())
    told = ("--subject-keys", desk.folder / "keys", "--site-key", site_key, "--recovery-key", desk.key_file)
    given = ("--bundle", desk.bundle, "--config", desk.config, "--later-log", folder, "--recovery-fd", reading)
    line = ["--site", way_back.paths.root, "restore", desk.folder / "backup", *told, *given, *more]
    return CliRunner().invoke(app, [str(word) for word in line])


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (forked, "it is forked"),
        (edited, "edited"),
        (of_others, "by a known key"),
        (older, "it is older than the backup"),
        (truncated, "missing"),
        (nothing, "there is no audit log"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_later_log_that_is_none_begins_nothing(  # noqa: PLR0913, PLR0917 - an attack, and where it is tried
    desk: Desk, way_back: Return, lost: Pair, made: Callable[[Desk, Pair], Path], why: str, more: tuple[str, ...]
) -> None:
    folder = made(desk, lost)
    before = state(desk)
    done = command(desk, way_back, folder, *more)
    assert isinstance(done.exception, LaterLogError), (done.exception, done.output)
    assert done.exception.exit_code == LogInconsistentError.exit_code
    assert why in done.exception.cause
    assert state(desk) == before
    assert not way_back.paths.root.exists()
    assert not way_back.runs.told


def test_the_command_says_what_it_erased_again_by_and_names_nobody(
    desk: Desk, way_back: Return, lost: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restore(*_: object, later: LaterLog, **__: object) -> Installed:
        return way_back.restore(lost, later=later)

    size = desk.log.verify().size
    monkeypatch.setattr(cluster_restore, "restore", restore)
    done = command(desk, way_back, desk.folder / "copy", "--output", "json")
    assert done.exit_code == 0, (done.exception, done.output)
    found = json.loads(done.stdout)["later_log"]
    assert (found["since"], found["size"], found["erased"]) == (lost.main.statement.log_size, size, 1)
    said = " ".join(done.stderr.split())
    assert "whom the later log says were erased after the backup is erased again" in said
    assert f"entries {found['since']} to {size - 1} under root {found['root']}, erased there: 1" in said
    assert "erased-later" not in done.output
