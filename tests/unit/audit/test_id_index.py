"""The index of ids is derived: it may lag, it never decides alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.audit.ids import IdIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IdIndex]:
    made = IdIndex(tmp_path / "ids")
    yield made
    made.close()


def test_ids_are_found_at_their_first_position(index: IdIndex) -> None:
    index.add(["a", "b"], 0)
    index.add(["b", "c"], 2)
    assert index.find(["a", "b", "c", "d"]) == {"a": 0, "b": 1, "c": 3}
    assert index.size == 4


def test_many_ids_are_found_in_one_question(index: IdIndex) -> None:
    names = [f"id {n}" for n in range(2000)]
    index.add(names, 0)
    assert index.find(names) == {name: n for n, name in enumerate(names)}


def test_ids_of_any_text_are_told_apart(index: IdIndex) -> None:
    names = ["", "\n", "é", "e\u0301", "\ud800", "'; DROP TABLE ids; --"]
    index.add(names, 0)
    assert index.find(names) == {name: n for n, name in enumerate(names)}


def test_an_index_survives_closing(tmp_path: Path) -> None:
    first = IdIndex(tmp_path / "ids")
    first.add(["a"], 0)
    first.close()
    second = IdIndex(tmp_path / "ids")
    assert (second.find(["a"]), second.size) == ({"a": 0}, 1)
    second.close()


def test_what_the_disk_refuses_is_kept_in_memory_and_written_later(tmp_path: Path) -> None:
    index = IdIndex(tmp_path / "ids")
    index._db.execute("PRAGMA query_only=ON")
    index.add(["a", "b"], 0)
    assert index.find(["a", "b"]) == {"a": 0, "b": 1}
    assert index.size == 0
    index._db.execute("PRAGMA query_only=OFF")
    index.add(["c"], 2)
    index.close()
    again = IdIndex(tmp_path / "ids")
    assert (again.find(["a", "b", "c"]), again.size) == ({"a": 0, "b": 1, "c": 2}, 3)
    again.close()
