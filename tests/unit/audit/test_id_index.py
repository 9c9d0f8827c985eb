"""The index of ids is derived: it may lag, it never decides alone."""

from __future__ import annotations

import threading
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
    assert index._pen is not None
    index._pen.execute("PRAGMA query_only=ON")
    index.add(["a", "b"], 0)
    assert index.find(["a", "b"]) == {"a": 0, "b": 1}
    assert index.size == 0
    index._pen.execute("PRAGMA query_only=OFF")
    index.add(["c"], 2)
    index.close()
    again = IdIndex(tmp_path / "ids")
    assert (again.find(["a", "b", "c"]), again.size) == ({"a": 0, "b": 1, "c": 2}, 3)
    again.close()


BEGUN, ENDED = "gateway/0123456789abcdef/1/request", "gateway/0123456789abcdef/1/end"
REQUEST = "gateway/0123456789abcdef/1"


def test_ids_are_found_before_while_and_after_another_thread_writes_them(index: IdIndex) -> None:
    index.note(["a", BEGUN], 0)
    index.take()
    index.note(["b", "a"], 2)
    seen = {"a": 0, BEGUN: 1, "b": 2}
    with index._writing:  # as long as this is held, a write is under way: nobody who looks waits for it
        assert (index.find(["a", BEGUN, "b", "c"]), index.open_requests()) == (seen, {REQUEST: 1})
    writing = threading.Thread(target=index.write_taken)
    writing.start()
    writing.join()
    assert index.size == 2
    assert (index.find(["a", BEGUN, "b", "c"]), index.open_requests()) == (seen, {REQUEST: 1})


def test_a_request_that_is_forgotten_while_its_beginning_waits_to_be_written_stays_forgotten(index: IdIndex) -> None:
    index.note([BEGUN], 0)
    index.take()
    index.forget_request(REQUEST)
    index.write_taken()
    assert (index.open_requests(), index.find([BEGUN])) == ({}, {BEGUN: 0})


def test_a_request_that_ends_while_its_beginning_is_written_is_not_open(index: IdIndex) -> None:
    index.note([BEGUN], 0)
    index.take()
    index.note([ENDED], 1)
    assert index.open_requests() == {}
    index.write_taken()
    assert index.open_requests() == {}
    index.write()
    assert index.open_requests() == {}


def test_two_batches_that_the_disk_refused_are_written_as_one(index: IdIndex) -> None:
    assert index._pen is not None
    index._pen.execute("PRAGMA query_only=ON")
    for number, names in enumerate((["a", BEGUN], ["a", ENDED])):
        index.note(names, 2 * number)
        index.take()
        index.write_taken()
    index._pen.execute("PRAGMA query_only=OFF")
    index.write()
    assert (index.find(["a", BEGUN, ENDED]), index.size) == ({"a": 0, BEGUN: 1, ENDED: 3}, 4)
    assert index.open_requests() == {}


def test_a_write_that_comes_after_the_index_was_closed_changes_nothing(tmp_path: Path) -> None:
    index = IdIndex(tmp_path / "ids")
    index.note(["a"], 0)
    index.take()
    index.close()
    index.write_taken()
    again = IdIndex(tmp_path / "ids")
    assert (again.find(["a"]), again.size) == ({}, 0)
    again.close()
