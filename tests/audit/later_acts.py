"""What an attacker does to the folder of a later log, and how it is refused: it stays as it was, and names nobody."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from appliance.audit.errors import LaterLogError
from appliance.audit.later import read_later
from appliance.errors import LogInconsistentError
from tests.audit.later import grow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint
    from tests.audit.bench import Bench

BEGIN, MORE = 300, 299
SIZE = BEGIN + 1 + MORE


@pytest.fixture
def before(bench: Bench) -> Checkpoint:
    """The head that was backed up; since then the log has grown, and somebody was erased."""
    return grow(bench, BEGIN, "erased-one", more=MORE)


def state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(folder: Path, bench: Bench, before: Checkpoint, why: str, begun: Checkpoint | None = None) -> None:
    was = state(folder)
    with pytest.raises(LaterLogError) as caught:
        read_later(folder, vkeys=bench.vkeys, before=before, begun=begun)
    assert re.search(why, caught.value.cause.replace(str(folder), "FOLDER")), caught.value.cause
    assert caught.value.exit_code == LogInconsistentError.exit_code
    assert "erased-" not in str(caught.value)
    assert state(folder) == was


def change(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        data = (folder / name).read_bytes()
        assert old in data
        (folder / name).write_bytes(data.replace(old, new, 1))

    return act


def flip(name: str, at: int) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[at] ^= 1
        (folder / name).write_bytes(data)

    return act


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def as_link(name: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (folder / name).rename(folder / "elsewhere")
        (folder / name).symlink_to(folder / "elsewhere")

    return act


def as_fifo(name: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return act


def cut(name: str, by: int = 1) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-by])

    return act


def add(name: str, more: bytes) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes() + more)

    return act


def stripped(algorithm: int) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        lines = (folder / "checkpoint").read_text().splitlines(keepends=True)
        (folder / "checkpoint").write_text("".join(line for at, line in enumerate(lines) if at != 4 + algorithm))

    return act
