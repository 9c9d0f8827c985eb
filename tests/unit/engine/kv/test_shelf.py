"""States on disk: found again after a restart by exactly the tokens they are of, and by nobody else."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from appliance.engine.errors import KvArenaError
from appliance.engine.job import Owner, Passage
from appliance.engine.kv import index
from appliance.engine.kv.arena import BLOCK_BYTES, Arena, open_arena
from appliance.engine.kv.shelf import KvShelf, identity_of
from tests.engine.shelves import CLERKS, MIB, SITE, put, shelf_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = tuple(range(200))


def found(shelf: KvShelf, tokens: tuple[int, ...] = TEXT, owner: Owner = SITE, length: int = 200) -> bytes | None:
    kept = shelf.find(tokens, [Passage(owner, length)])
    state = None if kept is None else shelf.load(kept)
    return None if state is None else bytes(state)


def test_a_restart_finds_what_was_kept(tmp_path: Path) -> None:
    long = os.urandom(2 * MIB + 5)
    with shelf_at(tmp_path / "kv") as shelf:
        assert put(shelf, TEXT[:100], b"short")
        assert put(shelf, TEXT[:150], long)
    with shelf_at(tmp_path / "kv") as shelf:
        assert found(shelf) == long
        assert found(shelf, length=120) == b"short"
        assert found(shelf, (*TEXT[:120], 7)) == b"short"
        assert found(shelf, TEXT[:99]) is None
        assert found(shelf, owner=CLERKS) is None


def test_a_part_of_a_state_is_none(tmp_path: Path) -> None:
    with shelf_at(tmp_path / "kv") as shelf:
        put(shelf, TEXT[:100], b"whole")
        assert found(shelf, length=99) is None
        assert found(shelf, (*TEXT[:99], 7)) is None


def test_what_a_person_wrote_is_refused(tmp_path: Path) -> None:
    with shelf_at(tmp_path / "kv") as shelf:
        with pytest.raises(ValueError, match="not kept on disk"):
            shelf.save(Owner("user", "analyst"), TEXT[:100], bytearray(b"words"))
        assert shelf.entries == ()
    assert b"words" not in (tmp_path / "kv").read_bytes()


def test_nothing_of_it_can_be_read_in_the_file(tmp_path: Path) -> None:
    with shelf_at(tmp_path / "kv") as shelf:
        put(shelf, TEXT[:100], b"what the clerks were told" * 100, CLERKS)
    raw = (tmp_path / "kv").read_bytes()
    assert b"clerks" not in raw
    assert b"97,98,99" not in raw
    assert (tmp_path / "kv").stat().st_mode & 0o777 == 0o600


def test_another_model_or_library_sees_nothing_and_begins_anew(tmp_path: Path) -> None:
    with shelf_at(tmp_path / "kv") as shelf:
        put(shelf, TEXT[:100], b"one")
    for identity in (identity_of(model="sha256:two", library="1"), identity_of(model="sha256:one", library="2")):
        with shelf_at(tmp_path / "kv", identity=identity) as shelf:
            assert found(shelf) is None
            assert put(shelf, TEXT[:100], b"two")
            assert found(shelf) == b"two"


def test_facts_cannot_be_shifted_into_each_other() -> None:
    assert identity_of(model="a", library="b\n1 window=2") != identity_of(model="a", library="b", window="2")


def test_the_one_used_longest_ago_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr("appliance.engine.kv.shelf.time.time", lambda: next(now))
    with shelf_at(tmp_path / "kv", mib=8 + 3) as shelf:
        for first in (1000, 2000, 3000):
            assert put(shelf, (first, *TEXT[:70]), bytes([first % 251]) * 100)
        assert shelf.used_bytes == 3 * BLOCK_BYTES
        assert found(shelf, (1000, *TEXT))
        assert put(shelf, (4000, *TEXT[:70]), b"new")
        assert found(shelf, (2000, *TEXT)) is None
        assert all(found(shelf, (first, *TEXT)) for first in (1000, 3000, 4000))


def test_what_is_larger_than_the_file_is_not_kept_and_drives_nothing_out(tmp_path: Path) -> None:
    with shelf_at(tmp_path / "kv", mib=8 + 2) as shelf:
        put(shelf, TEXT[:100], b"small")
        assert not put(shelf, TEXT[:150], bytes(2 * MIB))
        assert found(shelf) == b"small"
        assert not put(shelf, tuple(range(600_000)), b"a list that no list holds")
        assert found(shelf) == b"small"


@pytest.mark.parametrize("mib", [1, 8])
def test_a_file_without_room_for_one_state_keeps_nothing(tmp_path: Path, mib: int) -> None:
    with shelf_at(tmp_path / "kv", mib=mib) as shelf:
        assert not put(shelf, TEXT[:100], b"state")
        assert found(shelf) is None


def test_the_same_tokens_again_take_the_place_of_what_was_kept(tmp_path: Path) -> None:
    with shelf_at(tmp_path / "kv") as shelf:
        put(shelf, TEXT[:100], b"first")
        put(shelf, TEXT[:100], b"second")
        assert found(shelf) == b"second"
        assert shelf.used_bytes == BLOCK_BYTES


def test_what_is_forgotten_has_no_key_in_either_list(tmp_path: Path) -> None:
    with shelf_at(tmp_path / "kv") as shelf:
        put(shelf, TEXT[:100], b"of the clerks", CLERKS)
        put(shelf, TEXT[:100], b"of the site")
        before = (tmp_path / "kv").read_bytes()[: 8 * MIB]
        assert shelf.forget(CLERKS) == 1
        assert found(shelf, owner=CLERKS) is None
        assert found(shelf) == b"of the site"
    after = (tmp_path / "kv").read_bytes()[: 8 * MIB]
    assert all(before[at : at + 100] != after[at : at + 100] for at in (0, 4 * MIB))
    with shelf_at(tmp_path / "kv") as shelf:
        assert [kept.owner for kept in shelf.entries] == [SITE]
        assert shelf.forget(CLERKS) == 0


def test_a_smaller_file_than_before_keeps_what_still_fits_nowhere_else(tmp_path: Path) -> None:
    """The operator lowered the size: a list that names blocks beyond the end counts for nothing."""
    with shelf_at(tmp_path / "kv", mib=16) as shelf:
        for first in range(6):
            put(shelf, (first, *TEXT[:70]), b"state")
    with shelf_at(tmp_path / "kv", mib=10) as shelf:
        assert shelf.entries == ()
        assert put(shelf, TEXT[:100], b"state")


def test_a_link_in_the_files_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (tmp_path / "kv").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KvArenaError):
        open_arena(tmp_path / "kv", 16)
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"


def test_a_disk_that_takes_nothing_costs_the_state_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shelf_at(tmp_path / "kv") as shelf:
        put(shelf, TEXT[:100], b"before")
        with monkeypatch.context() as full:
            full.setattr("appliance.engine.kv.arena.os.pwrite", _no_space)
            put(shelf, TEXT[:150], b"lost")
        assert shelf.used_bytes == BLOCK_BYTES
        assert found(shelf) == b"before"
        assert put(shelf, TEXT[:150], b"after")
        assert found(shelf) == b"after"


@pytest.mark.parametrize("failure", [MemoryError(), ValueError("odd"), OSError(5, "Input/output error")])
def test_whatever_stops_a_save_the_blocks_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    with shelf_at(tmp_path / "kv", mib=8 + 3) as shelf:
        with monkeypatch.context() as broken:
            broken.setattr(Arena, "write_block", _raising(failure))
            for first in range(5):
                put(shelf, (first, *TEXT[:70]), b"lost")
        assert shelf.used_bytes == 0
        assert put(shelf, TEXT[:100], b"kept")
        assert found(shelf) == b"kept"


def test_the_owner_is_not_held_up_by_a_list_that_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk costs time in the thread behind; finding and figures go on meanwhile."""
    writing, go_on = threading.Event(), threading.Event()
    whole = Arena.write_place

    def slowly(arena: Arena, generation: int, data: bytes) -> None:
        writing.set()
        assert go_on.wait(20)
        whole(arena, generation, data)

    with shelf_at(tmp_path / "kv") as shelf:
        put(shelf, TEXT[:100], b"first")
        with monkeypatch.context() as slow:
            slow.setattr(Arena, "write_place", slowly)
            shelf.save(SITE, TEXT[:150], bytearray(b"second"))
            assert writing.wait(20)
            assert found(shelf) == b"second"
            assert shelf.used_bytes == 2 * BLOCK_BYTES
            go_on.set()
            shelf.wait(20)


def _raising(failure: Exception) -> Callable[..., None]:
    def raise_(*_: object) -> None:
        raise failure

    return raise_


def _no_space(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_a_list_of_before_says_when_a_state_was_last_used_instead_of_when_it_was_made() -> None:
    kept = index.Kept(SITE, (1, 2), 9, b"k" * 32, (0,), used=70, made=50)
    assert index._entry(index._plain(kept)).made == 50
    before = {name: value for name, value in index._plain(kept).items() if name != "made"}
    assert index._entry(before).made == 70
