"""A log carried elsewhere as files is the same log: same root, verified whole, also of a state in the journal."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.audit.copying import log_files
from appliance.audit.entry import encode_entry
from appliance.audit.erased import erased_in, erased_people
from appliance.audit.events import admin_change
from appliance.audit.stored import read_stored
from appliance.audit.verify import verify_log

if TYPE_CHECKING:
    from tests.audit.bench import Bench


def copied(bench: Bench, to: Path) -> Path:
    for name, data in log_files(read_stored(bench.directory, bench.vkeys)):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, Path):
            shutil.copyfile(data, to / name)
        else:
            (to / name).write_bytes(data)
    return to


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_a_copy_verifies_under_the_same_root(bench: Bench, tmp_path: Path, size: int) -> None:
    log = bench.open()
    log.append(bench.records(*range(size)))
    report = verify_log(copied(bench, tmp_path / "copy"), vkeys=bench.vkeys)
    assert (report.size, report.root) == (size, log.open().head.root)


def test_what_lies_in_the_journal_only_is_in_the_copy(bench: Bench, tmp_path: Path) -> None:
    log = bench.open()
    log.append(bench.records(*range(300)))
    log.enter(bench.records(300, 301))
    report = verify_log(copied(bench, tmp_path / "copy"), vkeys=bench.vkeys)
    assert (report.size, report.journaled) == (302, 0)


def test_a_copy_is_of_one_state_while_the_writer_goes_on(bench: Bench, tmp_path: Path) -> None:
    log = bench.open()
    log.append(bench.records(*range(300)))
    stored = read_stored(bench.directory, bench.vkeys)
    log.append(bench.records(*range(300, 600)))  # its partial tiles are gone now, full ones stand in for them
    folder = tmp_path / "copy"
    for name, data in log_files(stored):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data.read_bytes() if isinstance(data, Path) else data)
    report = verify_log(folder, vkeys=bench.vkeys)
    assert (report.size, report.root) == (300, stored.head.root)


def test_a_link_that_the_writer_laid_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    bench.open().append(bench.records(1))
    (tmp_path / "secret").write_bytes(b"of root")
    (bench.directory / "witnessed").mkdir()
    (bench.directory / "witnessed" / "x.note").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        copied(bench, tmp_path / "copy")


def test_who_was_erased_is_told_and_nobody_else(bench: Bench) -> None:
    log = bench.open()
    acts = [
        admin_change(actor="uid 0", action="delete", kind="person", target="erased-one"),
        admin_change(actor="uid 0", action="read", kind="person", target="exported-one"),
        admin_change(actor="uid 0", action="delete", kind="key", target="person"),
        bench.event("e1", comment="person"),
    ]
    log.append([(f"a{n}", encode_entry(act, f"a{n}")) for n, act in enumerate(acts)])
    assert erased_people(bench.directory, vkeys=bench.vkeys) == {"erased-one"}


@pytest.mark.parametrize(
    "entry", [b'{"person"', b'["person"]', b'"person"', b"[" * 50_000 + b'"person"', b'\xff"person"']
)
def test_an_entry_that_is_no_event_tells_of_nobody(entry: bytes) -> None:
    """What is read of a folder is looked through before its root is known to hold."""
    assert list(erased_in([entry])) == []
