"""Which tests stay together, and in which order they begin."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests import division

REPOSITORY = Path(__file__).parents[3]
FOUND = [str(path.relative_to(REPOSITORY)) for path in sorted(REPOSITORY.glob("tests/*/**/test_*.py"))]
FILES = [file for file in FOUND if not file.startswith("tests/e2e/two_hosts/")]  # `make test` leaves that journey out
JOURNEY, PAGE = "tests/e2e/one_host/", "tests/e2e/page/"


@pytest.mark.parametrize("place", [place for places in division.TOGETHER.values() for place in places])
def test_what_is_said_to_stay_together_is_there(place: str) -> None:
    assert [file for file in FILES if file.startswith(place)] != []


@pytest.mark.parametrize("parameter", ["keycloak_site: ", "built: BuiltBundle", "host: BareHost"])
def test_all_tests_of_a_service_that_is_started_once_are_of_one_unit(parameter: str) -> None:
    here = str(Path(__file__).relative_to(REPOSITORY))
    users = [file for file in FILES if file != here and parameter in (REPOSITORY / file).read_text()]
    assert len({division.unit_of(f"{file}::test_it") for file in users}) == 1
    assert division.unit_of(users[0]) in division.TOGETHER


def test_a_file_is_a_unit_where_nothing_else_is_said() -> None:
    assert division.unit_of("tests/unit/a/test_b.py::test_c[d::e]") == "tests/unit/a/test_b.py"


def test_one_process_runs_what_is_quick_first_and_the_page_last() -> None:
    kinds = [file.split("/")[1] for file in sorted(FILES, key=division.place)]
    assert list(dict.fromkeys(kinds)) == list(division.KINDS)
    *_, last = sorted(FILES, key=division.place)
    assert last.startswith(PAGE)


def test_workers_begin_with_the_longest_journey_and_end_with_the_page() -> None:
    queue = sorted(FILES, key=division.queue_place)
    journey = [file for file in FILES if file.startswith(JOURNEY)]
    assert queue[: len(journey)] == sorted(journey)  # its stages, in order
    assert queue[len(journey)].startswith("tests/unit/")
    pages = [file for file in FILES if file.startswith(PAGE)]
    assert queue[-len(pages) :] == pages


def test_the_queue_holds_every_unit_whole() -> None:
    units = [division.unit_of(file) for file in sorted(FILES, key=division.queue_place)]
    assert len([*dict.fromkeys(units)]) == 1 + sum(one != other for one, other in pairwise(units))
