"""No caller has a say in what a file is known by, or in how a place in it is named: no call hides behind another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.observers import append, event, follow, line, rotate
from tests.unit.roles.test_observer_following import Reader

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


def test_a_name_of_the_caller_s_choice_neither_mixes_files_up_nor_names_a_place(log: Path) -> None:
    """`Audit-ID` is what the caller says: all lines of an attack may begin alike."""
    reader = Reader(log)
    for number in (1, 2, 3):
        append(log, line(number, auditID="call-7"), line(number + 10, auditID="call-7"))
        if number < 3:
            rotate(log, number)
    found = reader.read()
    assert [one.text for one in found[1:]] == [line(number, auditID="call-7")[:-1] for number in (1, 11, 2, 12, 3, 13)]
    assert len({one.at for one in found[1:]}) == 6
    assert all("call" not in one.at for one in found)


LONG = f"/api/v1/namespaces/default/secrets?{'x' * 700_000}"


@pytest.mark.parametrize("more", [{}, {"auditID": "call-7"}], ids=["long", "long, and of one number"])
def test_a_caller_who_fills_the_beginnings_of_files_with_one_text_hides_nothing(
    log: Path, more: dict[str, Any]
) -> None:
    """Number and address come first in a line, and are the caller's, up to a megabyte; its own times come last."""
    reader = Reader(log, 10)
    told = []
    for number in (100, 200, 300):
        append(log, line(number, requestURI=LONG, **more), *(line(number + n) for n in range(1, 30)))
        if number < 300:
            rotate(log, number // 100)
        told += reader.read()
    lines = [one for one in told if isinstance(one, follow.Line)]
    assert [one.why for one in told if isinstance(one, follow.Gap)] == ["begun"]
    assert len({one.at for one in lines}) == len(lines) == 90
    assert [_stamp(one) for one in lines] == [
        event(m + n)["stageTimestamp"] for m in (100, 200, 300) for n in range(30)
    ]


def _stamp(one: Any) -> str:
    return str(json.loads(one.text)["stageTimestamp"])


def test_a_time_in_a_caller_s_text_names_no_place(log: Path) -> None:
    said = '"stageTimestamp":"2001-01-01T00:00:00Z"'
    append(log, line(1, requestURI=f"/{said}", userAgent=said, auditID=said))
    assert Reader(log).read()[1].at == f"{event(1)['stageTimestamp']}/0"


@pytest.mark.parametrize("before", range(0, 70, 7))
def test_a_time_is_found_wherever_the_pieces_of_a_line_part(log: Path, before: int) -> None:
    """So many bytes of it, and of its name, lie in the first piece."""
    bare = line(1, requestURI="", requestReceivedTimestamp="").index(b'"stageTimestamp"')
    append(log, line(1, requestURI="x" * (follow.PIECE_BYTES - bare - before), requestReceivedTimestamp=""))
    assert Reader(log).read()[1].at == f"{event(1)['stageTimestamp']}/0"


def test_of_two_files_with_one_first_line_the_newer_is_read_and_that_is_told(log: Path) -> None:
    reader = Reader(log, 10)
    append(log, line(1), line(2))
    assert reader.numbers() == ["begun", 1, 2]
    rotate(log, 1)
    append(log, line(1), line(2), line(3))
    assert reader.numbers() == ["doubled", 3, "doubled"]
    append(log, line(4))
    assert [each for each in reader.numbers() if each != "doubled"] == [4]


def test_a_place_is_named_alike_however_often_it_is_read(log: Path) -> None:
    append(log, line(1), line(2))
    first = [one.at for one in Reader(log).read()]
    rotate(log, 1)
    append(log, line(3))
    assert [one.at for one in Reader(log).read()][: len(first)] == first
    assert first[1] == f"{event(1)['stageTimestamp']}/0"
