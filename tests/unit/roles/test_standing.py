"""A file that stands is not sent again; one that differs in any way, or is another's, is."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.plugins import load
from tests.unit.roles.standings import FAKE_SYSTEMCTL, look

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

laid = load("action_plugins/laid.py")
release = load("filter_plugins/release.py")
CONTENT = "what the release has\n"


def change_content(path: Path) -> None:
    path.write_text("what somebody made of it\n")


def change_mode(path: Path) -> None:
    path.chmod(0o666)


def make_a_link(path: Path) -> None:
    path.rename(path.with_name("kept"))
    path.symlink_to(path.with_name("kept"))


def remove(path: Path) -> None:
    path.unlink()


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o640)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text(CONTENT)
    path.chmod(0o640)
    return path


def test_a_file_with_its_content_and_mode_stands(file: Path) -> None:
    seen = look(files=[str(file)])
    assert seen["files"] == {str(file): laid.as_seen(CONTENT, "0640")}
    assert release.stands([{"dest": str(file), "content": CONTENT, "mode": "0640"}], seen)


@pytest.mark.parametrize("change", [change_content, change_mode, make_a_link, remove, make_a_folder])
def test_whatever_differs_does_not_stand(file: Path, change: Callable[[Path], None]) -> None:
    change(file)
    seen = look(files=[str(file)])
    assert seen["files"].get(str(file)) != laid.as_seen(CONTENT, "0640")
    assert not release.stands([{"dest": str(file), "content": CONTENT, "mode": "0640"}], seen)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_file_of_another_s_does_not_stand(file: Path) -> None:
    os.chown(file, 12345, 0)
    assert look(files=[str(file)])["files"] == {}


def test_files_of_a_folder_are_told_where_the_folder_is_asked_for(file: Path) -> None:
    assert set(look(files=[f"{file.parent}/"])["files"]) == {str(file), str(file.parent)}
    assert set(look(files=[str(file.parent)])["files"]) == {str(file.parent)}


@pytest.mark.parametrize(("stale", "told"), [("no", "active enabled"), ("yes", "active enabled stale")])
def test_a_unit_whose_file_systemd_has_not_read_again_is_not_told_as_it_should_be(
    tmp_path: Path, stale: str, told: str
) -> None:
    (tmp_path / "systemctl").write_text(FAKE_SYSTEMCTL)
    (tmp_path / "systemctl").chmod(0o755)
    seen = look(units=["one.service", "two.timer"], path=tmp_path, environment={"STALE": stale})
    assert seen["units"] == {"one.service": told, "two.timer": told}


def test_blobs_are_told_by_name_and_none_where_there_is_no_folder(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"").hexdigest()
    (tmp_path / digest).touch()
    assert look(blobs=str(tmp_path))["blobs"] == [digest]
    assert look(blobs=str(tmp_path / "none"))["blobs"] == []


def standing(*, mark: bool, members: list[str] | None = None, **more: bool) -> dict[str, Any]:
    files = {"/etc/sovereign/control-plane": "644 0"} if mark else {}
    return {"host_standing": {"files": files, "members": members}, **more}


def test_members_are_those_that_bear_the_mark_or_entered_in_this_run() -> None:
    fresh, entered = standing(mark=False), standing(mark=False, control_plane_entered=True)
    assert release.members_of(["a", "b", "c"], {"a": fresh, "b": standing(mark=True), "c": entered}) == ["b", "c"]


def test_a_mark_counts_for_nothing_on_a_host_that_was_taken_out_while_it_was_away() -> None:
    told = ["a", "b"]
    hosts = {
        "a": standing(mark=True, members=told),
        "b": standing(mark=True),
        "c": standing(mark=True),  # its own etcd ended with its membership
        "d": standing(mark=False, control_plane_entered=True),
    }
    assert release.members_of(hosts, hosts) == ["a", "b", "d"]


def test_where_no_member_hears_the_others_marks_are_believed() -> None:
    hosts = {name: standing(mark=True) for name in "abc"}
    assert release.members_of(hosts, hosts) == ["a", "b", "c"]


def test_a_host_that_was_not_looked_at_is_not_taken_for_one_without_the_mark() -> None:
    with pytest.raises(KeyError):
        release.members_of(["a"], {"a": {}})
