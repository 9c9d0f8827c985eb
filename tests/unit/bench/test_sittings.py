"""A benchmark of two hours may be made in several sittings, of the same things, and says how much is left."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bench.engine import agreement, depends, loads, native, overhead, rounds
from tests.bench.engine.contenders import PEER_FLAGS
from tests.bench.engine.sittings import GUESSED_S, Sittings, left

if TYPE_CHECKING:
    from pathlib import Path

PLANNED = ("flags/distinct 16 slots", "distinct/1", "distinct/2", "restart/1")


def _fails() -> float:
    raise AssertionError("it is measured again")


def test_a_measurement_is_made_once_and_counts_in_its_sitting(tmp_path: Path) -> None:
    first = Sittings(tmp_path, {"a": 1}, PLANNED)
    assert first.measurement("distinct/1", lambda: {"tok_s": 1.5}) == {"tok_s": 1.5}
    second = Sittings(tmp_path, {"a": 1}, PLANNED)
    assert (first.number, second.number) == (1, 2)
    assert second.measurement("distinct/1", lambda: {"tok_s": _fails()}) == {"tok_s": 1.5}
    second.measurement("distinct/2", lambda: {"tok_s": 2.5})
    assert Sittings(tmp_path, {"a": 1}, PLANNED).held == [1, 2]
    assert Sittings(tmp_path, {"a": 1}, PLANNED[:2]).held == [1]


def test_a_measurement_that_fails_is_not_kept(tmp_path: Path) -> None:
    sittings = Sittings(tmp_path, {"a": 1}, PLANNED)
    with pytest.raises(AssertionError):
        sittings.measurement("distinct/1", _fails)
    assert sittings.held == []
    assert Sittings(tmp_path, {"a": 1}, PLANNED).held == []


def test_what_depends_on_something_else_lies_elsewhere_and_spoils_nothing(tmp_path: Path) -> None:
    Sittings(tmp_path, {"a": 1}, PLANNED).measurement("distinct/1", lambda: 1.0)
    Sittings(tmp_path, {"a": 2}, PLANNED).measurement("distinct/1", lambda: 2.0)
    assert Sittings(tmp_path, {"a": 1}, PLANNED).measurement("distinct/1", _fails) == 1.0


def test_a_fresh_run_forgets_what_was_kept(tmp_path: Path) -> None:
    Sittings(tmp_path, {"a": 1}, PLANNED).measurement("distinct/1", lambda: 1.0)
    assert Sittings(tmp_path, {"a": 1}, PLANNED, fresh=True).held == []


def test_a_later_sitting_uses_no_text_again(tmp_path: Path) -> None:
    first = Sittings(tmp_path, {"a": 1}, PLANNED)
    first.measurement("distinct/1", lambda: 1.0)
    planned = rounds.planned(tuple(loads.LOADS), loads.FULL.rounds, PEER_FLAGS)
    assert Sittings(tmp_path, {"a": 1}, PLANNED).first_seed > first.first_seed + 2 * len(planned)


def test_time_left_is_what_a_kind_took_here_and_a_guess_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(PLANNED, {}) == GUESSED_S["flags"] + 2 * GUESSED_S["distinct"] + GUESSED_S["restart"]
    assert left(PLANNED, {"distinct/1": 7.0}, 0.5) == GUESSED_S["flags"] / 2 + 7 + GUESSED_S["restart"] / 2
    assert left(PLANNED, dict.fromkeys(PLANNED, 1.0)) == 0
    sittings = Sittings(tmp_path, {"a": 1}, PLANNED[1:3])
    sittings.measurement("distinct/1", lambda: 1.0)
    sittings.measurement("distinct/2", lambda: 1.0)
    sittings.begin()
    *_, said = capsys.readouterr().err.splitlines()
    assert said == f"2 of 2 measurements are kept in {sittings.path}; nothing is left to measure"


def test_every_kind_has_a_guess() -> None:
    planned = rounds.planned(tuple(loads.LOADS), 1, PEER_FLAGS)
    planned += [overhead.PLANNED, *native.planned(1), *agreement.PLANNED]
    assert {name.partition("/")[0] for name in planned} == set(GUESSED_S)


def test_everything_that_the_benchmark_is_made_of_counts() -> None:
    """A module that a load comes to use, and that ``depends`` does not know, would let figures of two things mix."""
    code = "import sys, tests.bench.engine.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    ours = {f"{name.replace('.', '/')}.py" for name in loaded if name.startswith("tests.engine.")}
    ours -= {"tests/engine/gpu.py"}  # of the fixtures; no load asks for it
    assert ours <= set(depends.FILES)
    assert len(ours) > 5


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("appliance/engine/scheduler.py", True),
        ("sources/native/llama-cpp-python.cmake", True),
        ("tests/bench/engine/loads.py", True),
        ("tests/engine/questions.txt", True),
        ("tests/bench/engine/claims.py", False),
    ],
)
def test_a_changed_source_is_another_measurement_and_a_changed_bound_is_not(
    name: str,
    counts: bool,  # noqa: FBT001 - a parameter of a table
    tmp_path: Path,
) -> None:
    for folder in depends.FOLDERS:
        shutil.copytree(depends.ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in depends.FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(depends.ROOT / file, tmp_path / file)
    before = depends.sources(tmp_path)
    assert before == depends.sources(depends.ROOT)
    (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
    assert (depends.sources(tmp_path) != before) is counts
