"""A log that is rotated, cut, emptied or lost while it is followed: each line comes once, what is missing is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.observers import append, follow, line, rotate

if TYPE_CHECKING:
    from pathlib import Path


class Reader:
    """Reads on from where it stopped, ``most`` at once."""

    def __init__(self, log: Path, most: int = 100) -> None:
        self.log, self.most, self.place = log, most, None

    def read(self) -> list[Any]:
        found: list[Any] = []
        for _ in range(1000):
            reading = follow.read(self.log, self.place, self.most)
            moved, self.place = reading.place != self.place, reading.place
            found += reading.found
            if not moved:
                return found
        raise AssertionError("reading comes to no end")

    def numbers(self) -> list[int]:
        """Numbers of the calls; a gap is told by its reason."""
        return [_number(one) for one in self.read()]


def _number(one: Any) -> Any:
    return one.why if isinstance(one, follow.Gap) else int(one.text.partition(b'"call-')[2].partition(b'"')[0])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.mark.parametrize("most", [1, 2, 100])
def test_each_line_comes_once_and_in_order_over_rotations(log: Path, most: int) -> None:
    reader = Reader(log, most)
    append(log, line(1), line(2))
    assert reader.numbers() == ["begun", 1, 2]
    append(log, line(3))
    rotate(log, 1)
    append(log, line(4), line(5))
    rotate(log, 2)
    append(log, line(6))
    assert reader.numbers() == [3, 4, 5, 6]
    assert reader.numbers() == []


def test_what_lies_behind_a_place_is_counted_over_files(log: Path) -> None:
    append(log, line(1), line(2))
    place = follow.read(log, None, 2).place
    rotate(log, 1)
    append(log, line(3))
    assert follow.read(log, place, 1).behind == len(line(3))
    assert follow.read(log, place, 9).behind == 0


def test_a_reading_begins_with_the_oldest_file_and_says_so(log: Path) -> None:
    for number in (1, 2):
        append(log, line(number))
        rotate(log, number)
    append(log, line(3))
    assert Reader(log).numbers() == ["begun", 1, 2, 3]


def test_half_a_line_waits_until_it_is_whole(log: Path) -> None:
    reader = Reader(log)
    append(log, line(1)[:40])
    assert reader.numbers() == []  # its file has no name yet
    append(log, line(1)[40:], line(2)[:50])
    assert reader.numbers() == ["begun", 1]
    append(log, line(2)[50:])
    assert reader.numbers() == [2]


def test_half_a_line_that_was_rotated_away_is_handed_on_as_it_is(log: Path) -> None:
    append(log, line(1), line(2)[:60])
    rotate(log, 1)
    append(log, line(3))
    found = Reader(log).read()
    assert [one.text for one in found[1:]] == [line(1)[:-1], line(2)[:60], line(3)[:-1]]


def test_a_file_that_went_before_it_was_read_is_a_gap(log: Path) -> None:
    reader = Reader(log)
    append(log, line(1))
    assert reader.numbers() == ["begun", 1]
    append(log, line(2))
    rotate(log, 1).unlink()
    append(log, line(3))
    assert reader.numbers() == ["gone", 3]


def test_a_log_that_went_altogether_is_a_gap_and_one_that_comes_again_a_beginning(log: Path) -> None:
    reader = Reader(log)
    append(log, line(1))
    reader.read()
    log.unlink()
    assert reader.numbers() == ["gone"]
    assert reader.numbers() == []
    append(log, line(2))
    assert reader.numbers() == ["begun", 2]


def test_a_log_that_was_emptied_in_place_is_a_gap(log: Path) -> None:
    reader = Reader(log)
    append(log, line(1), line(2))
    reader.read()
    log.write_bytes(line(3))
    assert reader.numbers() == ["gone", 3]


def test_a_log_that_was_cut_behind_its_first_line_is_a_gap_of_as_many_bytes(log: Path) -> None:
    reader = Reader(log)
    append(log, line(1), line(2), line(3))
    reader.read()
    os.truncate(log, len(line(1)))
    append(log, line(4)[:10])
    (gap,) = reader.read()
    assert (gap.why, gap.size) == ("shortened", len(line(2)) + len(line(3)) - 10)


def test_the_next_file_may_have_the_inode_of_the_last(log: Path) -> None:
    """A file is known by what it begins with."""
    reader = Reader(log)
    append(log, line(1))
    assert reader.numbers() == ["begun", 1]
    inode = log.stat().st_ino
    rotate(log, 1)
    (log.parent / "audit-2026-11-26T12-00-01.000.log").rename(log)  # the very inode, with another content
    log.write_bytes(line(2))
    assert log.stat().st_ino == inode
    assert reader.numbers() == ["gone", 2]


def test_a_line_beyond_all_bounds_is_a_gap_and_the_next_ones_are_read(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LINE_BYTES", 1000)
    long = line(2, requestURI="/" + "x" * 5000)
    reader = Reader(log, 2)
    append(log, line(1), long[:3000])
    assert reader.numbers() == ["begun", 1]
    append(log, long[3000:], line(3))
    gap, after = reader.read()
    assert (gap.why, gap.size, _number(after)) == ("too long", len(long), 3)


def test_a_line_of_a_megabyte_is_read(log: Path) -> None:
    append(log, line(1), line(2, requestURI="/" + "x" * (1 << 20)), line(3))
    assert Reader(log).numbers() == ["begun", 1, 2, 3]


def test_no_more_is_read_at_once_than_fits_in_memory(log: Path) -> None:
    append(log, *(line(number, requestURI="/" + "x" * (1 << 20)) for number in range(12)))
    rotate(log, 1)
    append(log, *(line(number, requestURI="/" + "x" * (1 << 20)) for number in range(12, 14)))
    place, sizes = None, []
    while (reading := follow.read(log, place, 100)).found:
        place = reading.place
        sizes.append(sum(len(one.text) for one in reading.found if isinstance(one, follow.Line)))
    assert max(sizes) < follow.BATCH_BYTES + (2 << 20)
    assert sum(sizes) > 14 << 20
    assert Reader(log).numbers() == ["begun", *range(14)]


def test_files_that_change_their_names_while_they_are_opened_are_opened_anew(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(log)
    append(log, line(1))
    reader.read()
    append(log, line(2))
    opening, rotated = follow._open, []

    def between(path: Path, *, last: bool) -> Any:
        if not rotated:
            rotated.append(rotate(log, 1))
            append(log, line(3))
        return opening(path, last=last)

    monkeypatch.setattr(follow, "_open", between)
    assert reader.numbers() == [2, 3]
