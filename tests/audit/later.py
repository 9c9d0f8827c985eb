"""A log as it was when it was backed up, and a later state of it, in which somebody was erased."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from appliance.audit.entry import encode_entry
from appliance.audit.events_operation import admin_change
from appliance.audit.export import export_range
from appliance.audit.stored import read_stored

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint
    from tests.audit.bench import Bench


def erasure(subject: str) -> tuple[str, bytes]:
    """The record of an operator's erasure of ``subject``."""
    name = f"operator/person/{subject}"
    return name, encode_entry(admin_change(actor="uid 0", action="delete", kind="person", target=subject), name)


def head_of(bench: Bench) -> Checkpoint:
    return read_stored(bench.directory, bench.vkeys).head


def grow(bench: Bench, begin: int, *people: str, more: int = 0) -> Checkpoint:
    """A log of ``begin`` entries, the erasures of ``people`` and ``more`` entries behind; its head before those."""
    bench.fill(begin)
    if not begin:
        bench.open().open()
        bench.close()
    before = head_of(bench)
    log = bench.open()
    records = [*map(erasure, people), *bench.records(*range(begin, begin + more))]
    if records:
        log.append(records)
    bench.close()
    return before


def exported(bench: Bench, out: Path, first: int, last: int | None = None) -> Path:
    """An export from ``first`` on, to the end where no ``last`` is named."""
    end = head_of(bench).size - 1 if last is None else last
    export_range(bench.directory, out, first=first, last=end, vkeys=bench.vkeys)
    return out


def kept_copy(bench: Bench, out: Path) -> Path:
    """What an auditor took along: the log's folder."""
    shutil.copytree(bench.directory, out, ignore=shutil.ignore_patterns("ids.sqlite*", "lock"))
    return out
