"""The shelf gives a whole pack or an error; the record of packs in use agrees with the database or nobody answers."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from appliance.packs.errors import PackError, PackLostError
from appliance.packs.record import FILE, NONE, agreed, read_record, write_record
from appliance.packs.shelf import keep, open_pack, pick, remove, shelved
from tests import model_bundles, packs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ONE = packs.pack()
TWO = packs.pack(version="2.0.0", number=2)
X = "sha256:" + "a" * 64


def test_what_was_kept_is_found_by_name_version_and_digest(tmp_path: Path) -> None:
    for made in (ONE, TWO):
        keep(tmp_path, made.to_bytes(), packs.signed(made))
    assert pick(tmp_path, "trial").digest == TWO.digest
    assert pick(tmp_path, "trial@1.0.0").digest == ONE.digest
    assert pick(tmp_path, ONE.digest[:20]).pack == ONE
    with pytest.raises(PackError, match="has no pack"):
        pick(tmp_path, "other")
    assert [one.withdrawn(model_bundles.granting_root()) for one in shelved(tmp_path)[0]] == [None, None]
    remove(tmp_path, ONE.digest)
    assert [one.digest for one in shelved(tmp_path)[0]] == [TWO.digest]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _swap(path: Path) -> None:
    path.write_bytes(TWO.to_bytes())


def _link(path: Path) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(aside)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _huge(path: Path) -> None:
    path.write_bytes(b" " * (2 << 20))


@pytest.mark.parametrize("spoil", [_truncate, _swap, _link, _pipe, _huge, lambda path: path.unlink()])
def test_a_pack_that_is_not_what_came_in_is_lost_and_never_half_used(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    keep(tmp_path, ONE.to_bytes(), packs.signed(ONE))
    spoil(next(tmp_path.glob("*.pack")))
    with pytest.raises(PackLostError) as caught:
        open_pack(tmp_path, ONE.digest)
    assert caught.value.hint is not None
    assert shelved(tmp_path)[0] == ()


@pytest.mark.parametrize("name", ["none", "", "sha256:../../x", "sha256:" + "A" * 64])
def test_a_name_that_is_no_digest_opens_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(PackLostError):
        open_pack(tmp_path, name)


def test_a_pack_without_its_signatures_may_not_be_chosen(tmp_path: Path) -> None:
    keep(tmp_path, ONE.to_bytes(), packs.signed(TWO))
    assert (
        shelved(tmp_path)[0][0].withdrawn(model_bundles.granting_root()) == "trial holds other bytes than were signed"
    )
    next(tmp_path.glob("*.json")).unlink()
    assert shelved(tmp_path)[0][0].withdrawn(model_bundles.granting_root()) == "its signatures are not there"


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_record(tmp_path) == {}
    write_record(tmp_path, {"analysts": X, "clerks": NONE})
    assert read_record(tmp_path) == {"analysts": X, "clerks": NONE}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema":1}',
        '{"schema":2,"groups":{}}',
        '{"schema":1,"groups":{"analysts":"sha256:x"}}',
        '{"schema":1,"groups":{"analysts":1}}',
        '{"schema":1,"groups":{},"groups":{}}',
        '{"schema":1,"groups":{},"more":1}',
    ],
)
def test_a_damaged_record_is_told_and_not_taken_for_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(PackLostError):
        read_record(tmp_path)


def test_a_record_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(json.dumps({"schema": 1, "groups": {}}))
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackLostError):
        read_record(tmp_path)


def test_file_and_database_agree_or_the_group_is_not_answered() -> None:
    assert agreed(None, None) == NONE
    assert agreed(NONE, NONE) == NONE
    assert agreed(X, X) == X
    for recorded, chosen in ((X, None), (None, X), (X, NONE), (NONE, X), (None, NONE), (NONE, None)):
        with pytest.raises(PackLostError):
            agreed(recorded, chosen)
