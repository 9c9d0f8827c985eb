"""The medium's files are replaced, linked, endless, or change while they are read."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.first_contact import record, signatures
from tests.bundles import blob_file, tree, uv_wheel
from tests.first_contact import SIGNED, bundle, program, sign_text, wheels

if TYPE_CHECKING:
    from pathlib import Path

    from tests.first_contact import Desk

WHEEL = b"a wheel"


@pytest.mark.parametrize("damage", ["flip", "grow", "shrink", "remove", "link", "fifo", "endless", "folder"])
@pytest.mark.parametrize("which", ["a wheel", "uv", "requirements.txt"])
def test_a_file_of_the_wheelhouse_that_is_not_the_signed_one_is_refused(
    tmp_path: Path, desk: Desk, medium: Path, which: str, damage: str
) -> None:
    data = {"a wheel": WHEEL, "uv": uv_wheel(program()), "requirements.txt": wheels()["requirements.txt"]}[which]
    victim = blob_file(medium, sha256(data))
    victim.unlink()
    match damage:
        case "flip":
            victim.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "grow":
            victim.write_bytes(data + b"\n")
        case "shrink":
            victim.write_bytes(data[:-1])
        case "link":
            (tmp_path / "elsewhere").write_bytes(data)
            victim.symlink_to(tmp_path / "elsewhere")
        case "fifo":
            os.mkfifo(victim)
        case "endless":
            with victim.open("wb") as out:
                out.truncate(1 << 42)
        case "folder":
            victim.mkdir()
    causes = {"flip": "not the one that was signed", "shrink": "not the one that was signed"}
    larger = {"grow": "larger than it may be", "endless": "larger than it may be"}
    desk.refuses(medium, {**causes, **larger}.get(damage, "is no regular file, or not there"))


PLACES = [record.FILE, signatures.path("architect"), signatures.FOLDER, "blobs", "blobs/sha256"]


@pytest.mark.parametrize("place", PLACES)
def test_a_link_to_the_right_bytes_is_refused_all_the_same(
    tmp_path: Path, desk: Desk, medium: Path, place: str
) -> None:
    moved = shutil.move(medium / place, tmp_path / "elsewhere")
    (medium / place).symlink_to(moved)
    desk.refuses(medium, "is no ")


@pytest.mark.parametrize("place", [record.FILE, signatures.path("architect")])
@pytest.mark.parametrize("kind", ["fifo", "folder", "dangling link"])
def test_what_is_no_regular_file_is_refused(desk: Desk, medium: Path, place: str, kind: str) -> None:
    (medium / place).unlink()
    match kind:
        case "fifo":
            os.mkfifo(medium / place)
        case "folder":
            (medium / place).mkdir()
        case _:
            (medium / place).symlink_to("nowhere")
    desk.refuses(medium, "is no regular file, or not there")


def test_a_card_that_is_a_link_is_refused(tmp_path: Path, desk: Desk, medium: Path) -> None:
    (tmp_path / "card").write_bytes(desk.card)
    (desk.folder / "site-start.txt").symlink_to(tmp_path / "card")
    desk.refuses(medium, "is no regular file")


def test_a_folder_that_is_no_signed_bundle_is_refused(tmp_path: Path, desk: Desk) -> None:
    (tmp_path / "empty").mkdir()
    for medium in (tmp_path / "empty", tmp_path / "nowhere", "", "-"):
        desk.refuses(medium, "is no folder, or not there")


def test_the_uv_inside_the_wheel_is_the_one_that_was_signed(tmp_path: Path, desk: Desk) -> None:
    """The wheel is the signed one; only the text says of another program that it lies in it."""
    medium = bundle(tmp_path / "bundle")
    text = (medium / record.FILE).read_bytes().splitlines(keepends=True)
    number = next(number for number, line in enumerate(text) if line.startswith(b"uv "))
    text[number] = b"uv " + b"0" * 64 + b" 10\n"
    sign_text(medium, b"".join(text), *SIGNED)
    desk.refuses(medium, "uv in its wheel is not the one that was signed")


def test_a_wheel_without_uv_is_refused(tmp_path: Path, desk: Desk, medium: Path) -> None:
    empty = tmp_path / "empty.zip"
    shutil.make_archive(str(empty.with_suffix("")), "zip", tmp_path / "desk")
    old, new = uv_wheel(program()), empty.read_bytes()
    blob_file(medium, sha256(new)).write_bytes(new)
    text = (medium / record.FILE).read_text().replace(f"{sha256(old).hex} {len(old)}", f"{sha256(new).hex} {len(new)}")
    sign_text(medium, text.encode(), *SIGNED)
    desk.refuses(medium, "uv is not in its wheel")


def test_what_the_medium_becomes_after_the_check_does_not_matter(tmp_path: Path, desk: Desk) -> None:
    """The stand-in for uv spoils every blob, then compares what it was given with what was signed."""
    medium, seen = tmp_path / "bundle", tmp_path / "seen"
    spoil = f"""for blob in '{medium}'/blobs/sha256/*; do echo spoilt > "$blob"; done"""
    spoil += f"; cp wheels/a-1-py3-none-any.whl '{seen}'"
    bundle(medium, wheels(meddle=spoil))
    done = desk.run(medium)
    assert done.returncode == 0, done.stderr
    assert {path.read_bytes() for path in (medium / "blobs/sha256").iterdir()} == {b"spoilt\n"}
    assert seen.read_bytes() == WHEEL


@pytest.mark.parametrize("change", ["meddle", "verdict"])
def test_a_refusal_after_the_environment_was_made_leaves_nothing_either(
    tmp_path: Path, desk: Desk, change: str
) -> None:
    medium = bundle(tmp_path / "bundle", wheels(**{change: "exit 3"}))
    before = tree(medium)
    done = desk.run(medium)
    assert (done.returncode, done.stdout) == (3, "")
    assert not os.path.lexists(desk.tools)
    assert tree(medium) == before


@pytest.mark.parametrize("there", ["folder", "file", "link to a folder", "dangling link"])
def test_a_destination_that_exists_is_refused_and_left_alone(
    tmp_path: Path, desk: Desk, medium: Path, there: str
) -> None:
    others = tmp_path / "others"
    others.mkdir()
    match there:
        case "folder":
            desk.tools.mkdir()
        case "file":
            desk.tools.write_text("mine")
        case "link to a folder":
            desk.tools.symlink_to(others)
        case _:
            desk.tools.symlink_to(tmp_path / "nowhere")
    before = (desk.tools.lstat(), tree(others))
    done = desk.run(medium)
    assert done.returncode == 3
    assert "cannot be made" in done.stderr
    assert (desk.tools.lstat(), tree(others)) == before
    assert not (tmp_path / "nowhere").exists()


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, desk: Desk) -> None:
    """No file may grow beyond 64 KiB, as if no more were free."""
    medium = bundle(tmp_path / "bundle", {**wheels(), "b-1-py3-none-any.whl": bytes(100_000)})
    desk.script = desk.script.replace(b"set -euf\n", b"set -euf\nulimit -f 128\n")
    desk.refuses(medium, "cannot be copied")


def test_an_interruption_leaves_nothing(tmp_path: Path, desk: Desk) -> None:
    """Ctrl-C, which a terminal sends to all programs of the line, while uv is at work.

    The work is a cat that waits for its input: once the pipe has a reader, cat itself runs and dies of the signal.
    A shell between two programs is no such sign: dash drops a signal that comes while it starts the next one.
    """
    os.mkfifo(tmp_path / "work")
    medium = bundle(tmp_path / "bundle", wheels(meddle=f"cat '{tmp_path}/work'"))
    with desk.start(medium) as running, (tmp_path / "work").open("w"):
        os.killpg(running.pid, signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == 130
    assert not os.path.lexists(desk.tools)
