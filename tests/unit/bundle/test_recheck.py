"""A store that is verified again: all of it, or, when asked for by name, what has changed."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from airgap_bundle import recheck as rechecking
from airgap_bundle.errors import DigestMismatchError, MissingFileError, SpecialFileError
from airgap_bundle.recheck import CHECKED, recheck, recheck_changed
from airgap_bundle.store import Store
from appliance.cli.main import app
from tests.bundles import Site, make, root_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with one release, whose files count as settled at once."""
    monkeypatch.setattr(rechecking, "_SETTLED_NANOSECONDS", -60_000_000_000)
    site = Site(tmp_path / "site")
    site.install(make(tmp_path / "bundle"), pin=root_bytes())
    return Store(site.store)


def largest(store: Store) -> Path:
    return max((store.root / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)


def test_every_blob_is_read_each_time_unless_asked_otherwise(store: Store) -> None:
    count = len(list((store.root / "blobs/sha256").iterdir()))
    for _ in range(2):
        found = recheck(store)
        assert (found.read, found.unread, found.releases) == (count, 0, ("1.0.0",))


def test_what_looks_unchanged_is_not_read_when_asked_and_is_counted(store: Store) -> None:
    first = recheck(store)
    found = recheck_changed(store)
    assert (found.read, found.unread, found.unread_bytes) == (0, first.read, first.read_bytes)


def test_without_an_earlier_check_everything_is_read(store: Store) -> None:
    assert recheck_changed(store).unread == 0


@pytest.mark.parametrize("record", [b"", b"[]", b'{"blobs":{},"schema":2}', b'{"blobs":7,"schema":1}'])
def test_a_record_that_cannot_be_read_means_that_everything_is_read(store: Store, record: bytes) -> None:
    recheck(store)
    (store.root / CHECKED).write_bytes(record)
    assert recheck_changed(store).unread == 0


@pytest.mark.parametrize("ask", [recheck, recheck_changed])
def test_bytes_that_changed_are_found_though_size_and_date_were_put_back(store: Store, ask: object) -> None:
    recheck(store)
    path = largest(store)
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DigestMismatchError) as refused:
        ask(store)  # type: ignore[operator]
    assert "import the release again" in str(refused.value.hint)


@pytest.mark.parametrize("ask", [recheck, recheck_changed])
def test_a_blob_that_is_gone_or_a_link_is_found(store: Store, ask: object, tmp_path: Path) -> None:
    recheck(store)
    path = largest(store)
    path.rename(tmp_path / "aside")
    with pytest.raises(MissingFileError):
        ask(store)  # type: ignore[operator]
    path.symlink_to(tmp_path / "aside")
    with pytest.raises(SpecialFileError):
        ask(store)  # type: ignore[operator]


def test_a_file_that_changed_a_moment_before_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rechecking, "_SETTLED_NANOSECONDS", time.time_ns())
    read = recheck(store).read
    assert recheck_changed(store).read == read


def test_the_command_says_what_it_did_not_read(store: Store) -> None:
    command = ["--site", str(store.root.parent), "bundle", "recheck", "--output", "json"]
    whole = CliRunner().invoke(app, command)
    assert json.loads(whole.stdout)["unread"] == 0
    assert "not read" not in whole.stderr
    quick = CliRunner().invoke(app, [*command, "--only-changed"])
    assert json.loads(quick.stdout)["read"] == 0
    assert "were not read" in quick.stderr
