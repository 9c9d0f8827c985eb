"""What preflight measures of a disk is the disk's, costs a bounded time, and leaves nothing."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.install.preflight.disk_speed import BYTES, fsync_p99_ms

if TYPE_CHECKING:
    import pytest


def test_the_slow_ones_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        time.sleep(0.02 if len(synced) in {50, 51} else 0)

    monkeypatch.setattr(os, "fsync", sync)
    found = fsync_p99_ms(tmp_path)
    assert found is not None
    assert found >= 20
    assert synced == [BYTES * number for number in range(1, 101)], "each sync covers what was just written"


def test_a_slow_disk_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: (tries.append(descriptor), time.sleep(0.03)))
    found = fsync_p99_ms(tmp_path, seconds=0.05)
    assert found is not None
    assert found >= 30
    assert len(tries) <= 2


def test_nothing_is_left_also_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert fsync_p99_ms(tmp_path) is not None

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert fsync_p99_ms(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_where_nothing_can_be_written_nothing_is_said(tmp_path: Path) -> None:
    assert fsync_p99_ms(tmp_path / "absent") is None
    assert fsync_p99_ms(Path("/proc")) is None
