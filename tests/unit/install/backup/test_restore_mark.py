"""A site that is restored in part serves nobody: only the same restore goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from appliance.audit.checkpoint import Checkpoint
from appliance.audit.later import LaterLog
from appliance.cli.serve import _gateway as serve_gateway
from appliance.errors import DeploymentError, UsageError
from appliance.install import power, resumption
from appliance.install.backup.mark import check_later, later_begun, mark, refuse_half_restored, restoring_from, unmark
from appliance.install.journal import Journal
from appliance.install.lock import site_lock
from appliance.site.credentials import Credentials
from appliance.site.load import load_site
from appliance.site.paths import SitePaths

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = sha256(b"one"), sha256(b"two")


def test_the_same_restore_goes_on_and_another_one_does_not(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path / "site")
    mark(paths, ONE)
    mark(paths, ONE)
    assert restoring_from(paths) == ONE
    with pytest.raises(UsageError, match="another backup"):
        mark(paths, TWO)
    unmark(paths)
    assert restoring_from(paths) is None


def head(size: int, root: bytes = b"") -> Checkpoint:
    return Checkpoint("sovereign/ministry", size, root.ljust(32, b"\0"))


def later(size: int, root: bytes = b"", begun: Checkpoint | None = None) -> LaterLog:
    return LaterLog(head(size, root), 5, frozenset({"erased-one"}), begun)


def test_a_restore_goes_on_with_no_less_of_a_later_log_than_it_was_begun_with(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path / "site")
    check_later(paths, None)  # nothing was begun
    mark(paths, ONE)
    check_later(paths, None)
    mark(paths, ONE, later(9))
    before = paths.restoring.read_bytes()
    assert b"erased-one" not in before
    for less in (None, later(8)):
        for act in (lambda less=less: check_later(paths, less), lambda less=less: mark(paths, ONE, less)):
            with pytest.raises(UsageError, match="with a later log of 9 entries") as refused:
                act()
            assert refused.value.hint is not None
            assert refused.value.hint.endswith("where it is lost, uninstall this site, and restore it anew")
    assert paths.restoring.read_bytes() == before
    mark(paths, ONE, later(9))
    mark(paths, ONE, later(12, begun=head(9)))
    with pytest.raises(UsageError, match="with a later log of 12 entries"):
        mark(paths, ONE, later(9))
    assert restoring_from(paths) == ONE
    assert later_begun(paths, ONE) == (12, bytes(32))
    assert later_begun(paths, TWO) is None
    unmark(paths)
    check_later(paths, None)
    assert later_begun(paths, ONE) is None


@pytest.mark.parametrize(
    "other",
    [later(9, b"other"), later(12), later(12, b"other", head(9, b"other")), later(12, begun=head(8))],
    ids=["as long", "longer", "longer than another", "longer than less"],
)
def test_a_later_log_that_was_not_shown_to_go_on_from_the_first_is_none_to_go_on_with(
    tmp_path: Path, other: LaterLog
) -> None:
    paths = SitePaths(tmp_path / "site")
    mark(paths, ONE, later(9, b"first"))
    before = paths.restoring.read_bytes()
    for act in (lambda: check_later(paths, other), lambda: mark(paths, ONE, other)):
        with pytest.raises(UsageError, match="later log of 9 entries, from which this one was not shown to go on"):
            act()
    assert paths.restoring.read_bytes() == before
    mark(paths, ONE, later(12, b"other", head(9, b"first")))


def test_a_mark_that_is_damaged_says_nothing_of_a_later_log(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path)
    mark(paths, ONE, later(9))
    told = json.loads(paths.restoring.read_bytes())
    for damaged in ([], 9, {}, {"size": 9}, {"size": 9, "root": "="}, {"size": None, "root": ""}):
        paths.restoring.write_text(json.dumps(told | {"later_log": damaged}))
        with pytest.raises(DeploymentError, match="damaged"):
            check_later(paths, None)


@pytest.mark.parametrize("there", ["site.yaml", "state/journal.jsonl", "store", "trust"])
def test_nothing_is_restored_over_a_site(tmp_path: Path, there: str) -> None:
    paths = SitePaths(tmp_path)
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    with pytest.raises(UsageError, match="there is a site"):
        mark(paths, ONE)
    assert restoring_from(paths) is None


def test_no_command_starts_or_changes_a_site_that_is_restored_in_part(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path)
    mark(paths, ONE)
    paths.site_yaml.write_text("schema: 1\nname: ministry\nmodels: [{name: m}]\ngroups: [{name: clerks}]\n")
    paths.current.mkdir()
    for command in (
        lambda: refuse_half_restored(paths),
        lambda: power.up(paths, passphrase=bytes, ready=lambda _done, _of: None),
        lambda: power.unseal(paths, passphrase=bytes),
    ):
        with pytest.raises(UsageError, match="restored in part"):
            command()


def test_a_damaged_mark_is_not_taken_for_none(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path)
    mark(paths, ONE)
    paths.restoring.write_text("{}")
    with pytest.raises(DeploymentError, match="damaged"):
        refuse_half_restored(paths)


def test_the_gateway_itself_does_not_start(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path)
    mark(paths, ONE)
    assert paths.restoring.stat().st_mode & 0o777 == 0o644
    paths.site_yaml.write_text("schema: 1\nname: ministry\nmodels: [{name: m}]\ngroups: [{name: clerks}]\n")
    with pytest.raises(UsageError, match="restored in part"):
        serve_gateway(load_site(paths.site_yaml), paths, Credentials(tmp_path))


def test_a_site_without_its_keeper_is_not_resumed_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumption, "is_unsealed", lambda _: True)
    paths = SitePaths(tmp_path)
    mark(paths, ONE)
    paths.site_yaml.write_text("schema: 1\nname: ministry\n")
    journal = Journal.open(paths.journal)
    journal.append("realm", "done", "")  # the former site's
    journal.close()
    assert resumption.resume(paths, lambda _: None) == ()


def test_the_restore_at_work_may_unseal(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path)
    mark(paths, ONE)
    paths.site_yaml.write_text("schema: 1\nname: ministry\nmodels: [{name: m}]\ngroups: [{name: clerks}]\n")
    paths.current.mkdir()
    with site_lock(paths), pytest.raises((DeploymentError, OSError)) as refused:
        power.unseal(paths, passphrase=bytes)  # goes on to what is not there yet: users and secrets
    assert "restored in part" not in str(refused.value)
